"""A training of seconds with the tiny model, for tests; run as a script it trains in a process of its own.

Its one argument is a job as JSON: model, out, overrides, rows and seed, and where wanted checkpoint, resume,
and the seconds until training must have ended.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from kit import config as settings
from kit.config import Config
from kit.pipeline import model
from kit.pipeline.machine import hardware
from kit.pipeline.model import Loaded
from kit.pipeline.training import train

OVERRIDES = ("train.pack_tokens=256", "model.max_row_tokens=256", "train.max_steps=6")
WORDS = {
    "Positive": ["great", "excellent", "love", "recommend"],
    "Negative": ["bad", "terrible", "broken", "waste"],
}


def rows(count: int) -> list[dict[str, str]]:
    """Return easy rows of several lengths."""
    made = []
    for number in range(count):
        label = ("Positive", "Negative")[number % 2]
        text = f"the {WORDS[label][number // 2 % 4]} phone " + "arrived " * (number % 7)
        made.append({"id": f"r{number}", "text": text, "label": label})
    return made


def config(*overrides: str) -> Config:
    """Return the settings of the tiny preset in bins of 256 tokens, six steps, under `overrides`."""
    return settings.resolve("tiny", [*OVERRIDES, *overrides])


def load(folder: Path, chosen: Config, seed: int = 1) -> Loaded:
    """Load the tiny model on the CPU with an adapter made from `seed`."""
    model.import_stack("plain")  # seconds that no test with a time limit should count
    loaded = model.load(chosen, folder, None, hardware.precision(()))
    model.renew_adapter(loaded, seed)
    return loaded


def adapter(loaded: Loaded) -> dict[str, Any]:
    """Return a copy of the trained weights by name."""
    return {
        name: weight.detach().clone()
        for name, weight in loaded.model.named_parameters()
        if weight.requires_grad
    }


def start(job: dict[str, Any], **variables: str) -> subprocess.Popen[str]:
    """Train as the job says in a process of its own, under more environment variables."""
    Path(job["out"]).mkdir(parents=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", **variables}
    return subprocess.Popen(
        [sys.executable, __file__, json.dumps(job)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(child: subprocess.Popen[str]) -> None:
    """Wait for a training to end well."""
    _, complaints = child.communicate(timeout=400)
    assert child.returncode == 0, complaints


def main(job: dict[str, Any]) -> None:
    """Train as the job says; leave the adapter and what training reports in its folder `out`."""
    import torch

    torch.set_num_threads(1)
    chosen = config(*job["overrides"])
    loaded = load(Path(job["model"]), chosen, job["seed"])
    folders = {name: Path(job[name]) for name in ("checkpoint", "resume") if job.get(name)}
    out = Path(job["out"])
    until = time.monotonic() + job["seconds"] if "seconds" in job else None
    trained = train.train(
        loaded, rows(job["rows"]), chosen, seed=job["seed"], scratch=out, until=until, **folders
    )
    loaded.model.save_pretrained(out / "adapter")
    (out / "trained.json").write_text(json.dumps(dataclasses.asdict(trained)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
