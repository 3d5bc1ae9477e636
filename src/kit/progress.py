"""Turn a run's log, which arrives in chunks, into lines that a person can follow.

Event lines become short sentences; every other line passes as it is. Whatever a log holds, nothing raises.
Draws nothing and decides nothing.
"""

import json
import re
from typing import Any, TextIO

EVENT_PREFIX = '{"event":'
_UNSAFE = [
    *range(9),
    *range(10, 32),
    *range(127, 160),
    0x2028,
    0x2029,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
]
_VISIBLE = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _UNSAFE}
_VISIBLE |= {code: f"\\u{code:04x}" for code in range(0xD800, 0xE000)}
TOKENS = {
    "a Kaggle token": r"KGAT_[0-9A-Za-z]{16,}",
    "a Hugging Face token": r"(?:hf|api_org)_(?=[a-z]*[0-9A-Z])[0-9A-Za-z]{20,}",
    "a GitHub token": r"(?:gh[oprsu]|github_pat)_[0-9A-Za-z_]{22,}",
    "a GitLab token": r"\bglpat-[0-9A-Za-z_-]{20,}",
    "a Google key": r"AIza[0-9A-Za-z_-]{35}|GOCSPX-[0-9A-Za-z_-]{24,}",
    "an OpenAI key": r"\bsk-[0-9A-Za-z_-]{32,}",
    "a token of another service": r"(?<![0-9A-Za-z])(?:r8_|gsk_|pplx-|xai-|dop_v1_|shpat_|ntn_|lin_api_|figd_"
    r"|hvs\.|pcsk_|rpa_|lsv2_pt_|wandb_v1_|ya29\.|1//0|AGE-SECRET-KEY-1|\d{9,10}:AA|dapi(?=[0-9a-f]{32}))[0-9A-Za-z_.-]{24,}",
}
"""How tokens look that are known by their beginnings."""
_TOKEN = re.compile("|".join(TOKENS.values()))


def visible(text: str) -> str:
    """Return a line of others with control characters shown, so that none is obeyed, and tokens hidden."""
    text = _TOKEN.sub(lambda token: f"{token[0][:5]}…", text)
    return text if text.isascii() and text.isprintable() else text.translate(_VISIBLE)


def never_fail(*streams: TextIO) -> None:
    """Let a terminal without some letters print their numbers in their place."""
    for stream in streams:
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="backslashreplace")


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


def event(line: str) -> dict[str, Any] | None:
    """Return the event that a line holds, or None for any other line."""
    if not line.startswith(EVENT_PREFIX):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found["event"], str) else None


def sentence(found: dict[str, Any]) -> str:
    """Return an event as one short line; empty for an event of another make."""
    try:
        return visible(_sentence(found))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return ""


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
    if kind in {"measure", "score", "generate"}:
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
    if kind == "session":
        return f"session {found['id']:d}"
    if kind == "end":
        return f"run {found['ended']}"
    return ""


def show(line: str) -> str:
    """Return a log line as a person should read it."""
    found = event(line)
    return (sentence(found) if found else "") or visible(line)


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
