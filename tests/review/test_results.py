"""A run's folder is read whole, as text where it is text, and refused in one line where it is no run's."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_run import Answer, answers, dump, write

from kit import files
from kit.errors import InputInvalid
from kit.fetch.inputs import CORPUS, SAMPLE
from kit.review import record, results

TEST = [Answer("NA", 0.9), Answer("007", 0.2, language="")]


def test_every_file_of_a_run_is_read(tmp_path: Path) -> None:
    """Ids stay text, probabilities are numbers, the columns stand in one order, the log gives its events."""
    held_out = [Answer("b", 0.75, "Negative", fold="1")]
    folder = write(
        tmp_path / "s" / "v2", test=TEST, held_out=held_out, push={"version": 2}, timings={"train": 1}
    )
    (folder / "kernel.log").write_text(
        'a line\n{"event": "start", "seconds": 0}\n{"event": broken\n{"event": "end", "seconds": 9}'
    )
    dump(folder / "submission.json", public_score="0.5")
    run = results.read(folder)
    assert (run.name, run.competition.labels) == ("s/v2", ("Positive", "Negative"))
    assert run.held_out.figures == {}
    assert run.predictions["id"].tolist() == ["NA", "007"]
    shares = ["probability_Positive", "probability_Negative"]
    assert list(run.predictions) == ["id", "language", "label", "source", *shares, "completion"]
    assert list(run.oof) == ["id", "language", "fold", "label", "predicted", "source", *shares, "completion"]
    assert run.oof.iloc[0].tolist() == ["b", "hi", "1", "Negative", "Positive", "score", 0.75, 0.25, ""]
    assert [event["event"] for event in record.events(folder / "kernel.log")] == ["start", "end"]
    assert run.submission.public_score == 0.5
    assert run.run.timings == {"train": 1.0}


def test_what_a_run_may_lack_is_empty(tmp_path: Path) -> None:
    """A dry run has no push.json and no log, and a run that held nothing out no oof.csv."""
    run = results.read(write(tmp_path / "dry-run-tiny"))
    assert (run.name, len(run.predictions), len(run.oof)) == ("dry-run-tiny", 0, 0)
    assert (run.push, run.submission.public_score) == (None, None)


def test_an_older_table_lacks_columns(tmp_path: Path) -> None:
    """Language, fold, source and completion are empty where a file has none of them."""
    folder = write(tmp_path / "run")
    (folder / "oof.csv").write_text(
        "id,label,predicted,probability_Negative,probability_Positive\nx,Positive,Negative,0.75,0.25\n"
    )
    oof = results.read(folder).oof
    assert oof.iloc[0].tolist() == ["x", "", "", "Positive", "Negative", "", 0.25, 0.75, ""]
    assert results.probabilities(oof, ("Positive", "Negative")) is not None


def test_a_latest_link_has_the_name_of_its_run(tmp_path: Path) -> None:
    """A run is named by its own folder, not by the way to it."""
    write(tmp_path / "s" / "v2", push={"version": 2})
    (tmp_path / "latest").symlink_to(tmp_path / "s" / "v2")
    assert results.read(tmp_path / "latest").name == "s/v2"


ROW = "id,label,probability_Positive,probability_Negative\nx,Positive,"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("run.json", None, "run.json is missing"),
        ("metrics.json", None, "metrics.json is missing"),
        ("run.json", "<html>", "run.json cannot be read"),
        ("run.json", "[" * 100_000, "run.json cannot be read"),
        ("metrics.json", '{"schema": ' + "9" * 5000 + "}", "metrics.json cannot be read"),
        ("run.json", "[1]", "run.json: not an object but list"),
        ("run.json", '{"schema": 1}', "run.json: no config of a run"),
        ("run.json", '{"schema": 2}', "run.json: schema 2, and this kit reads 1"),
        ("metrics.json", '{"held_out": null}', "metrics.json: schema None, and this kit reads 1"),
        ("predictions.csv", "id,label\n", "no column 'probability_Positive'"),
        ("predictions.csv", ROW.partition("\n")[0], "a header and no rows"),
        ("predictions.csv", ROW + "1", "predictions.csv:2: 3 fields under a header of 4"),
        ("predictions.csv", ROW + "1,0\nx,Positive,1,0", ".csv:3: id is 'x', and stands there twice"),
        ("predictions.csv", ROW + "1,nan", "predictions.csv:2: probability_Negative is 'nan'"),
        ("predictions.csv", ROW + "2,-1", "predictions.csv:2: probability_Positive is '2'"),
        ("predictions.csv", ROW + "1,", "probability_Negative is '', no probability"),
        ("predictions.csv", ROW.replace("x,P", "x,p") + "1,0", "label is 'positive', not one of"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_no_run_writes_is_refused(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    """File, line and value are named, and there is a next command."""
    folder = write(tmp_path / "run", test=TEST)
    (folder / name).unlink() if text is None else (folder / name).write_text(text)
    with pytest.raises(InputInvalid, match=message.replace("'", ".")) as refused:
        _ = results.read(folder).predictions
    assert refused.value.hint


def test_a_value_of_the_wrong_kind_counts_as_absent(tmp_path: Path) -> None:
    """Numbers beyond a float, NaN, texts and lists in the place of figures, a matrix that is none."""
    judged = {"rows": 10**400, "accuracy": float("nan"), "macro_f1": 0.5, "log_loss": "1"}
    judged |= {"confusion": [[1], [2, 3]], "per_language": {"hi": 4}, "reliability": [1, {"rows": "x"}]}
    judged["intervals"] = {"macro_f1": [0, 10**400], "accuracy": [0.1, 0.2], "brier": 3}
    folder = write(
        tmp_path / "run",
        judged=judged,
        timings={"train": 1e999, "load": None, "install": 3},
        members=[5, {"name": 5, "slot": "x", "timings": []}],
        cards="T4",
        failed=["seed-1"],
        submission={"id": 5, "label": "x"},
    )
    run = results.read(folder)
    assert run.held_out.figures == {"macro_f1": 0.5}
    assert (run.held_out.rows, run.held_out.confusion) == (0, ())
    assert run.held_out.intervals == {"accuracy": (0.1, 0.2)}
    assert run.run.timings == {"install": 3.0}
    assert (run.run.cards, run.run.failed, len(run.run.members)) == ((), {}, 1)
    assert run.run.submission is None


def test_a_run_that_failed_says_so(tmp_path: Path) -> None:
    """It left no metrics.json: the refusal says how it ended, and whoever can do without may read it."""
    folder = write(tmp_path / "run", ended="failed: the loss is nan\nat step 3")
    (folder / "metrics.json").unlink()
    with pytest.raises(InputInvalid, match=r"is missing; the run failed: the loss is nan at step 3"):
        results.read(folder)
    assert results.read(folder, whole=False).held_out.figures == {}


def test_runs_of_other_data_are_not_joined(tmp_path: Path) -> None:
    """Another truth for the same id, and other labels, are refused by name."""
    first = results.read(write(tmp_path / "a", held_out=answers([0.1, 0.1], "PP")))
    other = results.read(write(tmp_path / "b", held_out=answers([0.1, 0.1], "PN")))
    with pytest.raises(InputInvalid, match="the truth of row 'r1' is 'Positive' in a and 'Negative' in b"):
        results.shared_held_out([first, other])
    third = results.read(write(tmp_path / "c", labels=("Good", "Bad")))
    with pytest.raises(InputInvalid, match=r"b has the labels .* c \('Good', 'Bad'\)"):
        results.shared_held_out([other, third])


def test_the_data_of_a_run_is_found_by_its_hash(tmp_path: Path) -> None:
    """Not by its name: two competitions of one name may lie on a machine. The rows are those of the run."""
    settings = {"data": {"train_rows": 40}}
    sha256 = files.sha256_of(SAMPLE / "test.csv")
    run = results.read(write(tmp_path / "a", settings=settings, test_sha256=sha256))
    assert results.data_folder(sha256, [tmp_path, CORPUS, SAMPLE]) == SAMPLE
    assert results.data_folder(sha256, [tmp_path]) is None
    assert results.data_folder("", [SAMPLE]) is None
    assert len(results.training_rows(run, SAMPLE)) == 40
