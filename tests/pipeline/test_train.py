"""Training that goes on where memory or time runs out, on the CPU with the tiny model."""

from __future__ import annotations

import dataclasses
import json
import math
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import small_training
from small_training import adapter, config, load, rows

from kit.errors import KitError
from kit.pipeline import model
from kit.pipeline.answers import FailsAgain, Trained
from kit.pipeline.model import Loaded
from kit.pipeline.training import arguments, train
from kit.pipeline.training.layout import Layout

pytestmark = pytest.mark.train


@contextmanager
def _before_each_pass(loaded: Loaded, act: Callable[[int], None]) -> Iterator[None]:
    """Call `act` with the tokens of each forward pass."""

    def hook(_module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        act(kwargs["input_ids"].numel())

    handle = loaded.model.get_base_model().model.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _card_of(tokens: int, loaded: Loaded) -> Callable[[int], None]:
    """A card that holds so many tokens with checkpointing and a quarter as many without."""
    import torch

    def refuse(passed: int) -> None:
        costs = 1 if loaded.model.get_base_model().is_gradient_checkpointing else 4
        if passed * costs > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB.")

    return refuse


def _layout(trained: Trained) -> tuple[int, int, int, bool]:
    assert trained.layout is not None
    return dataclasses.astuple(trained.layout)


@pytest.mark.parametrize(
    ("holds", "expected"),
    [
        (8192, (512, 2, 1, False)),
        (1024, (512, 2, 1, True)),
        (512, (256, 2, 2, True)),
        (200, (128, 1, 8, True)),
    ],
)
def test_training_goes_on_in_less_memory_with_the_same_step(
    tiny_model: Path, tmp_path: Path, holds: int, expected: tuple[int, int, int, bool]
) -> None:
    """Checkpointing, shorter bins, fewer bins; then it is the training that begins in that layout."""
    import torch

    wide = config(
        "train.pack_tokens=512",
        "train.batch_size=2",
        "train.gradient_checkpointing=auto",
        "train.max_steps=3",
    )
    loaded = load(tiny_model, wide)
    with _before_each_pass(loaded, _card_of(holds, loaded)):
        trained = train.train(loaded, rows(60), wide, seed=1, scratch=tmp_path)
    assert _layout(trained) == expected
    assert math.prod(_layout(trained)[:3]) == 1024
    assert (trained.step, trained.steps, trained.stopped) == (3, 3, "")
    assert [entry["step"] for entry in trained.history] == [1, 2, 3]
    retreats = [note for note in trained.notes if note.startswith("out of memory in")]
    assert len(retreats) == {8192: 0, 1024: 1, 512: 2, 200: 4}[holds]
    bins, batch, accumulation, checkpointing = expected
    small = config(
        f"train.pack_tokens={bins}",
        f"model.max_row_tokens={min(bins, 256)}",
        f"train.batch_size={batch}",
        f"train.gradient_accumulation={accumulation}",
        f"train.gradient_checkpointing={str(checkpointing).lower()}",
        "train.max_steps=3",
    )
    fresh = load(tiny_model, small)
    train.train(fresh, rows(60), small, seed=1, scratch=tmp_path)
    straight = adapter(fresh)
    assert all(torch.equal(weight, straight[name]) for name, weight in adapter(loaded).items())


def test_memory_that_runs_out_in_the_backward_pass_at_a_later_step_is_a_retreat_too(
    tiny_model: Path, tmp_path: Path
) -> None:
    """Activations are freed there and gradients made, which is where the peak is."""
    import torch

    chosen = config("train.gradient_checkpointing=auto", "train.max_steps=4")
    loaded = load(tiny_model, chosen)
    passes = 0

    def hook(_module: Any, _args: Any, output: Any) -> None:
        nonlocal passes
        passes += 1
        if passes == 3:
            output.register_hook(_raise)

    def _raise(_gradient: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    handle = loaded.model.get_base_model().model.norm.register_forward_hook(hook)
    trained = train.train(loaded, rows(60), chosen, seed=1, scratch=tmp_path)
    handle.remove()
    assert _layout(trained) == (256, 1, 1, True)
    assert [entry["step"] for entry in trained.history] == [1, 2, 3, 4]
    assert len(trained.notes) == 1


def test_training_that_fits_nowhere_ends_with_figures_and_what_is_left_to_try(
    tiny_model: Path, tmp_path: Path
) -> None:
    """One line: the last layout, the memory that was held, and settings of the user's."""
    chosen = config()
    loaded = load(tiny_model, chosen)
    with (
        _before_each_pass(loaded, _card_of(0, loaded)),
        pytest.raises(KitError, match=r"bins of 128 tokens, 1 x 2 a step, .* GiB held: CUDA out") as caught,
    ):
        train.train(loaded, rows(60), chosen, seed=1, scratch=tmp_path)
    assert "train.gradient_checkpointing=true" in caught.value.hint
    assert "model.max_row_tokens" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_an_error_of_another_kind_is_no_retreat(tiny_model: Path, tmp_path: Path) -> None:
    """It keeps its traceback."""
    chosen = config("train.gradient_checkpointing=auto")
    loaded = load(tiny_model, chosen)

    def fail(_tokens: int) -> None:
        raise RuntimeError("shapes do not match")

    with _before_each_pass(loaded, fail), pytest.raises(RuntimeError, match="shapes do not match"):
        train.train(loaded, rows(20), chosen, seed=1, scratch=tmp_path)


def test_checkpointing_recomputes_each_layer_and_can_be_taken_back(tiny_model: Path, tmp_path: Path) -> None:
    """Twice through a layer a step, once without; the adapter comes out the same."""
    import torch

    passes: list[int] = []
    weights = []
    loaded = load(tiny_model, config())
    layer = loaded.model.get_base_model().model.layers[0]
    for number, on in enumerate((False, True, False)):
        chosen = config(f"train.gradient_checkpointing={str(on).lower()}", "train.max_steps=2")
        model.renew_adapter(loaded, 1)
        passes.append(0)

        def count(*_: Any, number: int = number) -> None:
            passes[number] += 1

        handle = layer.mlp.register_forward_pre_hook(count)
        train.train(loaded, rows(20), chosen, seed=1, scratch=tmp_path)
        handle.remove()
        weights.append(adapter(loaded))
    assert passes == [2, 4, 2]
    for name, weight in weights[0].items():
        assert torch.allclose(weight, weights[1][name], atol=1e-6)
        assert torch.equal(weight, weights[2][name])


def test_a_bin_that_is_left_to_choose_just_holds_the_longest_row(tiny_model: Path, tmp_path: Path) -> None:
    """The record says which, and as many of them make a step as hold the tokens of 2,048."""
    chosen = config("train.pack_tokens=0", "train.max_steps=1")
    loaded = load(tiny_model, chosen)
    trained = train.train(loaded, rows(40), chosen, seed=1, scratch=tmp_path)
    assert _layout(trained) == (128, 1, 16, False)
    assert trained.notes[0].startswith(
        "bins of 128 tokens, 1 x 16 a step, without checkpointing: the longest"
    )


def test_the_steps_that_are_foretold_are_those_that_are_made(tiny_model: Path, tmp_path: Path) -> None:
    """Over epochs, with a last step of fewer bins."""
    chosen = config("train.max_steps=0", "train.epochs=1.5", "train.gradient_accumulation=4")
    loaded = load(tiny_model, chosen)
    trained = train.train(loaded, rows(60), chosen, seed=1, scratch=tmp_path)
    assert trained.bins % 4
    assert trained.step == trained.steps == len(trained.history) > 1
    assert trained.steps == arguments.steps(chosen, Layout(*_layout(trained)), trained.bins)


def test_training_ends_before_its_time_is_over(tiny_model: Path, tmp_path: Path) -> None:
    """Between steps, with what it has learnt; the rest of the run is left its time."""
    chosen = config("train.max_steps=500")
    loaded = load(tiny_model, chosen)
    until = time.monotonic() + 8
    with _before_each_pass(loaded, lambda _: time.sleep(0.4)):
        trained = train.train(loaded, rows(20), chosen, seed=1, scratch=tmp_path, until=until)
    assert time.monotonic() < until + 2
    assert trained.stopped == "time limit"
    assert 2 <= trained.step < trained.steps == 500
    assert len(trained.history) == trained.step
    assert any(weight.any() for name, weight in adapter(loaded).items() if "lora_B" in name)
    assert loaded.tokenizer.padding_side == "left"


def test_one_step_is_made_where_there_is_time_at_all_and_none_after(tiny_model: Path, tmp_path: Path) -> None:
    """A slow first step is let through; a time that is over is over."""
    chosen = config()
    loaded = load(tiny_model, chosen)
    with _before_each_pass(loaded, lambda _: time.sleep(7)):
        trained = train.train(loaded, rows(20), chosen, seed=1, scratch=tmp_path, until=time.monotonic() + 6)
    assert (trained.step, trained.stopped) == (1, "time limit")
    trained = train.train(loaded, rows(20), chosen, seed=1, scratch=tmp_path, until=time.monotonic() - 1)
    assert (trained.step, trained.steps, trained.stopped, trained.history) == (0, 6, "time limit", [])
    assert trained.tokens == 0


def test_an_infinite_loss_ends_training_with_its_step(tiny_model: Path, tmp_path: Path) -> None:
    """Not a number it is only after the next step."""
    chosen = config()
    loaded = load(tiny_model, chosen)

    def hook(_module: Any, _args: Any, output: Any) -> Any:
        output["loss"] = output["loss"] * float("inf")
        return output

    loaded.model.get_base_model().register_forward_hook(hook)
    with pytest.raises(KitError, match="the loss is inf at step 1"):
        train.train(loaded, rows(20), chosen, seed=1, scratch=tmp_path)


@pytest.mark.parametrize(
    ("overflows", "outcome"),
    [
        ({2, 4}, ["fp16 skipped 2 steps, whose gradients overflowed"]),
        ({2, 4, 6}, "fp16 skipped 3 of 12 steps"),
        (set(range(2, 13)), "fp16 skipped 8 steps in a row until step 9"),
    ],
)
def test_steps_that_fp16_skips_are_counted_and_too_many_end_the_member(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overflows: set[int], outcome: object
) -> None:
    """A real gradient scaler leaves out steps whose gradients overflow while the loss is a number."""
    import torch

    chosen = config("train.max_steps=12")
    loaded = load(tiny_model, chosen)
    built = train._trainer
    passes = 0

    def with_scaler(*args: Any) -> Any:
        trainer = built(*args)
        trainer.accelerator.scaler = torch.amp.GradScaler("cpu")
        return trainer

    def hook(_module: Any, _args: Any, output: Any) -> None:
        nonlocal passes
        passes += 1
        if passes in overflows:
            output.register_hook(lambda gradient: gradient * float("inf"))

    monkeypatch.setattr(train, "_trainer", with_scaler)
    loaded.model.get_base_model().model.norm.register_forward_hook(hook)
    if isinstance(outcome, str):
        with pytest.raises(FailsAgain, match=outcome):
            train.train(loaded, rows(20), chosen, seed=1, scratch=tmp_path)
        return
    trained = train.train(loaded, rows(20), chosen, seed=1, scratch=tmp_path)
    assert (trained.step, trained.skipped, trained.notes) == (12, 2, outcome)
    assert all(weight.isfinite().all() for weight in adapter(loaded).values())


def test_gradients_that_are_no_number_end_a_training_without_a_scaler(
    tiny_model: Path, tmp_path: Path
) -> None:
    """The loss of that step is still finite, and the next one would not be."""
    chosen = config()
    loaded = load(tiny_model, chosen)

    def hook(_module: Any, _args: Any, output: Any) -> None:
        output.register_hook(lambda gradient: gradient * float("nan"))

    loaded.model.get_base_model().model.norm.register_forward_hook(hook)
    with pytest.raises(FailsAgain, match="the gradients are nan at step 1"):
        train.train(loaded, rows(20), chosen, seed=1, scratch=tmp_path)


@pytest.mark.parametrize(
    "said",
    [
        "CUDA out of memory. Tried to allocate 1.00 GiB.",
        "CUDA error: out of memory",
        "Triton Error [CUDA]: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "CUDA driver error: out of memory",
        "NCCL error: unhandled cuda error: Failed to CUDA calloc async 24 bytes",
        "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried to",
        "std::bad_alloc",
    ],
)
def test_every_wording_of_memory_running_out_is_a_retreat_and_the_next_member_begins_there(
    tiny_model: Path, tmp_path: Path, said: str
) -> None:
    """torch, Triton, cuBLAS, the driver and NCCL each have their own; the layout that fits is remembered."""
    chosen = config("train.gradient_checkpointing=auto", "train.max_steps=2")
    loaded = load(tiny_model, chosen)
    fitted: dict[Layout, Layout] = {}
    refused: list[int] = []

    def refuse(tokens: int) -> None:
        if not loaded.model.get_base_model().is_gradient_checkpointing:
            refused.append(tokens)
            raise RuntimeError(said)

    with _before_each_pass(loaded, refuse):
        for seed in (1, 2):
            model.renew_adapter(loaded, seed)
            trained = train.train(loaded, rows(40), chosen, seed=seed, scratch=tmp_path, fitted=fitted)
            assert trained.layout is not None
            assert trained.layout.gradient_checkpointing
    assert len(refused) == 1
    assert not trained.notes


def test_packing_that_would_cut_a_row_is_noticed(tiny_model: Path, tmp_path: Path) -> None:
    """TRL drops the end, and with it the label, without a word."""
    from datasets import Dataset

    chosen = config()
    loaded = load(tiny_model, chosen)
    examples = [{"input_ids": [5] * 300, "completion_mask": [0] * 298 + [1, 1]}]
    trainer = train._trainer(
        loaded, Dataset.from_list(examples), chosen, 1, tmp_path, Layout(256, 1, 1, False)
    )
    with pytest.raises(AssertionError, match="packing kept 256 of 300 tokens"):
        train._assert_whole(trainer, 300)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seconds", [6, -1])
def test_ranks_stop_behind_the_same_step(tiny_model: Path, tmp_path: Path, seconds: int) -> None:
    """Each has its own clock and its own reserve; the one with the least time speaks for both."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    together = {"WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    children = []
    for rank, time_left in enumerate((600, seconds)):
        job = {"model": str(tiny_model), "out": str(tmp_path / str(rank)), "rows": 40, "seed": 1}
        job |= {"overrides": ["train.max_steps=100000"], "seconds": time_left}
        children.append(small_training.start(job, RANK=str(rank), GLOO_SOCKET_IFNAME="lo", **together))
    for child in children:
        small_training.finish(child)
    told = [json.loads((tmp_path / rank / "trained.json").read_text()) for rank in ("0", "1")]
    assert [rank["stopped"] for rank in told] == ["time limit", "time limit"]
    assert told[0]["step"] == told[1]["step"]
    assert (told[0]["step"] > 0) is (seconds > 0)
