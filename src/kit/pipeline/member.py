"""One process on one card: load the base once, then for each of its seeds train an adapter and answer rows.

Started by `kit.pipeline.schedule` as a child process; the job comes in as a file, the answers leave as files.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kit.config import Config, load
from kit.errors import KitError
from kit.pipeline import events, model, predict, schedule
from kit.pipeline import train as training
from kit.pipeline.hardware import Card, Precision
from kit.pipeline.model import Loaded
from kit.task import parse

VERSIONS_OF = (
    *("torch", "transformers", "trl", "peft", "bitsandbytes", "datasets", "accelerate"),
    *("unsloth", "unsloth_zoo", "xformers", "triton"),
)


def main(job_path: Path, slot: int) -> None:
    """Work off the seeds of `slot` in the job file; leave `member-<seed>.json` and `adapter-<seed>/`."""
    started = time.monotonic()
    job = json.loads(job_path.read_text(encoding="utf-8"))
    config = load(job["config"], where=str(job_path))
    precision = Precision(**job["precision"])
    card = Card(**job["cards"][slot]) if job["cards"] else None
    model.import_stack(model.loader(config, card))
    _settle_device(slots=len(job["seeds_by_slot"]), card=card)
    imported = time.monotonic()
    events.emit("load", model=config.model.name, dtype=precision.dtype, reason=precision.reason)
    loaded = model.load(config, Path(job["model"]), card, precision)
    timings = {"import": imported - started, "load": time.monotonic() - imported}
    for seed in job["seeds_by_slot"][slot]:
        answers = _member(loaded, config, job, seed, job_path.parent)
        answers |= {"slot": slot, "loader": loaded.loader, "versions": _versions()}
        answers["timings"] = {**timings, **answers["timings"]}
        timings = {"import": 0.0, "load": 0.0}
        path = job_path.parent / f"member-{seed}.json"
        path.write_text(json.dumps(answers, ensure_ascii=False), encoding="utf-8")


def _member(loaded: Loaded, config: Config, job: dict[str, Any], seed: int, folder: Path) -> dict[str, Any]:
    events.emit("train", seed=seed, rows=len(job["fit"]))
    model.renew_adapter(loaded, seed)
    trained = training.train(loaded, job["fit"], config, seed=seed, scratch=folder)
    loaded.model.save_pretrained(folder / f"adapter-{seed}")
    loaded.tokenizer.save_pretrained(folder / f"adapter-{seed}")
    started = time.monotonic()
    rows = [*job["held_out"], *job["test"]]
    completions: dict[str, str] = {}
    if config.predict.mode == "generate":
        completions = predict.generate(loaded, rows, config, seed=seed)
        labels, synonyms = config.competition.labels, config.competition.synonyms
        rows = [
            row
            for row in rows
            if isinstance(parse.parse(completions[row["id"]], labels, synonyms), parse.Unparsed)
        ]
    # What could not be parsed is scored: a label that the model does stand behind, and counted as such.
    probabilities = predict.score(loaded, rows, config) if rows else {}
    return {
        "seed": seed,
        "history": trained.history,
        "train_tokens": trained.tokens,
        "bins": trained.bins,
        "probabilities": probabilities,
        "completions": completions,
        "peak_memory_bytes": model.peak_memory(loaded),
        "timings": {"train": trained.seconds, "predict": round(time.monotonic() - started, 2)},
    }


def _settle_device(*, slots: int, card: Card | None) -> None:
    import torch

    if card is not None and not torch.cuda.is_available():
        raise KitError(
            f"torch {torch.__version__} does not see {card.name}", hint="nvidia-smi on that machine"
        )
    if card is None:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // slots))


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in VERSIONS_OF:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), int(sys.argv[2]))
    except KitError as error:
        # The parent says it, once for all members.
        schedule.leave_reason(Path(sys.argv[1]), int(sys.argv[2]), error)
        sys.exit(1)
