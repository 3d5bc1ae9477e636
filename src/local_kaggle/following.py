"""Follow a child process to its end: pass its output on, keep its time limit, and leave none of its kin."""

import codecs
import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

OutputCallback = Callable[[str, float, str], None]
"""Receives the stream's name (`stdout` or `stderr`), seconds since the start, and a chunk of text."""

TIMED_OUT = 256
"""Stands for a run that was stopped at its time limit: no script can exit with it."""

MARKER = "LOCAL_KAGGLE_SANDBOX"
"""Variable by which the processes of a run are known."""

GRACE_SECONDS = 5.0


def follow(
    process: subprocess.Popen[bytes],
    marker: str,
    timeout_seconds: float,
    on_output: OutputCallback,
    stop: threading.Event,
) -> int:
    """Give the exit status; a time-out, `stop` or an exception here ends every marked process."""
    started = time.monotonic()
    ending: float | None = None
    timed_out = False

    def emit(name: str, text: str) -> None:
        if text:
            on_output(name, time.monotonic() - started, text)

    with selectors.DefaultSelector() as selector:
        for name in ("stdout", "stderr"):
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            selector.register(getattr(process, name), selectors.EVENT_READ, (name, decoder))
        try:
            while process.poll() is None:
                now = time.monotonic()
                if ending is None and (now - started >= timeout_seconds or stop.is_set()):
                    ending, timed_out = now, not stop.is_set()
                    _signal(process, marker, signal.SIGTERM)
                elif ending is not None and now - ending >= GRACE_SECONDS:
                    _signal(process, marker, signal.SIGKILL)
                _read(selector, emit, wait_seconds=0.05)
        except BaseException:
            _signal(process, marker, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
            raise
        finally:
            # Kaggle discards the machine with everything on it; a child left behind must not outlive the run.
            _signal(process, marker, signal.SIGKILL)
        while selector.get_map() and _read(selector, emit, wait_seconds=1.0):
            pass
    return TIMED_OUT if timed_out else process.returncode


def _read(selector: selectors.BaseSelector, emit: Callable[[str, str], None], wait_seconds: float) -> bool:
    """Pass on what the pipes hold and forget those that ended; False if nothing came in time."""
    ready = selector.select(wait_seconds)
    for key, _ in ready:
        name, decoder = key.data
        chunk = os.read(key.fd, 1 << 16)
        emit(name, decoder.decode(chunk, final=not chunk))
        if not chunk:
            selector.unregister(key.fileobj)
    return bool(ready)


def _signal(process: subprocess.Popen[bytes], marker: str, number: signal.Signals) -> None:
    """Signal the process group, then whoever left it but still carries the marker in the environment.

    torchrun starts its workers in sessions of their own, so the group alone would miss them.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
    wanted = f"{MARKER}={marker}".encode()
    for _ in range(20 if number == signal.SIGKILL else 0):
        found = False
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found = True
                    os.kill(int(entry.name), number)
        if not found:
            return
        time.sleep(0.02)
