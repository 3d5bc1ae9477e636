"""Write files whole or not at all: a reader never sees half of one, and a full disk leaves none behind."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from kit.errors import KitError


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
