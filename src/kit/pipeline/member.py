"""One process on one card: load the base once, then train and question each member that is its own.

Started by `kit.pipeline.schedule` as a child process; the job comes in as a file, the answers leave as files.
With WORLD_SIZE set, several such processes train one member together and each answers its part of the rows.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kit.config import Config, load
from kit.environment import rank, ranks
from kit.errors import KitError
from kit.pipeline import answers, events, model, plan
from kit.pipeline.answering import predict
from kit.pipeline.answers import UNTRAINED, Answers, Trained
from kit.pipeline.machine.hardware import Card
from kit.pipeline.model import Loaded
from kit.pipeline.plan import Member
from kit.pipeline.record import Job
from kit.pipeline.training import oversee
from kit.pipeline.training import train as training
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

    def __post_init__(self) -> None:
        self.rows = {row["id"]: row for row in [*self.job.train, *self.job.test]}


def main(job_path: Path, number: int) -> None:
    """Work off the members of a slot; each leaves its answers and its adapter, or why it failed."""
    job = Job.read(job_path)
    try:
        _work(job, number, job_path.parent)
    except KitError as error:
        for member in _waiting(job, number):
            _fail(job, member, error)
        sys.exit(1)


def _waiting(job: Job, number: int) -> list[Member]:
    return [member for member in job.slots[number] if not answers.is_settled(job.folder, member.name)]


def _fail(job: Job, member: Member, error: KitError) -> None:
    answers.write_failure(job.folder, member.name, error)
    events.emit("warning", text=f"member {member.name} failed: {error}")


def _work(job: Job, number: int, scratch: Path) -> None:
    """Load the model, then settle each member in the time that is left for it."""
    started = time.monotonic()
    config = load(job.config, where="the job")
    card = job.cards[number] if job.cards else None
    model.import_stack(model.loader(config, card))
    if card:
        _hold_card(config, card)
    imported = time.monotonic()
    events.emit("load", model=config.model.name, dtype=job.precision.dtype, reason=job.precision.reason)
    loaded = model.load(config, job.model, card, job.precision)
    timings = {"import": imported - started, "load": time.monotonic() - imported}
    slot = _Slot(job, number, config, loaded, scratch)
    waiting, longest_seconds = _waiting(job, number), 0.0
    for place, member in enumerate(waiting):
        began = time.monotonic()
        seconds = max(0.0, job.deadline - began)
        if member.point is None:
            seconds /= len(waiting) - place
        # A point cut short could not be compared; any other member is worth having however little it learned.
        elif seconds < longest_seconds:
            events.emit("skipped", member=member.name, reason="time limit", seconds_left=round(seconds))
            continue
        with contextlib.suppress(OSError):  # the folder tells that it has begun
            (job.folder / member.name).mkdir(parents=True, exist_ok=True)
        try:
            _settle(slot, member, began + seconds, timings)
        except KitError as error:
            if ranks() > 1:
                raise  # the others wait for this one, and are stopped with it
            _fail(job, member, error)
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
    if member.adapter:
        model.load_adapter(loaded, Path(member.adapter))
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
        trained=trained,
        probabilities=probabilities,
        completions=completions,
        peak_memory_bytes=model.peak_memory(loaded),
        timings={**before, "train": trained.seconds, "predict": round(time.monotonic() - started, 2)},
        slot=slot.number,
        loader=loaded.loader,
        versions=_versions(),
    )
    whole = _with_other_ranks(whole)
    if rank() == 0:
        answers.write(slot.job.folder, whole)
        if lost := model.save_adapter(loaded, slot.job.folder / member.name / "adapter"):
            events.emit("warning", text=f"the adapter of member {member.name} is not kept: {lost}")


def _with_other_ranks(own: Answers) -> Answers:
    """Return a member's answers with those of the other ranks, which this waits for."""
    if ranks() == 1:
        return own
    from accelerate.utils import gather_object

    parts: list[Answers] = gather_object([own])
    return replace(
        own,
        probabilities={key: each for part in parts for key, each in part.probabilities.items()},
        completions={key: text for part in parts for key, text in part.completions.items()},
        peak_memory_bytes=max(part.peak_memory_bytes for part in parts),
    )


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
        checkpoint=slot.job.folder / member.name / "checkpoint" if ranks() == 1 else None,
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
    predict.score(loaded, sample[:1], config)  # the first pass compiles
    started = time.monotonic()
    predict.score(loaded, sample, config)
    passes = 1 + config.predict.max_new_tokens if config.predict.mode == "generate" else 1
    return len(sample) / max(time.monotonic() - started, 1e-6) / passes


def _hold_card(config: Config, card: Card) -> None:
    """Raise KitError where torch does not see the card; take no more of its memory than is meant."""
    import torch

    if not torch.cuda.is_available():
        said = f"torch {torch.__version__} does not see {card.name}"
        raise KitError(said, hint="nvidia-smi on that machine")
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
    main(Path(sys.argv[1]), int(sys.argv[2]))
