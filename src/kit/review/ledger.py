"""Keep one line a finished run in runs/ledger.jsonl, and list the runs, the best first.

A line is what the run's folder says at that moment; a later line of the same run takes its place.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kit.config import PROJECT_ROOT
from kit.errors import KitError
from kit.review import results, tables
from kit.review.results import Results

SCHEMA = 1
LEDGER = PROJECT_ROOT / "runs" / "ledger.jsonl"
WIDE = 110
"""Columns from which a terminal shows where a run came from as well."""
FIGURES = ("log_loss", "macro_f1", "accuracy", "rows")


@dataclass(frozen=True)
class Ledger:
    """The newest line of each run, in the order of the file, and what was wrong with lines that are none."""

    entries: list[dict[str, Any]]
    broken: list[str]


def keep(
    folder: Path, path: Path = LEDGER, *, commit: tuple[str, bool | None] = ("", None)
) -> dict[str, Any]:
    """Append the line of the finished run in `folder` and return it; nothing where it would repeat the last.

    `commit` is the checkout and whether it was changed, for a run that no push recorded.
    """
    line = entry(results.read(folder, whole=False), commit)
    earlier = [known for known in read(path).entries if known["run"] == line["run"]]
    if not earlier or _without_time(earlier[0]) != _without_time(line):
        append(path, line)
    return line


def entry(run: Results, commit: tuple[str, bool | None] = ("", None)) -> dict[str, Any]:
    """Return the line of a run: where it came from, its held-out figures, its score, what it cost."""
    if run.push:
        commit = (run.push.get("commit", ""), run.push.get("dirty"))
    held_out = None
    if run.held_out:
        mode = run.config.get("evaluate", {}).get("mode", "")
        held_out = {"mode": mode, **{name: run.held_out.get(name) for name in FIGURES}}
    return {
        "schema": SCHEMA,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": run.name,
        "version": run.push.get("version"),
        "preset": run.config.get("preset", ""),
        "commit": commit[0],
        "dirty": commit[1],
        "config_hash": config_hash(run.config),
        "bundle_hash": run.run.get("bundle_hash", ""),
        "held_out": held_out,
        "score": _number(run.submission.get("public_score")),
        "gpu_minutes": gpu_minutes(run),
    }


def config_hash(config: Mapping[str, Any]) -> str:
    """Return the sha256 of the settings as JSON with sorted names, so that their order does not count."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def gpu_minutes(run: Results) -> float:
    """Return the minutes of GPU quota: the wall time of the session, once for any number of cards.

    From the log's last event and the install before it, else the sum of the stages; 0 on a CPU.
    """
    if not run.run.get("cards"):
        return 0.0
    timings = run.run.get("timings", {})
    ended = [event.get("seconds", 0.0) for event in run.events if event["event"] == "end"]
    seconds = ended[-1] + timings.get("install", 0.0) if ended else sum(timings.values())
    return round(float(seconds) / 60, 1)


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add one whole line. A half-written last line of a killed process stays alone on its own.

    Raises KitError where the disk refuses, and then leaves the file as it was.
    """
    data = (json.dumps(line, ensure_ascii=False) + "\n").encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                data = data if file.read(1) == b"\n" else b"\n" + data
            try:
                _write_all(file.fileno(), data)
            except OSError:
                file.truncate(size)
                raise
    except OSError as error:
        raise KitError(f"{path} cannot be written: {error.strerror}", hint="df -h") from error


def read(path: Path = LEDGER) -> Ledger:
    """Return the ledger; one that is not there is empty. A broken line is named and skipped."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return Ledger([], [])
    except OSError as error:
        raise KitError(f"{path} cannot be read: {error.strerror}", hint=f"ls -l {path}") from None
    newest: dict[str, dict[str, Any]] = {}
    broken = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found = _parse(line)
        if isinstance(found, str):
            broken.append(f"{path}:{number}: skipped: {found}")
        else:
            newest.pop(found["run"], None)
            newest[found["run"]] = found
    return Ledger(list(newest.values()), broken)


def ranked(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines by held-out log loss, then macro F1; runs that lack them stand last."""

    def key(line: dict[str, Any]) -> tuple[bool, float, bool, float]:
        loss, f1 = (_held_out(line, name) for name in ("log_loss", "macro_f1"))
        return (loss is None, loss or 0.0, f1 is None, -(f1 or 0.0))

    return sorted(entries, key=key)


def show(entries: list[dict[str, Any]]) -> None:
    """Print the runs, the best first, with the difference of each to the best."""
    out = tables.console()
    lines = ranked(entries)
    titles = ["run", "rows", "log loss", "macro F1", "to best", "score", "GPU min"]
    if out.width >= WIDE:
        titles += ["accuracy", "commit", "time"]
    table = tables.table("runs, by held-out log loss, then macro F1", *titles)
    for line in lines:
        rows = _held_out(line, "rows")
        dirty = "*" if line.get("dirty") else ""
        cells = [
            tables.sentence(line["run"], most=200),
            f"{rows:.0f}" if rows else "–",
            tables.figure(_held_out(line, "log_loss")),
            tables.figure(_held_out(line, "macro_f1")),
            _to_best(line, lines[0]),
            tables.figure(_number(line.get("score"))),
            f"{_number(line.get('gpu_minutes')) or 0:.0f}",
            tables.figure(_held_out(line, "accuracy")),
            tables.sentence(str(line.get("commit") or "–")[:7]) + dirty,
            tables.sentence(str(line.get("time", ""))[:16].replace("T", " ")),
        ]
        table.add_row(*cells[: len(titles)])
    out.print(table)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _parse(line: bytes) -> dict[str, Any] | str:
    """Return the line's object, or what is wrong with it."""
    try:
        found = json.loads(line)
    except ValueError as error:
        return f"not JSON: {error}"
    if not isinstance(found, dict) or not isinstance(found.get("run"), str):
        return "it names no run"
    if found.get("schema") != SCHEMA:
        return f"schema {found.get('schema')!r}, and this kit reads {SCHEMA}"
    return found


def _without_time(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "time"}


def _held_out(line: Mapping[str, Any], name: str) -> float | None:
    held_out = line.get("held_out")
    return _number(held_out.get(name)) if isinstance(held_out, Mapping) else None


def _to_best(line: Mapping[str, Any], best: Mapping[str, Any]) -> str:
    """Return the difference of log loss, or of macro F1 where one of the two has no log loss."""
    for name, unit in (("log_loss", ""), ("macro_f1", " F1")):
        value, most = _held_out(line, name), _held_out(best, name)
        if line is not best and value is not None and most is not None:
            return tables.figure(value - most, signed=True) + unit
    return ""


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
