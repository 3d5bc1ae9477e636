"""Run one process a card, each for itself or as the ranks of one training, and stop what is late or silent.

It starts and watches processes; what they do is `kit.pipeline.member`.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from kit import files
from kit.errors import KitError
from kit.pipeline.machine.children import end_with_parent

MEMBER = "kit.pipeline.member"
CHECKPOINT_SECONDS = 120.0
"""How long a process may take to leave: a member answers SIGTERM with a checkpoint behind its step."""
HURRY_SECONDS = 10.0
"""The same for one that hangs."""
POLL_SECONDS = 0.1
TIME_LIMIT = "the time of the run was over before it had answered"


_asked_to_leave = threading.Event()


class ProcessFailed(KitError):
    """A process ended without a reason of its own; its traceback has gone to stderr."""


@dataclass
class _Process:
    child: subprocess.Popen[str]
    relays: list[threading.Thread] = field(default_factory=list)
    heard: float = field(default_factory=time.monotonic)
    """When it last said something."""
    reason: str = ""
    """Why it is being stopped, if it is."""
    kill_at: float = math.inf


def run(
    job_path: Path,
    slots: int,
    *,
    on_cards: bool,
    deadline: float = math.inf,
    silence_seconds: float = math.inf,
    together: bool = False,
    go_on: Callable[[int, KitError], bool] = lambda _slot, _error: False,
    module: str = MEMBER,
) -> None:
    """Run one process a slot and wait for all of them; a traceback of one has gone to stderr by then.

    A process is stopped at `deadline`, a monotonic time, or after so many seconds without a line. The others
    go on where one fails: `go_on` hears of its slot and its reason, ProcessFailed where it left none itself,
    and says whether another process is to take its place. With `together` all of them train one member; then
    the first that fails ends the others, and its reason is raised.
    """
    variables = _rank_variables(slots) if together else [{}] * slots
    processes: dict[int, _Process] = {}

    def start(slot: int) -> _Process:
        return _start(module, job_path, slot, slots, variables[slot], on_cards=on_cards)

    with _stop_on_signal(processes):
        processes |= {slot: start(slot) for slot in range(slots)}
        while processes:
            time.sleep(POLL_SECONDS)
            if _asked_to_leave.is_set():
                raise SystemExit(128 + signal.SIGTERM)
            for slot, process in list(processes.items()):
                _watch(process, deadline, silence_seconds)
                if process.child.poll() is None:
                    continue
                for relay in process.relays:
                    relay.join(timeout=HURRY_SECONDS)
                del processes[slot]
                if process.child.returncode == 0 and not process.reason:
                    continue
                error = _reason(job_path, slot, process)
                if together:
                    raise error
                if go_on(slot, error) and time.monotonic() < deadline:
                    processes[slot] = start(slot)


def _watch(process: _Process, deadline: float, silence_seconds: float) -> None:
    """Ask a process to leave that is late or says nothing, and kill it where it does not."""
    now = time.monotonic()
    if process.reason:
        if now >= process.kill_at:
            process.child.kill()
    elif now >= deadline:
        process.reason, process.kill_at = TIME_LIMIT, now + CHECKPOINT_SECONDS
        process.child.terminate()
    elif now - process.heard >= silence_seconds:
        process.reason = f"it said nothing for {silence_seconds / 60:g} minutes"
        process.kill_at = now + HURRY_SECONDS
        process.child.terminate()


def leave_reason(job_path: Path, slot: int, error: KitError) -> None:
    """Leave a process's reason for ending where the one that started it looks."""
    files.write_json(job_path.parent / f"reason-{slot}.json", {"message": error.message, "hint": error.hint})


def _reason(job_path: Path, slot: int, process: _Process) -> KitError:
    """Return why a process ended: what stopped it, the reason that it left, or how the system has it."""
    path = job_path.parent / f"reason-{slot}.json"
    if process.reason:
        return ProcessFailed(process.reason, hint="RESUME=<version>")
    if told := files.read_json(path):
        path.unlink()
        return KitError(told["message"], hint=told["hint"])
    status = process.child.returncode
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
    return ProcessFailed(f"the process of slot {slot} ended with {how}", hint="its lines above")


def _rank_variables(ranks: int) -> list[dict[str, str]]:
    """Return what torchrun would set for each rank of this machine (torch.distributed.run, Environment).

    Not torchrun itself: it hides a rank's traceback behind its own, and its prefix and stop rules are others.
    Each rank sees one card, which is its number 0.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": str(ranks), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    # Two T4s have no NVLink, and NCCL's peer access over PCIe is reported to hang on them.
    shared |= {"NCCL_P2P_DISABLE": "1", "NCCL_SOCKET_IFNAME": "lo", "GLOO_SOCKET_IFNAME": "lo"}
    return [{**shared, "RANK": str(rank)} for rank in range(ranks)]


def _start(
    module: str, job_path: Path, slot: int, slots: int, together: dict[str, str], *, on_cards: bool
) -> _Process:
    caches = job_path.parent / f"cache-{slot}"
    environment = {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_WAIT_POLICY": "passive",
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // slots)),
        # Two processes compiling into one relative folder overwrite each other's files.
        "UNSLOTH_COMPILE_LOCATION": str(caches / "unsloth"),
        "TRITON_CACHE_DIR": str(caches / "triton"),
        "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor"),
        "UNSLOTH_DISABLE_STATISTICS": "1",
        # Each member would fork two workers off a process that has CUDA open.
        "UNSLOTH_DATASET_NUM_PROC": "0",
        "HF_DATASETS_CACHE": str(caches / "datasets"),
        "PYTORCH_ALLOC_CONF": "expandable_segments:True",
        **together,
    }
    if on_cards:
        environment |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": str(slot)}
    child = subprocess.Popen(
        [sys.executable, "-m", module, str(job_path), str(slot)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
        preexec_fn=end_with_parent(),
    )  # fmt: skip
    process = _Process(child)
    prefix = f"[card {slot}] " if slots > 1 else ""
    for streams in ((child.stdout, sys.stdout), (child.stderr, sys.stderr)):
        process.relays.append(threading.Thread(target=_relay, args=(process, *streams, prefix), daemon=True))
        process.relays[-1].start()
    return process


def _relay(process: _Process, source: IO[str], target: IO[str], prefix: str) -> None:
    for line in source:
        process.heard = time.monotonic()
        target.write(line if line.startswith('{"event":') else prefix + line)
        target.flush()


def leave(number: int, _frame: object) -> None:
    """Answer a signal by leaving; where a callback of some library loses the exception, `run` leaves."""
    _asked_to_leave.set()
    raise SystemExit(128 + number)


@contextmanager
def _stop_on_signal(processes: dict[int, _Process]) -> Iterator[None]:
    """Pass SIGTERM on to the processes, and leave none behind however the block ends."""
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        children = [process.child for process in processes.values() if process.child.poll() is None]
        for child in children:
            child.terminate()
        deadline = time.monotonic() + CHECKPOINT_SECONDS
        for child in children:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
