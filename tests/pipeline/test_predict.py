"""Scoring and writing with a tiny trained model: any batch, any order, too little memory, many rows."""

from __future__ import annotations

import functools
import json
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from kit import config as settings
from kit.config import Config
from kit.errors import KitError
from kit.pipeline import events, loading, model, tokens
from kit.pipeline.answering import batches, forward, predict
from kit.pipeline.machine import hardware
from kit.pipeline.model import Loaded
from kit.pipeline.tokens import Question
from kit.pipeline.training import train

pytestmark = [pytest.mark.train, pytest.mark.timeout(180)]

WORDS = {
    "Positive": ["great", "excellent", "love", "recommend"],
    "Negative": ["bad", "terrible", "broken", "waste"],
}
ALIKE = ('competition.labels=["Positively so", "Positively not"]', "competition.synonyms={}")


def _rows(count: int) -> list[dict[str, str]]:
    made = []
    for number in range(count):
        label = ("Positive", "Negative")[number % 2]
        text = f"the {WORDS[label][number // 2 % 4]} phone " + "arrived today " * (number * 7 % 23)
        made.append({"id": f"r{number}", "text": text, "label": label})
    return made


def _config(*overrides: str) -> Config:
    return settings.resolve("tiny", overrides)


def _load(folder: Path) -> Loaded:
    config = _config()
    loaded = loading.load(config, folder, None, hardware.precision(()))
    model.renew_adapter(loaded, config.seed)
    return loaded


@pytest.fixture(scope="module")
def loaded(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """A tiny model after 30 packed steps on forty easy rows."""
    config = _config("train.max_steps=30", "train.pack_tokens=256", "model.max_row_tokens=256")
    made = _load(tiny_model)
    train.train(made, _rows(40), config, seed=1, scratch=tmp_path_factory.mktemp("scratch"))
    return made


@pytest.fixture(scope="module")
def alone(loaded: Loaded) -> dict[str, list[float]]:
    """Every row scored in a batch of its own."""
    return predict.score(loaded, _rows(32), _config("predict.batch_rows=1"))


@contextmanager
def _watching(module: Any, see: Callable[..., None]) -> Iterator[None]:
    """Call `see(arguments, keywords)` before each forward pass of a module."""
    hook = module.register_forward_pre_hook(
        lambda _, arguments, keywords: see(arguments, keywords), with_kwargs=True
    )
    try:
        yield
    finally:
        hook.remove()


CARD = RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@contextmanager
def _room_for(loaded: Loaded, most: int, shortage: Exception = CARD) -> Iterator[list[int]]:
    """Let the model run out of memory where a batch has more than `most` tokens; yield those tried."""
    tried: list[int] = []

    def see(_: Any, keywords: dict[str, Any]) -> None:
        tried.append(keywords["input_ids"].numel())
        if tried[-1] > most:
            raise shortage

    with _watching(loaded.model, see):
        yield tried


def _events(text: str, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines() if line.startswith('{"event":')]
    return [event for event in found if event["event"] == kind]


@given(
    st.permutations(range(32)), st.integers(1, 32), st.sampled_from([64, 200, 1000, 16384]), st.integers(0, 9)
)
@examples(max_examples=15)
def test_a_row_gets_the_same_label_alone_and_in_any_batch_and_order(
    loaded: Loaded,
    alone: dict[str, list[float]],
    order: list[int],
    count: int,
    most_tokens: int,
    most_rows: int,
) -> None:
    """Outside of a hundredth around the middle, whatever stands beside it."""
    rows = [_rows(32)[index] for index in order[:count]]
    config = _config(f"predict.batch_tokens={most_tokens}", f"predict.batch_rows={most_rows}")
    found = predict.score(loaded, rows, config)
    assert list(found) == [row["id"] for row in rows]
    for key, probabilities in found.items():
        assert sum(probabilities) == pytest.approx(1.0, abs=1e-5)
        assert probabilities == pytest.approx(alone[key], abs=5e-3)
        if abs(alone[key][0] - 0.5) > 1e-2:
            assert (probabilities[0] > 0.5) == (alone[key][0] > 0.5)


def test_the_rows_of_these_tests_are_not_all_alike(alone: dict[str, list[float]]) -> None:
    """Both labels, and different probabilities, so that a mix-up of rows would show."""
    assert {probabilities[0] > 0.5 for probabilities in alone.values()} == {True, False}
    assert len({round(probabilities[0], 3) for probabilities in alone.values()}) > 20


@pytest.mark.parametrize("overrides", [(), ALIKE])
def test_the_head_sees_only_the_positions_that_answer(loaded: Loaded, overrides: tuple[str, ...]) -> None:
    """One a row; for whole answers, at most those of the answer and its end token."""
    positions: list[int] = []
    config = _config(*overrides, "predict.batch_rows=4")
    longest = max(len(ids) for ids in tokens.answer_ids(loaded.tokenizer, config))
    head = loaded.model.get_base_model().lm_head
    with _watching(head, lambda arguments, _: positions.append(arguments[0].shape[1])):
        predict.score(loaded, _rows(8), config)
    assert positions
    assert max(positions) <= (longest + 1 if overrides else 1)


@pytest.mark.parametrize(
    ("answers", "shared", "left"),
    [
        ([[5, 1], [5, 2]], [5], [[1], [2]]),
        ([[5, 1, 7], [5, 1, 8], [5, 1]], [5], [[1, 7], [1, 8], [1]]),
        ([[1], [2, 3]], [], [[1], [2, 3]]),
        ([[5], [5, 1]], [], [[5], [5, 1]]),
    ],
)
def test_what_all_answers_begin_with_goes_with_the_prompt(
    answers: list[list[int]], shared: list[int], left: list[list[int]]
) -> None:
    """So that numbers behind a blank, ` 0` and ` 1`, are compared in one pass; no answer is used up."""
    questions, rest = predict._beyond_shared([Question("a", [9], False)], answers)
    assert (questions, rest) == ([Question("a", [9, *shared], False)], left)


@pytest.mark.parametrize(("shortage", "overrides"), [(CARD, ()), (MemoryError(), ALIKE)])
def test_a_batch_that_finds_no_memory_is_halved_and_every_row_is_answered(
    loaded: Loaded,
    alone: dict[str, list[float]],
    capsys: pytest.CaptureFixture[str],
    shortage: Exception,
    overrides: tuple[str],
) -> None:
    """The batches after it are smaller too, and the log says so."""
    expected = alone if not overrides else predict.score(loaded, _rows(32), _config(*overrides))
    capsys.readouterr()
    with _room_for(loaded, 150, shortage) as tried:
        found = predict.score(loaded, _rows(32), _config(*overrides))
    assert list(found) == list(expected)
    for key, probabilities in found.items():
        assert probabilities == pytest.approx(expected[key], abs=5e-3)
    retreats = _events(capsys.readouterr().out, "out_of_memory")
    assert len(retreats) == sum(count > 150 for count in tried) > 0
    assert retreats[-1]["batch_tokens"] <= 150
    assert max(tried[1:]) < tried[0]


def test_writing_retreats_in_the_same_way(loaded: Loaded) -> None:
    """Greedy text does not depend on the batch."""
    config = _config("predict.max_new_tokens=3")
    expected = predict.generate(loaded, _rows(16), config, seed=1)
    tried: list[int] = []

    def see(_: Any, keywords: dict[str, Any]) -> None:
        tried.append(keywords["input_ids"].shape[0])
        if tried[-1] > 2:
            raise CARD

    with _watching(loaded.model.get_base_model(), see):
        assert predict.generate(loaded, _rows(16), config, seed=1) == expected
    assert max(tried) > 2


def test_a_row_too_long_for_the_memory_is_named(loaded: Loaded) -> None:
    """With a length that would fit."""
    rows = [*_rows(4), {"id": "giant", "text": "arrived today " * 80}]
    with _room_for(loaded, 100), pytest.raises(KitError, match=r"row 'giant' of \d+ tokens") as caught:
        predict.score(loaded, rows, _config())
    assert caught.value.hint.startswith("SET=model.max_row_tokens=")


def test_an_error_that_is_not_about_memory_is_not_retried(loaded: Loaded) -> None:
    """It passes as it is, after one attempt."""
    seen: list[int] = []

    def see(_: Any, keywords: dict[str, Any]) -> None:
        seen.append(keywords["input_ids"].numel())
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with _watching(loaded.model, see), pytest.raises(RuntimeError, match="mat1"):
        predict.score(loaded, _rows(8), _config())
    assert len(seen) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("overrides", [(), ALIKE])
def test_one_row_whose_answer_is_not_a_number_is_named(
    tiny_model: Path, value: float, overrides: tuple[str]
) -> None:
    """Its neighbours in the batch do not hide it."""
    spoilt = _load(tiny_model)
    odd = spoilt.tokenizer(" terrible", add_special_tokens=False)["input_ids"][-1]
    spoilt.model.get_input_embeddings().weight.data[odd] = value
    rows = [row for row in _rows(16) if "terrible" not in row["text"]]
    assert len(predict.score(spoilt, rows, _config(*overrides))) == len(rows)
    rows.insert(5, {"id": "spoilt", "text": "the terrible phone"})
    with pytest.raises(KitError, match="row 'spoilt' is not a number"):
        predict.score(spoilt, rows, _config(*overrides))


@pytest.mark.parametrize("answer", [predict.score, functools.partial(predict.generate, seed=1)])
def test_an_id_that_stands_twice_is_refused(loaded: Loaded, answer: Callable[..., object]) -> None:
    """Before any work, since the second answer would replace the first."""
    with pytest.raises(KitError, match="row id 'r3' stands twice"):
        answer(loaded, [*_rows(5), _rows(4)[3]], _config())


def test_no_rows_are_no_answers(loaded: Loaded) -> None:
    """An empty list is not an error."""
    assert predict.score(loaded, [], _config()) == {}
    assert predict.generate(loaded, [], _config(), seed=1) == {}


def test_rows_are_tokenised_a_window_at_a_time(
    loaded: Loaded, alone: dict[str, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In row order; memory does not grow with the prompts of all rows."""
    asked: list[int] = []
    ask = tokens.ask

    def counting(tokenizer: Any, rows: Sequence[Any], *more: Any, **options: Any) -> list[tokens.Question]:
        asked.append(len(rows))
        return ask(tokenizer, rows, *more, **options)

    monkeypatch.setattr(tokens, "ask", counting)
    monkeypatch.setattr(batches, "WINDOW_ROWS", 10)
    found = predict.score(loaded, _rows(32), _config())
    assert asked == [10, 10, 10, 2]
    assert list(found) == list(alone)
    for key, probabilities in found.items():
        assert probabilities == pytest.approx(alone[key], abs=5e-3)


def test_progress_counts_rows_and_tells_the_time_left(
    loaded: Loaded, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock that goes as tokens do, the estimate is right from the first batch on, templates too."""
    clock = [0.0]
    monkeypatch.setattr(predict, "time", types.SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(predict, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(batches, "WINDOW_ROWS", 46)

    def see(_: Any, keywords: dict[str, Any]) -> None:
        clock[0] += float(keywords["attention_mask"].sum())

    ends: list[float] = []
    emit = events.emit
    monkeypatch.setattr(events, "emit", lambda *kind, **facts: (ends.append(clock[0]), emit(*kind, **facts)))
    with _watching(loaded.model, see):
        predict.score(loaded, _rows(138), _config("predict.batch_rows=8", 'predict.templates=["notebook"]'))
    seen = _events(capsys.readouterr().out, "score")
    rows = [event["rows"] for event in seen]
    assert rows == sorted(rows)
    assert seen[-1] | {"rows": 138, "of": 138, "seconds_left": 0.0} == seen[-1]
    assert all(event["memory_bytes"] > 0 for event in seen)
    for event, end in zip(seen, ends, strict=True):
        assert event["tokens_per_second"] == 1
        # Only the longer prompts of the second style are news.
        assert event["seconds_left"] == pytest.approx(clock[0] - end, rel=0.2, abs=1)


def test_templates_average_the_probabilities_of_each_style(loaded: Loaded) -> None:
    """The training style counts once, and so does each other one."""
    rows = _rows(12)
    plain = predict.score(loaded, rows, _config())
    notebook = predict.score(loaded, rows, _config("prompt.style=notebook"))
    both = predict.score(loaded, rows, _config('predict.templates=["notebook"]'))
    assert list(both) == [row["id"] for row in rows]
    for key, probabilities in both.items():
        mean = [(first + second) / 2 for first, second in zip(plain[key], notebook[key], strict=True)]
        assert probabilities == pytest.approx(mean, abs=1e-4)
    assert any(abs(plain[key][0] - notebook[key][0]) > 0.01 for key in plain)


def test_a_batch_writes_what_each_row_writes_alone_and_stops(loaded: Loaded) -> None:
    """Greedy, with left padding; a taught answer ends before the limit."""
    import torch

    rows = _rows(24)
    config = _config("predict.max_new_tokens=12")
    together = predict.generate(loaded, rows, config, seed=1)
    singly = predict.generate(
        loaded, rows, _config("predict.max_new_tokens=12", "predict.batch_rows=1"), seed=2
    )
    assert together == singly
    assert set(together.values()) <= {" Positive", " Negative"}
    ids = torch.tensor([tokens.ask(loaded.tokenizer, rows[:1], config, reserve=12)[0].prompt_ids])
    limitless = loaded.model.generate(
        input_ids=ids, max_new_tokens=12, do_sample=False, eos_token_id=None, min_new_tokens=12
    )
    assert limitless.shape[1] == ids.shape[1] + 12


def test_writing_ends_at_each_end_token_of_the_model(tiny_model: Path) -> None:
    """Llama 3 brings three, and training teaches one."""
    fresh = _load(tiny_model)
    taught = fresh.tokenizer.eos_token_id
    prompt = tokens.ask(fresh.tokenizer, _rows(1), _config(), reserve=8)[0].prompt_ids
    greedy = functools.partial(forward.write, fresh, [prompt], max_new_tokens=8, do_sample=False)
    (endless,) = greedy(suppress_tokens=[taught])
    written = fresh.tokenizer(endless, add_special_tokens=False)["input_ids"]
    assert len(written) > 1
    fresh.model.generation_config.eos_token_id = [7, written[0]]
    assert forward._end_ids(fresh) == sorted({7, written[0], taught})
    assert greedy(suppress_tokens=[taught]) == [fresh.tokenizer.decode(written[:1])]
