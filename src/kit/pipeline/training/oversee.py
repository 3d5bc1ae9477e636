"""Stop training in time or on SIGTERM, always behind a whole step, and say when a checkpoint is due.

How long steps take is `stopping`'s arithmetic; how a checkpoint is written is `checkpoint`'s.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kit.environment import ranks
from kit.pipeline import events
from kit.pipeline.answers import FailsAgain
from kit.pipeline.training import stopping

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


def any_rank(said: bool, device: Any) -> bool:
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
            f"fp16 skipped {seen.skipped} of {step} steps, whose gradients overflowed",
            hint=CALMER,
        )


def overseer(seen: Seen, *, member: str | int, until: float | None, checkpoint_seconds: float | None) -> Any:
    """Return the callback that stops the trainer before the monotonic `until`, and asks it for checkpoints.

    `checkpoint_seconds` lie between two of them, 0 asks only where training ends, None never.
    """
    from transformers import TrainerCallback

    class Overseer(TrainerCallback):  # type: ignore[misc]
        """Looks at the clock and the signal behind each optimizer step."""

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.ends = [time.monotonic()]
            self.saved = self.ends[0]

        def on_step_end(self, args: Any, state: Any, control: Any, optimizer: Any, **_: Any) -> None:
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
            elif (
                until is not None
                and not is_last
                and any_rank(stopping.must_stop(now, until, durations), args.device)
            ):
                seen.stopped = TIME_LIMIT
            if seen.stopped:
                control.should_training_stop = True
                reached = {"step": state.global_step, "steps": state.max_steps}
                events.emit("stop", member=member, reason=seen.stopped, **reached)
            if checkpoint_seconds is not None:
                is_due = 0 < checkpoint_seconds <= now - self.saved
                control.should_save = bool(seen.stopped) or is_last or is_due

        def on_save(self, *_: Any, **__: Any) -> None:
            self.saved = time.monotonic()

    return Overseer()
