"""Check at home that the kernel's pins can be installed on Kaggle's image. It installs nothing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

IMAGE_PYTHON = "3.13"
"""Of Kaggle's image since 2026-10-03, by several public logs; wheels are tagged for one Python."""
NEWEST_GLIBC = 35
"""Of the image's Ubuntu 22.04: wheels for manylinux_2_35 and older install."""
SECONDS = 120.0

_NOT_FOUND = ("No matching distribution", "Could not find a version")


def read(path: Path) -> tuple[list[str], list[str]]:
    """Return the pins of a requirements file as `name==version`, and the lines that pin nothing exactly."""
    from packaging.requirements import InvalidRequirement, Requirement

    pins: list[str] = []
    loose: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            loose.append(text)
            continue
        specifiers = list(requirement.specifier)
        is_exact = (
            len(specifiers) == 1 and specifiers[0].operator == "==" and "*" not in specifiers[0].version
        )
        if is_exact:
            pins.append(f"{requirement.name}{requirement.specifier}")
        else:
            loose.append(text)
    return pins, loose


def unresolved(pins: list[str], *, seconds: float = SECONDS) -> tuple[list[str], str]:
    """Return the pins that the package index has no wheel of for Kaggle's image, and why nothing is known.

    Asks pip, which honours its own configuration; the second part is empty unless the index cannot be asked.
    """
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(5, NEWEST_GLIBC + 1)]
    platforms += ["manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64", "linux_x86_64"]
    with tempfile.TemporaryDirectory() as nowhere:
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--dry-run",
            "--no-deps",
            "--ignore-installed",
            "--quiet",
        ]
        command += [
            "--disable-pip-version-check",
            "--only-binary=:all:",
            "--retries",
            "1",
            "--target",
            nowhere,
        ]
        command += [
            "--python-version",
            IMAGE_PYTHON,
            *(part for name in platforms for part in ("--platform", name)),
        ]
        missing: list[str] = []
        # pip stops at the first pin that it does not find.
        while left := [pin for pin in pins if pin not in missing]:
            try:
                done = subprocess.run(
                    [*command, *left], capture_output=True, text=True, timeout=seconds, check=False
                )
            except subprocess.TimeoutExpired:
                return missing, f"pip took longer than {seconds:.0f} s"
            if done.returncode == 0:
                break
            named = [pin for pin in left if any(pin in line for line in _not_found(done.stderr))]
            if not named:
                return missing, done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "pip failed"
            missing += named
    return missing, ""


def _not_found(said: str) -> list[str]:
    # Without a network pip says the same of every package, after complaining about the connection.
    if "NewConnectionError" in said or ("connection" in said.lower() and "broken" in said.lower()):
        return []
    return [line for line in said.splitlines() if any(words in line for words in _NOT_FOUND)]
