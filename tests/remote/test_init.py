"""The settings of a new competition are read from its files, and nothing else in kit.toml is touched."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from slugify import slugify

from kit import config
from kit.bundle import metadata
from kit.errors import InputInvalid
from kit.remote import init
from kit.remote.init import Suggestion

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "src" / "local_kaggle" / "competition"


@pytest.fixture
def write(tmp_path: Path) -> Path:
    """A folder for csv files."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def fill(folder: Path, train: str, test: str, sample: str = "") -> None:
    for name, text in (("train.csv", train), ("test.csv", test), ("sample_submission.csv", sample)):
        if text:
            (folder / name).write_text(text, encoding="utf-8")


def rows(header: str, *lines: str, times: int = 1) -> str:
    """Repeat lines under a header; {n} is the row's number."""
    filled = [line.replace("{n}", str(n)) for n in range(times) for line in lines]
    return "\n".join([header, *filled]) + "\n"


def test_the_sample_competition_is_read_as_kit_toml_has_it() -> None:
    """What ships in kit.toml is what its files show."""
    ours = tomllib.loads((ROOT / "kit.toml").read_text())["competition"]
    found = init.suggest(SAMPLE, "sample-sentiment")
    assert (found.id, found.text, found.label, found.language) == (
        ours["id"], ours["text"], ours["label"], ours["language"],
    )  # fmt: skip
    assert sorted(found.labels) == sorted(ours["labels"])


@pytest.mark.parametrize(
    ("train", "test", "sample", "expected"),
    [
        (
            rows("review_id,body,stars,mood", "a{n},x,5,happy", "b{n},y,1,sad", "c{n},z,3,flat", times=4),
            rows("review_id,body,stars", "x{n},what a long text,2", times=4),
            rows("review_id,mood", "x{n},flat", times=4),
            Suggestion("s", "review_id", "body", "mood", "", ("flat", "happy", "sad")),
        ),
        (
            rows("label,text,id,locale", "1,some words,{n},en", "0,other,{n}x,de", "1,more,{n}y,en", times=3),
            rows("text,id,locale", "some words,{n},de", times=3),
            "",
            Suggestion("s", "id", "text", "label", "locale", ("1", "0")),
        ),
        (
            rows("key,tweet,iso,target", "{n},hello,hi,A", "1{n},hullo,ta,B", times=4),
            rows("key,tweet,iso", "{n},hey there,hi", times=4),
            rows("key,target", "{n},A", times=4),
            Suggestion("s", "key", "tweet", "target", "iso", ("A", "B")),
        ),
        (
            rows("id,text,label,target_noise", "{n},hello,A,{n}", "1{n},hullo,B,{n}z", times=4),
            rows("id,text", "{n},hey there", times=4),
            "",
            Suggestion("s", "id", "text", "label", "", ("A", "B")),
        ),
    ],
    ids=["three labels", "no sample", "language by its values", "label with fewest values"],
)  # fmt: skip
def test_columns_and_labels_are_found(
    write: Path, train: str, test: str, sample: str, expected: Suggestion
) -> None:
    """The sample submission names id and label; without one, uniqueness and absence from the test do."""
    fill(write, train, test, sample)
    assert init.suggest(write, "s") == expected


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("", "id,text\n1,x\n", r"train\.csv is missing"),
        ("id,text,label\n", "id,text\n1,x\n", r"train\.csv holds no rows"),
        ("<html>", "id,text\n1,x\n", "is not a csv but an HTML"),
        ("id,text\n1,x\n", "id,text\n1,x\n", "has every column of train.csv"),
        ("id,text,label\n1,x,A\n2,y,A\n", "id,text\n1,x\n", "column 'label' has 1 values"),
        (rows("id,text,label", "{n},x,{n}", times=60), "id,text\n1,x\n", "column 'label' has 60 values"),
        ("id,label\n1,A\n2,B\n", "id\n1\n", "no column is left for the text"),
        ("kind,text,label\nk,x,A\nk,x,B\n", "kind,text\nk,x\nk,x\n", "no column .* names each row"),
    ],
)
def test_files_that_show_no_competition_of_this_kind_are_refused(
    write: Path, train: str, test: str, message: str
) -> None:
    """In one line, naming the file or the column."""
    fill(write, train, test)
    with pytest.raises(InputInvalid, match=message):
        init.suggest(write, "s")


def test_a_sentence_may_hold_any_line_separator(write: Path) -> None:
    """A csv's rows end where csv says, not at every character that looks like a line end."""
    fill(write, 'id,text,label\n1,"a\u2028b\x0bc\nd",A\n2,e,B\n', "id,text\n3,f\n4,g\n")
    assert init.suggest(write, "s").labels == ("A", "B")


def test_kit_toml_keeps_its_comments_and_presets(tmp_path: Path) -> None:
    """Only what describes the competition changes; synonyms of labels that are gone go with them."""
    path = tmp_path / "kit.toml"
    path.write_text(
        "# mine\n[competition]\nslug = 'old' # why\nlabels = ['A', 'Positive']\n"
        "[competition.synonyms]\nPositive = ['Pos']\nA = ['Ay']\n"
        "[kernel]\ntitle = 'Old'\ninternet = false\n[preset.mine]\nextends = 't4x2' # keep\n"
    )
    found = Suggestion("new-thing", "key", "body", "mood", "", ("B", "A"))
    init.write_settings(found, path, metric="accuracy")
    resolved = config.resolve("mine", kit_toml=path)
    assert resolved.competition.model_dump() == {
        "slug": "new-thing", "id": "key", "text": "body", "label": "mood", "language": "",
        "labels": ("B", "A"), "synonyms": {"A": ("Ay",)}, "metric": "accuracy",
    }  # fmt: skip
    assert resolved.kernel.title == "New Thing"
    assert resolved.kernel.internet is False
    assert "# mine" in path.read_text()
    assert "# keep" in path.read_text()
    before = path.read_text()
    init.write_settings(found, path)
    assert path.read_text() == before, "doing it again changes nothing"


def test_a_broken_kit_toml_is_refused_and_left_alone(tmp_path: Path) -> None:
    """The line is named; nothing is written."""
    path = tmp_path / "kit.toml"
    path.write_text("[competition\n")
    with pytest.raises(InputInvalid, match=r"kit\.toml"):
        init.write_settings(Suggestion("s", "i", "t", "l", "", ("A", "B")), path)
    assert path.read_text() == "[competition\n"


@pytest.mark.parametrize(
    "slug", ["abc", "a-very-long-competition-slug-that-goes-on-and-on-for-ever", "x-2026"]
)
def test_the_metadata_template_round_trips(tmp_path: Path, slug: str) -> None:
    """Title and id agree for every preset, whatever the slug."""
    path = tmp_path / "kit.toml"
    init.write_settings(Suggestion(slug, "i", "t", "l", "", ("A", "B")), path)
    template = tmp_path / "kernel-metadata.json"
    template.write_text((ROOT / "kernel-metadata.json").read_text())
    init.write_metadata(config.resolve("t4x2", kit_toml=path), template)
    told = json.loads(template.read_text())
    assert told["competition_sources"] == [slug]
    assert told["code_file"] == "build/t4x2/kernel.py"
    assert told["id"] == f"your-username/{slugify(told['title'])}"
    for preset in ("reference", "smoke", "t4x2"):
        assert metadata.slug(config.resolve(preset, kit_toml=path)).endswith(preset)
