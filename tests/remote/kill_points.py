"""Run a verb of a project in a fork, and kill it, or fill its disk, at its n-th change of a file.

A program for test_kills.py: it imports everything once and takes one JSON line a run. Every opening for
writing, every write, and every rename, removal, folder and link below the project counts; a write that meets
its end is half done.
"""

import builtins
import ctypes
import errno
import io
import json
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

REAL_OPEN = builtins.open
CHANGES = ("rename", "replace", "unlink", "remove", "rmdir", "mkdir", "symlink", "link", "fsync")
GROWS = ("mkdir", "symlink", "link", "fsync")  # those that a full disk refuses, beside writes


class Injector:
    """Count changes below `root`; at number `at` end the process, or from there on have no space."""

    def __init__(self, root: str, kind: str, at: int) -> None:
        self.root, self.kind, self.at, self.count = root, kind, at, 0

    def meet(self, *, grows: bool, first: Callable[[], object] = lambda: None) -> None:
        """Count one change; `first` does the half of it that still happens."""
        self.count += 1
        if self.kind == "kill" and self.count == self.at:
            first()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == "full" and self.count >= self.at > 0 and grows:
            first()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def is_ours(self, path: Any) -> bool:
        return not isinstance(path, int) and os.path.abspath(os.fsdecode(path)).startswith(self.root)  # noqa: PTH100

    def install(self) -> None:
        for name in CHANGES:
            setattr(os, name, self._counting(name, getattr(os, name)))
        builtins.open = io.open = self._open  # type: ignore[assignment]
        injector = self

        class Library(ctypes.CDLL):
            def __getattr__(self, name: str) -> Any:
                found = super().__getattr__(name)
                return injector._counting(name, found) if name == "renameat2" else found

        ctypes.CDLL = Library  # type: ignore[misc]

    def _counting(self, name: str, change: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            is_named = not isinstance(arguments[0], int)
            if not is_named or options.get("dir_fd") is not None or self.is_ours(arguments[0]):
                self.meet(grows=name in GROWS)
            return change(*arguments, **options)

        return counted

    def _open(self, file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **options: Any) -> Any:
        if not set(mode) & set("wax+") or not self.is_ours(file):
            return REAL_OPEN(file, mode, buffering, *rest, **options)
        self.meet(grows=not os.path.exists(file))  # noqa: PTH110
        injector = self

        class Raw(io.FileIO):
            def write(self, data: Any) -> int:
                half = bytes(data)[: len(data) // 2]
                injector.meet(grows=True, first=lambda: io.FileIO.write(self, half))
                return io.FileIO.write(self, data)

        buffer: Any = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(
            Raw(file, mode.replace("b", "").replace("t", ""))
        )
        return buffer if "b" in mode else io.TextIOWrapper(buffer, *rest, **options)


def run(asked: dict[str, Any]) -> None:
    """Be the verb: never returns."""
    root, out = Path(asked["root"]), os.open(asked["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.chdir(root)
    os.environ |= asked["environment"]
    sys.argv = [str(root / "scripts" / f"{asked['verb']}.py"), *asked["options"]]
    injector = Injector(f"{root}/", asked["kind"], asked["at"])
    injector.install()
    status: Any = 0
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ended:
        status = ended.code
    except BaseException:  # noqa: BLE001 - it is printed, and told apart by its status
        traceback.print_exc()
        status = 70
    sys.stdout.flush()
    sys.stderr.flush()
    with REAL_OPEN(f"{asked['out']}.count", "w") as file:
        file.write(str(injector.count))
    os._exit(status if isinstance(status, int) else 1)


def main() -> None:
    """Take runs from stdin, one JSON line each, and answer with their wait status."""
    for name in sys.argv[1:]:
        __import__(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
