"""What a person types behind a verb reaches its script as it was typed, and no shell on the way."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kit import config
from kit.command import alone, options, run
from kit.errors import KitError, SettingInvalid
from kit.files import PROJECT_ROOT

TYPED = ["it's", "costs $5 and $(shell touch x)", "a'; touch X; echo 'b", "`touch X`", '"q" \\ #', "ünï\ttab"]


def _bare() -> dict[str, str]:
    """Return the environment without what a make around this test put there."""
    mine = os.environ.items()
    return {name: value for name, value in mine if not name.startswith(("MAKE", "MFLAGS", "KIT_"))}


@pytest.mark.parametrize("typed", TYPED)
def test_make_hands_a_variable_over_as_it_was_typed(typed: str, tmp_path: Path) -> None:
    """Quotes, dollars and commands in a value are letters."""
    tell = tmp_path / "tell"
    tell.write_text(f"#!{sys.executable}\nimport json, os\nprint(json.dumps(dict(os.environ)))\n")
    tell.chmod(0o755)
    for verb, variable in (("submit", "MESSAGE"), ("settings", "SET"), ("sweep", "GRID"), ("push", "NOTE")):
        command = ["make", "-f", PROJECT_ROOT / "Makefile", "-o", ".venv/.home", "-o", ".venv/.train", verb]
        shown = subprocess.run(
            [*command, f"{variable}={typed}", f"PY={tell}"],
            cwd=tmp_path, env=_bare(), capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert json.loads(shown.stdout)[f"KIT_{variable}"] == typed
    assert [path.name for path in tmp_path.iterdir()] == ["tell"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("seed=1  train.epochs=2\n", ["seed=1", "train.epochs=2"]),
        ("kernel.title='My Title' seed=1", ["kernel.title='My Title'", "seed=1"]),
        ("kernel.title=it's seed=1", ["kernel.title=it's", "seed=1"]),
        ("a=['x y', \"[\"] b={'k': ['v w']}", ["a=['x y', \"[\"]", "b={'k': ['v w']}"]),
    ],
)
def test_words_end_at_blanks_outside_quotes_and_brackets(text: str, found: list[str]) -> None:
    """Lists and values with blanks are one word, an apostrophe inside a word is a letter."""
    assert config.words(text) == found


def test_a_setting_may_hold_blanks_and_lists() -> None:
    """In JSON or as Python writes them."""
    text = """kernel.title='My Title' predict.templates=['notebook', "llama3"] train.packing=false"""
    found = config.resolve("tiny", config.words(text))
    assert (found.kernel.title, found.train.packing) == ("My Title", False)
    assert found.predict.templates == ("notebook", "llama3")
    with pytest.raises(SettingInvalid, match="closing '"):
        config.words("kernel.title='My Title")


def test_a_flag_wins_over_a_variable_which_is_gone_for_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb that starts another one does not hand its own options on."""
    given = {"PRESET": "smoke", "SET": "seed=1 kernel.title='a b'", "TIMEOUT": "5", "RUN": "v3", "YES": "1"}
    for name, value in given.items():
        monkeypatch.setenv(f"KIT_{name}", value)
    found = options(None, "preset", "set", "timeout", "yes").parse_args(["--preset=tiny", "--set=seed=2"])
    assert (found.preset, found.timeout, bool(found.yes)) == ("tiny", 5.0, True)
    assert found.set == ["seed=1", "kernel.title='a b'", "seed=2"]
    assert not [name for name in os.environ if name.removeprefix("KIT_") in given]


@pytest.mark.parametrize(
    ("goals", "status", "words"),
    [
        ("settings run=v3", 2, "there is no variable run"),
        ("report RUNS=v3", 2, "this verb takes no RUNS (try: it takes RUN; make help)"),
        ("all WHEN=free", 2, "takes no WHEN"),
        ("settings PRESET=tiny FORM=notebook JSON=1", 0, ""),
        ("help settings PRESET=tiny RUN=v3", 0, ""),
    ],
)
def test_a_variable_that_nobody_reads_is_refused(goals: str, status: int, words: str) -> None:
    """A run or a submission of another than was meant costs more; several verbs share their variables."""
    command = ["make", "-s", "-C", str(PROJECT_ROOT), "-o", ".venv/.home", *goals.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=_bare())
    assert (done.returncode, words in done.stderr) == (status, True), done.stderr


def test_wrong_usage_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the value, and status 2 tells it from a failure."""
    assert options(None, "timeout").parse_args([]).timeout is None
    monkeypatch.setattr(sys, "argv", ["watch.py", "--timeout=soon"])
    with pytest.raises(SystemExit) as caught:
        run(lambda: bool(options(None, "timeout").parse_args()))
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith(
        "error: argument --timeout: 'soon' is no number of seconds (try: "
    )


def test_a_second_dry_run_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two in one checkout would write over each other: the second says so, the next one after it runs."""
    monkeypatch.setattr("kit.command.PROJECT_ROOT", tmp_path)
    with alone("dry-run"), pytest.raises(KitError, match="another dry-run works"), alone("dry-run"):
        pytest.fail("two at once")
    with alone("dry-run"):
        pass


def test_a_full_disk_is_one_line_and_a_missing_file_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """The first is the user's to mend, wherever it is met; the second is a programming error."""

    def fail(number: int, place: str) -> None:
        raise OSError(number, os.strerror(number), place)

    for number, said in ((errno.ENOSPC, "No space left on device"), (errno.EEXIST, "File exists")):
        with pytest.raises(SystemExit, match="1"):
            run(lambda number=number: fail(number, "runs/x"))
        assert capsys.readouterr().err == f"error: runs/x: {said} (try: df -h, ls -l)\n"
    with pytest.raises(FileNotFoundError):
        run(lambda: fail(errno.ENOENT, "x"))


@pytest.mark.parametrize(
    "script", sorted((PROJECT_ROOT / "scripts").glob("*.py")), ids=lambda path: path.stem
)
def test_help_imports_nothing_heavy_from_any_folder(script: Path, tmp_path: Path) -> None:
    """`--help` answers at once and needs no PYTHONPATH: neither settings nor tables are loaded for it."""
    command = [sys.executable, "-X", "importtime", script, "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path)
    assert shown.stdout.startswith("usage: ")
    assert not re.search(r"\| +(pandas|pydantic|sklearn|torch|kagglesdk)$", shown.stderr, re.MULTILINE)
