"""What the local Kaggle remembers: kernels with their versions, logs and outputs, uploads and submissions.

Everything is kept below one folder and survives a restart. Running scripts is the work of sessions.py,
judging that of submissions.py, and speaking HTTP that of server.py and routes.
"""

import json
import os
import secrets
import shutil
import threading
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict

from pydantic import TypeAdapter

from local_kaggle.profile import Settings

REASONS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    409: "ALREADY_EXISTS", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip
"""Kaggle's word for each HTTP status in an error of the observed profile."""

_NEVER_SERVED = "solution.csv"
IMAGE = f"gcr.io/kaggle-images/python@sha256:{'0' * 64}"
"""The image of the day, by name only: a machine here is this Python."""


@dataclass(frozen=True)
class Push:
    """What a client asks for when it saves a kernel, under the SDK's names, without the text."""

    owner: str
    slug: str
    title: str
    id: int
    language: str
    kernel_type: str
    is_private: bool
    enable_gpu: bool
    enable_internet: bool
    machine_shape: str
    docker_image: str
    session_timeout_seconds: int
    competition_data_sources: Sequence[str]
    dataset_data_sources: Sequence[str]
    kernel_data_sources: Sequence[str]
    model_data_sources: Sequence[str]
    category_ids: Sequence[str]

    def sources(self, kind: str) -> Sequence[str]:
        """List the handles of one kind."""
        handles: Sequence[str] = getattr(self, f"{kind}_data_sources")
        return handles

    @property
    def uses_gpu(self) -> bool:
        """Whether it is given two T4, as for every shape that is not known: the P100 is retired."""
        return self.machine_shape not in ("None", "Tpu1VmV38") if self.machine_shape else self.enable_gpu


@dataclass
class Version:
    """One pushed version of a kernel and the session that ran it; the text stands in `source.py`."""

    owner: str
    slug: str
    number: int
    session_id: int
    push: Push
    created: float
    status: str = "QUEUED"
    failure: str = ""
    started: float | None = None
    ended: float | None = None

    @property
    def is_terminal(self) -> bool:
        return self.status in ("COMPLETE", "ERROR", "CANCEL_ACKNOWLEDGED")


@dataclass
class Kernel:
    """A kernel: what its versions share."""

    id: int
    owner: str
    slug: str
    title: str
    versions: list[Version] = field(default_factory=list)


@dataclass
class Submission:
    """One submission with its verdict, which stays hidden while polls are left."""

    ref: int
    file_name: str
    description: str
    total_bytes: int
    date: float
    polls_left: int
    score: float | None = None
    error: str = ""

    @property
    def is_judged(self) -> bool:
        return self.score is not None or bool(self.error)

    @property
    def status(self) -> str:
        if self.polls_left > 0 or not self.is_judged:
            return "PENDING"
        return "ERROR" if self.score is None else "COMPLETE"


@dataclass
class Records:
    """What survives a restart."""

    last_id: int = 0
    kernels: list[Kernel] = field(default_factory=list)
    submissions: list[Submission] = field(default_factory=list)


_RECORDS = TypeAdapter(Records)


class Chunk(TypedDict):
    """A piece of a log."""

    stream_name: str
    time: float
    data: str


class Refused(Exception):
    """The request is answered with an HTTP error; an empty message makes a bare one."""

    def __init__(self, status: int, message: str, reason: str = "") -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message
        self.reason = reason or REASONS.get(status, "UNKNOWN")


class State:
    """All records below `root`. Hold `changed` while reading or writing several of them."""

    def __init__(self, root: Path, settings: Settings) -> None:
        self.root = root.resolve()
        self.settings = settings
        self.base_url = ""
        self.changed = threading.Condition(threading.RLock())
        self.closing = False
        self.uploads: dict[str, tuple[str, int]] = {}
        self.file_lists = 0
        """How often ListKernelFiles was answered."""
        self.live_logs: dict[int, list[Chunk]] = {}
        self.competition_folder = self.root / "competition"
        self.rerun_folder = self.root / "competition-rerun"
        self.solution = (settings.hidden or settings.competition) / _NEVER_SERVED
        self._links: dict[str, tuple[str, Path, float]] = {}
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self.root / "state.json"
        self._records = _RECORDS.validate_json(file.read_bytes()) if file.exists() else Records()
        self.kernels, self.submissions = self._records.kernels, self._records.submissions
        # A server that was killed could not record these ends itself.
        for submission in self.submissions:
            if not submission.is_judged:
                submission.error = "The local Kaggle stopped during the rerun."
        for version in self.versions():
            if not version.is_terminal:
                version.status, version.ended = "ERROR", time.time()
                version.failure = "The local Kaggle stopped while this session ran."
        _publish(self.competition_folder, settings.competition)
        self.bundle = Path(shutil.make_archive(str(self.competition_folder), "zip", self.competition_folder))
        _publish(self.rerun_folder, settings.competition, settings.hidden)

    def save(self) -> None:
        """Write every record to disk in one step."""
        with self.changed:
            part = self.root / "state.json.part"
            part.write_bytes(_RECORDS.dump_json(self._records, indent=1))
            part.replace(self.root / "state.json")
            self.changed.notify_all()

    def next_id(self) -> int:
        with self.changed:
            self._records.last_id += 1
            return self._records.last_id

    def kernel(self, owner: str, slug: str) -> Kernel | None:
        return next((k for k in list(self.kernels) if (k.owner, k.slug) == (owner, slug)), None)

    def versions(self) -> list[Version]:
        """List the versions of every kernel."""
        return [version for kernel in list(self.kernels) for version in list(kernel.versions)]

    def version(self, owner: str, slug: str, label: str = "") -> Version:
        """Give the newest version, or the one that `label` ("v3") names.

        Raises Refused as Kaggle does: 403 for a kernel that does not exist or is not the user's, 404 for a
        label that is a bare number or names no version, and for a kernel without one.
        """
        kernel = self.kernel(owner, slug)
        if kernel is None or owner != self.settings.user:
            raise Refused(403, "Permission 'kernels.get' was denied")
        if not kernel.versions:
            raise Refused(404, "Kernel session was not found")
        for version in reversed(kernel.versions):
            if label in ("", f"v{version.number}"):
                return version
        raise Refused(404, f"Requested version {label!r} of kernel {owner}/{slug} was not found")

    def folder(self, version: Version) -> Path:
        return self.root / "kernels" / version.owner / version.slug / f"v{version.number}"

    def source(self, version: Version) -> str:
        return (self.folder(version) / "source.py").read_bytes().decode()

    def outputs(self, version: Version) -> list[tuple[str, Path]]:
        """List the output files with their names, sorted; none before the session has ended."""
        folder = self.folder(version) / "output"
        found = sorted(folder.rglob("*")) if version.is_terminal else ()
        files = [path for path in found if path.is_file() and not path.is_symlink()]
        return [(os.fsencode(path.relative_to(folder)).decode(errors="replace"), path) for path in files]

    def log(self, version: Version) -> list[Chunk]:
        """Give the log so far."""
        with self.changed:
            if version.session_id in self.live_logs:
                return list(self.live_logs[version.session_id])
        path = self.folder(version) / "log.json"
        kept: list[Chunk] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        return kept

    def published_log(self, version: Version) -> str:
        """Give the log as JSON once the session has ended and the profile lets it out; else nothing."""
        delay = self.settings.profile.log_after_seconds
        is_out = version.ended is not None and time.time() - version.ended >= delay
        return json.dumps(self.log(version)) if is_out else ""

    def gpu_seconds_used(self) -> float:
        """Add up the GPU time since the quota's last refresh, wall-clock once for a pair of cards."""
        since = (quota_refresh(datetime.now(UTC)) - timedelta(days=7)).timestamp()
        started = [(v.started or 0.0, v.ended or time.time()) for v in self.versions() if v.push.uses_gpu]
        return self.settings.gpu_seconds_used + sum(end - start for start, end in started if start >= since)

    def wait(self, owner: str, slug: str, number: int, timeout_seconds: float = 60.0) -> Version:
        """Block until that version has ended; raises TimeoutError."""
        version = self.version(owner, slug, f"v{number}")
        with self.changed:
            if not self.changed.wait_for(lambda: version.is_terminal, timeout_seconds):
                raise TimeoutError(f"{owner}/{slug} v{number} is still {version.status}")
        return version

    def start_upload(self, file_name: str, total_bytes: int) -> str:
        """Announce an upload and give its token."""
        token = secrets.token_urlsafe(16)
        self.uploads[token] = (file_name, total_bytes)
        self.upload_path(token).parent.mkdir(exist_ok=True)
        self.upload_path(token).touch()
        return token

    def upload_path(self, token: str) -> Path:
        return self.root / "uploads" / token

    def signed(self, path: str, file: Path) -> str:
        """Give an absolute link by which anybody may fetch `file` until it expires."""
        signature = secrets.token_urlsafe(16)
        self._links[signature] = (path, file, time.time() + self.settings.link_seconds)
        return f"{self.base_url}{urllib.parse.quote(path)}?signature={signature}"

    def linked(self, path: str, query: Mapping[str, str]) -> Path | None:
        """Give the file of a link that was made here and has not expired; `path` is unquoted."""
        signed, file, expires = self._links.get(query.get("signature", ""), ("", None, 0.0))
        return file if signed == path and time.time() < expires else None


def _publish(target: Path, *sources: Path | None) -> None:
    """Copy what kernels may see, so that neither a mount nor a download can reach the solution."""
    if any(source and source.resolve().is_relative_to(target) for source in sources):
        raise FileExistsError(f"{str(target)!r} is made anew at each start, so it cannot hold the originals")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in (path for source in sources if source for path in source.glob("*")):
        if path.is_file() and path.name != _NEVER_SERVED and path.suffix != ".md":
            shutil.copy2(path, target)


def quota_refresh(now: datetime) -> datetime:
    """Give the next Saturday 00:00 UTC, when the weekly GPU quota starts anew."""
    days = (5 - now.weekday() - 1) % 7 + 1
    return (now + timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
