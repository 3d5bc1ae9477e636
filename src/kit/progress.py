"""Turn a run's log, which arrives in chunks, into lines that a person can follow.

Event lines become short sentences; every other line passes as it is. Whatever a log holds, nothing raises.
Draws nothing and decides nothing.
"""

import json
import re
from typing import Any, TextIO

EVENT_PREFIX = '{"event":'
# Control characters but the tab, ends of lines and of paragraphs, changes of direction, half letters.
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
JOINERS = "\u200c\u200d"  # invisible signs that Indian scripts and Urdu are written with
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
    return _UNSAFE.sub(lambda sign: sign[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """Return foreign text as one line of words: what cannot be printed is a blank."""
    signs = (sign if sign.isprintable() or sign in JOINERS else " " for sign in text)
    return " ".join("".join(signs).split())


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


_SENTENCES = {
    "start": "preset {preset} on {cards}, {dtype}",
    "data": "{train} training rows, {test} test rows from {folder}",
    "left": "{file}: {rows}",
    "load": "loading {model} as {dtype} ({reason})",
    "train": "training member {member} on {rows} rows",
    "step": "step {step}/{steps}  loss {loss:.4f}{pace}",
    "measure": "measured {rows}/{of} rows{pace}",
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


def sentence(found: dict[str, Any]) -> str:
    """Return an event as one short line; empty for an event of another make."""
    told = {**found}
    try:
        for name, none in (("cards", "the CPU"), ("done", "no members")):
            if name in found:
                told[name] = ", ".join(found[name]) or none
        if "bytes" in found:
            told |= {"gigabytes": found["bytes"] / 1e9, "mebibytes": found["bytes"] / 2**20}
        if "bytes_per_second" in found:
            told["megabytes_per_second"] = found["bytes_per_second"] / 1e6
        template = _SENTENCES[found["event"]]
        if "{pace}" in template:
            told["pace"] = _pace(found)
        return visible(template.format(**told))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
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
