"""Turn a run's log, which arrives in chunks, into lines that a person can follow.

Event lines become short sentences; every other line passes as it is. Draws nothing and decides nothing.
"""

from __future__ import annotations

import json
from typing import Any

EVENT_PREFIX = '{"event":'


class Lines:
    """Join chunks to whole lines, one buffer a stream."""

    def __init__(self) -> None:
        self._rest: dict[str, str] = {}

    def feed(self, stream: str, chunk: str) -> list[str]:
        """Return the lines of `stream` that this chunk completes."""
        *whole, self._rest[stream] = (self._rest.get(stream, "") + chunk).split("\n")
        return whole

    def end(self) -> list[str]:
        """Return what never got its line end."""
        rest = [text for text in self._rest.values() if text]
        self._rest.clear()
        return rest


def event(line: str) -> dict[str, Any] | None:
    """Return the event that a line holds, or None for any other line."""
    if not line.startswith(EVENT_PREFIX):
        return None
    try:
        found = json.loads(line)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and isinstance(found["event"], str) else None


def sentence(found: dict[str, Any]) -> str:
    """Return an event as one short line; an event of another make stays JSON."""
    try:
        return _sentence(found)
    except (KeyError, TypeError, ValueError):
        return json.dumps(found, ensure_ascii=False)


def _sentence(found: dict[str, Any]) -> str:
    kind = found["event"]
    if kind == "start":
        return f"preset {found['preset']} on {', '.join(found['cards']) or 'the CPU'}, {found['dtype']}"
    if kind == "data":
        return f"{found['train']} training rows, {found['test']} test rows from {found['folder']}"
    if kind == "left":
        return f"{found['file']}: {found['rows']}"
    if kind == "load":
        return f"loading {found['model']} as {found['dtype']} ({found['reason']})"
    if kind == "train":
        return f"training member {found['member']} on {found['rows']} rows"
    if kind == "step":
        return f"step {found['step']}/{found['steps']}  loss {found['loss']:.4f}{_pace(found)}"
    if kind in {"score", "generate"}:
        return f"{kind}d {found['rows']}/{found['of']} rows{_pace(found)}"
    if kind == "held_out":
        figures = f"accuracy {found['accuracy']:.3f}, macro F1 {found['macro_f1']:.3f}"
        return f"held-out rows {found['rows']}: {figures}"
    if kind == "sweep":
        return f"best of {found['points']} points: {found['best']}"
    if kind == "resume":
        return f"going on from {found['folder']}; done are {', '.join(found['done']) or 'no members'}"
    if kind == "warning":
        return f"warning: {found['text']}"
    if kind == "download":
        return f"downloaded {found['bytes'] / 1e9:.1f} GB, {found['bytes_per_second'] / 1e6:.0f} MB/s"
    if kind in {"skipped", "no_checkpoint"}:
        return f"{kind.replace('_', ' ')}: member {found['member']}, {found['reason']}"
    if kind == "stop":
        return f"member {found['member']} stops at step {found['step']}/{found['steps']}: {found['reason']}"
    if kind == "checkpoint":
        size = f"{found['bytes'] / 2**20:.1f} MiB"
        return f"checkpoint of member {found['member']} at step {found['step']}, {size}"
    if kind == "retreat":
        return f"member {found['member']}: out of memory in {found['before']}; goes on in {found['after']}"
    if kind == "out_of_memory":
        return f"{found['stage']}: out of memory with {found['rows']} rows; goes on with half as many"
    if kind == "end":
        return f"run {found['ended']}"
    return json.dumps(found, ensure_ascii=False)


def show(line: str) -> str:
    """Return a log line as a person should read it."""
    found = event(line)
    return line if found is None else sentence(found)


def _pace(found: dict[str, Any]) -> str:
    """Return what an event tells of its member, speed, memory and time left; each part may be missing."""
    parts = []
    if "member" in found:
        parts.append(f"member {found['member']}")
    if "tokens_per_second" in found:
        parts.append(f"{found['tokens_per_second']:,.0f} tokens/s")
    if "memory_bytes" in found:
        parts.append(f"{found['memory_bytes'] / 1e9:.1f} GB")
    seconds = float(found.get("seconds_left") or 0)
    if seconds >= 1:
        parts.append(f"{seconds:.0f} s left" if seconds < 120 else f"{seconds / 60:.0f} min left")
    return "".join(f"  {part}" for part in parts)
