"""The two JSON files that processes hand on: the members' job, and run.json for home and for later runs.

Plain records; who fills them in is `run`'s business.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from kit import environment, files, outputs
from kit.errors import KitError
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
    model: Path
    folder: Path
    deadline: float
    slots: list[list[Member]]
    """Each process's members, in turn."""
    train: list[dict[str, str]]
    test: list[dict[str, str]]

    def write(self, path: Path) -> None:
        """Write the job for the processes that read it."""
        files.write_whole(path, TypeAdapter(Job).dump_json(self))

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

    @contextmanager
    def closing(self, working: Path) -> Iterator[None]:
        """Note how the block ends, say why where that is the user's to mend, and close."""
        try:
            yield
            self.ended = "complete"
        except KitError as error:
            self._fail(error)
        except SystemExit:
            self.ended = "failed: stopped by SIGTERM"
            raise
        except BaseException:
            self.ended = "failed: an error in the program, see the log"
            raise
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what is written from here on is what is left
            try:
                self.close(working)
            except KitError as error:
                self._fail(error)

    def _fail(self, error: KitError) -> None:
        self.ended = f"failed: {error}"
        print(f"error: {error}", file=sys.stderr, flush=True)

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
    told |= told.pop("trained")
    told["train_tokens"] = told.pop("tokens")
    elsewhere = ("probabilities", "completions", "history", "seconds", "loader", "versions")
    return {name: value for name, value in told.items() if name not in elsewhere}
