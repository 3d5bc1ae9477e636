"""Every finished run has one line in the ledger, which no killed process can spoil for the others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from answered_runs import dump, write

from kit.errors import KitError
from kit.review import ledger, results

JUDGED = {"rows": 40, "log_loss": 0.25, "macro_f1": 0.9, "accuracy": 0.91, "brier": 0.1}
PUSH = {"version": 3, "commit": "c" * 40, "dirty": True}


def line(run: str, log_loss: float | None = None, macro_f1: float | None = None) -> dict[str, Any]:
    return {"schema": 1, "run": run, "held_out": {"log_loss": log_loss, "macro_f1": macro_f1, "rows": 9}}


def test_a_line_says_where_a_run_came_from_and_what_it_is_worth(tmp_path: Path) -> None:
    """All of it is in the run's own files; the commit is that of the push."""
    folder = write(tmp_path / "slug" / "v3", push=PUSH, judged=JUDGED)
    dump(folder / "submission.json", {"schema": 1, "public_score": "0.53214"})
    path = tmp_path / "ledger.jsonl"
    told = ledger.keep(folder, path, commit=("other", False))
    assert json.loads(path.read_text()) == told
    assert told.pop("time").endswith("+00:00")
    assert len(told.pop("config_hash")) == 64
    assert told == {
        "schema": 1,
        "run": "slug/v3",
        "version": 3,
        "preset": "tiny",
        "commit": "c" * 40,
        "dirty": True,
        "bundle_hash": "b" * 64,
        "held_out": {"mode": "holdout", "log_loss": 0.25, "macro_f1": 0.9, "accuracy": 0.91, "rows": 40},
        "score": 0.53214,
        "gpu_minutes": 0.0,
    }


def test_a_dry_run_has_the_commit_of_the_checkout(tmp_path: Path) -> None:
    """Nothing was pushed, so nothing else knows it; a run that judged itself on no row has no figures."""
    told = ledger.keep(write(tmp_path / "dry-run-tiny"), tmp_path / "l.jsonl", commit=("abc", False))
    assert (told["run"], told["version"], told["commit"], told["dirty"]) == (
        "dry-run-tiny",
        None,
        "abc",
        False,
    )
    assert (told["held_out"], told["score"]) == (None, None)


def test_the_latest_line_of_a_run_wins(tmp_path: Path) -> None:
    """A score that came later is kept in a line of its own; the same again adds none."""
    folder = write(tmp_path / "slug" / "v3", push=PUSH, judged=JUDGED)
    other = write(tmp_path / "slug" / "v4", push=PUSH | {"version": 4})
    path = tmp_path / "ledger.jsonl"
    for kept in (folder, folder, other):
        ledger.keep(kept, path)
    assert path.read_text().count("\n") == 2
    dump(folder / "submission.json", {"schema": 1, "public_score": "0.5"})
    ledger.keep(folder, path)
    found = ledger.read(path)
    assert path.read_text().count("\n") == 3
    assert [(entry["run"], entry["score"]) for entry in found.entries] == [
        ("slug/v4", None),
        ("slug/v3", 0.5),
    ]


def test_a_half_written_line_spoils_no_other(tmp_path: Path) -> None:
    """The next line begins on a line of its own; the half is named by its number and skipped."""
    path = tmp_path / "ledger.jsonl"
    ledger.append(path, line("a/v1"))
    with path.open("a") as file:
        file.write('{"schema": 1, "run": "a/v2", "held')
    ledger.append(path, line("a/v3"))
    with path.open("ab") as file:
        file.write(b'\n\xff\xfe\n[1]\n{"schema": 1}\n{"schema": 9, "run": "x"}\n')
    found = ledger.read(path)
    assert [entry["run"] for entry in found.entries] == ["a/v1", "a/v3"]
    assert [text.split(": skipped: ")[0] for text in found.broken] == [
        f"{path}:{number}" for number in (2, 5, 6, 7, 8)
    ]
    assert found.broken[-1].endswith("schema 9, and this kit reads 1")


def test_lines_of_processes_at_once_stay_whole(tmp_path: Path) -> None:
    """Four processes, a hundred lines, none lost and none broken."""
    path = tmp_path / "ledger.jsonl"
    code = (
        "import pathlib, sys\n"
        "from kit.review import ledger\n"
        "for number in range(25):\n"
        "    line = {'schema': 1, 'run': f'{sys.argv[2]}/v{number}', 'padding': 'x' * 5_000}\n"
        "    ledger.append(pathlib.Path(sys.argv[1]), line)\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "abcd"]
    assert [process.wait(60) for process in processes] == [0] * 4
    found = ledger.read(path)
    assert (len(found.entries), found.broken) == (100, [])


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    """A line that does not fit is taken back, and the refusal is one line."""
    path = tmp_path / "ledger.jsonl"
    ledger.append(path, line("a/v1"))
    before = path.read_bytes()
    code = (
        "import pathlib, resource, sys\n"
        "from kit.review import ledger\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 50}, -1))\n"
        f"try: ledger.append(pathlib.Path({str(path)!r}), {{'run': 'a/v2', 'padding': 'x' * 500}})\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"KitError {path} cannot be written: File too large (try: df -h)\n"
    assert path.read_bytes() == before


def test_a_ledger_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """So is one that cannot be read; one that is not there is empty."""
    assert ledger.read(tmp_path / "none.jsonl") == ledger.Ledger([], [])
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match="cannot be written"):
        ledger.append(tmp_path / "file" / "ledger.jsonl", line("a/v1"))
    with pytest.raises(KitError, match="cannot be read"):
        ledger.read(tmp_path)


def test_the_best_run_stands_first() -> None:
    """By log loss, then macro F1; a run without log loss comes after, one without figures last."""
    lines = [
        {"schema": 1, "run": "none", "held_out": None},
        line("no loss, worse", None, 0.5),
        line("worse", 0.4, 0.9),
        line("no loss", None, 0.99),
        line("tie, lower F1", 0.3, 0.7),
        line("best", 0.3, 0.8),
        line("odd", float("nan"), 0.6),
    ]
    ranked = [entry["run"] for entry in ledger.ranked(lines)]
    assert ranked == ["best", "tie, lower F1", "worse", "no loss", "odd", "no loss, worse", "none"]


def test_the_table_shows_the_difference_to_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    """Of log loss where both have one, else of macro F1."""
    ledger.show([line("a/v2", 0.5, 0.8), line("a/v1", 0.25, 0.875), line("a/v3", None, 0.5)])
    rows = [text.split() for text in capsys.readouterr().out.splitlines() if "a/v" in text]
    assert rows[0][:4] == ["a/v1", "9", "0.250", "0.875"]
    assert rows[1][:5] == ["a/v2", "9", "0.500", "0.800", "+0.250"]
    assert rows[2][:6] == ["a/v3", "9", "–", "0.500", "-0.375", "F1"]


def test_gpu_minutes_are_the_wall_time_of_a_session(tmp_path: Path) -> None:
    """Once for two cards; from the log's end and the install before it, else the stages; none on a CPU."""
    cards = [{"name": "Tesla T4"}] * 2
    timings = {"install": 60.0, "train": 300.0, "predict": 30.0}
    folder = write(tmp_path / "a", cards=cards, timings=timings)
    assert ledger.gpu_minutes(results.read(folder)) == 6.5
    (folder / "kernel.log").write_text('{"event": "step", "seconds": 5}\n{"event": "end", "seconds": 480}\n')
    assert ledger.gpu_minutes(results.read(folder)) == 9.0
    assert ledger.gpu_minutes(results.read(write(tmp_path / "b", timings=timings))) == 0.0


def test_the_same_settings_have_the_same_hash() -> None:
    """Their order does not count, a value does."""
    one = ledger.config_hash({"a": 1, "b": {"c": 2, "d": "ü"}})
    assert one == ledger.config_hash({"b": {"d": "ü", "c": 2}, "a": 1})
    assert one != ledger.config_hash({"a": 1, "b": {"c": 3, "d": "ü"}})
