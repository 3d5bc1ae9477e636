"""Make a folder whole or not at all, and only where it is not already what would be made.

Knows nothing of what goes into it.
"""

import errno
import hashlib
import inspect
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from kit import files
from kit.errors import KitError

PROVENANCE = "provenance.json"
"""Beside every fetched file: where it came from, and the recipe that it was made by."""
_USERS_TO_MEND = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def make(
    folder: Path, build: Callable[[Path], Mapping[str, object]], *inputs: str, force: bool = False
) -> bool:
    """Let `build` fill an empty folder that then takes the place of `folder`; return whether it had to.

    It has not where every file is there, made by the same recipe: `build`'s source file and the `inputs`.
    What it returns goes to provenance.json. Raises KitError where the disk is full or the place not writable.
    """
    recipe = hashlib.sha256(Path(inspect.getfile(build)).read_bytes())
    for text in inputs:
        recipe.update(hashlib.sha256(text.encode()).digest())
    told = files.read_json(folder / PROVENANCE)
    if not force and told.get("recipe") == recipe.hexdigest() and told.get("bytes") == _sizes(folder):
        return False
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            fresh = Path(scratch) / "fresh"
            fresh.mkdir()
            facts = {"schema": 1, "recipe": recipe.hexdigest(), **build(fresh)}
            files.write_json(fresh / PROVENANCE, {**facts, "bytes": _sizes(fresh)})
            try:
                files.replace_folder(fresh, folder)
            except OSError as error:  # another process that made the same was first
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
    except OSError as error:
        if error.errno not in _USERS_TO_MEND:
            raise
        hint = "free some space or mend the permissions, then the same command"
        what = f"{error.filename or folder} could not be written: {error.strerror}"
        raise KitError(what, hint=hint) from error
    return True


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.name != PROVENANCE}
