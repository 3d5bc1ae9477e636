"""Turn a run's log, which arrives in chunks, into lines that a person can follow.

Event lines become short sentences; every other line passes as it is. Whatever a log holds, nothing raises.
Draws nothing and decides nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any, TextIO

EVENT_PREFIX = '{"event":'
Event = dict[str, Any]
"""One JSON object of a log; what is in it, nobody can promise."""
_UNSAFE = (*range(9), *range(10, 32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F))
_VISIBLE = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _UNSAFE}
_VISIBLE |= {code: f"\\u{code:04x}" for code in (*range(0x2066, 0x206A), *range(0xD800, 0xE000))}
TOKENS = {
    "a Kaggle token": r"KGAT_[0-9A-Za-z]{16,}",
    "a Hugging Face token": r"(?:hf|api_org)_(?=[a-z]*[0-9A-Z])[0-9A-Za-z]{20,}",
    "a GitHub token": r"(?:gh[oprsu]|github_pat)_[0-9A-Za-z_]{22,}",
    "a GitLab token": r"\bglpat-[0-9A-Za-z_-]{20,}",
    "a Google key": r"AIza[0-9A-Za-z_-]{35}|GOCSPX-[0-9A-Za-z_-]{24,}",
    "an OpenAI key": r"\bsk-[0-9A-Za-z_-]{32,}",
}
"""How tokens look that are known by their beginnings."""
_TOKEN = re.compile("|".join(TOKENS.values()))


def visible(text: str) -> str:
    """Return a line of others with control characters shown, so that none is obeyed, and tokens hidden."""
    text = _TOKEN.sub(lambda token: f"{token[0][:5]}…", text)
    return text if text.isascii() and text.isprintable() else text.translate(_VISIBLE)


def never_fail(*streams: TextIO) -> None:
    """Let a terminal without some letters print a question mark in their place."""
    for stream in streams:
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="replace")


class Lines:
    """Join chunks to whole lines, one buffer a stream. A carriage return begins its line anew."""

    def __init__(self) -> None:
        self._rest: dict[str, list[str]] = {}

    def feed(self, stream: str, chunk: str) -> list[str]:
        """Return the lines of `stream` that this chunk completes."""
        rest = self._rest.setdefault(stream, [])
        first, *more = chunk.split("\n")
        if not more:
            _append(rest, first)
            return []
        whole = [_last_update("".join((*rest, first))), *map(_last_update, more[:-1])]
        rest.clear()
        _append(rest, more[-1])
        return whole

    def update(self, stream: str) -> str:
        """Return the beginning of what a progress bar says by now; empty where the line is none."""
        rest = self._rest.get(stream, [])[:64]
        return _last_update("".join(rest)) if rest and "\r" in rest[0] else ""

    def end(self) -> list[str]:
        """Return what never got its line end."""
        rest = [_last_update("".join(pieces)) for pieces in self._rest.values() if any(pieces)]
        self._rest.clear()
        return rest


def _append(rest: list[str], piece: str) -> None:
    """Add to an unfinished line; an update forgets what stood there before."""
    said = piece.rstrip("\r")
    if "\r" in said:
        rest.clear()
        piece = piece[said.rindex("\r") :]
    elif said and rest and rest[-1].endswith("\r"):
        rest.clear()
        piece = f"\r{piece}"
    if piece:
        rest.append(piece)


def _last_update(line: str) -> str:
    """Return what the last update of a line left standing."""
    return line.rstrip("\r").rpartition("\r")[2]


def event(line: str) -> Event | None:
    """Return the event that a line holds, or None for any other line."""
    if not line.startswith(EVENT_PREFIX):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found["event"], str) else None


_SENTENCES = {
    "start": "preset {preset} on {cards}, {dtype}",
    "data": "{train} training rows, {test} test rows from {folder}",
    "left": "{file}: {rows}",
    "load": "loading {model} as {dtype} ({reason})",
    "train": "training member {member} on {rows} rows",
    "step": "step {step}/{steps}  loss {loss:.4f}{pace}",
    "score": "scored {rows}/{of} rows{pace}",
    "generate": "generated {rows}/{of} rows{pace}",
    "held_out": "held-out rows {rows}: accuracy {accuracy:.3f}, macro F1 {macro_f1:.3f}",
    "sweep": "best of {points} points: {best}",
    "resume": "going on from {folder}; done are {done}",
    "warning": "warning: {text}",
    "download": "downloaded {gigabytes:.1f} GB, {megabytes_per_second:.0f} MB/s",
    "skipped": "skipped: member {member}, {reason}",
    "no_checkpoint": "no checkpoint: member {member}, {reason}",
    "stop": "member {member} stops at step {step}/{steps}: {reason}",
    "checkpoint": "checkpoint of member {member} at step {step}, {mebibytes:.1f} MiB",
    "retreat": "member {member}: out of memory in {before}; goes on in {after}",
    "out_of_memory": "{stage}: out of memory with {rows} rows; goes on with half as many",
    "session": "session {id:d}",
    "end": "run {ended}",
}
"""What is said of each event."""


def sentence(found: Event) -> str:
    """Return an event as one short line; empty for an event of another make."""
    try:
        size = found.get("bytes", 0)
        told = {
            **found,
            "pace": _pace(found),
            "gigabytes": size / 1e9,
            "mebibytes": size / 2**20,
            "megabytes_per_second": found.get("bytes_per_second", 0) / 1e6,
            "cards": ", ".join(found.get("cards", ())) or "the CPU",
            "done": ", ".join(found.get("done", ())) or "no members",
        }
        return visible(_SENTENCES.get(str(found["event"]), "").format_map(told))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return ""


def show(line: str) -> str:
    """Return a log line as a person should read it."""
    found = event(line)
    return (sentence(found) if found else "") or visible(line)


def _pace(found: Event) -> str:
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
