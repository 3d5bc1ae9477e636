"""Fetch a model of Hugging Face in a process of its own, beside the install, and end it in time.

`python -m kit.pipeline.machine.download owner/name` is that process. A connection that stands still is
huggingface_hub's to open again. Where models lie is `inputs`' business.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from kit.errors import InputInvalid
from kit.pipeline.machine.children import end_with_parent

POLL_SECONDS = 0.5
REPORT_SECONDS = 10.0
PATTERNS = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]


class Download:
    """A download that runs beside the install; `finish` waits for it."""

    def __init__(self, name: str, variables: Mapping[str, str], folder: Path | None = None) -> None:
        self.name, self.grows = name, folder or Path(variables["HF_HOME"])
        self.complaints: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        self.child = subprocess.Popen(
            [sys.executable, "-m", "kit.pipeline.machine.download", name, *([str(folder)] if folder else [])],
            # An hf_xet up to 1.5.1 freezes on Google's cloud (huggingface/xet-core, issues 850 and 898).
            env={**variables, "HF_HUB_DISABLE_XET": "1"},
            stdout=subprocess.PIPE, stderr=self.complaints, text=True, preexec_fn=end_with_parent(),
        )  # fmt: skip
        assert self.child.stdout is not None  # noqa: S101 - it is a pipe
        self.told = self.child.stdout
        self.told.readline()  # from here on, packages may change under it

    def finish(
        self, until: float, report: Callable[[int, float], None] = lambda _size, _speed: None
    ) -> float:
        """Return the seconds that the download took; `report` gets bytes and bytes a second as it grows.

        Raises InputInvalid where it fails, and at `until`, a monotonic time.
        """
        size, reported = _size(self.grows), time.monotonic()
        while self.child.poll() is None and (now := time.monotonic()) < until:
            time.sleep(POLL_SECONDS)
            if now - reported >= REPORT_SECONDS:
                before, size = size, _size(self.grows)
                report(size, (size - before) / (now - reported))
                reported = now
        if self.child.poll() == 0:
            return float(self.told.read())
        self.complaints.seek(0)
        said = self.complaints.read().strip().splitlines() or ["it said nothing"]
        reason = "the time is over" if self.child.poll() is None else said[-1]
        self.stop()
        raise InputInvalid(
            f"model {self.name!r} cannot be fetched from Hugging Face: {reason}",
            hint="make prepare, or a Kaggle Model in model.name",
        )

    def stop(self) -> None:
        """End the process, if it still runs."""
        self.child.kill()
        self.child.wait()


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # renamed meanwhile
                total += Path(place, name).lstat().st_size
    return total


def main(name: str, folder: str = "") -> None:
    """Fetch a snapshot, to its cache or to `folder`, and print the seconds that it took.

    All is imported before the first line is printed: huggingface_hub itself may be replaced after that.
    """
    from huggingface_hub import snapshot_download

    print("ready", flush=True)
    started = time.monotonic()
    snapshot_download(name, allow_patterns=PATTERNS, local_dir=folder or None)
    print(f"{time.monotonic() - started:.2f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
