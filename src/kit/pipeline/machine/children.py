"""Start processes that end with the one that started them, however that ends. Linux only, as kernels are."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h: the signal that a process gets when the thread that started it is gone."""


def end_with_parent() -> Callable[[], None]:
    """Return what a child of this process is to do before it becomes its program (Popen's preexec_fn)."""
    parent, prctl = os.getpid(), ctypes.CDLL(None).prctl

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it went between the fork and the line above

    return prepare
