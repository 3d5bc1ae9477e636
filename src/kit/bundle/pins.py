"""Check at home that the kernel's pins fit Kaggle's image. It installs nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.errors import KitError

IMAGE_PYTHON = "3.13"
"""Of Kaggle's image since 2026-10-03, by several public logs; wheels are tagged for one Python."""
IMAGE_PYTHONS = ("3.12", IMAGE_PYTHON)
"""Of the images that a kernel may meet; each has a list kernel/image-<python>.txt."""
KEPT = frozenset({"torch", "torchvision", "triton"})
"""Packages of the image that nothing may replace: they are built for its CUDA."""
NEWEST_GLIBC = 35
"""Of the image's Ubuntu 22.04: wheels for manylinux_2_35 and older install."""
SECONDS = 120.0

WAIVED = {
    ("unsloth-zoo", "certifi"): "fresher certificates, and the image's own serve",
}
"""Dependencies that no image meets to the letter, by who asks for what, and why that is no harm."""

_NOT_FOUND = ("No matching distribution", "Could not find a version")


@dataclass(frozen=True)
class Finding:
    """One dependency of a pin that the image with the pins on it does not meet; `waived` says why it may."""

    text: str
    waived: str = ""


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


def read_image(path: Path) -> dict[str, str | None]:
    """Return version by name of an image's list; None where a line tells only that the package is there."""
    from packaging.utils import canonicalize_name

    found: dict[str, str | None] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, version = line.partition("#")[0].strip().partition("==")
        if name:
            found[canonicalize_name(name)] = version or None
    return found


def target(python: str) -> list[str]:
    """Return the options by which pip chooses wheels for that Python on Kaggle's machines."""
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(5, NEWEST_GLIBC + 1)]
    platforms += ["manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64", "linux_x86_64"]
    chosen = [part for name in platforms for part in ("--platform", name)]
    return ["--only-binary=:all:", "--python-version", python, *chosen]


def unresolved(
    pins: list[str], *, python: str = IMAGE_PYTHON, seconds: float = SECONDS
) -> tuple[list[str], str]:
    """Return the pins that the package index has no wheel of for Kaggle's image, and why nothing is known.

    Asks pip, which honours its own configuration; the second part is empty unless the index cannot be asked.
    """
    missing: list[str] = []
    # pip stops at the first pin that it does not find.
    while left := [pin for pin in pins if pin not in missing]:
        try:
            done = _dry_run(left, python, seconds)
        except subprocess.TimeoutExpired:
            return missing, f"pip took longer than {seconds:.0f} s"
        if done.returncode == 0:
            break
        named = [pin for pin in left if any(pin in line for line in _not_found(done.stderr))]
        if not named:
            return missing, _last_line(done.stderr)
        missing += named
    return missing, ""


def metadata(pins: list[str], python: str, *, seconds: float = SECONDS) -> list[dict[str, Any]]:
    """Return the core metadata (packaging.python.org) of the pins' wheels for that Python, in any order.

    Raises KitError where one has no such wheel or the index cannot be asked.
    """
    missing, unknown = unresolved(pins, python=python, seconds=seconds)
    if missing or unknown:
        reason = unknown or f"there is no wheel of {', '.join(missing)} for Python {python}"
        raise KitError(reason, hint="another version in kernel/requirements.txt, or pip config list")
    done = _dry_run(pins, python, seconds, "--report", "-")
    return [wheel["metadata"] for wheel in json.loads(done.stdout)["install"]]


def unmet(wheels: Sequence[Mapping[str, Any]], image: Mapping[str, str | None], python: str) -> list[Finding]:
    """Return what these wheels, put on that image without their dependencies, would lack.

    `wheels` is the core metadata of each. A package that nobody brings would fail to import; one of KEPT in
    another version than asked for would be replaced by an installer that follows dependencies.
    """
    from packaging.utils import canonicalize_name

    own: dict[str, str] = {canonicalize_name(wheel["name"]): wheel["version"] for wheel in wheels}
    found = [
        Finding(f"{name} is pinned, and the image's own must stay") for name in sorted(KEPT & own.keys())
    ]
    for asker, name, specifier in sorted(_dependencies(wheels, python)):
        held = own.get(name) or image.get(name)
        wanted = f"{asker} wants {name}{specifier}"
        if name not in own and name not in image:
            text = f"{wanted}, which neither the image nor kernel/requirements.txt brings"
        elif held is None or _contains(specifier, held):
            continue
        elif name in KEPT:
            text = f"{wanted}: {name} {held} of the image would change"
        else:
            text = f"{wanted}, and {held} would be there"
        found.append(Finding(text, WAIVED.get((asker, name), "")))
    return found


def _dependencies(wheels: Sequence[Mapping[str, Any]], python: str) -> set[tuple[str, str, str]]:
    """Return who asks for what in which versions, with the extras that the wheels ask of each other."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    machine = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
    }

    def asked(wheel: Mapping[str, Any], extra: str) -> Iterator[Requirement]:
        for line in wheel.get("requires_dist", ()):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({**machine, "extra": extra}):
                yield requirement

    by_name: dict[str, Mapping[str, Any]] = {canonicalize_name(wheel["name"]): wheel for wheel in wheels}
    found: set[tuple[str, str, str]] = set()
    seen: set[tuple[str, str]] = set()
    left: list[tuple[str, str]] = [(name, "") for name in by_name]
    while left:
        asker, extra = left.pop()
        seen.add((asker, extra))
        for requirement in asked(by_name[asker], extra):
            name = canonicalize_name(requirement.name)
            found.add((asker, name, str(requirement.specifier)))
            wanted = {(name, other) for other in requirement.extras if name in by_name}
            left += sorted(wanted - seen)
    return found


def _contains(specifier: str, version: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(specifier).contains(version, prereleases=True)


def _dry_run(
    pins: Sequence[str], python: str, seconds: float, *options: str
) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as nowhere:
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed"]
        command += ["--quiet", "--disable-pip-version-check", "--retries", "1", "--target", nowhere]
        command += [*target(python), *options, *pins]
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


def _last_line(said: str) -> str:
    return said.strip().splitlines()[-1] if said.strip() else "pip failed"


def _not_found(said: str) -> list[str]:
    # Without a network pip says the same of every package, after complaining about the connection.
    if "NewConnectionError" in said or ("connection" in said.lower() and "broken" in said.lower()):
        return []
    return [line for line in said.splitlines() if any(words in line for words in _NOT_FOUND)]
