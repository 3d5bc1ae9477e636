"""The members of one run: take up what an earlier run left of them, let them work, and note what came of it.

Starts processes through `schedule`; reads no inputs and writes no results.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kit.config import Config
from kit.errors import KitError
from kit.pipeline import answers, earlier, events, plan, schedule
from kit.pipeline.answers import Answers
from kit.pipeline.machine import hardware
from kit.pipeline.plan import Member
from kit.pipeline.record import Job, RunRecord, member_record

if TYPE_CHECKING:
    from pandas import DataFrame


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
        self.slots = len(self.record.cards) or self.config.run.cpu_processes

    def take_up(self, input_root: Path) -> None:
        """Bring back what an attached run left, or let its adapters answer."""
        run, record = self.config.run, self.record
        if run.resume:
            folder, was = earlier.find(input_root, run.resume, "RESUME")
            earlier.bring_back(folder, was, self.config, record, self.kept)
            events.emit("resume", folder=str(folder), done=[one.name for one in self.answered()])
        if run.adapters_from:
            folder, was = earlier.find(input_root, run.adapters_from, "FROM")
            names = [member.name for member in self.members]
            found = earlier.adapters(folder, was, self.config, record, names)
            self.members = [
                replace(member, adapter=found[member.name]) for member in self.members if member.name in found
            ]

    def work(self) -> list[Answers]:
        """Let the members work; return what they answered.

        A single member is trained by all slots together; where that breaks, one of them trains it.
        """
        for name in (member.name for member in self.members):
            found = answers.read(self.kept, name)
            if found is None or found.trained.stopped:  # damaged, or with more to learn
                answers.path_of(self.kept, name).unlink(missing_ok=True)
            if reason := answers.failure(self.kept, name):
                self.warn(f"member {name} is left out, since it failed before: {reason}")
        waiting = self.waiting(self.members)
        together = self.config.run.one_member_on_all_cards and not any(one.adapter for one in waiting)
        if together and len(self.members) == len(waiting) == 1 < self.slots:
            failed = self.schedule([waiting] * self.slots, together=True)
            self.record.ranks = 1 if failed else self.slots
            if waiting := self.waiting(waiting):
                said = f"training on {self.slots} cards together failed; one of them goes on"
                self.warn("; ".join([said, *(error.message for error in failed.values())]))
        while waiting and time.monotonic() < self.end - self.spare:
            slots = plan.deal(waiting, self.slots)
            failed = self.schedule(slots)
            for slot, error in failed.items():
                self.lose(slots[slot], error)
            # Another process takes the place of one that died.
            waiting = self.waiting([member for slot in failed for member in slots[slot]])
        for member in self.members:
            if reason := answers.failure(self.kept, member.name):
                self.record.failed[member.name] = reason
        return self.answered()

    def waiting(self, members: list[Member]) -> list[Member]:
        """Return those of the members that have neither answered nor failed."""
        names = [one.name for one in members if not answers.is_settled(self.kept, one.name)]
        return [one for one in members if one.name in names and one.name not in self.record.failed]

    def lose(self, members: list[Member], error: KitError) -> None:
        """Note which members died with their process: the one that it was at; all, if it never began one."""
        left = self.waiting(members)
        begun = [member for member in left if (self.kept / member.name).exists()]
        for member in begun[:1] or (left if len(left) == len(members) else []):
            self.record.failed[member.name] = str(error)
            with contextlib.suppress(KitError):  # run.json has it too
                answers.write_failure(self.kept, member.name, error)
            events.emit("warning", text=f"member {member.name} failed: {error}")

    def answered(self) -> list[Answers]:
        """Return the answers of the members that are done, in the plan's order."""
        found = [answers.read(self.kept, member.name) for member in self.members]
        return [member for member in found if member]

    def schedule(self, slots: list[list[Member]], *, together: bool = False) -> dict[int, KitError]:
        """Run one process a slot until each of its members has answered or failed; return those that died."""
        scratch = Path(tempfile.mkdtemp(prefix="kit-run-"))
        job_path = scratch / "job.json"
        job = Job(
            config=self.record.config,
            precision=self.record.precision or hardware.precision(()),
            cards=self.record.cards,
            model=self.model,
            folder=self.kept,
            deadline=self.end - 2 * self.spare,
            slots=slots,
            train=_records(self.train, "train"),
            test=_records(self.test, "test"),
        )

        try:
            job.write(job_path)
            return schedule.run(
                job_path, len(slots), on_cards=bool(job.cards), deadline=self.end - self.spare,
                silence_seconds=60 * self.config.run.silence_minutes, together=together,
            )  # fmt: skip
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def warn(self, text: str) -> None:
        """Say what a reader of the log and of the report must know, though the run goes on."""
        self.record.notes.append(text)
        events.emit("warning", text=text)

    def describe(self, done: Sequence[Answers]) -> None:
        """Fill the record with what the members say of themselves."""
        record = self.record
        record.versions, record.loader = done[0].versions, done[0].loader
        record.members = [member_record(member) for member in done]
        settled = {member.name for member in done} | record.failed.keys()
        record.unreached = [member.name for member in self.members if member.name not in settled]
        for stage in ("import", "load", "train", "predict"):
            by_slot = [[one.timings[stage] for one in done if one.slot == slot] for slot in range(self.slots)]
            record.timings[stage] = round(max(map(sum, by_slot)), 2)  # the cards work at the same time


def _records(frame: DataFrame, kind: str) -> list[dict[str, str]]:
    keyed = frame.assign(id=plan.keys(frame, kind))
    return [{str(name): str(value) for name, value in row.items()} for row in keyed.to_dict("records")]
