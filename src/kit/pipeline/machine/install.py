"""Bring this interpreter to the kernel's pins, from the package index or from attached wheels.

Runs before anything is installed, so it needs nothing beyond packaging and what kit.config needs, which the
image has. Which packages are pinned is kernel/requirements.txt's business.
"""

from __future__ import annotations

import importlib.metadata
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from kit.config import PROJECT_ROOT
from kit.errors import InputInvalid, KitError
from kit.files import read_json, write_json
from kit.pipeline.machine import inputs
from kit.pipeline.machine.children import end_with_parent

REQUIREMENTS = PROJECT_ROOT / "kernel" / "requirements.txt"
MARKER = "kit-wheels.json"
"""Stands in a folder of wheels and names their Python and their pins."""
MOST_SECONDS = 600.0
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def pins(requirements: str, *, cuda: bool) -> list[str]:
    """Return the pins that apply here as `name==version`, the CUDA-only ones where asked for."""
    from packaging.requirements import Requirement

    lines = [line.partition("#")[0].strip() for line in requirements.splitlines()]
    extra = {"extra": "cuda" if cuda else ""}
    found = [Requirement(text) for text in lines if text]
    applying = [pin for pin in found if pin.marker is None or pin.marker.evaluate(extra)]
    return [f"{pin.name}{pin.specifier}" for pin in applying]


def missing(wanted: Iterable[str]) -> list[str]:
    """Return those of the pins that this interpreter does not meet."""
    return [pin for pin in wanted if not _is_met(pin)]


def install(wanted: Sequence[str], wheels: Path | None = None, *, until: float = math.inf) -> None:
    """Install exactly these pins and nothing they ask for: the image's torch and its kin must stay.

    With `wheels` nothing comes from anywhere else. uv is quicker; where it fails, pip tries. Both together
    are given up at `until`, a monotonic time, and after MOST_SECONDS each.
    """
    print(f"installing {' '.join(wanted)}", flush=True)
    source = ["--no-deps", *(["--no-index", "--find-links", str(wheels)] if wheels else [])]
    if shutil.which("uv"):
        uv = ["uv", "pip", "install", "--quiet", "--python", sys.executable, *source, *wanted]
        complaint = _run(uv, until)
        if complaint is None:
            return
        print(f"uv could not install them, pip tries: {complaint}", flush=True)
    # Compiling all modules takes pip longer than the rest, and few are imported; uv does not either.
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--root-user-action=ignore"]
    pip += ["--disable-pip-version-check", *source, *wanted]
    complaint = _run(pip, until)
    if complaint is not None:
        raise KitError(
            f"the packages above could not be installed: {complaint}",
            hint="make prepare" if wheels else "kernel.internet=true, and a phone-verified Kaggle account",
        )


def _run(command: Sequence[str], until: float) -> str | None:
    """Run an installer; return the last line of its complaint, or None where it did its work."""
    seconds = max(0.0, min(MOST_SECONDS, until - time.monotonic()))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds,
            preexec_fn=end_with_parent(),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"it was not done after {seconds:.0f} s"
    if done.returncode == 0:
        return None
    return ([line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"])[-1]


def mark(folder: Path, python: str, wanted: Sequence[str]) -> None:
    """Leave the marker by which `attached_wheels` finds this folder."""
    write_json(folder / MARKER, {"schema": 1, "python": python, "pins": list(wanted)})


def attached_wheels(
    root: Path, wanted: Sequence[str], *, wait_seconds: float = inputs.MOUNT_WAIT_SECONDS
) -> Path:
    """Return the attached folder that holds wheels of these pins for this interpreter.

    Raises InputInvalid where there is none: with both Pythons where they differ, or with what is lacking.
    """
    told = {path.parent: _read(path) for path in inputs.marked(root, MARKER, wait_seconds)}
    if not told:
        raise InputInvalid(
            f"{len(wanted)} package(s) are missing, without internet and without wheels below {root}",
            hint="make prepare, then attach its output",
        )
    lacking = {
        folder: [pin for pin in wanted if pin not in held]
        for folder, (python, held) in told.items()
        if python == PYTHON
    }
    if not lacking:
        folder, (python, _) = next(iter(told.items()))
        raise InputInvalid(
            f"the wheels in {folder} are for Python {python}, this kernel runs Python {PYTHON}",
            hint="make prepare, which downloads for the image of the day",
        )
    folder = min(lacking, key=lambda folder: len(lacking[folder]))
    if lacking[folder]:
        raise InputInvalid(
            f"the wheels in {folder} lack {', '.join(lacking[folder])}",
            hint="make prepare, since the requirements have changed",
        )
    return folder


def _read(path: Path) -> tuple[str, list[str]]:
    try:
        told = read_json(path)
        return str(told["python"]), list(told["pins"])
    except (KeyError, TypeError) as error:
        raise InputInvalid(f"{path} cannot be read: {error!r}", hint="make prepare") from None


def _is_met(pin: str) -> bool:
    from packaging.requirements import Requirement

    wanted = Requirement(pin)
    try:
        return wanted.specifier.contains(importlib.metadata.version(wanted.name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False
