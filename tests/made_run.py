"""Make the folder of a run as the pipeline leaves it, from the sample competition, with seeded answers.

The probabilities are drawn, not predicted: truth gets more of them than chance, and least in a few languages.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import pandas

from kit import config, files
from kit.fetch.inputs import SAMPLE
from kit.task import metrics, rows

HARD = {"bd": 0.35, "as": 0.6, "or": 0.7, "ur": 0.8}
"""Languages that the made-up model reads badly, with how well it does."""
GIB = 2**30


PUSH = {
    "schema": 1,
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


def data(folder: Path, *, count: int = 0, third: str = "", language: bool = True, ending: str = "") -> Path:
    """Write train.csv and test.csv of the sample; `count` training rows, a `third` label, no language.

    Every sentence gets the `ending`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("train.csv", "test.csv"):
        found = list(csv.DictReader((SAMPLE / name).open(encoding="utf-8", newline="")))
        wanted = count if count and name == "train.csv" else len(found)
        found = [{**found[at % len(found)], "ID": f"{name[:2]}{at:05d}"} for at in range(wanted)]
        for at, row in enumerate(found):
            row["sentence"] += ending
            if third and "label" in row and at % 4 == 0:
                row["label"] = third
            if not language:
                del row["language"]
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(found[0]))
            writer.writeheader()
            writer.writerows(found)
    return folder


def make(
    folder: Path,
    data: Path,
    *,
    labels: Sequence[str] = ("Positive", "Negative"),
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
    settings = _settings(labels, language, mode, evaluate)
    competition = config.Competition.model_validate(settings["competition"])
    train, _ = rows.read(data / "train.csv", competition, labelled=True)
    test, _ = rows.read(data / "test.csv", competition, labelled=False)
    held_out = _held_out(train, evaluate, len(members))
    oof = _answers(held_out, held_out["label"].tolist(), labels, mode, draw, name="predicted")
    oof = oof.assign(fold=held_out["fold"].tolist(), label=held_out["label"].tolist())
    guesses = draw.choice(list(labels), len(test)).tolist()
    predictions = _answers(test, guesses, labels, mode, draw, name="label")
    is_judged = evaluate != "none"
    if is_judged:
        order = ["id", "language", "fold", "label", "predicted", "source"]
        _write(oof[[*order, *[f"probability_{label}" for label in labels], "completion"]], folder / "oof.csv")
    _write(predictions, folder / "predictions.csv")
    histories = {name: _history(steps, draw) for name in members}
    told = {
        "schema": 1,
        "metric": "macro_f1",
        "held_out": _judge(oof, labels, language) if is_judged else None,
        "test": {
            "rows": len(test),
            "labels": dict(Counter(predictions["label"])),
            "sources": dict(Counter(predictions["source"])),
        },
        "history": histories,
    }
    _dump(folder / "metrics.json", told)
    _dump(folder / "run.json", _record(settings, data, train, held_out, members, cards))
    _dump(folder / "push.json", {**PUSH, "config": settings})
    lines = [
        json.dumps(event)
        for at, (name, history) in enumerate(histories.items())
        for event in _events(name, history, before=at // max(1, cards) * 1210, gib=9 + at / 2)
    ]
    (folder / "kernel.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def _settings(labels: Sequence[str], language: bool, mode: str, evaluate: str) -> dict[str, Any]:
    settings = config.resolve("t4x2", ["train.learning_rate=0.0001", "lora.r=32"]).model_dump(mode="json")
    settings["competition"] |= {"labels": list(labels), "language": "language" if language else ""}
    settings["evaluate"]["mode"] = evaluate
    settings["predict"]["mode"] = mode
    return settings


def _held_out(train: pandas.DataFrame, evaluate: str, folds: int) -> pandas.DataFrame:
    if evaluate == "folds":
        return train.assign(fold=[str(at % folds) for at in range(len(train))])
    return rows.split(train, 0.1, 42)[1].assign(fold="")


def _answers(
    frame: pandas.DataFrame, truth: Sequence[str], labels: Sequence[str], mode: str, draw: Any, *, name: str
) -> pandas.DataFrame:
    codes = frame["language"].tolist() if "language" in frame else [""] * len(frame)
    told = []
    for code, true in zip(codes, truth, strict=True):
        logits = draw.normal(0, 1.1, len(labels))
        logits[list(labels).index(true)] += 2.2 * HARD.get(code, 1.0)
        share = numpy.exp(2 * logits) / numpy.exp(2 * logits).sum()
        told.append(share)
    shares = numpy.array(told)
    guessed = [labels[at] for at in shares.argmax(axis=1)]
    source, completion = ["score"] * len(frame), [""] * len(frame)
    if mode == "generate":
        for at, guess in enumerate(guessed):
            if draw.random() < 0.1:
                completion[at] = str(draw.choice(["", 'it depends, "well"', f"{labels[0]} and {labels[1]}"]))
            else:
                source[at], completion[at] = "parse", f" {guess}"
                shares[at] = [float(label == guess) for label in labels]
    table = pandas.DataFrame({"id": frame["id"].tolist(), "language": codes, name: guessed, "source": source})
    for at, label in enumerate(labels):
        table[f"probability_{label}"] = shares[:, at]
    return table.assign(completion=completion)


def _judge(oof: pandas.DataFrame, labels: Sequence[str], language: bool) -> dict[str, Any]:
    is_parsed = (oof["source"] == "parse").any()
    return metrics.evaluate(
        oof["label"].tolist(),
        oof["predicted"].tolist(),
        labels,
        probability=None if is_parsed else oof[[f"probability_{label}" for label in labels]].to_numpy(),
        language=oof["language"].tolist() if language else None,
    )


def _history(steps: int, draw: Any) -> list[dict[str, float]]:
    return [
        {
            "step": step,
            "loss": float(0.12 + 2.4 * math.exp(-step / 9) + abs(draw.normal(0, 0.05))),
            "learning_rate": 1e-4 * min(1, (step - 1) / 5) * (1 - max(0, step - 5) / steps),
        }
        for step in range(1, steps + 1)
    ]


def _events(
    name: str, history: Sequence[dict[str, float]], *, before: float, gib: float
) -> list[dict[str, Any]]:
    return [
        {
            "event": "step",
            "seconds": before + 75 + 9.5 * step["step"],
            "member": name,
            "steps": len(history),
            "memory_bytes": int((gib + 2 * math.tanh(step["step"] / 10)) * GIB),
            **step,
        }
        for step in history
    ]


def _record(
    settings: dict[str, Any],
    data: Path,
    train: pandas.DataFrame,
    held_out: pandas.DataFrame,
    members: Sequence[str],
    cards: int,
) -> dict[str, Any]:
    slots = max(1, cards)
    timings = {"import": 14.2, "load": 61.0, "train": 1180.0, "predict": 31.0}
    return {
        "schema": 1,
        "bundle_hash": "b" * 64,
        "config": settings,
        "timings": {"install": 64.0, "download": 48.5, **timings},
        "ended": "complete",
        "cards": [{"name": "Tesla T4", "memory": 15636037632, "capability": [7, 5]}] * cards,
        "precision": {"dtype": "float16", "reason": "Tesla T4 has no bfloat16 units"},
        "test_sha256": files.sha256_of(data / "test.csv"),
        "train_rows": {"all": len(train), "fit": len(train) - len(held_out), "held_out": len(held_out)},
        "share_of_train_seen": 0.9,
        "versions": {"python": "3.13.15", "torch": "2.11.0+cu128", "unsloth": "2026.10.7"},
        "loader": "unsloth",
        "members": [
            _member(name, at, slots, {**timings, "train": timings["train"] + 25 * at})
            for at, name in enumerate(members)
        ],
    }


def _member(name: str, at: int, slots: int, timings: dict[str, float]) -> dict[str, Any]:
    return {
        "name": name,
        "seed": 42 + at,
        "fold": None,
        "slot": at % slots,
        "train_tokens": 61_440,
        "bins": 30,
        "peak_memory_bytes": int((11 + at) * GIB),
        "notes": [],
        "timings": timings if at < slots else {**timings, "import": 0.0, "load": 0.0},
    }


def _write(table: pandas.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, float_format="%.6f", lineterminator="\n")


def _dump(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
