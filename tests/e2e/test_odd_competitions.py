"""Competitions of other files than the sample's go from init to a scored submission, mended by nobody."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tomllib
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from loop_project import ROOT, SLUG, Project, Said

from kit.fetch import tiny_model
from kit.fetch.inputs import TINY
from local_kaggle import server
from local_kaggle.profile import Settings

pytestmark = [pytest.mark.slow, pytest.mark.train, pytest.mark.timeout(600)]

TOKEN = "rehearsal"
GOOD, BAD = 'a good and kind day, said "she"', "such a poor film; a loss, I say"


@dataclass(frozen=True)
class Odd:
    """A competition's files as a host may write them, and what must come of them."""

    train: bytes
    test: bytes
    sample: tuple[str, bytes]
    solution: Sequence[tuple[str, ...]]
    """Header first, as the submission must be."""
    left: dict[str, dict[str, int]]
    """Of run.json: rows left out or odd, by file and reason."""
    decide: str = ""
    """What init asks to write into kit.toml."""
    metric: str = "macro_f1"
    settings: tuple[tuple[str, object], ...] = ()
    """What init must find of it, as kit.toml has it."""


def written(rows: Sequence[Sequence[str]], encoding: str = "utf-8", **form: object) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", **form).writerows(rows)  # type: ignore[arg-type]
    return text.getvalue().encode(encoding)


def pairs(first: str, second: str, count: int = 12) -> list[list[str]]:
    """Return rows of a sentence and its label, both labels alike often."""
    return [[f"{text} {at}", label] for at in range(count) for text, label in ((GOOD, first), (BAD, second))]


def imperfect() -> Odd:
    """Three labels; cp1252, semicolons, backslash quotes; no train ids; blank, huge rows; a zipped sample."""
    train = [
        ["Phrase", "Mood"],
        *pairs("Tr\u00e8s bien", "Mixed feelings"),
        *([f"{GOOD} or {BAD} {at}", "So so"] for at in range(10)),
        ["  ", "Tr\u00e8s bien"],
        ["x", ""],
    ]
    train += [["caf\u00e9", "Tr\u00e8s bien "], [BAD, "Mixed_feelings"]]
    test = [["PhraseId", "Phrase"], ["7", GOOD], ["8", " "], ["9", "word " * 30_000], ["10", BAD]]
    packed = io.BytesIO()
    solution = [("PhraseId", "Sentiment"), *((row[0], "Mixed feelings") for row in test[1:])]
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("sampleSubmission.csv", written(solution).decode())
    form = {"delimiter": ";", "doublequote": False, "escapechar": "\\", "quoting": csv.QUOTE_ALL}
    return Odd(
        written(train, "cp1252", **form),
        written(test, "cp1252", **form),
        ("sampleSubmission.csv.zip", packed.getvalue()),
        solution,
        {
            "train": {"no label": 1, "blank text": 1, "label in another spelling": 2},
            "test": {"blank text": 1},
        },
    )


def without_ids() -> Odd:
    """Eight topics, UTF-16 with tabs, no ids, labels as floats; the sample is known by its rows."""
    train = [["review", "score"], *([f"{GOOD} {at % 8} {at}", f"{at % 8}.0"] for at in range(64))]
    solution = [("Predicted", "Row"), ("1", "1"), ("0", "2"), ("1", "3")]
    return Odd(
        written(train, "utf-16", delimiter="\t"),
        written([["review"], [GOOD], [BAD], [GOOD]], "utf-16", delimiter="\t"),
        ("gender.csv", written(solution)),
        solution,
        {"train": {"label in another spelling": 64}},
    )


def pair() -> Odd:
    """Which of two answers to a prompt is better: three texts, three probabilities, log loss."""
    rows = [["id", "prompt", "answer_a", "answer_b", "winner"]]
    rows += [
        [f"t{at}", f"is it so, number {at}", *((GOOD, BAD) if at % 3 else (BAD, GOOD)), "bat"[at % 3]]
        for at in range(36)
    ]
    header = ("id", "winner_b", "winner_a", "winner_t")
    return Odd(
        written(rows),
        written([rows[0][:4], *(["q" + row[0], *row[1:4]] for row in rows[1:4])]),
        ("sample_submission.csv", written([header, *((f"qt{at}", "0.3", "0.3", "0.4") for at in range(3))])),
        [header, ("qt0", "1", "0", "0"), ("qt1", "0", "1", "0"), ("qt2", "0", "0", "1")],
        {},
        metric="log_loss",
        settings=(
            *(("text", ["prompt", "answer_a", "answer_b"]), ("metric", "log_loss")),
            *(
                ("submission", "probabilities"),
                ("submission_values", {"a": "winner_a", "b": "winner_b", "t": "winner_t"}),
            ),
        ),
    )


def ranking() -> Odd:
    """The three likeliest of five topics in one field."""
    topics = ("sport", "law", "art", "sea", "sport_law")
    rows = [["id", "text", "topic"], *([f"t{at}", f"{GOOD} {at}", topics[at % 5]] for at in range(50))]
    solution = [("id", "topic"), ("q1", "law"), ("q2", "art")]
    return Odd(
        written(rows),
        written([rows[0][:2], ["q1", GOOD], ["q2", BAD]]),
        ("sample_submission.csv", written([solution[0], ("q1", "sport law art"), ("q2", "sport law art")])),
        solution,
        {},
        metric="map@3",
        settings=(("submission", "ranking"), ("metric", "map@3")),
    )


def undecided() -> Odd:
    """Two texts, both taken; two targets, asked about; the sample wants 1 and 0 for Yes and No."""
    rows = [["Id", "premise", "hypothesis", "entails", "rude"]]
    rows += [
        [f"t{at}", text, text[::-1], label, label] for at, (text, label) in enumerate(pairs("Yes", "No"))
    ]
    solution = [("Id", "Target"), ("q1", "1"), ("q2", "0")]
    decide = 'label = "entails"\nsubmission_values = { Yes = "1", No = "0" }\n'
    return Odd(
        written(rows),
        written([rows[0][:3], ["q1", GOOD, GOOD], ["q2", BAD, BAD]]),
        ("SampleSubmission.csv", written(solution)),
        solution,
        {},
        decide,
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A checkout with the kernel and the tiny model of this one, and no data."""
    (tmp_path / "nothing").mkdir()
    made = Project(tmp_path / "project", tmp_path / "nothing")
    for name in ("kernel", "kit.toml"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(
            ROOT / name, made.root / name, **({"dirs_exist_ok": True} if name == "kernel" else {})
        )
    tiny_model.make(made.root / "models" / TINY)
    return made


@pytest.mark.parametrize(
    "make", [imperfect, without_ids, undecided, pair, ranking], ids=lambda make: make.__name__
)
def test_an_odd_competition_is_scored(tmp_path: Path, project: Project, make: Callable[[], Odd]) -> None:
    """init, doctor, all, submit: every test row has an answer under the sample's header, and a score."""
    odd = make()
    folder = tmp_path / "competition"
    folder.mkdir()
    for name, data in (("train.csv", odd.train), ("test.csv", odd.test), odd.sample):
        (folder / name).write_bytes(data)
    (folder / "solution.csv").write_bytes(written(odd.solution))
    child_env, models = {"KIT_INPUT_DIR": "{input}", "KIT_WORKING_DIR": "{working}"}, project.root / "models"
    given = {"competition": folder, "metric": odd.metric, "models": models, "child_env": child_env}
    settings = Settings(slug=SLUG, token=TOKEN, **given)
    with server.start(tmp_path / "kaggle", settings) as kaggle:
        environment = project.environment(kaggle.url, quick=False, KAGGLE_API_TOKEN=TOKEN)

        def verb(name: str, *options: str) -> Said:
            with project.start(name, *options, **environment) as process:
                out, err = process.communicate(timeout=300)
            return Said(process.returncode, out, err)

        first = verb("init", "--competition", f"https://www.kaggle.com/competitions/{SLUG}/data")
        if odd.decide:
            assert (first.status, "could be the label" in first.err) == (1, True), first
            path = project.root / "kit.toml"
            path.write_text(f'[competition]\nslug = "{SLUG}"\n{odd.decide}labels = ["Yes", "No"]\n')
            first = verb("init", "--competition", SLUG)
        assert first.status == 0, first
        found = tomllib.loads((project.root / "kit.toml").read_text())["competition"]
        assert {**found, **dict(odd.settings)} == found
        looked = verb("doctor", "--preset", "tiny")
        assert "pass  data" in looked.out or "warn  data" in looked.out, looked
        ran = verb("all", "--preset", "tiny", "--set", "train.epochs=1")
        assert ran.status == 0, ran
        assert ": valid, " in ran.out
        assert "scored" in verb("submit").out
    run = project.runs / "latest"
    record = json.loads((run / "run.json").read_text())
    assert {name: {**left["out"], **left["odd"]} for name, left in record["left"].items()} == odd.left
    answers = list(csv.reader((run / "submission.csv").open(encoding="utf-8", newline="")))
    at = 1 if odd.solution[0][0] == "Predicted" else 0
    assert tuple(answers[0]) == odd.solution[0]
    assert [row[at] for row in answers] == [row[at] for row in odd.solution]
    assert tomllib.loads((project.root / "kit.toml").read_text())["competition"]["slug"] == SLUG
