"""What the local Kaggle remembers: kernels with their versions, logs and outputs, uploads and submissions.

Everything is kept below one folder and survives a restart. Running scripts is the work of sessions.py,
judging that of submissions.py, and speaking HTTP that of server.py and routes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import shutil
import threading
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local_kaggle.profile import Settings

REASONS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    409: "ALREADY_EXISTS", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip
"""Kaggle's word for each HTTP status in an error of the observed profile."""

_NEVER_SERVED = "solution.csv"


IMAGE = f"gcr.io/kaggle-images/python@sha256:{'0' * 64}"
"""The image of the day."""


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

    @property
    def image(self) -> str:
        """What the session runs in, by name only: a machine here is this Python."""
        return self.docker_image or IMAGE

    @property
    def uses_gpu(self) -> bool:
        """Whether it is given two T4, as for every shape that is not known: the P100 is retired."""
        return self.machine_shape not in ("", "None", "Tpu1VmV38") or (
            self.enable_gpu and not self.machine_shape
        )


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
        self.kernels: list[Kernel] = []
        self.submissions: list[Submission] = []
        self.uploads: dict[str, tuple[str, int]] = {}
        self.file_lists = 0
        """How often ListKernelFiles was answered."""
        self.live_logs: dict[int, list[dict[str, Any]]] = {}
        self.competition_folder = self.root / "competition"
        self.rerun_folder = self.root / "competition-rerun"
        self.solution = (settings.hidden or settings.competition) / _NEVER_SERVED
        self._last_id = 0
        self._secret = secrets.token_bytes(32)
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (self.root / "state.json").exists():
            self._load()
        _publish(self.competition_folder, settings.competition)
        _publish(self.rerun_folder, settings.competition, settings.hidden)

    def _load(self) -> None:
        stored = json.loads((self.root / "state.json").read_text(encoding="utf-8"))
        self._last_id = stored["last_id"]
        self.submissions = [Submission(**record) for record in stored["submissions"]]
        for submission in self.submissions:
            if not submission.is_judged:
                submission.error = "The local Kaggle stopped during the rerun."
        for record in stored["kernels"]:
            versions = [Version(**one | {"push": Push(**one["push"])}) for one in record["versions"]]
            self.kernels.append(Kernel(**record | {"versions": versions}))
        for version in self.versions():
            if not version.is_terminal:
                version.status, version.ended = "ERROR", time.time()
                version.failure = "The local Kaggle stopped while this session ran."

    def save(self) -> None:
        """Write every record to disk in one step."""
        with self.changed:
            stored = {
                "last_id": self._last_id,
                "kernels": [asdict(kernel) for kernel in self.kernels],
                "submissions": [asdict(submission) for submission in self.submissions],
            }
            part = self.root / "state.json.part"
            part.write_text(json.dumps(stored, indent=1), encoding="utf-8")
            part.replace(self.root / "state.json")
            self.changed.notify_all()

    def next_id(self) -> int:
        with self.changed:
            self._last_id += 1
            return self._last_id

    def kernel(self, owner: str, slug: str) -> Kernel | None:
        with self.changed:
            return next((k for k in self.kernels if (k.owner, k.slug) == (owner, slug)), None)

    def versions(self) -> list[Version]:
        """List the versions of every kernel."""
        with self.changed:
            return [version for kernel in self.kernels for version in kernel.versions]

    def version(self, user: str, owner: str, slug: str, label: str = "") -> Version:
        """Give the newest version, or the one that `label` ("v3") names.

        Raises Refused as Kaggle does: 403 for a kernel that does not exist or is not the user's, 404 for a
        label that is a bare number or names no version, and for a kernel without one.
        """
        kernel = self.kernel(owner, slug)
        if kernel is None or owner != user:
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

    def outputs(self, version: Version) -> list[Path]:
        """List the output files, sorted; none before the session has ended."""
        files = self.folder(version).glob("output/**/*") if version.is_terminal else ()
        return sorted(path for path in files if path.is_file() and not path.is_symlink())

    def log(self, version: Version) -> list[dict[str, Any]]:
        """Give the log so far as chunks `{stream_name, time, data}`."""
        with self.changed:
            if version.session_id in self.live_logs:
                return list(self.live_logs[version.session_id])
        path = self.folder(version) / "log.json"
        return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []

    def published_log(self, version: Version) -> str:
        """Give the log as JSON once the session has ended and the profile lets it out; else nothing."""
        delay = self.settings.profile.log_after_seconds
        is_out = version.ended is not None and time.time() - version.ended >= delay
        return json.dumps(self.log(version)) if is_out else ""

    def gpu_seconds_used(self) -> float:
        """Add up the GPU time since the quota's last refresh, wall-clock once for a pair of cards."""
        since = (quota_refresh(datetime.now(UTC)) - timedelta(days=7)).timestamp()
        started = [(v, v.started) for v in self.versions() if v.push.uses_gpu and v.started is not None]
        own = sum((version.ended or time.time()) - start for version, start in started if start >= since)
        return self.settings.gpu_seconds_used + own

    def wait(self, owner: str, slug: str, number: int, timeout_seconds: float = 60.0) -> Version:
        """Block until that version has ended; raises TimeoutError."""
        version = self.version(owner, owner, slug, f"v{number}")
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

    def signed(self, path: str) -> str:
        """Give an absolute link to `path` that anybody may use until it expires."""
        expires = int(time.time()) + self.settings.link_seconds
        query = urllib.parse.urlencode({"expires": expires, "signature": self._signature(path, str(expires))})
        return f"{self.base_url}{urllib.parse.quote(path)}?{query}"

    def is_signed(self, path: str, query: Mapping[str, str]) -> bool:
        """Tell whether the link was made here and has not expired; `path` is unquoted."""
        expires = query.get("expires", "")
        given = query.get("signature", "").encode()
        genuine = hmac.compare_digest(given, self._signature(path, expires).encode())
        return genuine and time.time() < int(expires)

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(self._secret, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()


def _publish(target: Path, *sources: Path | None) -> None:
    """Copy what kernels may see, so that neither a mount nor a download can reach the solution."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in (path for source in sources if source for path in source.glob("*")):
        if path.is_file() and path.name != _NEVER_SERVED and path.suffix != ".md":
            shutil.copy2(path, target)


def quota_refresh(now: datetime) -> datetime:
    """Give the next Saturday 00:00 UTC, when the weekly GPU quota starts anew."""
    days = (5 - now.weekday() - 1) % 7 + 1
    return (now + timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
