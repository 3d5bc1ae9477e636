"""Build a folder whole or not at all, and know whether it is already what would be built.

Knows nothing of what goes into it.
"""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kit import files
from kit.errors import KitError

PROVENANCE = "provenance.json"
"""Beside every fetched file: where it came from, and the recipe that it was made by."""

_USERS_TO_MEND = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def recipe(builder: str, *inputs: str) -> str:
    """Return a digest of the builder's own source file and of everything else that decides the result."""
    digest = hashlib.sha256(Path(builder).read_bytes())
    for text in inputs:
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()


def is_current(folder: Path, recipe_digest: str) -> bool:
    """Whether `folder` was built by exactly this recipe and still has every file, each of its size."""
    provenance = files.read_json(folder / PROVENANCE)
    return provenance.get("recipe") == recipe_digest and provenance.get("bytes") == _sizes(folder)


def write_provenance(folder: Path, recipe_digest: str, facts: Mapping[str, Any]) -> None:
    """Write provenance.json with `facts`, the recipe's digest and the size of each file; call it last."""
    document = {"schema": 1, "recipe": recipe_digest, **facts, "bytes": _sizes(folder)}
    files.write_json(folder / PROVENANCE, document)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` once the block has ended well, else vanishes.

    Raises KitError where the disk is full or the place is not writable.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            fresh = Path(scratch) / "fresh"
            fresh.mkdir()
            yield fresh
            if folder.exists():
                folder.rename(Path(scratch) / "replaced")
            try:
                fresh.rename(folder)
            except OSError as error:
                # Another process that built the same was first.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
    except OSError as error:
        if error.errno not in _USERS_TO_MEND:
            raise
        raise KitError(
            f"{error.filename or folder} could not be written: {error.strerror}",
            hint="free some space or mend the permissions, then the same command",
        ) from error


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.name != PROVENANCE}
