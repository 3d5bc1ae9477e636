"""The settings of a new competition are read from its files, and nothing else in kit.toml is touched."""

import tomllib
from pathlib import Path

import pytest

from kit import config
from kit.errors import InputInvalid, SettingInvalid
from kit.remote.joining import init
from kit.remote.joining.init import Suggestion

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "src" / "local_kaggle" / "competition"


def suggest(folder: Path, train: str, test: str, sample: str = "", **decided: object) -> Suggestion:
    """Write a competition's files and return what they suggest."""
    for name, text in (("train.csv", train), ("test.csv", test), ("sample_submission.csv", sample)):
        if text:
            (folder / name).write_text(text, encoding="utf-8")
    return init.suggest(folder, "s", decided)


def settings_of(found: Suggestion) -> tuple[object, ...]:
    return tuple(found.settings[name] for name in ("id", "text", "label", "language", "labels"))


def rows(header: str, *lines: str, times: int = 1) -> str:
    """Repeat lines under a header; {n} is the row's number."""
    filled = [line.replace("{n}", str(n)) for n in range(times) for line in lines]
    return "\n".join([header, *filled]) + "\n"


def test_the_sample_competition_is_read_as_kit_toml_has_it() -> None:
    """What ships in kit.toml is what its files show."""
    ours = tomllib.loads((ROOT / "kit.toml").read_text())["competition"]
    found = init.suggest(SAMPLE, "sample-sentiment")
    *columns, labels = settings_of(found)
    assert columns == [ours["id"], ours["text"], ours["label"], ours["language"]]
    assert {*labels} == {*ours["labels"]}  # type: ignore[misc]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("", "id,text\n1,x\n", r"train\.csv is missing"),
        ("id,text,label\n", "id,text\n1,x\n", r"train\.csv holds no rows"),
        ("<html>", "id,text\n1,x\n", "is not a csv but an HTML"),
        ("id,text\n1,x\n", "id,text\n1,x\n", "has every column of train.csv"),
        ("id,text,label\n1,x,A\n2,y,A\n", "id,text\n1,x\n", "column 'label'.* has 1 values"),
        (rows("id,text,label", "{n},x,{n}", times=60), "id,text\n1,x\n", "'label'.* has 60 values"),
        ("id,label\n1,A\n2,B\n", "id\n1\n", "no column is left for the text"),
        (
            rows("id,Text,label", "{n},a {n},A", "x{n},b {n},B", times=60),
            "id,TEXT\n1,x\n",
            "'Text' is only in train.csv; 'TEXT' is only in test.csv",
        ),
        ("id,text,label\n1,x,yes\n2,y,Yes\n", "id,text\n1,x\n", "column 'label' has one label, 'Yes'"),
        ("id,text,grade\n1,x,0.25\n2,y,0.75\n", "id,text\n1,x\n", "fractions such as '0.25'"),
        (
            "id,text,toxic,rude\n1,x,0,1\n2,y,1,0\n",
            "id,text\n1,x\n",
            r"could be the label: 'toxic' or 'rude' \(try: kit.toml, \[competition\]: slug = 's', lab",
        ),
        (
            "id,keyword,place,label\n1,fire,Rome,A\n2,fire,Oslo,B\n",
            "id,keyword,place\n1,flood,Rome\n",
            "could be the text: 'keyword' or 'place'",
        ),
    ],
)
def test_files_that_show_no_competition_of_this_kind_are_refused(
    tmp_path: Path, train: str, test: str, message: str
) -> None:
    """In one line, naming the file or the column."""
    with pytest.raises(InputInvalid, match=message):
        suggest(tmp_path, train, test)


def test_a_setting_by_which_files_are_read_is_refused_by_its_name(tmp_path: Path) -> None:
    """A look sends the user to it, so a slip of the pen there is one line."""
    with pytest.raises(SettingInvalid, match=r"kit\.toml: competition\.encoding = 'utf8-x': Python knows no"):
        suggest(tmp_path, "id,text,label\n1,é,A\n2,y,B\n", "id,text\n1,x\n", encoding="utf8-x")


CASES: list[tuple[object, ...]] = [
    (
        "three labels",
        rows("review_id,body,stars,mood", "a{n},x,5,happy", "b{n},y,1,sad", "c{n},z,3,flat", times=4),
        rows("review_id,body,stars", "x{n},what a long text,2", times=4),
        rows("review_id,mood", "x{n},flat", times=4),
        ("review_id", "body", "mood", "", ("flat", "happy", "sad")), "",
    ),
    (
        "no sample",
        rows("label,text,id,locale", "1,some words,{n},en", "0,other,{n}x,de", "1,more,{n}y,en", times=3),
        rows("text,id,locale", "some words,{n},de", times=3), "",
        ("id", "text", "label", "locale", ("0", "1")), "",
    ),
    (
        "language by its values", rows("key,tweet,iso,target", "{n},hello,hi,A", "1{n},hullo,ta,B", times=4),
        rows("key,tweet,iso", "{n},hey there,hi", times=4), rows("key,target", "{n},A", times=4),
        ("key", "tweet", "target", "iso", ("A", "B")), "",
    ),
    (
        "the only column with few values",
        rows("id,text,label,target_noise", "{n},hello,A,{n}", "x{n},hullo,B,{n}z", times=40),
        rows("id,text", "{n},hey there", times=4), "", ("id", "text", "label", "", ("A", "B")), "",
    ),
    (
        "doubled ids", "id,text,label\n1,a b,A\n2,c d,B\n", "id,text\n3,e f\n3,e g\n", "",
        ("id", "text", "label", "", ("A", "B")), "1 ids of test.csv come twice",
    ),
    (
        "no ids", "text,label\na b,A\nc d,B\n", "text\nd e\nd e\n", "",
        ("", "text", "label", "", ("A", "B")), "no column names the rows",
    ),
    (
        "an unnamed id", ",text,label\n0,a b,A\n1,c d,B\n", ",text\n2,d e\n3,e f\n", "",
        ("Unnamed: 0", "text", "label", "", ("A", "B")), "no sample submission is there",
    ),
    (
        "ids by the sample alone", "x,key,text,label\n7,1,a b,A\n8,2,c d,B\n", "x,key,text\n5,3,d\n6,4,e\n",
        "Row,Predicted\n3,A\n4,A\n", ("key", "text", "label", "", ("A", "B")), "(Row,Predicted)",
    ),
    (
        "yes and no", "id,text,reply,label\n1,a b,yes,A\n2,c d,no,B\n", "id,text,reply\n3,e f,yes\n", "",
        ("id", "text", "label", "", ("A", "B")), "not asked: 'reply'",
    ),
    (
        "nearly equal labels",
        "id,text,label\n1,a b,Mixed feelings\n2,c,Mixed_feelings\n3,e,Ne\u0301 \n4,f,\n",
        "id,text\n5,e f\n", "", ("id", "text", "label", "", ("Mixed feelings", "Ne\u0301")),
        "'Mixed feelings' and 'Mixed_feelings' are read as",
    ),
    (
        "the sample's spelling", "id,text,label\n1,a b,Positive \n2,c d,negative\n",
        "id,text\n5,e f\n", "id,label\n5,Negative\n", ("id", "text", "label", "", ("Negative", "Positive")),
        "'negative' is read as 'Negative'",
    ),
    (
        "floats in train", "id,text,label\n1,a b,1.0\n2,c d,0.0\n", "id,text\n5,e f\n",
        "id,label\n5,0\n", ("id", "text", "label", "", ("0", "1")), "'1.0' is read as '1'",
    ),
    (
        "numbers in the sample", "id,text,label\n1,a b,Good\n2,c d,Bad\n", "id,text\n5,e f\n",
        "id,label\n5,1\n", ("id", "text", "label", "", ("Bad", "Good")), "submission_values = {",
    ),
    (
        "a probability by its label's name", "id,text,label\n1,a b,ham\n2,c d,spam\n", "id,text\n5,e f\n",
        "id,Spam\n5,0.5\n", ("id", "text", "label", "", ("ham", "spam")), "a row of it is probability",
    ),
    (
        "one long text", f"id,title,text,label\n1,a b,{'long ' * 30},A\n2,c d,{'so ' * 30},B\n",
        f"id,title,text\n3,a b,{'text ' * 30}\n", "", ("id", "text", "label", "", ("A", "B")), "'title'",
    ),
    (
        "two texts", "id,premise,hypothesis,label\n1,it is a day,it is so,A\n2,so it is now,it is,B\n",
        "id,premise,hypothesis\n1,it is,it was\n", "",
        ("id", ("premise", "hypothesis"), "label", "", ("A", "B")), "no sample",
    ),
    (
        "blank rows", "id,text,label\n1,a b,A\n2,,B\n3,c d,B\n", "id,text\n4, \n5,e f\n", "",
        ("id", "text", "label", "", ("B", "A")), "1 rows of test.csv have a blank text; they are asked",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("train", "test", "sample", "expected", "note"), [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)  # fmt: skip
def test_columns_and_labels_are_found_and_what_is_odd_is_named(
    tmp_path: Path, train: str, test: str, sample: str, expected: tuple[object, ...], note: str
) -> None:
    """Each choice is right or has a note that says what to write into kit.toml.

    The sample submission names id and label; without one, uniqueness and absence from the test do.
    """
    found = suggest(tmp_path, train, test, sample)
    assert settings_of(found) == expected
    assert not note or any(note in line for line in found.notes), found.notes
    named = {"submission", "submission_values"} & found.settings.keys()
    told = {name: found.settings[name] for name in named}
    assert config.Competition(slug="s", labels=expected[-1], **told)


def test_a_sample_of_several_answers_is_refused(tmp_path: Path) -> None:
    """A run gives one label a row, so settings for one of three targets would be scored for nothing."""
    targets = "id,text,toxic,rude,sad\n1,a b,0,1,0\n2,c d,1,0,1\n"
    with pytest.raises(InputInvalid, match="wants 3 answers a row"):
        suggest(tmp_path, targets, "id,text\n3,x y\n", "id,toxic,rude,sad\n3,0.5,0.5,0.5\n")


def test_a_choice_is_made_in_kit_toml(tmp_path: Path) -> None:
    """What kit.toml says of this competition decides between columns; of another it says nothing."""
    train = "id,text,toxic,rude\n1,a b,0,1\n2,c d,1,0\n"
    path = tmp_path / "kit.toml"
    path.write_text('[competition]\nslug = "s"\nlabel = "rude"\n')
    found = suggest(tmp_path, train, "id,text\n3,x\n", **init.decided(path, "s"))
    assert found.settings["label"] == "rude"
    assert init.decided(path, "t") == {}


def test_the_form_of_the_files_is_written_down(tmp_path: Path) -> None:
    """Encoding and delimiter are found and stand in kit.toml; files that differ are refused."""
    for name, text in (("train", "id;text;label\n1;caf\u00e9;A\n2;b;B\n"), ("test", "id;text\n3;ol\u00e9\n")):
        (tmp_path / f"{name}.csv").write_bytes(text.encode("cp1252"))
    path = tmp_path / "kit.toml"
    found = init.suggest(tmp_path, "s")
    init.write_settings(found, path)
    resolved = config.resolve("tiny", kit_toml=path).competition
    assert (resolved.encoding, resolved.delimiter) == ("cp1252", ";")
    (tmp_path / "test.csv").write_bytes("id,text\n3,ol\u00e9\n".encode("utf-16"))
    with pytest.raises(InputInvalid, match=r"differ in their encoding: train\.csv 'cp1252', test\.csv 'utf"):
        init.suggest(tmp_path, "s")


def test_the_sample_is_read_in_the_encoding_that_kit_toml_names(tmp_path: Path) -> None:
    """As train and test are; the user's order of labels stays as well."""
    texts = {"train": "id,text,\u043a\n1,\u0434,\u044f\n2,\u0430,\u044e\n", "test": "id,text\n3,\u0434\n"}
    for name, text in (texts | {"sample_submission": "id,\u043a\n3,\u044f\n"}).items():
        (tmp_path / f"{name}.csv").write_bytes(text.encode("cp1251"))
    found = init.suggest(
        tmp_path, "s", {"encoding": "cp1251", "labels": ["\u044f", "\u044e"], "metric": "qwk"}
    )
    assert found.notes[-1] == "qwk takes the labels in their order: labels"
    assert found.settings["labels"] == ("\u044f", "\u044e")
    assert found.choices["label"].why == "the sample submission has it"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_was_seen_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    """A row a column, with what it was taken for and why, on a terminal and elsewhere."""
    monkeypatch.setenv("COLUMNS", "200")
    init.show(init.suggest(SAMPLE, "s"), is_terminal=is_terminal)
    shown = capsys.readouterr().out
    line = next(line for line in shown.splitlines() if "sentence" in line)
    assert all(part in line for part in ("text", "yes", "it holds sentences"))
    assert "labels: " in shown
    assert "look: sample submission: sample_submission.csv (ID,label)" in shown


def test_a_sentence_may_hold_any_line_separator(tmp_path: Path) -> None:
    """A csv's rows end where csv says, not at every character that looks like a line end."""
    found = suggest(tmp_path, 'id,text,label\n1,"a\u2028b\x0bc\nd",A\n2,e,B\n', "id,text\n3,f\n4,g\n")
    assert found.settings["labels"] == ("A", "B")
