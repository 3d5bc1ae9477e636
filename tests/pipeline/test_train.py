"""Training that goes on where memory or time runs out, on the CPU with the tiny model."""

from __future__ import annotations

import dataclasses
import math
import socket
import types
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
from kit.pipeline.training import arguments, oversee, train
from kit.pipeline.training.layout import Layout

pytestmark = pytest.mark.train

AUTO = "train.gradient_checkpointing=auto"
NO_MEMORY = "CUDA out of memory. Tried to allocate 1.00 GiB."


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> Loaded:
    """The tiny model, loaded once."""
    return load(tiny_model, config())


@pytest.fixture
def loaded(base: Loaded) -> Loaded:
    """The tiny model with an adapter made anew."""
    model.renew_adapter(base, 1)
    return base


@pytest.fixture
def run(loaded: Loaded, tmp_path: Path) -> Callable[..., Trained]:
    """Trains the tiny model under overrides."""

    def training(*overrides: str, count: int = 20, seed: int = 1, **more: Any) -> Trained:
        return train.train(loaded, rows(count), config(*overrides), seed=seed, scratch=tmp_path, **more)

    return training


@contextmanager
def _before_each_pass(loaded: Loaded, act: Callable[[int], object]) -> Iterator[None]:
    """Call `act` with the tokens of each forward pass."""

    def hook(_module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        act(kwargs["input_ids"].numel())

    handle = loaded.model.get_base_model().model.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _at_each_output(module: Any, act: Callable[[int, Any], Any]) -> Iterator[None]:
    """Call `act` with the number and the output of each pass through a module; it may return another."""
    passes: list[int] = []

    def hook(_module: Any, _args: Any, output: Any) -> Any:
        passes.append(1)
        return act(len(passes), output)

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _norm(loaded: Loaded) -> Any:
    return loaded.model.get_base_model().model.norm


def _layout(trained: Trained) -> tuple[int, int, int, bool]:
    assert trained.layout is not None
    return dataclasses.astuple(trained.layout)


def _card_of(tokens: int, loaded: Loaded, said: str = NO_MEMORY) -> Callable[[int], None]:
    """A card that holds so many tokens with checkpointing and a quarter as many without."""

    def refuse(passed: int) -> None:
        costs = 1 if loaded.model.get_base_model().is_gradient_checkpointing else 4
        if passed * costs > tokens:
            raise RuntimeError(said)

    return refuse


@pytest.mark.parametrize(
    ("holds", "expected", "retreats"),
    [(8192, (512, 2, 1, False), 0), (1024, (512, 2, 1, True), 1), (200, (128, 1, 8, True), 4)],
)
def test_training_goes_on_in_less_memory_with_the_same_step(
    loaded: Loaded,
    run: Callable[..., Trained],
    holds: int,
    expected: tuple[int, int, int, bool],
    retreats: int,
) -> None:
    """Checkpointing, shorter bins, fewer bins; then it is the training that begins in that layout."""
    import torch

    wide = ("train.pack_tokens=512", "train.batch_size=2", AUTO, "train.max_steps=3")
    with _before_each_pass(loaded, _card_of(holds, loaded)):
        trained = run(*wide, count=60)
    assert _layout(trained) == expected
    assert math.prod(_layout(trained)[:3]) == 1024
    assert (trained.step, trained.steps, trained.stopped) == (3, 3, "")
    assert [entry["step"] for entry in trained.history] == [1, 2, 3]
    assert len([note for note in trained.notes if note.startswith("out of memory in")]) == retreats
    after_retreats = adapter(loaded)
    bins, batch, accumulation, checkpointing = expected
    small = [f"train.pack_tokens={bins}", f"model.max_row_tokens={min(bins, 256)}", "train.max_steps=3"]
    small += [f"train.batch_size={batch}", f"train.gradient_accumulation={accumulation}"]
    model.renew_adapter(loaded, 1)
    run(*small, f"train.gradient_checkpointing={str(checkpointing).lower()}", count=60)
    assert all(torch.equal(weight, after_retreats[name]) for name, weight in adapter(loaded).items())


def test_memory_that_runs_out_in_the_backward_pass_at_a_later_step_is_a_retreat_too(
    loaded: Loaded, run: Callable[..., Trained]
) -> None:
    """Activations are freed there and gradients made, which is where the peak is."""

    def fail(_gradient: Any) -> None:
        raise RuntimeError(NO_MEMORY)

    def act(number: int, output: Any) -> None:
        if number == 3:
            output.register_hook(fail)

    with _at_each_output(_norm(loaded), act):
        trained = run(AUTO, "train.max_steps=4", count=60)
    assert _layout(trained) == (256, 1, 1, True)
    assert [entry["step"] for entry in trained.history] == [1, 2, 3, 4]
    assert len(trained.notes) == 1


def test_training_that_fits_nowhere_ends_with_figures_and_what_is_left_to_try(
    loaded: Loaded, run: Callable[..., Trained]
) -> None:
    """One line: the last layout, the memory that was held, and settings of the user's."""
    says = r"bins of 128 tokens, 1 x 2 a step, .* GiB held: CUDA out"
    with _before_each_pass(loaded, _card_of(0, loaded)), pytest.raises(KitError, match=says) as caught:
        run(count=60)
    assert "train.gradient_checkpointing=true" in caught.value.hint
    assert "model.max_row_tokens" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_an_error_of_another_kind_is_no_retreat(loaded: Loaded, run: Callable[..., Trained]) -> None:
    """It keeps its traceback."""
    wrong = _card_of(0, loaded, "shapes do not match")
    with _before_each_pass(loaded, wrong), pytest.raises(RuntimeError, match="shapes do not match"):
        run(AUTO)


@pytest.mark.parametrize(
    "said",
    [
        NO_MEMORY,
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
def test_every_wording_of_memory_running_out_is_known(said: str) -> None:
    """torch, Triton, cuBLAS, the driver and NCCL each have their own."""
    assert model.is_out_of_memory(RuntimeError(said))
    assert not model.is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))


def test_the_next_member_begins_in_the_layout_that_fitted(
    loaded: Loaded, run: Callable[..., Trained]
) -> None:
    """Only the first one finds out; the others lose no time."""
    fitted: dict[Layout, Layout] = {}
    notes = []
    with _before_each_pass(loaded, _card_of(256, loaded)):
        for seed in (1, 2):
            model.renew_adapter(loaded, seed)
            trained = run(AUTO, "train.max_steps=2", count=40, seed=seed, fitted=fitted)
            assert _layout(trained)[3]
            notes.append(len(trained.notes))
    assert notes == [1, 0]


def test_checkpointing_recomputes_each_layer_and_can_be_taken_back(
    loaded: Loaded, run: Callable[..., Trained]
) -> None:
    """Twice through a layer a step, once without; the adapter comes out the same."""
    import torch

    passes: list[int] = []
    weights = []
    layer = loaded.model.get_base_model().model.layers[0]
    for on in ("false", "true", "false"):
        model.renew_adapter(loaded, 1)
        passes.append(0)

        def count(*_: Any) -> None:
            passes[-1] += 1

        handle = layer.mlp.register_forward_pre_hook(count)
        run(f"train.gradient_checkpointing={on}", "train.max_steps=2")
        handle.remove()
        weights.append(adapter(loaded))
    assert passes == [2, 4, 2]
    for name, weight in weights[0].items():
        assert torch.allclose(weight, weights[1][name], atol=1e-6)
        assert torch.equal(weight, weights[2][name])


def test_a_bin_that_is_left_to_choose_just_holds_the_longest_row(run: Callable[..., Trained]) -> None:
    """The record says which, and as many of them make a step as hold the tokens of 2,048."""
    trained = run("train.pack_tokens=0", "train.max_steps=1", count=40)
    assert _layout(trained) == (128, 1, 16, False)
    assert trained.notes[0].startswith(
        "bins of 128 tokens, 1 x 16 a step, without checkpointing: the longest"
    )


def test_the_steps_that_are_foretold_are_those_that_are_made(run: Callable[..., Trained]) -> None:
    """Over epochs, with a last step of fewer bins."""
    overrides = ("train.max_steps=0", "train.epochs=1.5", "train.gradient_accumulation=4")
    trained = run(*overrides, count=60)
    assert trained.bins % 4
    assert trained.step == trained.steps == len(trained.history) > 1
    assert trained.steps == arguments.steps(config(*overrides), Layout(*_layout(trained)), trained.bins)


@pytest.mark.parametrize(
    ("pass_seconds", "until", "step"), [(1.0, 5.0, 5), (7.0, 6.0, 1), (1.0, 500.0, 6), (1.0, -1.0, 0)]
)
def test_training_ends_before_its_time_is_over(
    loaded: Loaded,
    run: Callable[..., Trained],
    monkeypatch: pytest.MonkeyPatch,
    pass_seconds: float,
    until: float,
    step: int,
) -> None:
    """Between steps, with what it has learnt; a slow first step is let through, none once it is over.

    The clock goes on with each pass, however busy this machine is.
    """
    clock = [0.0]
    for place in (oversee, train):
        monkeypatch.setattr(place, "time", types.SimpleNamespace(monotonic=lambda: clock[0]))

    def tick(_tokens: int) -> None:
        clock[0] += pass_seconds

    with _before_each_pass(loaded, tick):
        trained = run(until=until)
    assert (trained.step, trained.steps, len(trained.history)) == (step, 6, step)
    assert trained.stopped == ("" if step == 6 else "time limit")
    assert any(weight.any() for name, weight in adapter(loaded).items() if "lora_B" in name) is (step > 0)
    assert bool(trained.tokens) is (step > 0)
    assert loaded.tokenizer.padding_side == "left"


def test_an_infinite_loss_ends_training_with_its_step(loaded: Loaded, run: Callable[..., Trained]) -> None:
    """Not a number it is only after the next step."""

    def act(_number: int, output: Any) -> Any:
        output["loss"] = output["loss"] * float("inf")
        return output

    with (
        _at_each_output(loaded.model.get_base_model(), act),
        pytest.raises(KitError, match="the loss is inf at step 1"),
    ):
        run()


@pytest.mark.parametrize(
    ("overflows", "outcome"),
    [
        ({2, 4}, ["fp16 skipped 2 steps, whose gradients overflowed"]),
        ({2, 4, 6}, "fp16 skipped 3 of 12 steps"),
        (set(range(2, 13)), "fp16 skipped 8 steps in a row until step 9"),
    ],
)
def test_steps_that_fp16_skips_are_counted_and_too_many_end_the_member(
    loaded: Loaded,
    run: Callable[..., Trained],
    monkeypatch: pytest.MonkeyPatch,
    overflows: set[int],
    outcome: object,
) -> None:
    """A real gradient scaler leaves out steps whose gradients overflow while the loss is a number."""
    import torch

    built = train._trainer

    def with_scaler(*args: Any) -> Any:
        trainer = built(*args)
        trainer.accelerator.scaler = torch.amp.GradScaler("cpu")
        return trainer

    def act(number: int, output: Any) -> None:
        if number in overflows:
            output.register_hook(lambda gradient: gradient * float("inf"))

    monkeypatch.setattr(train, "_trainer", with_scaler)
    with _at_each_output(_norm(loaded), act):
        if isinstance(outcome, str):
            with pytest.raises(FailsAgain, match=outcome):
                run("train.max_steps=12")
            return
        trained = run("train.max_steps=12")
    assert (trained.step, trained.skipped, trained.notes) == (12, 2, outcome)
    assert all(weight.isfinite().all() for weight in adapter(loaded).values())


def test_gradients_that_are_no_number_end_a_training_without_a_scaler(
    loaded: Loaded, run: Callable[..., Trained]
) -> None:
    """The loss of that step is still finite, and the next one would not be."""

    def act(_number: int, output: Any) -> None:
        output.register_hook(lambda gradient: gradient * float("nan"))

    says = "the gradients are nan at step 1"
    with _at_each_output(_norm(loaded), act), pytest.raises(FailsAgain, match=says):
        run()


def test_packing_that_would_cut_a_row_is_noticed(loaded: Loaded, tmp_path: Path) -> None:
    """TRL drops the end, and with it the label, without a word."""
    from datasets import Dataset

    examples = [{"input_ids": [5] * 300, "completion_mask": [0] * 298 + [1, 1]}]
    trainer = train._trainer(
        loaded, Dataset.from_list(examples), config(), 1, tmp_path, Layout(256, 1, 1, False)
    )
    with pytest.raises(AssertionError, match="packing kept 256 of 300 tokens"):
        train._assert_whole(trainer, 300)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seconds", [12, -1])
def test_ranks_stop_behind_the_same_step(tiny_model: Path, tmp_path: Path, seconds: int) -> None:
    """Each has its own clock and its own reserve; the one with the least time speaks for both."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    together = {"WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    jobs, children = [], []
    for rank, time_left in enumerate((600, seconds)):
        job = {"model": str(tiny_model), "out": str(tmp_path / str(rank)), "rows": 40, "seed": 1}
        jobs.append(job | {"overrides": ["train.max_steps=100000"], "seconds": time_left})
        children.append(small_training.start(jobs[-1], RANK=str(rank), GLOO_SOCKET_IFNAME="lo", **together))
    told = [small_training.finish(child, job) for child, job in zip(children, jobs, strict=True)]
    assert [rank["stopped"] for rank in told] == ["time limit", "time limit"]
    assert told[0]["step"] == told[1]["step"]
    assert (told[0]["step"] > 0) is (seconds > 0)
