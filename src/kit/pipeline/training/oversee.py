"""Watch a training behind each whole step: report it, stop it in time or on SIGTERM, ask for checkpoints.

How a checkpoint is written is `checkpoint`'s business.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from kit.environment import ranks
from kit.pipeline import events, model
from kit.pipeline.answers import FailsAgain
from kit.pipeline.model import Loaded

if TYPE_CHECKING:
    import torch
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

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
class Overseer:
    """Looks at the clock, the signal and the figures of one training; `callback` is what the trainer asks."""

    loaded: Loaded
    member: str
    tokens: int
    """Of an epoch."""
    until: float | None
    """When training must have ended, by the monotonic clock."""
    checkpoint_seconds: float | None
    """Between two checkpoints; 0 asks only where training ends, None never."""
    asked_to_stop: bool = False
    stopped: str = ""
    skipped: int = 0
    """Steps whose gradients overflowed in fp16."""
    in_a_row: int = 0
    """Skipped steps behind the last one that was not."""
    ends: list[float] = field(default_factory=list)
    saved: float = 0.0
    begun_at: tuple[int, float] = 0, 0.0
    """Step and epoch."""

    def callback(self) -> TrainerCallback:
        """Return what the trainer calls."""
        from transformers import TrainerCallback

        kinds = {name: getattr(self, name) for name in dir(self) if name.startswith("on_")}
        return type("Overseen", (TrainerCallback,), kinds)()

    def on_train_begin(self, _args: object, state: TrainerState, *_: object, **__: object) -> None:
        """Start the clock."""
        self.saved = time.monotonic()
        self.ends, self.begun_at = [self.saved], (state.global_step, state.epoch or 0.0)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: object,
        **_: object,
    ) -> None:
        """Count skipped steps, and say what comes next."""
        self.ends.append(time.monotonic())
        # The fp16 scaler drops a step whose gradients overflowed, and lowers its scale.
        skipped = bool(getattr(optimizer, "step_was_skipped", False))
        self.skipped += skipped
        self.in_a_row = self.in_a_row + 1 if skipped else 0
        is_last = state.global_step >= state.max_steps
        if self.asked_to_stop:
            self.stopped = SIGTERM
        elif not is_last and self.is_late(args.device):
            self.stopped = TIME_LIMIT
        if self.stopped:
            control.should_training_stop = True
            reached = {"step": state.global_step, "steps": state.max_steps}
            events.emit("stop", member=self.member, reason=self.stopped, **reached)
        if self.checkpoint_seconds is not None:
            is_due = 0 < self.checkpoint_seconds <= self.ends[-1] - self.saved
            control.should_save = bool(self.stopped) or is_last or is_due

    def on_save(self, *_: object, **__: object) -> None:
        """Count the minutes until the next checkpoint from here."""
        self.saved = time.monotonic()

    def on_log(
        self, _args: object, state: TrainerState, *_: object, logs: dict[str, float], **__: object
    ) -> None:
        """Report a step and refuse one whose figures are no numbers."""
        if "loss" not in logs:
            return
        loss, gradient = float(logs["loss"]), logs.get("grad_norm")
        elapsed = time.monotonic() - self.ends[0]
        first_step, first_epoch = self.begun_at
        learned = ((state.epoch or 0.0) - first_epoch) * self.tokens
        left = (state.max_steps - state.global_step) / max(state.global_step - first_step, 1)
        events.emit(
            "step",
            member=self.member,
            step=state.global_step,
            steps=state.max_steps,
            loss=round(loss, 5),
            gradient_norm=None if gradient is None else round(float(gradient), 5),
            skipped=self.skipped,
            learning_rate=logs.get("learning_rate"),
            tokens_per_second=round(learned / max(elapsed, 1e-9)),
            memory_bytes=model.peak_memory(self.loaded),
            seconds_left=round(elapsed * left, 1),
        )
        self.refuse_not_a_number(state.global_step, loss, gradient)

    def is_late(self, device: torch.device) -> bool:
        """Tell whether the time of any rank is over, or would be behind its next step."""
        if self.until is None:
            return False
        durations = [later - earlier for earlier, later in zip(self.ends, self.ends[1:], strict=False)]
        return any_rank(must_stop(time.monotonic(), self.until, durations), device)

    def refuse_not_a_number(self, step: int, loss: float, gradient: float | None) -> None:
        """Raise FailsAgain where training cannot learn any more."""
        broken = ""
        if not math.isfinite(loss):
            broken = f"the loss is {loss} at step {step}"
        elif self.in_a_row >= MOST_SKIPPED_IN_A_ROW:
            broken = f"fp16 skipped {self.in_a_row} steps in a row until step {step}"
        elif gradient is not None and not math.isfinite(gradient) and not self.in_a_row:
            broken = f"the gradients are {gradient} at step {step}"
        if broken:
            raise FailsAgain(broken, hint=CALMER)

    def refuse_skipped(self, step: int) -> None:
        """Raise FailsAgain where so many steps were skipped that the member has not learned its rows."""
        if self.skipped > MOST_SKIPPED * step:
            raise FailsAgain(
                f"fp16 skipped {self.skipped} of {step} steps, whose gradients overflowed", hint=CALMER
            )

    @contextmanager
    def heeding_sigterm(self) -> Iterator[None]:
        """Note the first SIGTERM instead of ending at once; a second one does what it did before."""
        before = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL

        def note(_number: int, _frame: object) -> None:
            self.asked_to_stop = True
            signal.signal(signal.SIGTERM, before)

        signal.signal(signal.SIGTERM, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)


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


def any_rank(said: bool, device: torch.device) -> bool:
    """Tell whether one of the ranks says so; they must all stop behind the same step, or wait for ever."""
    if ranks() == 1:
        return said
    import torch

    most = torch.tensor(float(said), device=device)
    torch.distributed.all_reduce(most, op=torch.distributed.ReduceOp.MAX)
    return bool(most)
