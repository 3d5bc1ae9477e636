"""Count the padding of scoring, and time it beside writing the answers one by one, as the reference does.

Both answer the same prompts with the same model, the small one after a short training, on short and on long
rows of the sample. Each time is the least of three, since other work on the machine only ever adds.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # for the lengths, which the tests hold too

import length_profile  # noqa: E402

from kit import config as settings  # noqa: E402
from kit.config import Config  # noqa: E402
from kit.fetch import inputs  # noqa: E402
from kit.pipeline import loading, model, tokens  # noqa: E402
from kit.pipeline.answering import batches, forward, predict  # noqa: E402
from kit.pipeline.machine import hardware  # noqa: E402
from kit.pipeline.model import Loaded  # noqa: E402
from kit.pipeline.training import train  # noqa: E402

T = TypeVar("T")

AIM_WASTE = 0.03
AIMS = {"to its end token": 3.0, "to ten tokens": 8.0}
"""How many times as many rows a second `score` answers as one-by-one writing."""
LATIN = ("en", "fr", "de", "es")
TOPICS = ("delay", "loss", "damage", "price", "refund", "colour", "weight", "size", "name", "address")
SMALL = "--small" in sys.argv
ROWS, REPEATS = (2, 1) if SMALL else (24, 3)
TRAINING = (
    *(f"train.max_steps={1 if SMALL else 24}", "train.pack_tokens=256", "train.gradient_accumulation=1"),
    *("model.max_row_tokens=256", "evaluate.mode=none"),
)


def main() -> None:
    """Print one line a figure, with its aim."""
    for count in (108, 1000):
        _pad(count)
    config = settings.resolve("small", TRAINING)
    loaded = _trained(config)
    for name, rows in {
        "short": _sample("test.csv", LATIN),
        "long": _sample("test.csv", ("bn", "ta")),
    }.items():
        _time(loaded, rows[:ROWS], config, name)
    _time_labels(loaded, _sample("test.csv", LATIN)[:ROWS])


def _pad(rows: int) -> None:
    widths = dict(enumerate(length_profile.lengths(rows)))
    packed = batches.pack(widths, settings.resolve("t4x2").predict.batch_tokens)
    padded = sum(max(widths[key] for key in batch) * len(batch) for batch in packed)
    waste = padded / sum(widths.values()) - 1
    print(f"padding of {rows:>5,} rows       {waste:6.1%}  in {len(packed)} batches    aim {AIM_WASTE:.0%}")


def _trained(config: Config) -> Loaded:
    folder = inputs.MODELS / config.model.name
    loaded = loading.load(config, folder, None, hardware.precision(()))
    model.renew_adapter(loaded, config.seed)
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        train.train(loaded, _sample("train.csv", LATIN), config, seed=config.seed, scratch=Path(scratch))
    return loaded


def _sample(name: str, languages: tuple[str, ...]) -> list[dict[str, str]]:
    with (inputs.SAMPLE / name).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["language"] in languages]
    return [{"id": row["ID"], "text": row["sentence"], "label": row.get("label", "")} for row in rows]


def _time(loaded: Loaded, rows: list[dict[str, str]], config: Config, name: str) -> None:
    questions = tokens.ask(loaded.tokenizer, rows, config, reserve=10)
    length = statistics.mean(len(question.prompt_ids) for question in questions)
    seconds: dict[str, list[float]] = {}
    texts: list[str] = []
    for _ in range(REPEATS):
        scored = _clock(seconds, "score", lambda: predict.score(loaded, rows, config))
        texts = _clock(seconds, "to its end token", lambda: _one_by_one(loaded, questions))
        _clock(seconds, "to ten tokens", lambda: _one_by_one(loaded, questions, min_new_tokens=10))
    best = {what: min(times) for what, times in seconds.items()}
    labels = config.competition.labels
    chosen = [labels[max(range(len(labels)), key=shares.__getitem__)] for shares in scored.values()]
    agree = sum(label == text.strip() for label, text in zip(chosen, texts, strict=True))
    print(f"{name} rows, {length:.0f} tokens: score {len(rows) / best['score']:6.1f} rows/s")
    for what, aim in AIMS.items():
        print(
            f"  writing {what:<16} {len(rows) / best[what]:6.1f} rows/s; "
            f"score is {best[what] / best['score']:4.1f} x    aim {aim:.0f} x"
        )
    print(f"  score and writing agree on {agree} of {len(rows)}")


def _time_labels(loaded: Loaded, rows: list[dict[str, str]]) -> None:
    """Score labels of one token, and ten long ones whose first words are equal and are read whole."""
    long = [f"Customer service: {what} of the order" for what in TOPICS]
    seconds: dict[str, list[float]] = {}
    for name, labels in {"2 short": ["Positive", "Negative"], "10 long": long}.items():
        asked = settings.resolve("small", (*TRAINING, f"competition.labels={json.dumps(labels)}"))
        for _ in range(REPEATS):
            _clock(seconds, name, lambda asked=asked: predict.score(loaded, rows, asked))
        print(f"{name} labels: {len(rows) / min(seconds[name]):6.1f} rows/s")


def _clock(seconds: dict[str, list[float]], name: str, work: Callable[[], T]) -> T:
    started = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()):  # the progress
        result = work()
    seconds.setdefault(name, []).append(time.monotonic() - started)
    return result


def _one_by_one(loaded: Loaded, questions: list[tokens.Question], **options: int) -> list[str]:
    """Write as the reference does: up to ten tokens at temperature 0.1, a row at a time."""
    with forward.answering(loaded, generating=True):
        return [
            forward.write(
                loaded, [question.prompt_ids], max_new_tokens=10, do_sample=True, temperature=0.1, **options
            )[0]
            for question in questions
        ]


if __name__ == "__main__":
    main()
