"""Fetch a model of Hugging Face in a process of its own, and watch it: one that stands still is begun again.

`python -m kit.pipeline.machine.download owner/name` is that process. Where models lie is `inputs`' business.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from kit.errors import InputInvalid
from kit.pipeline.machine.children import end_with_parent

READY = "ready"
"""The download's first line: from here on, packages may change under it."""
TRIES = 2
POLL_SECONDS = 0.5
REPORT_SECONDS = 10.0
XET_FROZE = (1, 5, 1)
"""The last hf_xet that froze on Google's cloud (github.com/huggingface/xet-core, issues 850 and 898)."""
PATTERNS = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]


def transport() -> dict[str, str]:
    """Return the variable that keeps the download on plain HTTP where this image's hf_xet may freeze."""
    try:
        release = importlib.metadata.version("hf-xet").split(".")[:3]
    except importlib.metadata.PackageNotFoundError:
        return {}
    is_sound = all(part.isdigit() for part in release) and tuple(map(int, release)) > XET_FROZE
    return {} if is_sound else {"HF_HUB_DISABLE_XET": "1"}


class Download:
    """A download that runs beside the install; `finish` waits for it."""

    def __init__(
        self, name: str, variables: Mapping[str, str], stall_seconds: float, folder: Path | None = None
    ) -> None:
        self.command = [sys.executable, "-m", "kit.pipeline.machine.download", name]
        self.command += [str(folder)] if folder else []
        self.grows = folder or Path(variables["HF_HOME"])
        self.name, self.stall_seconds = name, stall_seconds
        self.variables = {**variables, **transport()}
        self.complaints: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        self.child = self._begin()

    def finish(
        self, until: float, report: Callable[[int, float], None] = lambda _size, _speed: None
    ) -> float:
        """Return the seconds that the download took; `report` gets bytes and bytes a second as it grows.

        Raises InputInvalid where the second try fails too, or at `until`, a monotonic time.
        """
        for left in reversed(range(TRIES)):
            reason = self._watch(until, report)
            if not reason:
                return float(self.child.stdout.read() or 0) if self.child.stdout else 0.0
            if not left or time.monotonic() >= until:
                break
            print(f"the download of {self.name} is begun again: {reason}", flush=True)
            self.child = self._begin()
        raise InputInvalid(
            f"model {self.name!r} cannot be fetched from Hugging Face: {reason}",
            hint="make prepare, or a Kaggle Model in model.name",
        )

    def stop(self) -> None:
        """End the process, if it still runs."""
        self.child.kill()
        self.child.wait()

    def _begin(self) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            self.command,
            env=self.variables, stdout=subprocess.PIPE, stderr=self.complaints, text=True,
            preexec_fn=end_with_parent(),
        )  # fmt: skip
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        if select.select([child.stdout], [], [], self.stall_seconds)[0]:
            child.stdout.readline()
        return child

    def _watch(self, until: float, report: Callable[[int, float], None]) -> str:
        """Wait while bytes arrive; return why the process was stopped or failed, else nothing."""
        size = reported_size = _size(self.grows)
        grown = reported = time.monotonic()
        while self.child.poll() is None:
            time.sleep(POLL_SECONDS)
            now, before, size = time.monotonic(), size, _size(self.grows)
            grown = now if size != before else grown
            if now - reported >= REPORT_SECONDS and size != reported_size:
                report(size, (size - reported_size) / (now - reported))
                reported, reported_size = now, size
            if now - grown > self.stall_seconds or now >= until:
                self.stop()
                is_late = now >= until
                return "the time is over" if is_late else f"no byte in {self.stall_seconds:.0f} s"
        if self.child.returncode == 0:
            return ""
        self.complaints.seek(0)
        return (self.complaints.read().strip().splitlines() or ["it said nothing"])[-1]


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # renamed meanwhile
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - twice a second
    return total


def main(name: str, folder: str = "") -> None:
    """Fetch a snapshot, to its cache or to `folder`, and print the seconds that it took.

    What the download imports is imported before the first line is printed: huggingface_hub itself may be
    replaced after that.
    """
    importlib.import_module("huggingface_hub.file_download")
    snapshots = importlib.import_module("huggingface_hub._snapshot_download")
    with contextlib.suppress(ImportError):
        importlib.import_module("hf_xet")
    print(READY, flush=True)
    started = time.monotonic()
    snapshots.snapshot_download(name, allow_patterns=PATTERNS, local_dir=folder or None)
    print(f"{time.monotonic() - started:.2f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
