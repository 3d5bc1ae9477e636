"""Train a small model on a pair task made here, and score held-out rows: which of two answers fits a prompt.

Three texts a row and three labels, a template of its own; no row stands in both halves.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import random
import tempfile
import time
from pathlib import Path

from kit import config as settings
from kit.fetch import inputs
from kit.pipeline import loading, model
from kit.pipeline.answering import predict
from kit.pipeline.machine import hardware
from kit.pipeline.training import train
from kit.task import metrics

WORDS = {
    "a colour": ["blue", "red", "green", "yellow", "brown", "grey", "purple", "orange"],
    "an animal": ["horse", "dog", "cat", "sheep", "tiger", "wolf", "rabbit", "eagle"],
    "a city": ["Paris", "London", "Rome", "Madrid", "Berlin", "Vienna", "Oslo", "Lisbon"],
    "a tool": ["hammer", "saw", "drill", "wrench", "pliers", "shovel", "axe", "screwdriver"],
    "a drink": ["tea", "coffee", "milk", "water", "juice", "beer", "wine", "lemonade"],
    "a number": ["one", "three", "seven", "nine", "twelve", "twenty", "forty", "eleven"],
}
LABELS = ("a", "b", "tie")
SETTINGS = (
    *('competition.text=["prompt", "answer_a", "answer_b"]', "competition.label=winner"),
    *("competition.language=", 'competition.labels=["a", "b", "tie"]', "competition.metric=log_loss"),
    "prompt.template=### Prompt: {prompt}\n### A: {answer_a}\n### B: {answer_b}\n### Winner:",
    *("train.gradient_accumulation=1", "model.max_row_tokens=256", "train.pack_tokens=256"),
)


def rows(questions: int) -> list[dict[str, str]]:
    """Return rows in a fixed random order, `questions` of each topic; no question stands twice."""
    chance = random.Random(5)
    made = []
    for at, (topic, number) in enumerate(itertools.product(WORDS, range(questions))):
        label = LABELS[at % 3]
        fits = chance.choice([topic, None]) if label == "tie" else topic
        other = chance.choice([name for name in WORDS if name != topic])
        sides = {"a": (topic, other), "b": (other, topic), "tie": (fits or other, fits or other)}[label]
        answers = [chance.choice(WORDS[side]) for side in sides]
        texts = {"text_prompt": f"Name {topic}.", "text_answer_a": answers[0], "text_answer_b": answers[1]}
        made.append({"id": f"{at}-{number}", "text": "\n".join(texts.values()), "label": label, **texts})
    return list({row["text"]: row for row in chance.sample(made, len(made))}.values())


def main() -> None:
    """Print accuracy and log loss beside what chance gives, and the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=inputs.SMALL, help="a folder below models/; default: %(default)s")
    parser.add_argument("--rows", type=int, default=900, help="rows to learn; default: %(default)s")
    parser.add_argument("--test-rows", type=int, default=150, help="rows to answer; default: %(default)s")
    parser.add_argument("set", nargs="*", metavar="KEY=VALUE", help="settings that win over preset small")
    given = parser.parse_args()
    config = settings.resolve("small", (*SETTINGS, f"model.name={given.model}", *given.set))
    made = rows(questions=given.rows // 4)
    learned, asked = made[: given.rows], made[given.rows : given.rows + given.test_rows]
    assert len(asked) == given.test_rows
    started = time.monotonic()
    loaded = loading.load(config, inputs.MODELS / given.model, None, hardware.precision(()))
    model.renew_adapter(loaded, config.seed)
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        train.train(loaded, learned, config, seed=config.seed, scratch=Path(scratch))
        trained = time.monotonic()
        shares = list(predict.score(loaded, asked, config).values())
    predicted = [LABELS[max(range(3), key=share.__getitem__)] for share in shares]
    told = metrics.evaluate([row["label"] for row in asked], predicted, LABELS, probability=shares)
    low, high = told["intervals"]["accuracy"]
    print(
        f"{given.model}: {len(learned)} rows learned in {trained - started:.0f} s, {len(asked)} answered "
        f"in {time.monotonic() - trained:.0f} s; accuracy {told['accuracy']:.3f} ({low:.3f} to {high:.3f}), "
        f"majority {told['majority_accuracy']:.3f}; log loss {told['log_loss']:.3f}, chance 1.099"
    )


if __name__ == "__main__":
    main()
