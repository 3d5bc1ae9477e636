"""The members of one run: take up what an earlier run left of them, let them work, and note what came of it.

Starts processes through `schedule`; reads no inputs and writes no results.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kit.config import Config, override
from kit.errors import KitError
from kit.pipeline import answers, earlier, events, plan, schedule
from kit.pipeline.answers import Answers, Failure
from kit.pipeline.machine import hardware
from kit.pipeline.plan import Member
from kit.pipeline.record import Job, RunRecord, member_record

if TYPE_CHECKING:
    from pandas import DataFrame

LOAD_TOGETHER_BYTES = 24 * 2**30
"""Weights that processes may read at the same time: a kernel has 31 GB of memory."""


def members_lost(members: list[str], left: list[str], has_begun: bool, error: KitError) -> list[str]:
    """Return those of the `members` of a process that its end costs; `left` have no answers.

    They go in turn: the first one that is left is lost where it has begun, and all of them where none began,
    since loading failed. Those for which a process has no time left after others are skipped, not lost.
    """
    if has_begun:
        return left[:1]
    return [] if error.message == schedule.TIME_LIMIT and left != members else left


@dataclass
class Crew:
    """The members of a run, what they are given, and what came of them."""

    config: Config
    train: DataFrame
    test: DataFrame
    model: Path
    working: Path
    end: float
    """When the last file is written, by the monotonic clock."""
    spare: float
    record: RunRecord
    members: list[Member]

    def __post_init__(self) -> None:
        self.kept = self.working / answers.FOLDER
        self.train_rows, self.test_rows = _records(self.train, "train"), _records(self.test, "test")
        self.slots = len(self.record.cards) or self.config.run.cpu_processes
        self.set_members(self.members)

    def set_members(self, members: list[Member]) -> None:
        """Let these be the members, each with what its answers are known by."""
        rows_by_key = {row["id"]: row for row in [*self.train_rows, *self.test_rows]}
        revision = self.record.model_revision
        self.members = members
        self.identities = {
            one.name: plan.identity(self.config, one, rows_by_key, revision) for one in members
        }

    def take_up(self, input_root: Path) -> dict[str, str]:
        """Bring back what an attached run left; return the adapters that only answer, by member."""
        run, record = self.config.run, self.record
        if run.resume:
            folder, was = earlier.find(input_root, run.resume, "RESUME")
            earlier.bring_back(folder, was, self.config, record, self.kept)
            self.put_seeds_in_place(was.fell_back)
            events.emit("resume", folder=str(folder), done=[one.name for one in self.answered()])
        if not run.adapters_from:
            return {}
        folder, was = earlier.find(input_root, run.adapters_from, "FROM")
        self.put_seeds_in_place(was.fell_back)
        found = earlier.adapters(folder, was, self.config, record, list(self.identities))
        self.set_members([member for member in self.members if member.name in found])
        return found

    def put_seeds_in_place(self, seeds: int) -> None:
        """Let so many seeds take the place of one member that all cards train; 0 changes nothing."""
        if seeds:
            self.record.fell_back = seeds
            self.set_members(plan.members(override(self.config, [f"run.members={seeds}"]), self.train))

    def work(self, adapters: dict[str, str]) -> list[Answers]:
        """Let the members work; return what they answered.

        A single member is trained by all slots together. Where that breaks without a reason of its own, as
        many seeds as there are slots take its place, one each.
        """
        for name, identity in self.identities.items():
            found = answers.read(self.kept, name, identity)
            if found is None or found.trained.stopped:
                answers.drop(self.kept, name)  # damaged, of half the ranks, or with more to learn
            if failure := answers.read_failure(self.kept, name):
                self.warn(f"member {name} is left out, since it failed before: {failure.reason}")
        at_once = self.config.run.one_member_on_all_cards and not self.record.fell_back and not adapters
        if at_once and self.waiting() and len(self.members) == 1 and self.slots > 1:
            self.work_together(self.members[0].name)
        if waiting := self.waiting():
            self.schedule(plan.deal(waiting, self.slots), adapters)
        for name in self.identities:
            if failure := answers.read_failure(self.kept, name):
                self.record.failed[name] = failure.reason
        return self.answered()

    def work_together(self, name: str) -> None:
        """Let all slots train one member; where that breaks, seeds take its place."""
        try:
            self.schedule([[name]] * self.slots, {}, together=True)
            self.record.ranks = self.slots
        except schedule.ProcessFailed as error:
            answers.drop(self.kept, name)
            self.put_seeds_in_place(self.slots)
            self.warn(
                f"training on {self.slots} cards together failed ({error.message}); "
                f"{self.slots} seeds took its place"
            )
        except KitError as error:
            self.fail(name, error)

    def waiting(self) -> list[str]:
        """Return the members that have neither answered nor failed."""
        names = [name for name in self.identities if name not in self.record.failed]
        return [name for name in names if not answers.is_settled(self.kept, name)]

    def answered(self) -> list[Answers]:
        """Return the answers of the members that are done, in the plan's order."""
        found = [answers.read(self.kept, name, identity) for name, identity in self.identities.items()]
        asked = {row["id"] for row in self.test_rows}
        # Where one of several ranks failed, the others' part of the rows is no answer.
        return [member for member in found if member and asked <= member.keys]

    def schedule(self, slots: list[list[str]], adapters: dict[str, str], *, together: bool = False) -> None:
        """Run one process a slot until each of its members has answered or failed."""
        weights = sum(path.stat().st_size for path in self.model.glob("*.safetensors"))
        scratch = Path(tempfile.mkdtemp(prefix="kit-run-"))
        job_path = scratch / "job.json"
        job = Job(
            config=self.record.config,
            precision=self.record.precision or hardware.precision(()),
            cards=self.record.cards,
            model=str(self.model),
            folder=str(self.kept),
            deadline=self.end - 2 * self.spare,
            adapters=adapters,
            members={member.name: member for member in self.members},
            identities=self.identities,
            slots=slots,
            load_in_turn=weights * len(slots) > LOAD_TOGETHER_BYTES,
            train=self.train_rows,
            test=self.test_rows,
        )

        def go_on(slot: int, error: KitError) -> bool:
            left = [name for name in slots[slot] if name in self.waiting()]
            has_begun = bool(left) and (self.kept / left[0]).exists()
            lost = members_lost(slots[slot], left, has_begun, error)
            for name in lost:
                self.fail(name, error)
            return len(lost) < len(left)

        try:
            job.write(job_path)
            schedule.run(
                job_path, len(slots), on_cards=bool(job.cards), deadline=self.end - self.spare,
                silence_seconds=60 * self.config.run.silence_minutes, together=together, go_on=go_on,
            )  # fmt: skip
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def fail(self, name: str, error: KitError) -> None:
        """Note that a member gives no answers, and why."""
        self.record.failed[name] = str(error)
        with contextlib.suppress(KitError):  # run.json has it too
            answers.write_failure(self.kept, name, Failure(str(error), isinstance(error, answers.FailsAgain)))
        events.emit("warning", text=f"member {name} failed: {error}")

    def warn(self, text: str) -> None:
        """Say what a reader of the log and of the report must know, though the run goes on."""
        self.record.notes.append(text)
        events.emit("warning", text=text)

    def record_rows(self) -> None:
        """Record which part of the training rows the members see."""
        seen = {key for member in self.members for key in member.fit}
        held_out = {key for member in self.members for key in member.held_out}
        self.record.train_rows = {"all": len(self.train), "fit": len(seen), "held_out": len(held_out)}
        self.record.share_of_train_seen = round(len(self.members[0].fit) / len(self.train), 4)

    def describe(self, done: Sequence[Answers]) -> None:
        """Fill the record with what the members say of themselves."""
        record = self.record
        record.versions, record.loader = done[0].versions, done[0].loader
        record.members = [member_record(member) for member in done]
        settled = {member.name for member in done} | record.failed.keys()
        record.unreached = [name for name in self.identities if name not in settled]
        for stage in ("import", "load", "train", "predict"):
            seconds = dict.fromkeys((member.slot for member in done), 0.0)
            for member in done:  # the cards work at the same time
                seconds[member.slot] += member.timings[stage]
            record.timings[stage] = round(max(seconds.values()), 2)


def _records(frame: DataFrame, kind: str) -> list[dict[str, str]]:
    keyed = frame.assign(id=plan.keys(frame, kind))
    return [{str(name): str(value) for name, value in row.items()} for row in keyed.to_dict("records")]
