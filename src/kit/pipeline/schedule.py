"""Share members out over cards and run one process a card; a process that dies stops its siblings at once.

It starts and watches processes; what a member does is `kit.pipeline.member`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kit.errors import KitError

MEMBER = "kit.pipeline.member"
STOP_SECONDS = 10.0
"""How long a stopped process may take to leave before it is killed."""


def share(seeds: Sequence[int], slots: int) -> list[list[int]]:
    """Return the seeds of each slot, dealt out in turn; never an empty slot."""
    used = max(1, min(slots, len(seeds)))
    return [list(seeds[slot::used]) for slot in range(used)]


def run(job_path: Path, slots: int, *, on_cards: bool, module: str = MEMBER) -> None:
    """Run one member process a slot and wait for all of them.

    Raises KitError naming the first process that failed, after its siblings are stopped; its own traceback
    has gone to stderr by then, each line behind its slot's name.
    """
    children: list[subprocess.Popen[str]] = []
    relays: list[threading.Thread] = []
    with _stop_on_signal(children):
        for slot in range(slots):
            child = _start(module, job_path, slot, slots, on_cards=on_cards)
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
        raise KitError(f"the process of slot {slot} ended with {how}", hint="its lines above")


def leave_reason(job_path: Path, slot: int, error: KitError) -> None:
    """Leave a member's reason for ending where the process that started it looks."""
    reason = {"message": error.message, "hint": error.hint}
    (job_path.parent / f"reason-{slot}.json").write_text(json.dumps(reason), encoding="utf-8")


def _raise_reason(job_path: Path, slot: int) -> None:
    path = job_path.parent / f"reason-{slot}.json"
    if path.is_file():
        reason = json.loads(path.read_text(encoding="utf-8"))
        raise KitError(reason["message"], hint=reason["hint"])


def _start(module: str, job_path: Path, slot: int, slots: int, *, on_cards: bool) -> subprocess.Popen[str]:
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
            _stop(children)
            return slot, status
    return None


def _stop(children: Sequence[subprocess.Popen[str]]) -> None:
    for child in children:
        if child.poll() is None:
            child.terminate()
    for child in children:
        try:
            child.wait(STOP_SECONDS)
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
        _stop(children)
