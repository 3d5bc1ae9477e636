"""Watch a training behind each whole step: report it, stop it in time or on SIGTERM, ask for checkpoints.

How a checkpoint is written is `checkpoint`'s business.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from kit.environment import ranks
from kit.pipeline import events, model
from kit.pipeline.answers import FailsAgain
from kit.pipeline.model import Loaded

RECENT = 9
"""Steps that the typical one is taken from: enough to pass over one that wrote a checkpoint."""
ENOUGH = 4
"""Measured steps from which on their median is trusted."""
MOST_SKIPPED_IN_A_ROW = 8
MOST_SKIPPED = 0.2
"""Part of all steps."""
CALMER = "a lower train.learning_rate, or train.loss_scale_start=1024"
TIME_LIMIT = "time limit"
SIGTERM = "SIGTERM"


@dataclass
class Seen:
    """What was seen while training: whether SIGTERM came, why training stopped, the steps fp16 skipped."""

    asked_to_stop: bool = False
    stopped: str = ""
    skipped: int = 0
    in_a_row: int = 0
    """Skipped steps behind the last one that was not."""


def step_seconds(durations: Sequence[float]) -> float:
    """Return what the next step will take, from the seconds of the steps so far; 0 where nothing is known.

    The first step, which compiles, never counts; of few steps the shortest is taken, since the second and
    third may compile as well.
    """
    measured = durations[1:]
    return min(measured, default=0.0) if len(measured) < ENOUGH else median(measured[-RECENT:])


def must_stop(now: float, until: float, durations: Sequence[float]) -> bool:
    """Tell whether the next step would end after `until`."""
    return now >= until or step_seconds(durations) > until - now


@contextmanager
def heeding_sigterm(seen: Seen) -> Iterator[None]:
    """Note the first SIGTERM instead of ending at once; a second one does what it did before."""
    before = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL

    def note(_number: int, _frame: object) -> None:
        seen.asked_to_stop = True
        signal.signal(signal.SIGTERM, before)

    signal.signal(signal.SIGTERM, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def any_rank(said: bool, device: object) -> bool:
    """Tell whether one of the ranks says so; they must all stop behind the same step, or wait for ever."""
    if ranks() == 1:
        return said
    import torch

    most = torch.tensor(float(said), device=device)
    torch.distributed.all_reduce(most, op=torch.distributed.ReduceOp.MAX)
    return bool(most)


def refuse_not_a_number(seen: Seen, step: int, loss: float, gradient: float | None) -> None:
    """Raise FailsAgain where training is broken: its loss or gradients no number, or skips in a row."""
    broken = ""
    if not math.isfinite(loss):
        broken = f"the loss is {loss} at step {step}"
    elif seen.in_a_row >= MOST_SKIPPED_IN_A_ROW:
        broken = f"fp16 skipped {seen.in_a_row} steps in a row until step {step}"
    elif gradient is not None and not math.isfinite(gradient) and not seen.in_a_row:
        broken = f"the gradients are {gradient} at step {step}"
    if broken:
        raise FailsAgain(broken, hint=CALMER)


def refuse_skipped(seen: Seen, step: int) -> None:
    """Raise FailsAgain where so many steps were skipped that the member has not learned its rows."""
    if seen.skipped > MOST_SKIPPED * step:
        raise FailsAgain(
            f"fp16 skipped {seen.skipped} of {step} steps, whose gradients overflowed", hint=CALMER
        )


def _figures(state: Any, logs: dict[str, float]) -> dict[str, float | None]:
    gradient = logs.get("grad_norm")
    return {
        "step": state.global_step,
        "steps": state.max_steps,
        "loss": round(float(logs["loss"]), 5),
        "gradient_norm": None if gradient is None else round(float(gradient), 5),
        "learning_rate": logs.get("learning_rate"),
    }


def overseer(
    seen: Seen,
    loaded: Loaded,
    *,
    member: str,
    tokens: int,
    until: float | None,
    checkpoint_seconds: float | None,
) -> Any:
    """Return the callback that reports steps, stops before the monotonic `until` and asks for checkpoints.

    An epoch has so many `tokens`. `checkpoint_seconds` lie between two checkpoints, 0 asks only where
    training ends, None never.
    """
    from transformers import TrainerCallback

    class Overseer(TrainerCallback):  # type: ignore[misc]
        """Looks at the clock, the signal and the figures behind each optimizer step."""

        def on_train_begin(self, _args: object, state: Any, *_: object, **__: object) -> None:
            self.ends = [time.monotonic()]
            self.saved = self.ends[0]
            self.first_step, self.first_epoch = state.global_step, state.epoch or 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, optimizer: object, **_: object) -> None:
            now = time.monotonic()
            self.ends.append(now)
            # The fp16 scaler drops a step whose gradients overflowed, and lowers its scale.
            skipped = bool(getattr(optimizer, "step_was_skipped", False))
            seen.skipped += skipped
            seen.in_a_row = seen.in_a_row + 1 if skipped else 0
            is_last = state.global_step >= state.max_steps
            durations = [later - earlier for earlier, later in zip(self.ends, self.ends[1:], strict=False)]
            if seen.asked_to_stop:
                seen.stopped = SIGTERM
            elif until is None or is_last:
                pass
            elif any_rank(must_stop(now, until, durations), args.device):
                seen.stopped = TIME_LIMIT
            if seen.stopped:
                control.should_training_stop = True
                reached = {"step": state.global_step, "steps": state.max_steps}
                events.emit("stop", member=member, reason=seen.stopped, **reached)
            if checkpoint_seconds is not None:
                is_due = 0 < checkpoint_seconds <= now - self.saved
                control.should_save = bool(seen.stopped) or is_last or is_due

        def on_save(self, *_: object, **__: object) -> None:
            self.saved = time.monotonic()

        def on_log(self, _args: object, state: Any, *_: object, logs: dict[str, float], **__: object) -> None:
            if "loss" not in logs:
                return
            elapsed = time.monotonic() - self.ends[0]
            done = max(state.global_step - self.first_step, 1)
            events.emit(
                "step",
                member=member,
                **_figures(state, logs),
                skipped=seen.skipped,
                tokens_per_second=round((state.epoch - self.first_epoch) * tokens / max(elapsed, 1e-9)),
                memory_bytes=model.peak_memory(loaded),
                seconds_left=round(elapsed / done * (state.max_steps - state.global_step), 1),
            )
            refuse_not_a_number(seen, state.global_step, float(logs["loss"]), logs.get("grad_norm"))

    return Overseer()
