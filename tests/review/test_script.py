"""`scripts/validate.py` tells valid, invalid and unchecked apart by its exit status, in text and in JSON."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from made_run import Told

from kit.config import PROJECT_ROOT, resolve

SCRIPT = PROJECT_ROOT / "scripts" / "validate.py"
COMPETITION = resolve("t4x2").competition


def run(*arguments: object, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=60, cwd=cwd,
        env={**os.environ, **variables},
    )  # fmt: skip


def run_json(*arguments: object) -> tuple[int, Told]:
    done = run(*arguments, "--json")
    answer = json.loads(done.stdout)
    assert list(answer)[:4] == ["valid", "rows", "errors", "warnings"]
    # What a person would read stands on stderr, or in the error where there is one.
    assert bool(done.stderr) == (answer["error"] is None)
    assert (answer.pop("verb"), answer.pop("status")) == ("validate", done.returncode)
    del answer["error"]
    return done.returncode, answer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of four test rows beside their test.csv, training rows and sample."""
    ids = ["b", "a", "d", "c"]
    first, second = COMPETITION.labels[:2]
    head = f"{COMPETITION.id},{COMPETITION.text},{COMPETITION.language}"
    (tmp_path / "test.csv").write_text(
        "".join(f"{line}\n" for line in [head, *(f"{name},x,hi" for name in ids)])
    )
    head = f"{COMPETITION.id},{COMPETITION.label}"
    sample = "".join(f"{name},{first}\n" for name in ids)
    (tmp_path / "sample_submission.csv").write_text(f"{head}\n{sample}")
    lines = [head, *(f"{name},{first}" for name in ids[:3]), f"c,{second}"]
    (tmp_path / "submission.csv").write_text("\n".join(lines))
    return tmp_path


def test_valid_is_zero(folder: Path) -> None:
    """A good file exits 0 and says so in one line; warnings leave it at 0."""
    done = run(folder / "submission.csv", "--test", folder / "test.csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{folder / 'submission.csv'}: valid, 4 rows, 0 errors, 0 warnings\n"
    with (folder / "submission.csv").open("r+b") as file:
        data = file.read()
        file.seek(0)
        file.write(b"\xef\xbb\xbf" + data)
    status, answer = run_json(folder / "submission.csv", "--test", folder / "test.csv")
    assert (status, answer["valid"], answer["rows"], answer["errors"]) == (0, True, 4, [])
    assert [warning["code"] for warning in answer["warnings"]] == ["bom"]


def test_invalid_is_one(folder: Path) -> None:
    """A bad file exits 1, with line, id and value of each problem."""
    path = folder / "submission.csv"
    path.write_text(path.read_text().replace("a,", "A,"))
    done = run(path, "--test", folder / "test.csv")
    assert (done.returncode, done.stderr) == (1, "")
    assert "error    id_retyped (1)  line 3: id 'A' is 'a' in test.csv" in done.stdout
    status, answer = run_json(path, "--test", folder / "test.csv")
    assert (status, answer["valid"]) == (1, False)
    assert answer["errors"][0]["examples"] == [{"line": 3, "id": "A", "value": "a"}]


@pytest.mark.parametrize(
    "arguments",
    [
        ("submission.csv", "--test", "none.csv"),
        ("submission.csv", "--tset", "test.csv"),
        ("submission.csv", "more.csv"),
    ],
)
def test_what_cannot_be_checked_is_two(folder: Path, arguments: tuple[str, ...]) -> None:
    """A missing test, a file that cannot be read and wrong usage exit 2: one line, or one object."""
    placed = [folder / argument if "." in argument else argument for argument in arguments]
    done = run(*placed)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    answer = json.loads(run(*placed, "--json").stdout)
    assert (answer["status"], bool(answer["error"]["message"])) == (2, True)
    if "--test" in arguments:
        assert (answer["valid"], answer["errors"][0]["code"]) == (False, "cannot_check")


def test_a_run_is_checked_by_its_record(folder: Path) -> None:
    """--run reads submission, predictions and run.json; a partial run is valid with a warning."""
    path = folder / "submission.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:3]))
    record = {
        "schema": 1,
        "test_sha256": hashlib.sha256((folder / "test.csv").read_bytes()).hexdigest(),
        "test_ids": ["b", "a"],
    }
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "predictions.csv").write_text(
        "id,label,source,completion\nb,Positive,parse,Positive\na,Positive,score,?\n"
    )
    status, answer = run_json("--run", folder, "--test", folder / "test.csv")
    assert status == 0
    assert [warning["code"] for warning in answer["warnings"]] == ["partial_run", "constant_label"]
    assert (answer["completions"]["parsed"], answer["completions"]["unparsed"]["no-label"]) == (1, 1)
    (folder / "test.csv").write_text((folder / "test.csv").read_text() + "e,x,hi\n")
    status, answer = run_json("--run", folder, "--test", folder / "test.csv")
    assert status == 2
    assert "is not the file that the run answered" in answer["errors"][0]["message"]


def test_the_sample_competition_needs_no_options(tmp_path: Path) -> None:
    """The bundled competition's own sample_submission is checked from any folder without naming its test."""
    sample = PROJECT_ROOT / "src" / "local_kaggle" / "competition" / "sample_submission.csv"
    done = run(sample, cwd=tmp_path)
    assert done.returncode == 0, done
    assert "constant_label" in done.stdout


def test_a_plain_terminal_gets_the_report(folder: Path) -> None:
    """One without UTF-8 too."""
    path = folder / "submission.csv"
    path.write_text(path.read_text().replace("c,Negative", "c,शायद"))
    done = run(path, "--test", folder / "test.csv", PYTHONIOENCODING="ascii")
    assert done.returncode == 1, done
    assert r"line 5: label '\u0936\u093e\u092f\u0926' of id 'c'" in done.stdout


def test_a_run_is_judged_by_its_own_settings(folder: Path) -> None:
    """A label set of the run's day holds, whatever kit.toml says today."""
    settings = {**COMPETITION.model_dump(mode="json"), "labels": ["Yes", "No"], "synonyms": {}}
    (folder / "run.json").write_text(json.dumps({"schema": 1, "config": {"competition": settings}}))
    head = f"{COMPETITION.id},{COMPETITION.label}\n"
    (folder / "sample_submission.csv").write_text(head + "".join(f"{name},Yes\n" for name in "badc"))
    (folder / "submission.csv").write_text(head + "b,Yes\na,No\nd,Yes\nc,No\n")
    status, answer = run_json("--run", folder, "--test", folder / "test.csv")
    assert (status, answer["errors"]) == (0, [])


def test_checking_loads_neither_torch_nor_pandas_nor_the_client(folder: Path) -> None:
    """A whole check imports no torch, no pandas, no scikit-learn and no Kaggle client."""
    command = [
        sys.executable,
        "-X",
        "importtime",
        SCRIPT,
        folder / "submission.csv",
        "--test",
        folder / "test.csv",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not re.search(r"\| +(torch|pandas|sklearn|kagglesdk|kaggle|requests)$", done.stderr, re.MULTILINE)
