"""One process on one card: load the base once, then train and question each member that is its own.

Started by `kit.pipeline.schedule` as a child process; the job comes in as a file, the answers leave as files.
With WORLD_SIZE set, several such processes train one member together and each answers its part of the rows.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kit.config import Config, load
from kit.errors import KitError
from kit.pipeline import events, keep, model, plan, schedule
from kit.pipeline.answering import predict
from kit.pipeline.machine.hardware import Card, Precision
from kit.pipeline.model import Loaded
from kit.pipeline.plan import Member
from kit.pipeline.training import oversee, pace
from kit.pipeline.training import train as training
from kit.task import parse

VERSIONS_OF = (
    *("torch", "transformers", "trl", "peft", "bitsandbytes", "datasets", "accelerate"),
    *("unsloth", "unsloth_zoo", "xformers", "triton"),
)
RATE_ROWS = 16
"""Rows that are answered before training, to know how long all of them will take."""
NOT_TRAINED = {
    "history": [],
    "train_tokens": 0,
    "bins": 0,
    "step": 0,
    "steps": 0,
    "stopped": "",
    "notes": [],
    "layout": None,
}
"""What a member reports of training where there was none."""


def main(job_path: Path, slot: int) -> None:
    """Work off the members of `slot` in the job file; each done one leaves its answers and its adapter."""
    started = time.monotonic()
    job = json.loads(job_path.read_text(encoding="utf-8"))
    config = load(job["config"], where=str(job_path))
    precision = Precision(**job["precision"])
    card = Card(**job["cards"][slot]) if job["cards"] else None
    model.import_stack(model.loader(config, card))
    _settle_device(config, job["processes"], card)
    imported = time.monotonic()
    events.emit("load", model=config.model.name, dtype=precision.dtype, reason=precision.reason)
    with _turn(job_path.parent, job["load_in_turn"]):
        loaded = model.load(config, Path(job["model"]), card, precision)
    timings = {"import": imported - started, "load": time.monotonic() - imported}
    folder = Path(job["folder"])
    waiting = [name for name in job["slots"][slot] if not keep.answers_path(folder, name).is_file()]
    longest_seconds = 0.0
    for place, name in enumerate(waiting):
        member = Member(**job["members"][name])
        share = pace.seconds_left(time.time(), job["deadline"])
        if member.point is None:
            share /= len(waiting) - place
        # A point cut short could not be compared; any other member is worth having however little it learned.
        if member.point is not None and share < longest_seconds:
            events.emit("skipped", member=name, reason="time limit", seconds_left=round(share))
            continue
        began = time.monotonic()
        answers = _member(loaded, config, job, member, job_path.parent, share)
        answers |= {"slot": slot, "loader": loaded.loader, "versions": _versions()}
        answers["timings"] = {**timings, **answers["timings"]}
        timings = {"import": 0.0, "load": 0.0}
        keep.write_answers(folder, name, _rank(), answers)
        longest_seconds = max(longest_seconds, time.monotonic() - began)


def _member(
    loaded: Loaded, base: Config, job: dict[str, Any], member: Member, scratch: Path, share: float
) -> dict[str, Any]:
    """Train one member, or load its adapter, and answer its rows, all within `share` seconds if it can."""
    config = plan.settings_of(base, member)
    until = time.time() + share
    rows_by_key = {row["id"]: row for row in [*job["train"], *job["test"]]}
    asked = [rows_by_key[key] for key in member.held_out] + job["test"]
    place = Path(job["folder"]) / member.name
    model.set_scaling(loaded, config.lora)
    if earlier := job["adapters"].get(member.name):
        model.load_adapter(loaded, Path(earlier))
        learned: dict[str, Any] = {**NOT_TRAINED, "seconds": 0.0}
    elif not (config.train.epochs or config.train.max_steps):
        model.renew_adapter(loaded, member.seed)  # it adds nothing yet
        learned = {**NOT_TRAINED, "seconds": 0.0}
    else:
        fit = [rows_by_key[key] for key in member.fit]
        learned = _train(loaded, config, member, fit, asked, scratch, place, until)
    lost = keep.save_adapter(loaded, place / "adapter") if _rank() == 0 else ""
    started = time.monotonic()
    # Ranks take turns down the rows by length, so that none gets all the long ones.
    own = sorted(asked, key=lambda row: (-len(row["text"]), row["id"]))[_rank() :: _ranks()]
    completions, probabilities = _answer(loaded, own, config, member.seed)
    return {
        **{name: getattr(member, name) for name in ("name", "seed", "fold", "point", "settings")},
        **learned,
        "adapter_lost": lost,
        "probabilities": probabilities,
        "completions": completions,
        "peak_memory_bytes": model.peak_memory(loaded),
        "timings": {"train": learned["seconds"], "predict": round(time.monotonic() - started, 2)},
    }


def _train(
    loaded: Loaded,
    config: Config,
    member: Member,
    fit: Sequence[dict[str, str]],
    asked: Sequence[dict[str, str]],
    scratch: Path,
    place: Path,
    until: float,
) -> dict[str, Any]:
    """Train so that answering still fits before `until`; leave at once where SIGTERM stopped training."""
    reserve = pace.reserve_seconds(len(asked), _rows_per_second(loaded, asked, config))
    events.emit(
        "train", member=member.name, seed=member.seed, rows=len(fit), reserve_seconds=round(reserve, 1)
    )
    model.renew_adapter(loaded, member.seed)
    # Ranks would have to write a checkpoint together, and stop together on a signal that each gets alone.
    alone = _ranks() == 1
    trained = training.train(
        loaded,
        fit,
        config,
        seed=member.seed,
        name=member.name,
        scratch=scratch,
        until=until - reserve,
        checkpoint=place / "checkpoint" if alone else None,
        resume=keep.checkpoint_to_resume(place.parent, member.name) if alone else None,
    )
    if trained.stopped == oversee.SIGTERM:
        sys.exit(128 + 15)
    return {
        **{name: getattr(trained, name) for name in ("history", "bins", "step", "steps", "stopped", "notes")},
        "train_tokens": trained.tokens,
        "layout": {
            name: getattr(trained, name)
            for name in ("pack_tokens", "batch_size", "gradient_accumulation", "gradient_checkpointing")
        },
        "seconds": trained.seconds,
    }


def _answer(
    loaded: Loaded, rows: Sequence[dict[str, str]], config: Config, seed: int
) -> tuple[dict[str, str], dict[str, list[float]]]:
    """Return the texts and the probabilities by row; a text is parsed, and scored where that fails."""
    if config.predict.mode == "score":
        return {}, predict.score(loaded, rows, config) if rows else {}
    completions = predict.generate(loaded, rows, config, seed=seed)
    labels, synonyms = config.competition.labels, config.competition.synonyms
    # What could not be parsed is scored: a label that the model does stand behind, and counted as such.
    unparsed = [
        row
        for row in rows
        if isinstance(parse.parse(completions[row["id"]], labels, synonyms), parse.Unparsed)
    ]
    return completions, predict.score(loaded, unparsed, config) if unparsed else {}


def _rows_per_second(loaded: Loaded, rows: Sequence[dict[str, str]], config: Config) -> float:
    """Measure how fast rows are scored, before training; writing costs at most as long a pass a token."""
    sample = sorted(rows, key=lambda row: len(row["text"]))[:: max(1, len(rows) // RATE_ROWS)][:RATE_ROWS]
    if not sample:
        return 1.0
    predict.score(loaded, sample[:1], config)  # the first pass compiles
    started = time.monotonic()
    predict.score(loaded, sample, config)
    passes = 1 + config.predict.max_new_tokens if config.predict.mode == "generate" else 1
    return len(sample) / max(time.monotonic() - started, 1e-6) / passes


@contextmanager
def _turn(scratch: Path, needed: bool) -> Iterator[None]:
    """Let one process at a time pass where the machine's memory does not hold what all of them read."""
    with (scratch / "turn").open("w") as file:
        if needed:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _settle_device(config: Config, processes: int, card: Card | None) -> None:
    import torch

    if card is None:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
        return
    if not torch.cuda.is_available():
        raise KitError(
            f"torch {torch.__version__} does not see {card.name}", hint="nvidia-smi on that machine"
        )
    if config.run.memory_gib:
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, config.run.memory_gib * 2**30 / whole))


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in VERSIONS_OF:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _rank() -> int:
    return int(os.environ.get("RANK", "0"))


def _ranks() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), int(sys.argv[2]))
    except KitError as error:
        # The parent says it, once for all members.
        schedule.leave_reason(Path(sys.argv[1]), int(sys.argv[2]), error)
        sys.exit(1)
