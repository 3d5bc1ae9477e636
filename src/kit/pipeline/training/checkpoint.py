"""Keep the newest checkpoint of one member's training whole on disk, and find it again.

What is in it is the Trainer's own: adapter, optimizer, scheduler, random state, loss scaler, position. This
adds which training it belongs to, and refuses another one. The base model is never in it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kit.config import Config
from kit.errors import InputInvalid, KitError
from kit.files import sha256_of, write_json
from kit.pipeline import events
from kit.pipeline.training.layout import Layout

NAME = "checkpoint.json"
"""Says whose checkpoint it is and what each file's sha256 is; a folder without it is no checkpoint."""
NEEDED = (
    *("adapter_config.json", "adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "scaler.pt"),
    *("rng_state.pth", "trainer_state.json"),
)
MIB = 2**20


@dataclass(frozen=True)
class Checkpoint:
    """What checkpoint.json says: whose it is, the layout that it was trained with, and how far it is."""

    identity: str
    layout: Layout
    step: int
    steps: int
    files: dict[str, str]
    """The sha256 of each."""


def identity(config: Config, seed: int, examples: Sequence[dict[str, list[int]]]) -> str:
    """Return the hash of what decides a training; when its checkpoints are written is no part of it."""
    values = config.model_dump(mode="json", include={"model", "lora", "prompt", "train"})
    train = {name: value for name, value in values["train"].items() if not name.startswith("checkpoint_")}
    return sha256_of(json.dumps([values | {"train": train}, seed, examples]))


def newest(folder: Path) -> Path | None:
    """Return the checkpoint of the latest step that `folder` holds, or None."""
    found = [path for path in folder.glob("step-*") if (path / NAME).is_file()]
    return max(found, key=lambda path: int(path.name.removeprefix("step-")), default=None)


def read(path: Path, wanted: str) -> Checkpoint:
    """Return what a checkpoint says; raises KitError where it is damaged or of another training."""
    hint = "fetch the checkpoint again, or the same push without RESUME"
    try:
        found = TypeAdapter(Checkpoint).validate_json((path / NAME).read_bytes())
    except ValidationError as error:
        raise InputInvalid(f"{path / NAME} is damaged: {error.errors()[0]['msg']}", hint=hint) from None
    for name, digest in found.files.items():
        if not (path / name).is_file() or sha256_of(path / name) != digest:
            raise InputInvalid(f"{path / name} is missing or damaged", hint=hint)
    if found.identity != wanted:
        raise KitError(
            f"{path} is of another training: other settings, another seed or other rows", hint=hint
        )
    return found


def clear(folder: Path, but: Path | None = None) -> None:
    """Remove the checkpoints of a training, all or all but one."""
    for path in folder.glob("step-*"):
        if path != but:
            shutil.rmtree(path, ignore_errors=True)


class Keeper:
    """Writes the checkpoints of one training into `folder`: whole, the newest only, below `most_bytes`."""

    def __init__(self, folder: Path, member: str, identity: str, layout: Layout, most_bytes: int) -> None:
        self.folder, self.part = folder, folder / ".part"
        self.member, self.identity, self.layout = member, identity, layout
        self.most_bytes = most_bytes
        self.notes: list[str] = []

    def write(self, trainer: Any, save: Callable[[], None]) -> None:
        """Let `save` write the trainer's checkpoint aside, then put it in its place in one step.

        Where it is too heavy or the disk refuses, training goes on without, and a note says so.
        """
        from safetensors import SafetensorError

        step = trainer.state.global_step
        reason = ""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            reason = self._refusal(_weight(trainer))
            if not reason:
                shutil.rmtree(self.part, ignore_errors=True)
                save()
                self._settle(self.part / f"checkpoint-{step}", step, trainer.state.max_steps)
        except (OSError, RuntimeError, KitError, SafetensorError) as error:
            # torch and safetensors each have their own way to say that the disk is full.
            reason = f"no checkpoint at step {step}: {str(error).splitlines()[0]}"
        finally:
            self.close()
        if reason and reason not in self.notes:
            self.notes.append(reason)
            events.emit("no_checkpoint", member=self.member, reason=reason)

    def close(self) -> None:
        """Leave nothing but the checkpoint: the trainer makes its folder even where it writes none."""
        shutil.rmtree(self.part, ignore_errors=True)

    def _settle(self, written: Path, step: int, steps: int) -> None:
        for path in written.iterdir():
            if path.name not in NEEDED:
                path.unlink()
        digests = {path.name: sha256_of(path) for path in sorted(written.iterdir())}
        write_json(written / NAME, asdict(Checkpoint(self.identity, self.layout, step, steps, digests)))
        place = self.folder / f"step-{step}"
        size = sum(path.stat().st_size for path in written.iterdir())
        shutil.rmtree(place, ignore_errors=True)
        written.rename(place)
        clear(self.folder, but=place)
        events.emit("checkpoint", member=self.member, step=step, bytes=size)

    def _refusal(self, weight: int) -> str:
        heavy = f"no checkpoint: {weight / MIB:.1f} MiB"
        if weight > self.most_bytes:
            return f"{heavy} are more than train.checkpoint_mib = {self.most_bytes // MIB}"
        # Twice, since one file too many on a full disk takes the submission's place.
        free = shutil.disk_usage(self.folder).free
        return f"{heavy}, and {free / MIB:.1f} MiB are free" if free < 2 * weight else ""


def keeping(trainer_class: type[Any], keeper: Keeper) -> type[Any]:
    """Return the trainer class that writes checkpoints through `keeper`; its output_dir is `keeper.part`."""

    class Keeping(trainer_class):  # type: ignore[misc]
        """A trainer whose checkpoints are whole or not there."""

        def _save_checkpoint(self, model: object, trial: object) -> None:
            keeper.write(self, lambda: super(Keeping, self)._save_checkpoint(model, trial))

    return Keeping


def _weight(trainer: Any) -> int:
    """Return the bytes of the trained weights and of the optimizer's state."""
    import torch

    tensors = [weight for weight in trainer.model.parameters() if weight.requires_grad]
    for state in trainer.optimizer.state.values():
        tensors += [value for value in state.values() if isinstance(value, torch.Tensor)]
    return sum(tensor.nbytes for tensor in tensors)
