"""Check at home that the kernel's pins fit Kaggle's image. It installs nothing."""

import itertools
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from kit import files
from kit.errors import KitError

IMAGE_PYTHON = "3.13"
"""Of Kaggle's image since 2026-10-03, by several public logs; wheels are tagged for one Python."""
IMAGE_PYTHONS = ("3.12", IMAGE_PYTHON)
"""Of the images that a kernel may meet; each has a list kernel/image-<python>.txt."""
KEPT = frozenset({"torch", "torchvision", "triton"})
"""Packages of the image that nothing may replace: they are built for its CUDA."""
NEWEST_GLIBC = 35  # of the image's Ubuntu 22.04: wheels for manylinux_2_35 and older install
SECONDS, RESOLVE_SECONDS = 120.0, 600.0
_PIN = re.compile(r"([\w.-]+==[^\s;*,]+)\s*(;.*)?")
_NOT_FOUND = re.compile("No matching distribution|Could not find a version")


def read(path: Path) -> tuple[list[str], list[str]]:
    """Return the pins of a requirements file as `name==version`, and the lines that pin nothing exactly."""
    pins = {text: _PIN.fullmatch(text) for text in _lines(path)}
    return [pin[1] for pin in pins.values() if pin], [text for text, pin in pins.items() if not pin]


def read_image(path: Path) -> dict[str, str | None]:
    """Return version by name of an image's list; None where a line tells only that the package is there."""
    from packaging.utils import canonicalize_name

    parts = [text.partition("==") for text in _lines(path)]
    return {canonicalize_name(name): version or None for name, _, version in parts}


def _lines(path: Path) -> list[str]:
    lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line]


def target(python: str) -> list[str]:
    """Return the options by which pip chooses wheels for that Python on Kaggle's machines."""
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(5, NEWEST_GLIBC + 1)]
    platforms += ["manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64", "linux_x86_64"]
    chosen = [part for name in platforms for part in ("--platform", name)]
    return ["--only-binary=:all:", "--python-version", python, *chosen]


def unresolved(pins: list[str]) -> tuple[str, str]:
    """Return the first pin without a wheel for Kaggle's image, or why nothing is known of that.

    Asks pip, which honours its own configuration and stops at the first that it does not find.
    """
    try:
        done, _ = _dry_run(pins, IMAGE_PYTHON, SECONDS)
    except subprocess.TimeoutExpired:
        return "", f"pip took longer than {SECONDS:.0f} s"
    # Without a network pip says the same of every package, after complaining about the connection.
    is_cut_off = re.search("NewConnectionError|connection.*broken", done.stderr, re.IGNORECASE)
    told = [line for line in done.stderr.splitlines() if _NOT_FOUND.search(line) and not is_cut_off]
    missing = next((pin for pin in pins if any(f" {pin} " in f"{line} " for line in told)), "")
    return missing, "" if missing or done.returncode == 0 else _last_line(done.stderr)


def unmet(pins: Sequence[str], image: Mapping[str, str | None], python: str) -> list[str]:
    """Return why these pins cannot be put on that image; pip resolves them with the image's versions held.

    The kernel installs them without their dependencies, so a package that nobody brings would fail to import.
    Raises KitError where the index cannot be asked.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    own = {canonicalize_name(pin.partition("==")[0]) for pin in pins}
    if taken := sorted(KEPT & own):
        return [f"{name} is pinned, and the image's own must stay" for name in taken]
    held = [f"{name}=={version}" for name, version in image.items() if version and name not in own]
    done, wheels = _dry_run([*pins, *held], python, RESOLVE_SECONDS, closure=True)
    if done.returncode != 0:
        lines = [line.strip() for line in done.stdout.splitlines()]
        if "The conflict is caused by:" not in lines:
            raise KitError(_last_line(done.stderr), hint="pip config list")
        causes = lines[lines.index("The conflict is caused by:") + 1 :]
        return ["; ".join(itertools.takewhile(bool, causes))]
    machine = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    asked = {
        (canonicalize_name(name), canonicalize_name(requirement.name))
        for name, lines in wheels
        for requirement in map(Requirement, lines)
        if requirement.marker is None or requirement.marker.evaluate(machine)
    }
    nobody = "which neither the image nor kernel/requirements.txt brings"
    return sorted(
        f"{asker} wants {name}, {nobody}"
        for asker, name in asked
        if asker in own and name not in own | image.keys()
    )


def _dry_run(
    wanted: Sequence[str], python: str, seconds: float, *, closure: bool = False
) -> tuple[subprocess.CompletedProcess[str], list[tuple[str, list[str]]]]:
    """Return what pip says of installing these, and what each wheel asks for; with all of that or without."""
    with tempfile.TemporaryDirectory() as nowhere:
        report = Path(nowhere, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--retries=1"]
        command += ["--progress-bar=off", "--disable-pip-version-check", f"--report={report}"]
        command += [f"--target={nowhere}/target", *target(python), *wanted]
        command += [] if closure else ["--no-deps"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        wheels = [one["metadata"] for one in files.read_json(report).get("install", [])]
        return done, [(wheel["name"], wheel.get("requires_dist", [])) for wheel in wheels]


def _last_line(said: str) -> str:
    return said.strip().splitlines()[-1] if said.strip() else "pip failed"
