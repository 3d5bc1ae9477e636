"""What the README tells is what the Makefile, the presets and the code do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from kit import config
from kit.remote.submit import KNOWN

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
VERBS = dict(re.findall(r"^([a-z0-9-]+):.*?## (.+)$", MAKEFILE, flags=re.MULTILINE))


def test_every_verb_has_its_row_and_no_row_is_invented() -> None:
    """The tables of verbs and the Makefile hold the same words, each verb once."""
    development = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `make ([a-z0-9-]+)` \| (.+) \|$", README + development, flags=re.MULTILINE)
    assert len(rows) == len(dict(rows))
    assert dict(rows) == {verb: what for verb, what in VERBS.items() if verb != "help"}


def test_the_figures_of_the_readme_are_those_of_the_results() -> None:
    """A figure that is measured again is changed in both."""
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    table = README.split("## Measured")[1].split("\n## ")[0]
    figures = [
        number
        for row in re.findall(r"^\| (?!what|---)(.+) \|$", table, flags=re.MULTILINE)
        for number in re.findall(r"(?<![\w-])\d[\d,.]*\d|(?<![\w-])\d(?![\w-])", row)
    ]
    assert len(figures) > 5
    assert [
        figure for figure in figures if not re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d])", results)
    ] == []


def test_every_make_command_in_the_documents_exists() -> None:
    """In the README, in results and in hints of the sources."""
    texts = [README, *(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))]
    texts += [path.read_text(encoding="utf-8") for path in (ROOT / "src" / "kit").rglob("*.py")]
    named = {verb for text in texts for verb in re.findall(r"[`\"']make ([a-z][a-z0-9-]+)", text)}
    assert named <= set(VERBS), named - set(VERBS)


def test_every_preset_is_described() -> None:
    """One row each."""
    for preset in config.shipped():
        assert re.search(rf"^\| `{preset}` \|", README, flags=re.MULTILINE), preset


def test_settings_named_in_the_readme_exist() -> None:
    """`SET="…"` examples work as they stand."""
    for pairs in re.findall(r'SET="([^"]+)"', README):
        config.resolve("t4x2", pairs.split())


def test_every_seam_is_listed() -> None:
    """Environment variables are read in config.py only, and the README lists them."""
    seams = {
        name
        for path in (ROOT / "src").rglob("*.py")
        for name in re.findall(r'"(KIT_[A-Z_]+)"', path.read_text(encoding="utf-8"))
    } - {"KIT_STARTED"}
    for name in seams:
        assert f"`{name}`" in README, name


def test_the_readme_stays_short() -> None:
    """At most 150 lines."""
    assert len(README.splitlines()) <= 150


def test_help_lists_every_verb() -> None:
    """`make` alone tells a newcomer what there is."""
    shown = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, timeout=30, check=True)
    for verb in VERBS:
        assert f"make {verb}" in shown.stdout
    for variable in ("PRESET", "SET", "RUN", "TIMEOUT"):
        assert variable in shown.stdout


def test_every_refusal_of_a_submission_stands_in_its_table() -> None:
    """Kaggle's words with the meaning that the user is told."""
    rows = (ROOT / "docs" / "code-competitions.md").read_text(encoding="utf-8").splitlines()
    told = [row for row in rows if row.startswith("| … ")]
    assert [row.split(" … ")[1] for row in told] == list(KNOWN)
    assert all(meaning in row for row, (meaning, _) in zip(told, KNOWN.values(), strict=True))
