"""Read files out of a pinned package of the Python index, without installing it or running any of its code.

pip does the download, so its own configuration (index, extra index, find-links, certificate, proxy) holds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from kit import files
from kit.errors import KitError

# pip asks every source archive for its metadata before it saves it, which would run the archive's setup.py.
# This stands where pip looks for setuptools, answers from the pin, and so nothing of the archive runs.
_METADATA_ONLY_BACKEND = """
from pathlib import Path

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = Path(folder) / "{stem}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return info.name

class __legacy__:
    prepare_metadata_for_build_wheel = staticmethod(prepare_metadata_for_build_wheel)
"""


_ROOM = 200 * 10**6
"""Bytes that the largest download takes, twice over."""


@dataclass(frozen=True)
class Package:
    """One archive of the index, pinned to its bytes."""

    name: str
    """As the index spells it."""
    version: str
    """Exact."""
    kind: Literal["wheel", "sdist"]
    """Which archive of that version."""
    sha256: str
    """Of the archive file."""
    licence: str
    """As the package states it."""

    def provenance(self) -> dict[str, str]:
        """Return the pin as JSON-ready text, to be stored beside what was made from it."""
        return asdict(self)


def read(package: Package, members: Iterable[str], *, timeout_seconds: float = 900.0) -> dict[str, bytes]:
    """Download the package and return the bytes of the named members of its archive.

    Raises KitError where pip fails, or where the archive is not the pinned one.
    """
    print(f"fetching {package.name} {package.version} with pip", flush=True)
    with tempfile.TemporaryDirectory(prefix="kit-package-") as folder:
        archive = _download(package, Path(folder), timeout_seconds)
        found = files.sha256_of(archive)
        if found != package.sha256:
            raise KitError(
                f"{archive.name} from the package index has sha256 {found!r}, pinned is {package.sha256!r}",
                hint="pip config list, then look at the index and find-links it names",
            )
        return _read_members(archive, members)


def _download(package: Package, folder: Path, timeout_seconds: float) -> Path:
    downloads, backend = folder / "downloads", folder / "backend"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(downloads)]
    environment = dict(os.environ)
    if package.kind == "wheel":
        command += ["--only-binary", ":all:"]
    else:
        command += ["--no-binary", ":all:", "--no-build-isolation"]
        # Without it, pip before 25.3 runs the setup.py of an archive that has no pyproject.toml; later ones
        # know no other way and ignore it.
        environment |= {"PYTHONPATH": str(backend), "PIP_USE_PEP517": "1"}
        _write_backend(package, backend / "setuptools")
    requirement = f"{package.name}=={package.version}"
    try:
        ended = subprocess.run(
            [*command, requirement],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise KitError(
            f"pip did not download {requirement} within {timeout_seconds:.0f} s",
            hint=f"{Path(sys.executable).name} -m pip download --no-deps {requirement}",
        ) from None
    archives = sorted(downloads.glob("*")) if ended.returncode == 0 else []
    if len(archives) == 1:
        return archives[0]
    free = shutil.disk_usage(folder).free
    if free < _ROOM:  # pip takes a full disk for a broken connection
        raise KitError(
            f"pip could not download {requirement}: {folder.parent} has {free // 10**6:,} MB free",
            hint="TMPDIR=<a folder with room>",
        )
    raise KitError(
        f"pip could not download {requirement}: {_reason(ended.stderr)}",
        hint=f"the network, pip config list, or {sys.executable} -m pip download --no-deps {requirement}",
    )


def _write_backend(package: Package, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    stem = f"{package.name.replace('-', '_')}-{package.version}"
    text = _METADATA_ONLY_BACKEND.format(stem=stem, name=package.name, version=package.version)
    (folder / "build_meta.py").write_text(text, encoding="utf-8")


def _reason(stderr: str) -> str:
    """Return pip's most telling line: a failed connection explains the 'not found' that follows it."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("WARNING: Retrying")]
    errors = [line for line in lines if line.startswith(("ERROR:", "×"))]
    return (causes or errors or lines or ["it said nothing"])[-1]


def _read_members(archive: Path, members: Iterable[str]) -> dict[str, bytes]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened_wheel:
            return {name: opened_wheel.read(name) for name in members}
    contents: dict[str, bytes] = {}
    with tarfile.open(archive) as opened_sdist:
        for name in members:
            stream = opened_sdist.extractfile(name)
            if stream is None:
                raise KeyError(f"{name!r} in {archive.name} is not a file")
            contents[name] = stream.read()
    return contents
