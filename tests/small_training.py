"""A training of seconds with the tiny model, for tests, here or in a process of its own.

Such a job names model, out, overrides, rows and seed, and where wanted checkpoint, and the seconds until
training must have ended.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from kit import config as settings
from kit.config import Config
from kit.pipeline import loading, model
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
    loading.import_stack("plain")  # seconds that no test with a time limit should count
    loaded = loading.load(chosen, folder, None, hardware.precision(()))
    model.renew_adapter(loaded, seed)
    return loaded


def adapter(loaded: Loaded) -> dict[str, Any]:
    """Return a copy of the trained weights by name."""
    return {
        name: weight.detach().clone()
        for name, weight in loaded.model.named_parameters()
        if weight.requires_grad
    }


def start(job: dict[str, Any], **variables: str) -> BaseProcess:
    """Train as the job says in a process of its own, under more environment variables.

    Such processes come from one that has imported the training stack, which takes longer than training.
    """
    Path(job["out"]).mkdir(parents=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["small_training", "trl", "peft", "bitsandbytes"])
    child = context.Process(target=_main, args=(job, variables), daemon=True)
    child.start()
    return child


def finish(child: BaseProcess, job: dict[str, Any]) -> dict[str, Any]:
    """Wait for a training to end well; return what it reports."""
    child.join(timeout=400)
    assert child.exitcode == 0, (Path(job["out"]) / "log").read_text()
    told: dict[str, Any] = json.loads((Path(job["out"]) / "trained.json").read_text())
    return told


def until_event(job: dict[str, Any], name: str, step: int) -> None:
    """Wait for an event of a training."""
    deadline, log = time.monotonic() + 200, Path(job["out"]) / "log"
    while time.monotonic() < deadline:
        lines = log.read_text().splitlines() if log.exists() else []
        events = [json.loads(line) for line in lines[:-1] if line.startswith('{"event"')]
        if any(event["event"] == name and event["step"] == step for event in events if "step" in event):
            return
        time.sleep(0.01)
    raise AssertionError(log.read_text())


def _main(job: dict[str, Any], variables: dict[str, str]) -> None:
    """Train as the job says; leave the adapter, the log and what training reports in its folder `out`."""
    import torch

    os.environ |= variables
    out = Path(job["out"])
    with (out / "log").open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    torch.set_num_threads(1)
    chosen = config(*job["overrides"])
    loaded = load(Path(job["model"]), chosen, job["seed"])
    checkpoint = Path(job["checkpoint"]) if "checkpoint" in job else None
    until = time.monotonic() + job["seconds"] if "seconds" in job else None
    trained = train.train(
        loaded, rows(job["rows"]), chosen, seed=job["seed"], scratch=out, until=until, checkpoint=checkpoint
    )
    loaded.model.save_pretrained(out / "adapter")
    (out / "trained.json").write_text(json.dumps(dataclasses.asdict(trained)))
