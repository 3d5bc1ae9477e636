"""The two JSON files that processes hand on: the members' job, and run.json for home and for later runs.

Plain records; who fills them in is `run`'s business.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from kit import environment, files, outputs
from kit.pipeline.answers import Answers, giving_way, write_first
from kit.pipeline.machine.hardware import Card, Precision
from kit.pipeline.plan import Member
from kit.task.submission import Columns

RUN_FILE = "run.json"
SCHEMA = 1


@dataclass(frozen=True)
class Job:
    """What the members' processes are to do; `deadline` is a time of the monotonic clock they share."""

    config: dict[str, object]
    precision: Precision
    cards: list[Card]
    model: str
    folder: str
    deadline: float
    adapters: dict[str, str]
    """By member, an earlier run's adapter that only answers."""
    members: dict[str, Member]
    identities: dict[str, str]
    slots: list[list[str]]
    """The names of each process's members, in turn."""
    load_in_turn: bool
    train: list[dict[str, str]]
    test: list[dict[str, str]]

    def write(self, path: Path) -> None:
        """Write the job for the processes that read it."""
        files.write_json(path, asdict(self))

    @staticmethod
    def read(path: Path) -> Job:
        """Return the job that a file holds."""
        return TypeAdapter(Job).validate_json(path.read_bytes())


@dataclass
class RunRecord:
    """run.json: what a run was, what it did, and how it ended."""

    bundle_hash: str
    config: dict[str, object]
    schema: int = SCHEMA
    ended: str = "started"
    image: str = field(default_factory=environment.docker_image)
    failed: dict[str, str] = field(default_factory=dict)
    """Why members gave no answers, by their names."""
    answered_by: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fell_back: int = 0
    """Seeds that took the place of one member which could not be trained on all cards together."""
    ranks: int = 1
    cards: list[Card] = field(default_factory=list)
    precision: Precision | None = None
    loader: str = ""
    model_revision: str = ""
    train_sha256: str = ""
    test_sha256: str = ""
    left: dict[str, object] = field(default_factory=dict)
    """Rows of train.csv and test.csv that could not be used, by file."""
    submission: Columns | None = None
    test_ids: list[str] = field(default_factory=list)
    train_rows: dict[str, int] = field(default_factory=dict)
    share_of_train_seen: float = 0.0
    timings: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    members: list[dict[str, object]] = field(default_factory=list)

    def write(self, working: Path) -> None:
        """Write run.json, where the disk is full in the place of adapters."""
        write_first(
            working / RUN_FILE, json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n", working
        )

    def close(self, working: Path) -> None:
        """Write run.json and, as the last file of all, the list of what the run leaves."""
        self.write(working)
        giving_way(working, lambda: outputs.write_manifest(working))

    @staticmethod
    def read(path: Path) -> RunRecord | None:
        """Return the record that a file holds; None where it cannot be read."""
        try:
            return TypeAdapter(RunRecord).validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None


def member_record(answers: Answers) -> dict[str, object]:
    """Return what run.json says of a member."""
    told = asdict(answers)
    trained = told.pop("trained")
    names = ("name", "seed", "fold", "point", "settings", "slot", "peak_memory_bytes", "timings")
    of_training = ("step", "steps", "skipped", "stopped", "notes", "layout", "bins")
    record = {name: told[name] for name in names} | {name: trained[name] for name in of_training}
    return {**record, "train_tokens": trained["tokens"]}
