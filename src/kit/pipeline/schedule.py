"""Run one process a card, alone or as the ranks of one training; one that dies stops its siblings at once.

It starts and watches processes; what they do is `kit.pipeline.member`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kit.errors import KitError

MEMBER = "kit.pipeline.member"
STOP_SECONDS = 10.0
"""How long a sibling of a failed process may take to leave before it is killed."""
CHECKPOINT_SECONDS = 120.0
"""The same on SIGTERM, which a member answers with a checkpoint behind the step that is on."""


class ProcessFailed(KitError):
    """A process ended without a reason of its own; its traceback has gone to stderr."""


def run(job_path: Path, slots: int, *, on_cards: bool, as_ranks: bool = False, module: str = MEMBER) -> None:
    """Run one process a slot and wait for all of them; `as_ranks` lets them train one member together.

    Raises KitError with the reason that the first failing process left, ProcessFailed where it left none,
    after its siblings are stopped; its own traceback has gone to stderr by then, each line behind its slot's
    name.
    """
    together = _rank_variables(slots) if as_ranks else [{} for _ in range(slots)]
    children: list[subprocess.Popen[str]] = []
    relays: list[threading.Thread] = []
    with _stop_on_signal(children):
        for slot in range(slots):
            child = _start(module, job_path, slot, slots, together[slot], on_cards=on_cards)
            children.append(child)
            prefix = f"[card {slot}] " if slots > 1 else ""
            for source, target in ((child.stdout, sys.stdout), (child.stderr, sys.stderr)):
                assert source is not None  # noqa: S101 - both are pipes
                relay = threading.Thread(target=_relay, args=(source, target, prefix), daemon=True)
                relay.start()
                relays.append(relay)
        failed = _wait(children)
    for relay in relays:
        relay.join(timeout=STOP_SECONDS)
    if failed is not None:
        slot, status = failed
        _raise_reason(job_path, slot)
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        raise ProcessFailed(f"the process of slot {slot} ended with {how}", hint="its lines above")


def leave_reason(job_path: Path, slot: int, error: KitError) -> None:
    """Leave a member's reason for ending where the process that started it looks."""
    reason = {"message": error.message, "hint": error.hint}
    (job_path.parent / f"reason-{slot}.json").write_text(json.dumps(reason), encoding="utf-8")


def _raise_reason(job_path: Path, slot: int) -> None:
    path = job_path.parent / f"reason-{slot}.json"
    if path.is_file():
        reason = json.loads(path.read_text(encoding="utf-8"))
        raise KitError(reason["message"], hint=reason["hint"])


def _rank_variables(ranks: int) -> list[dict[str, str]]:
    """Return what torchrun would set for each rank of this machine (torch.distributed.run, Environment).

    Not torchrun itself: it hides a rank's traceback behind its own, and its prefix and stop rules are others.
    Each rank sees one card, which is its number 0.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return [
        {
            "RANK": str(rank),
            "LOCAL_RANK": "0",
            "WORLD_SIZE": str(ranks),
            "LOCAL_WORLD_SIZE": "1",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            # Two T4s have no NVLink, and NCCL's peer access over PCIe is reported to hang on them.
            "NCCL_P2P_DISABLE": "1",
            "NCCL_SOCKET_IFNAME": "lo",
            "GLOO_SOCKET_IFNAME": "lo",
        }
        for rank in range(ranks)
    ]


def _start(
    module: str, job_path: Path, slot: int, slots: int, together: dict[str, str], *, on_cards: bool
) -> subprocess.Popen[str]:
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
        "HF_DATASETS_CACHE": str(caches / "datasets"),
        "PYTORCH_ALLOC_CONF": "expandable_segments:True",
        **together,
    }
    if on_cards:
        environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        environment["CUDA_VISIBLE_DEVICES"] = str(slot)
    command = [sys.executable, "-m", module, str(job_path), str(slot)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    )


def _relay(source: IO[str], target: IO[str], prefix: str) -> None:
    for line in source:
        target.write(line if line.startswith('{"event":') else prefix + line)
        target.flush()


def _wait(children: Sequence[subprocess.Popen[str]]) -> tuple[int, int] | None:
    """Return (slot, status) of the first child that failed, or None when all succeeded."""
    ended = threading.Condition()
    order: list[int] = []

    def watch(slot: int, child: subprocess.Popen[str]) -> None:
        child.wait()
        with ended:
            order.append(slot)
            ended.notify()

    for slot, child in enumerate(children):
        threading.Thread(target=watch, args=(slot, child), daemon=True).start()
    seen = 0
    while seen < len(children):
        with ended:
            ended.wait_for(lambda: len(order) > seen)  # noqa: B023 - called before `seen` moves on
        slot = order[seen]
        seen += 1
        if status := children[slot].returncode:
            _stop(children, STOP_SECONDS)
            return slot, status
    return None


def _stop(children: Sequence[subprocess.Popen[str]], seconds: float) -> None:
    for child in children:
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + seconds
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def _stop_on_signal(children: list[subprocess.Popen[str]]) -> Iterator[None]:
    """Pass SIGTERM on to the children, and leave none behind however the block ends."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        _stop(children, CHECKPOINT_SECONDS)
