"""Start a command in namespaces of its own, where it sees little more than its own folder.

Run as a program by sandbox.py with one JSON argument; it needs the standard library only. Whatever happens to
the caller, to this process or to the command, no process of the command is left. It is no jail for a
stranger's code: the kernel, the user's identity and the devices are shared.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import NamedTuple

LIBC = ctypes.CDLL(None, use_errno=True)
SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "sys")
SETTINGS = (
    *("alternatives", "ca-certificates", "group", "hosts", "ld.so.cache", "localtime", "mime.types"),
    *("nsswitch.conf", "passwd", "pki", "protocols", "resolv.conf", "services", "ssl"),
)
DEVICES = ("null", "zero", "full", "random", "urandom", "nvidia*", "dri")

_NEW_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000  # user, mount, process
_NEW_NETWORK = 0x40000000
_BIND, _RECURSIVE, _PRIVATE, _DETACH = 0x1000, 0x4000, 0x40000, 2
_PARENT_DEATH, _DROP_CAPABILITY, _NO_NEW_PRIVILEGES = 1, 24, 38
_MOUNT_SETATTR, _HERE, _WITH_SUBMOUNTS = 442, -100, 0x8000


class Plan(NamedTuple):
    """What to start and what it sees; all paths are absolute.

    The command ends with the process `caller`, starts in `folder`, may write below `root`, `writable` and
    /tmp alone, finds each of `mounts` at its place and may read what is `visible`. `root` holds kaggle/src,
    kaggle/input and the empty `view`, where the command's file system is built.
    """

    caller: int
    isolate: bool
    network: bool
    command: list[str]
    folder: str
    root: str
    writable: list[str]
    mounts: list[tuple[str, str]]
    visible: list[str]


def main(plan: Plan) -> None:
    """Run the command and end as it ended; without `isolate` only die with the caller."""
    if not plan.isolate:
        die_with(plan.caller)
        os.execvp(plan.command[0], plan.command)  # noqa: S606 - no shell is wanted
    user, group = os.getuid(), os.getgid()
    _check(LIBC.unshare(_NEW_NAMESPACES | (0 if plan.network else _NEW_NETWORK)))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    reading, writing = os.pipe()
    if os.fork() == 0:
        _be_init(plan, writing)
    os.close(writing)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the command may save its state; its end is waited for
    die_with(plan.caller)
    os.wait()
    status = int(os.read(reading, 16) or b"256")
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) != signal.SIGKILL:
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def _be_init(plan: Plan, writing: int) -> None:
    """Be the first process of the namespaces: when it ends, the kernel ends all others."""
    try:
        _check(LIBC.prctl(_PARENT_DEATH, signal.SIGKILL))
        if not plan.network:
            _raise_loopback()
        _show(plan)
        for capability in range(64):
            LIBC.prctl(_DROP_CAPABILITY, capability)
        _check(LIBC.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        command = os.fork()
        if command == 0:
            os.chdir(plan.folder)
            os.execvp(plan.command[0], plan.command)  # noqa: S606 - no shell is wanted
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ended = 0
        while ended != command:
            ended, status = os.wait()
        os.write(writing, str(status).encode())
    except OSError as error:
        print(f"local_kaggle: {error}", file=sys.stderr, flush=True)
    os._exit(0)


def _show(plan: Plan) -> None:
    """Build the file system that the command sees, and move into it."""
    view = Path(plan.root, "view")
    _mount(None, "/", None, _RECURSIVE | _PRIVATE)
    _mount("tmpfs", str(view), "tmpfs", 0)
    for path in (Path("/", name) for name in SYSTEM):
        if path.is_symlink():
            (view / path.name).symlink_to(path.readlink())
        else:
            _bind(view, str(path))
    for device in (device for pattern in DEVICES for device in Path("/dev").glob(pattern)):
        _bind(view, str(device), read_only=False)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        (view / "dev" / name).symlink_to(f"/proc/self/fd{target}")
    for kind, name in (("tmpfs", "dev/shm"), ("tmpfs", "tmp"), ("proc", "proc")):
        (view / name).mkdir(parents=True, exist_ok=True)
        _mount(kind, str(view / name), kind, 0)
    for shown in (*(f"/etc/{name}" for name in SETTINGS), *plan.visible):
        _bind(view, shown)
    for folder in (plan.root, *plan.writable):
        _bind(view, folder, read_only=False)
    _bind(view, f"{plan.root}/kaggle/src")
    _bind(view, f"{plan.root}/kaggle/input", read_only=False)
    for folder, place in plan.mounts:
        _bind(view, folder, place, read_only=False)
    _write_protect(f"{view}{plan.root}/kaggle/input")
    _link_interpreter(view, Path(plan.command[0]))
    os.chdir(view)
    _check(LIBC.pivot_root(b".", b"."))
    _check(LIBC.umount2(b".", _DETACH))
    _write_protect("/", submounts=False)


def _bind(view: Path, source: str, target: str = "", *, read_only: bool = True) -> None:
    """Show what is at `source`, if anything is, at `target` or at the same place."""
    place = Path(f"{view}{target or source}")
    if Path(source).is_dir():
        place.mkdir(parents=True, exist_ok=True)
    elif Path(source).exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():  # it may lie in a folder that is shown already
            place.touch()
    else:
        return
    # A writable folder at its own place comes without its submounts: the view itself lies in one.
    _mount(source, str(place), None, _BIND | (_RECURSIVE if read_only or target else 0))
    if read_only:
        _write_protect(str(place))


def _write_protect(path: str, *, submounts: bool = True) -> None:
    read_only = struct.pack("QQQQ", 1, 0, 0, 0)
    depth = _WITH_SUBMOUNTS if submounts else 0
    _check(LIBC.syscall(_MOUNT_SETATTR, _HERE, os.fsencode(path), depth, read_only, len(read_only)))


def _link_interpreter(view: Path, program: Path) -> None:
    """Repeat the links that lead to the interpreter, which may lie outside of its own installation."""
    while program.is_symlink():
        place = Path(f"{view}{program}")
        if not os.path.lexists(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(program.readlink())
        program = program.parent / program.readlink()


def _mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    encoded = [os.fsencode(text) if text is not None else None for text in (source, target, kind)]
    _check(LIBC.mount(*encoded, flags, None), target)


def _raise_loopback() -> None:
    set_interface_flags, up_and_running = 0x8914, 0x41
    with socket.socket() as probe:
        fcntl.ioctl(probe, set_interface_flags, struct.pack("16sh", b"lo", up_and_running))


def die_with(caller: int, number: int = signal.SIGKILL) -> None:
    """Ask the kernel for a signal when the caller, this process's parent, ends; end now if it has."""
    _check(LIBC.prctl(_PARENT_DEATH, number))
    if os.getppid() != caller:
        os._exit(1)


def _check(result: int, what: str = "") -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


if __name__ == "__main__":
    main(Plan(*json.loads(sys.argv[1])))
