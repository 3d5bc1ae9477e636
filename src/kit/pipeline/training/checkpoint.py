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

from kit.config import Config
from kit.errors import InputInvalid, KitError
from kit.files import sha256_of, write_json
from kit.pipeline import events
from kit.pipeline.training.layout import Layout

SCHEMA = 1
NAME = "checkpoint.json"
"""Says whose checkpoint it is and what each file's sha256 is; a folder without it is no checkpoint."""
NEEDED = (
    *("adapter_config.json", "adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "scaler.pt"),
    *("rng_state.pth", "trainer_state.json"),
)
PART = ".part"
MIB = 2**20


@dataclass(frozen=True)
class Identity:
    """What decides a training: its settings, its seed and the sha256 of its tokenised rows."""

    settings: dict[str, Any]
    seed: int
    rows: str


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk: the layout that it was trained with, and how far it is."""

    folder: Path
    layout: Layout
    step: int
    steps: int

    def reached(self) -> tuple[list[dict[str, float]], float, int]:
        """Return the trainer's log until then, one entry a step, the epoch and the step."""
        state = json.loads((self.folder / "trainer_state.json").read_text(encoding="utf-8"))
        return state["log_history"], state["epoch"], state["global_step"]


def identity(config: Config, seed: int, examples: Sequence[dict[str, list[int]]]) -> Identity:
    """Return what a checkpoint of this training is known by; when one is written is no part of it."""
    values = config.model_dump(mode="json")
    settings = {
        f"{section}.{name}": value
        for section in ("model", "lora", "prompt", "train")
        for name, value in values[section].items()
        if not name.startswith("checkpoint_")
    }
    return Identity(settings, seed, sha256_of(json.dumps(examples)))


def newest(folder: Path) -> Path | None:
    """Return the checkpoint of the latest step that `folder` holds, or None."""
    found = [path for path in folder.glob("step-*") if (path / NAME).is_file()]
    return max(found, key=lambda path: int(path.name.removeprefix("step-")), default=None)


def read(folder: Path, wanted: Identity) -> Checkpoint:
    """Return the newest checkpoint of `folder`.

    Raises KitError where there is none, a file of it is damaged, or it belongs to another training.
    """
    path = newest(folder)
    if path is None:
        raise InputInvalid(f"{folder} holds no checkpoint", hint="the same push without RESUME")
    try:
        facts = json.loads((path / NAME).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputInvalid(f"{path / NAME} is damaged: {error}", hint="fetch the checkpoint again") from None
    if facts.get("schema") != SCHEMA:
        raise InputInvalid(
            f"{path} was written by another version of the kit", hint="the same push without RESUME"
        )
    for name, digest in facts["files"].items():
        if not (path / name).is_file() or sha256_of(path / name) != digest:
            raise InputInvalid(f"{path / name} is missing or damaged", hint="fetch the checkpoint again")
    if other := _difference(facts["identity"], asdict(wanted)):
        raise KitError(
            f"{path} is of another training: {other}", hint="its settings, or the same push without RESUME"
        )
    return Checkpoint(path, Layout(**facts["layout"]), facts["step"], facts["steps"])


def clear(folder: Path) -> None:
    """Remove the checkpoints of an attempt that did not fit into memory."""
    for path in folder.glob("step-*"):
        shutil.rmtree(path, ignore_errors=True)


class Keeper:
    """Writes the checkpoints of one training into `folder`: whole, the newest only, below `most_bytes`."""

    def __init__(
        self, folder: Path, member: str | int, named: Identity, layout: Layout, most_bytes: int
    ) -> None:
        self.folder = folder
        self.member = member
        self.named = named
        self.layout = layout
        self.most_bytes = most_bytes
        self.notes: list[str] = []
        self.part = folder / PART

    def write(self, trainer: Any, save: Callable[[], None]) -> None:
        """Let `save` write the trainer's checkpoint aside, then put it in its place in one step.

        Where it is too heavy or the disk refuses, training goes on without, and a note says so.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if reason := self._refusal(_weight(trainer)):
                self._note(reason)
                return
            shutil.rmtree(self.part, ignore_errors=True)
            save()
            self._settle(self.part / f"checkpoint-{trainer.state.global_step}", trainer.state)
        except (OSError, RuntimeError, KitError, _serialization_error()) as error:
            # torch and safetensors each have their own way to say that the disk is full.
            self._note(f"no checkpoint at step {trainer.state.global_step}: {str(error).splitlines()[0]}")
        finally:
            self.close()

    def close(self) -> None:
        """Leave nothing but the checkpoint: the trainer makes its folder even where it writes none."""
        shutil.rmtree(self.part, ignore_errors=True)

    def _settle(self, written: Path, state: Any) -> None:
        for path in written.iterdir():
            if path.name not in NEEDED:
                path.unlink()
        facts = {
            "schema": SCHEMA,
            "identity": asdict(self.named),
            "layout": asdict(self.layout),
            "step": state.global_step,
            "steps": state.max_steps,
            "files": {path.name: sha256_of(path) for path in sorted(written.iterdir())},
        }
        write_json(written / NAME, facts)
        place = self.folder / f"step-{state.global_step}"
        size = sum(path.stat().st_size for path in written.iterdir())
        shutil.rmtree(place, ignore_errors=True)
        written.rename(place)
        for path in self.folder.glob("step-*"):
            if path != place:
                shutil.rmtree(path, ignore_errors=True)
        events.emit("checkpoint", member=self.member, step=state.global_step, bytes=size)

    def _refusal(self, weight: int) -> str:
        if weight > self.most_bytes:
            return (
                f"no checkpoint: {weight / MIB:.1f} MiB are more than "
                f"train.checkpoint_mib = {self.most_bytes // MIB}"
            )
        # Twice, since one file too many on a full disk takes the submission's place.
        free = shutil.disk_usage(self.folder).free
        if free < 2 * weight:
            return f"no checkpoint: {weight / MIB:.1f} MiB, and {free / MIB:.1f} MiB are free"
        return ""

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
            events.emit("no_checkpoint", member=self.member, reason=text)


def keeping(trainer_class: type[Any], keeper: Keeper) -> type[Any]:
    """Return the trainer class that writes checkpoints through `keeper`; its output_dir is `keeper.part`."""

    class Keeping(trainer_class):  # type: ignore[misc]
        """A trainer whose checkpoints are whole or not there."""

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            keeper.write(self, lambda: super(Keeping, self)._save_checkpoint(model, trial))

    return Keeping


def _weight(trainer: Any) -> int:
    """Return the bytes of the trained weights and of the optimizer's state."""
    import torch

    tensors = [weight for weight in trainer.model.parameters() if weight.requires_grad]
    for state in trainer.optimizer.state.values():
        tensors += [value for value in state.values() if isinstance(value, torch.Tensor)]
    return sum(tensor.nbytes for tensor in tensors)


def _serialization_error() -> type[Exception]:
    from safetensors import SafetensorError

    error: type[Exception] = SafetensorError
    return error


def _difference(there: dict[str, Any], here: dict[str, Any]) -> str:
    """Return the first thing in which two trainings differ, or nothing."""
    for name in sorted({*there["settings"], *here["settings"]}):
        was, is_now = there["settings"].get(name), here["settings"].get(name)
        if was != is_now:
            return f"{name} was {was!r}, now {is_now!r}"
    if there["seed"] != here["seed"]:
        return f"its seed was {there['seed']}, now {here['seed']}"
    return "its training rows were others" if there["rows"] != here["rows"] else ""
