"""Write the folder of a run: `write` from answers that a test spells out, `make` whole, as a run leaves it.

What `make` answers is drawn, not predicted: truth gets more of it than chance, least in a few languages.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import pandas

from kit import config, files
from kit.fetch.inputs import SAMPLE
from kit.review import results
from kit.task import rows

HARD = {"bd": 0.35, "as": 0.6, "or": 0.7, "ur": 0.8}
"""Languages that the made-up model reads badly, with how well it does."""
GIB = 2**30
Told = dict[str, Any]
"""What a JSON file says, for a test to alter."""
LABELS = ("Positive", "Negative")
OOF = ["id", "language", "fold", "label", "predicted", "source"]
PUSH = {
    "version": 3,
    "url": "https://www.kaggle.com/code/someone/sample-sentiment-t4x2",
    "slug": "sample-sentiment-t4x2",
    "owner": "someone",
    "bundle_hash": "b" * 64,
    "sha256": "a" * 64,
    "commit": "c" * 40,
    "dirty": True,
    "pushed_at": "2026-11-23T14:29:11+00:00",
}


class Answer(NamedTuple):
    """One row: the probability of the first of two labels, and for a held-out row its truth."""

    id: str
    share: float
    truth: str = ""
    fold: str = ""
    language: str = "hi"
    source: str = "score"


def answers(
    shares: Sequence[float], truth: str = "", *, start: int = 0, source: str = "score"
) -> list[Answer]:
    """Return rows `r0`, `r1`, … ; `truth` has one letter a row, P or N."""
    names = {"P": "Positive", "N": "Negative"}
    return [
        Answer(f"r{start + at}", share, names[truth[at]] if truth else "", source=source)
        for at, share in enumerate(shares)
    ]


def write(
    folder: Path,
    *,
    test: Sequence[Answer] = (),
    held_out: Sequence[Answer] | None = None,
    labels: Sequence[str] = LABELS,
    settings: dict[str, Any] | None = None,
    push: dict[str, Any] | None = None,
    judged: dict[str, Any] | None = None,
    **record: Any,
) -> Path:
    """Write run.json, metrics.json and the tables of the answers; `record` adds to run.json."""
    folder.mkdir(parents=True)
    competition = {
        "slug": "reviews", "id": "ID", "text": "sentence", "label": "label", "language": "language",
        "labels": list(labels),
    }  # fmt: skip
    config = {"preset": "tiny", "seed": 42, "competition": competition, "evaluate": {"mode": "holdout"}}
    config |= settings or {}
    told = {"bundle_hash": "b" * 64, "cards": [], "ended": "complete"} | record
    dump(folder / "run.json", config=config, **told)
    dump(folder / "metrics.json", metric="macro_f1", held_out=judged, history={})
    if push is not None:
        dump(folder / "push.json", config=config, **push)
    for name, given in (("predictions", test), ("oof", held_out or ())):
        if given:
            likeliest = [labels[0] if row.share >= 0.5 else labels[1] for row in given]
            table = pandas.DataFrame([row._asdict() for row in given]).assign(predicted=likeliest)
            table["label"] = table["truth" if name == "oof" else "predicted"]
            shares = numpy.array([[row.share, 1 - row.share] for row in given])
            _write_table(folder / f"{name}.csv", table, shares, labels)
    return folder


def run(folder: Path, **told: Any) -> results.Results:
    """Return what is read of a run that `write` wrote."""
    return results.read(write(folder, **told))


def dump(path: Path, **values: object) -> None:
    """Write one of a run's JSON files."""
    path.write_text(json.dumps({"schema": 1, **values}, ensure_ascii=False), encoding="utf-8")


def data(folder: Path, *, count: int = 0, third: str = "", language: bool = True, ending: str = "") -> Path:
    """Write train.csv and test.csv of the sample; `count` training rows, a `third` label, no language.

    Every sentence gets the `ending`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("train.csv", "test.csv"):
        found = pandas.read_csv(SAMPLE / name, dtype=str, keep_default_na=False)
        if count and name == "train.csv":
            found = found.iloc[[at % len(found) for at in range(count)]].reset_index(drop=True)
        found["ID"] = [f"{name[:2]}{at:05d}" for at in range(len(found))]
        found["sentence"] += ending
        if third and "label" in found:
            found.loc[::4, "label"] = third
        if not language:
            found = found.drop(columns="language")
        found.to_csv(folder / name, index=False, lineterminator="\n")
    return folder


def make(
    folder: Path,
    data: Path,
    *,
    labels: Sequence[str] = LABELS,
    language: bool = True,
    members: Sequence[str] = ("seed-42", "seed-43"),
    cards: int = 2,
    mode: str = "score",
    evaluate: str = "holdout",
    steps: int = 120,
    seed: int = 0,
) -> Path:
    """Write run.json, metrics.json, predictions.csv, oof.csv, push.json and the log of a complete run."""
    folder.mkdir(parents=True)
    draw = numpy.random.default_rng(seed)
    changed = ["train.learning_rate=0.0001", "lora.r=32", f"evaluate.mode={evaluate}", f"predict.mode={mode}"]
    settings = config.resolve("t4x2", changed).model_dump(mode="json")
    settings["competition"] |= {"labels": list(labels), "language": "language" if language else ""}
    competition = config.Competition.model_validate(settings["competition"])
    train, _ = rows.read(data / "train.csv", competition, labelled=True)
    test, _ = rows.read(data / "test.csv", competition, labelled=False)
    held_out = rows.split(train, 0.1, 42)[1].assign(fold="")
    if evaluate == "folds":
        held_out = train.assign(fold=[str(at % len(members)) for at in range(len(train))])
    test = test.assign(truth=draw.choice(list(labels), len(test)))
    if evaluate != "none":
        _answer(folder / "oof.csv", held_out.assign(truth=held_out["label"]), labels, mode, draw)
    _answer(folder / "predictions.csv", test, labels, mode, draw)
    histories = {name: _history(steps, draw) for name in members}
    timings = {
        "install": 64.0,
        "download": 48.5,
        "import": 14.2,
        "load": 61.0,
        "train": 1180.0,
        "predict": 31.0,
    }
    dump(
        folder / "run.json",
        bundle_hash="b" * 64,
        config=settings,
        timings=timings,
        ended="complete",
        cards=[{"name": "Tesla T4", "memory": 15636037632, "capability": [7, 5]}] * cards,
        precision={"dtype": "float16", "reason": "Tesla T4 has no bfloat16 units"},
        test_sha256=files.sha256_of(data / "test.csv"),
        train_rows={"all": len(train), "fit": len(train) - len(held_out), "held_out": len(held_out)},
        share_of_train_seen=0.9,
        versions={"python": "3.13.15", "torch": "2.11.0+cu128", "unsloth": "2026.10.7"},
        loader="unsloth",
        members=[_member(name, at, max(1, cards), timings) for at, name in enumerate(members)],
    )
    dump(folder / "push.json", config=settings, **PUSH)
    oof = results.read(folder, whole=False).oof
    judged = results.judge(oof, labels) if len(oof) else None
    dump(folder / "metrics.json", metric="macro_f1", held_out=judged, history=histories)
    events = [
        {
            "event": "step",
            "seconds": at // max(1, cards) * 1210 + 75 + 9.5 * step["step"],
            "member": name,
            "memory_bytes": int((9 + at / 2 + 2 * math.tanh(step["step"] / 10)) * GIB),
            **step,
        }
        for at, (name, history) in enumerate(histories.items())
        for step in history
    ]
    (folder / "kernel.log").write_text(
        "".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8"
    )
    return folder


def _answer(path: Path, asked: pandas.DataFrame, labels: Sequence[str], mode: str, draw: Any) -> None:
    table = asked.assign(source="score", completion="")
    if "language" not in table:
        table["language"] = ""
    logits = draw.normal(0, 1.1, (len(table), len(labels)))
    truth = numpy.array([label == numpy.array(labels) for label in table["truth"]])
    logits += truth * 2.2 * table["language"].map(HARD).fillna(1.0).to_numpy()[:, None]
    shares = numpy.exp(2 * logits) / numpy.exp(2 * logits).sum(axis=1, keepdims=True)
    table["predicted"] = [labels[at] for at in shares.argmax(axis=1)]
    if mode == "generate":
        unclear = draw.random(len(table)) < 0.1
        texts = ["", 'it depends, "well"', f"{labels[0]} and {labels[1]}"]
        table["source"] = numpy.where(unclear, "score", "parse")
        table["completion"] = numpy.where(unclear, draw.choice(texts, len(table)), " " + table["predicted"])
        shares[~unclear] = numpy.eye(len(labels))[shares.argmax(axis=1)][~unclear]
    if path.name == "predictions.csv":
        table["label"] = table["predicted"]
    _write_table(path, table, shares, labels)


def _write_table(path: Path, table: pandas.DataFrame, shares: numpy.ndarray, labels: Sequence[str]) -> None:
    names = OOF if path.name == "oof.csv" else [name for name in OOF if name not in ("fold", "predicted")]
    columns = {f"probability_{label}": shares[:, at] for at, label in enumerate(labels)}
    told = table[names].assign(**columns, completion=table.get("completion", ""))
    told.to_csv(path, index=False, float_format="%.6f", lineterminator="\n")


def _history(steps: int, draw: Any) -> list[dict[str, float]]:
    return [
        {
            "step": step,
            "loss": float(0.12 + 2.4 * math.exp(-step / 9) + abs(draw.normal(0, 0.05))),
            "learning_rate": 1e-4 * min(1, (step - 1) / 5) * (1 - max(0, step - 5) / steps),
        }
        for step in range(1, steps + 1)
    ]


def _member(name: str, at: int, slots: int, timings: dict[str, float]) -> dict[str, Any]:
    own = {stage: timings[stage] for stage in ("import", "load", "train", "predict")}
    return {
        "name": name,
        "slot": at % slots,
        "train_tokens": 61_440,
        "bins": 30,
        "peak_memory_bytes": int((11 + at) * GIB),
        "notes": [],
        "timings": {**own, "train": 1180.0 + 25 * at, **({} if at < slots else {"import": 0.0, "load": 0.0})},
    }
