"""One process on one card: load the base once, then train and question each member that is its own.

Started by `kit.pipeline.schedule` as a child process; the job comes in as a file, the answers leave as files.
With WORLD_SIZE set, several such processes train one member together and each answers its part of the rows.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kit.config import Config, load
from kit.environment import rank, ranks
from kit.errors import KitError
from kit.pipeline import answers, events, loading, model, plan, schedule
from kit.pipeline.answering import predict
from kit.pipeline.answers import UNTRAINED, Answers, FailsAgain, Failure, Trained
from kit.pipeline.machine import base_model
from kit.pipeline.machine.hardware import Card
from kit.pipeline.model import Loaded
from kit.pipeline.plan import Member
from kit.pipeline.record import Job
from kit.pipeline.training import oversee
from kit.pipeline.training import train as training
from kit.pipeline.training.layout import Layout
from kit.task import parse

VERSIONS_OF = (
    *("torch", "transformers", "trl", "peft", "bitsandbytes", "datasets", "accelerate"),
    *("unsloth", "unsloth_zoo", "xformers", "triton"),
)
RATE_ROWS = 16
"""Rows that are answered before training, to know how long all of them will take."""
RESERVE = 1.25
"""How much more time is kept for answering than that asks for."""


@dataclass
class _Slot:
    """What the members of one process have in common."""

    job: Job
    number: int
    config: Config
    loaded: Loaded
    scratch: Path
    fitted: dict[Layout, Layout] = field(default_factory=dict)
    """The layout that fitted into memory, by the one that was begun with."""

    def __post_init__(self) -> None:
        self.folder = Path(self.job.folder)
        self.rows = {row["id"]: row for row in [*self.job.train, *self.job.test]}


def main(job_path: Path, number: int) -> None:
    """Work off the members of a slot; each leaves its answers and its adapter, or why it failed."""
    started = time.monotonic()
    job = Job.read(job_path)
    config = base_model.with_shape(load(job.config, where=str(job_path)), Path(job.model))
    card = job.cards[number] if job.cards else None
    loading.import_stack(loading.loader(config, card))
    _settle_device(config, len(job.slots), card)
    imported = time.monotonic()
    events.emit("load", model=config.model.name, dtype=job.precision.dtype, reason=job.precision.reason)
    with (job_path.parent / "turn").open("w") as turn:
        if job.load_in_turn:
            fcntl.flock(turn, fcntl.LOCK_EX)  # the machine's memory does not hold what all of them read
        loaded = loading.load(config, Path(job.model), card, job.precision)
    timings = {"import": imported - started, "load": time.monotonic() - imported}
    slot = _Slot(job, number, config, loaded, job_path.parent)
    waiting = [name for name in job.slots[number] if not answers.is_settled(slot.folder, name, rank())]
    longest_seconds = 0.0
    for place, name in enumerate(waiting):
        member, began = job.members[name], time.monotonic()
        seconds = max(0.0, job.deadline - began)
        if member.point is None:
            seconds /= len(waiting) - place
        # A point cut short could not be compared; any other member is worth having however little it learned.
        elif seconds < longest_seconds:
            events.emit("skipped", member=name, reason="time limit", seconds_left=round(seconds))
            continue
        with contextlib.suppress(OSError):
            (slot.folder / name).mkdir(parents=True, exist_ok=True)  # by which it is known to have begun
        try:
            _settle(slot, member, began + seconds, timings)
        except KitError as error:
            if ranks() > 1:
                raise  # the others wait for this one, and are stopped with it
            answers.write_failure(slot.folder, name, Failure(str(error), isinstance(error, FailsAgain)))
            events.emit("warning", text=f"member {name} failed: {error}")
            model.forget(loaded)
        timings = {"import": 0.0, "load": 0.0}
        longest_seconds = max(longest_seconds, time.monotonic() - began)


def _settle(slot: _Slot, member: Member, until: float, before: dict[str, float]) -> None:
    """Train a member, or load its adapter, and answer its rows, all before `until` if it can.

    The answers are written before the adapter: on a full disk they count.
    """
    loaded, config = slot.loaded, plan.settings_of(slot.config, member)
    asked = [*(slot.rows[key] for key in member.held_out), *slot.job.test]
    model.set_scaling(loaded, config.lora)
    trained = UNTRAINED
    if adapter := slot.job.adapters.get(member.name):
        model.load_adapter(loaded, Path(adapter))
    else:
        model.renew_adapter(loaded, member.seed)  # a member that failed may have left no numbers in it
        if config.train.epochs or config.train.max_steps:
            trained = _train(slot, config, member, asked, until)
    started = time.monotonic()
    # Ranks take turns down the rows by length, so that none gets all the long ones.
    own = sorted(asked, key=lambda row: (-len(row["text"]), row["id"]))[rank() :: ranks()]
    completions, probabilities = _answer(loaded, own, config, member.seed)
    whole = Answers(
        **{name: getattr(member, name) for name in ("name", "seed", "fold", "point", "settings")},
        identity=slot.job.identities[member.name],
        trained=trained,
        probabilities=probabilities,
        completions=completions,
        peak_memory_bytes=model.peak_memory(loaded),
        timings={**before, "train": trained.seconds, "predict": round(time.monotonic() - started, 2)},
        slot=slot.number,
        loader=loaded.loader,
        versions=_versions(),
        ranks=ranks(),
    )
    answers.write(slot.folder, whole, rank())
    if rank() == 0 and (lost := model.save_adapter(loaded, slot.folder / member.name / "adapter")):
        events.emit("warning", text=f"the adapter of member {member.name} is not kept: {lost}")


def _train(
    slot: _Slot, config: Config, member: Member, asked: Sequence[dict[str, str]], until: float
) -> Trained:
    """Train so that answering still fits before `until`; leave at once where SIGTERM stopped training."""
    loaded = slot.loaded
    reserve = RESERVE * len(asked) / _rows_per_second(loaded, asked, config)
    events.emit(
        "train", member=member.name, seed=member.seed, rows=len(member.fit), reserve_seconds=round(reserve, 1)
    )
    # Ranks would have to write a checkpoint together, and stop together on a signal that each gets alone.
    trained = training.train(
        loaded,
        [slot.rows[key] for key in member.fit],
        config,
        seed=member.seed,
        name=member.name,
        scratch=slot.scratch,
        until=until - reserve,
        checkpoint=slot.folder / member.name / "checkpoint" if ranks() == 1 else None,
        fitted=slot.fitted,
    )
    if trained.stopped == oversee.SIGTERM:
        sys.exit(128 + 15)
    if not trained.step:
        raise KitError("its time was over before the first step", hint="a larger run.time_limit_minutes")
    return trained


def _answer(
    loaded: Loaded, rows: Sequence[dict[str, str]], config: Config, seed: int
) -> tuple[dict[str, str], dict[str, list[float]]]:
    """Return the texts and the probabilities by row; a text is parsed, and scored where that fails."""
    if config.predict.mode == "score":
        return {}, predict.score(loaded, rows, config)
    completions = predict.generate(loaded, rows, config, seed=seed)
    labels, synonyms = config.competition.labels, config.competition.synonyms
    read = {key: parse.parse(text, labels, synonyms) for key, text in completions.items()}
    # What could not be parsed is scored: a label that the model does stand behind, and counted as such.
    unparsed = [row for row in rows if isinstance(read[row["id"]], parse.Unparsed)]
    return completions, predict.score(loaded, unparsed, config)


def _rows_per_second(loaded: Loaded, rows: Sequence[dict[str, str]], config: Config) -> float:
    """Measure how fast rows are scored, before training; writing costs at most as long a pass a token."""
    sample = sorted(rows, key=lambda row: len(row["text"]))[:: max(1, len(rows) // RATE_ROWS)][:RATE_ROWS]
    predict.score(loaded, sample[:1], config, stage="measure")  # the first pass compiles
    started = time.monotonic()
    predict.score(loaded, sample, config, stage="measure")
    passes = 1 + config.predict.max_new_tokens if config.predict.mode == "generate" else 1
    return len(sample) / max(time.monotonic() - started, 1e-6) / passes


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
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), int(sys.argv[2]))
    except KitError as error:
        # The parent says it, once for all members.
        schedule.leave_reason(Path(sys.argv[1]), int(sys.argv[2]), error)
        sys.exit(1)
