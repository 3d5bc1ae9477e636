"""Write files whole or not at all: a reader never sees half of one, and a full disk leaves none behind."""

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kit.errors import KitError

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of linux/fs.h

PROJECT_ROOT = Path(__file__).resolve().parents[2]
"""The repository at home; inside the bundle, the folder that it was unpacked to."""


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content`, text as UTF-8 with its line ends as they are, in one step for every reader.

    Raises KitError where the disk refuses; what stood at `path` before is still there then.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        raise KitError(f"{path} cannot be written: {error.strerror}", hint="df -h") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def keep_beside(folder: Path, staged: Path) -> None:
    """Copy what `folder` holds and `staged` does not there, links as links."""

    def there(above: str, names: list[str]) -> list[str]:
        own, beside = Path(above), staged / Path(above).relative_to(folder)
        both = [name for name in names if (beside / name).exists()]
        return [name for name in both if not ((own / name).is_dir() and (beside / name).is_dir())]

    shutil.copytree(folder, staged, symlinks=True, ignore=there, dirs_exist_ok=True)


def replace_folder(staged: Path, folder: Path) -> None:
    """Put the folder `staged` in the place of `folder`; no reader finds none or half of one.

    Linux exchanges the two in one step; elsewhere the earlier one moves aside for a moment. Raises OSError.
    """
    if not folder.exists():
        staged.rename(folder)
        return
    exchange = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if exchange is None or exchange(_HERE, bytes(staged), _HERE, bytes(folder), _EXCHANGE) != 0:
        folder.rename(beside := aside(folder))
        staged.rename(folder)
        staged = beside
    shutil.rmtree(staged)


def restore(folder: Path) -> None:
    """Finish or undo a `replace_folder` that was killed half-way."""
    if (beside := aside(folder)).is_dir():
        if folder.exists():
            shutil.rmtree(beside)
        else:
            beside.rename(folder)


def aside(folder: Path) -> Path:
    """Return where an earlier folder stands for the moment in which it is replaced."""
    return folder.with_name(f".{folder.name}.old")


@contextlib.contextmanager
def locked(path: Path, busy: str, *, waits: bool = False) -> Iterator[None]:
    """Keep other processes out while the block runs, or wait for them; `busy` says what another one does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise KitError(busy, hint="again when it has ended") from None
        yield


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON that a person can read, whole or not at all."""
    write_whole(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file; empty where there is none or it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def sha256_of(content: Path | bytes | str) -> str:
    """Return the hash of a file's bytes, of bytes, or of text as UTF-8, in hexadecimal."""
    if isinstance(content, Path):
        with content.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    data = content.encode("utf-8") if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()
