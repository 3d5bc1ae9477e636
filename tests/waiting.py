"""Wait for something that happens in its own time; the limits are far off, for a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Met = TypeVar("Met")


def wait_for(condition: Callable[[], Met], seconds: float = 100) -> Met:
    """Return what the condition gives once it holds, or its last answer when the time is over."""
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return met


def has_ended(pid: int) -> bool:
    """Tell whether a process is gone, or waits only to be asked for its status."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
