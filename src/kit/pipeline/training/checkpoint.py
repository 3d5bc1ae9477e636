"""Keep the newest checkpoint of one member's training whole on disk, and find it again.

What is in it is the Trainer's own: adapter, optimizer, scheduler, random state, loss scaler, position. The
base model is never in it. Whose it is, the run that it lies in says.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from kit.errors import InputInvalid, KitError
from kit.files import sha256_of, write_json
from kit.pipeline import events
from kit.pipeline.training.layout import Layout

if TYPE_CHECKING:
    from transformers import Trainer

NAME = "checkpoint.json"
"""Says what each file's sha256 is; a folder without it is no checkpoint."""
NEEDED = (
    *("adapter_config.json", "adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "scaler.pt"),
    *("rng_state.pth", "trainer_state.json"),
)
MIB = 2**20


@dataclass(frozen=True)
class Checkpoint:
    """What checkpoint.json says: the layout that it was trained with, and how far it is."""

    layout: Layout
    step: int
    steps: int
    files: dict[str, str]
    """The sha256 of each."""


def newest(folder: Path) -> Path | None:
    """Return the checkpoint of the latest step that `folder` holds, or None."""
    found = [path.parent for path in folder.glob(f"step-*/{NAME}")]
    return max(found, key=lambda path: int(path.name.removeprefix("step-")), default=None)


def read(path: Path) -> Checkpoint:
    """Return what a checkpoint says; raises InputInvalid where it is damaged."""
    hint = "fetch the checkpoint again, or the same push without RESUME"
    try:
        found = TypeAdapter(Checkpoint).validate_json((path / NAME).read_bytes())
    except ValidationError as error:
        raise InputInvalid(f"{path / NAME} is damaged: {error.errors()[0]['msg']}", hint=hint) from None
    for name, digest in found.files.items():
        if not (path / name).is_file() or sha256_of(path / name) != digest:
            raise InputInvalid(f"{path / name} is missing or damaged", hint=hint)
    return found


def clear(folder: Path, but: Path | None = None) -> None:
    """Remove the checkpoints of a training, all or all but one."""
    for path in folder.glob("step-*"):
        if path != but:
            shutil.rmtree(path, ignore_errors=True)


@dataclass
class Keeper:
    """Writes the checkpoints of one training into `folder`: whole, and the newest only."""

    folder: Path
    member: str
    layout: Layout
    notes: list[str]
    """Where it says why there is no checkpoint."""

    @property
    def part(self) -> Path:
        """The trainer's output folder, which holds half of a checkpoint at most."""
        return self.folder / ".part"

    def write(self, trainer: Trainer, save: Callable[[], None]) -> None:
        """Let `save` write the trainer's checkpoint aside, then put it in its place in one step.

        Where the disk has no room for it, training goes on without, and a note says so.
        """
        from safetensors import SafetensorError

        step = trainer.state.global_step
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            weight, free = _weight(trainer), shutil.disk_usage(self.folder).free
            # Twice, since one file too many on a full disk takes the submission's place.
            if free < 2 * weight:
                raise OSError(f"{weight / MIB:.1f} MiB, and {free / MIB:.1f} MiB are free")
            shutil.rmtree(self.part, ignore_errors=True)
            save()
            self._settle(self.part / f"checkpoint-{step}", step, trainer.state.max_steps)
        except (OSError, RuntimeError, KitError, SafetensorError) as error:
            # torch and safetensors each have their own way to say that the disk is full.
            reason = f"at step {step}: {str(error).splitlines()[0]}"
            self.notes.append(f"no checkpoint {reason}")
            events.emit("no_checkpoint", member=self.member, reason=reason)
        finally:
            self.close()

    def close(self) -> None:
        """Leave nothing but the checkpoint: the trainer makes its folder even where it writes none."""
        shutil.rmtree(self.part, ignore_errors=True)

    def _settle(self, written: Path, step: int, steps: int) -> None:
        for path in written.iterdir():
            if path.name not in NEEDED:
                path.unlink()
        digests = {path.name: sha256_of(path) for path in sorted(written.iterdir())}
        write_json(written / NAME, asdict(Checkpoint(self.layout, step, steps, digests)))
        place = self.folder / f"step-{step}"
        size = sum(path.stat().st_size for path in written.iterdir())
        shutil.rmtree(place, ignore_errors=True)
        written.rename(place)
        clear(self.folder, but=place)
        events.emit("checkpoint", member=self.member, step=step, bytes=size)


def _weight(trainer: Trainer) -> int:
    """Return the bytes of the trained weights and of the optimizer's state."""
    import torch

    tensors = [weight for weight in trainer.model.parameters() if weight.requires_grad]
    for state in trainer.optimizer.state.values():
        tensors += [value for value in state.values() if isinstance(value, torch.Tensor)]
    return sum(tensor.nbytes for tensor in tensors)
