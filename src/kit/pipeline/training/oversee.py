"""Stop training in time or on SIGTERM, always behind a whole step, and say when a checkpoint is due.

How long steps take is `pace`'s arithmetic; how a checkpoint is written is `checkpoint`'s.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kit.pipeline import events
from kit.pipeline.training import pace

TIME_LIMIT = "time limit"
SIGTERM = "SIGTERM"


@dataclass
class Seen:
    """What was seen while training: whether SIGTERM came, why training stopped, the steps fp16 skipped."""

    told: bool = False
    stopped: str = ""
    skipped: int = 0


@contextmanager
def heeding_sigterm(seen: Seen) -> Iterator[None]:
    """Note the first SIGTERM instead of ending at once; a second one does what it did before."""
    before = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL

    def note(_number: int, _frame: object) -> None:
        seen.told = True
        signal.signal(signal.SIGTERM, before)

    signal.signal(signal.SIGTERM, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def ranks() -> int:
    """Return how many processes train this model together."""
    from torch import distributed

    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def any_rank(said: bool, device: Any) -> bool:
    """Tell whether one of the ranks says so; they must all stop behind the same step, or wait for ever."""
    if ranks() == 1:
        return said
    import torch

    told = torch.tensor(float(said), device=device)
    torch.distributed.all_reduce(told, op=torch.distributed.ReduceOp.MAX)
    return bool(told)


def overseer(seen: Seen, *, member: str | int, until: float | None, checkpoint_seconds: float | None) -> Any:
    """Return the callback that stops the trainer before `until`, an epoch time, and asks it for checkpoints.

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
            seen.skipped += bool(getattr(optimizer, "step_was_skipped", False))
            is_last = state.global_step >= state.max_steps
            durations = [later - earlier for earlier, later in zip(self.ends, self.ends[1:], strict=False)]
            if seen.told:
                seen.stopped = SIGTERM
            elif (
                until is not None
                and not is_last
                and any_rank(pace.must_stop(time.time(), until, durations), args.device)
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
