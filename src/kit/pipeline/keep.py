"""Where each member's answers, adapter and checkpoint lie while a run goes on, and how they come back.

They stand in the working folder, so that a run that ends early leaves them; a complete run removes them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kit import files
from kit.config import Config
from kit.errors import InputInvalid, KitError
from kit.pipeline import plan
from kit.pipeline.machine import inputs
from kit.pipeline.model import Loaded
from kit.pipeline.training import checkpoint

FOLDER = "members"
"""In the working folder; holds `<member>/answers.json`, `<member>/adapter/` and `<member>/checkpoint/`."""
EARLIER_FILE = "run.json"


def answers_path(folder: Path, name: str, rank: int = 0) -> Path:
    """Return where a member's answers lie; ranks that trained it together write one file each."""
    return folder / name / ("answers.json" if rank == 0 else f"answers-{rank}.json")


def write_answers(folder: Path, name: str, rank: int, answers: dict[str, Any]) -> None:
    """Write what a member said, whole or not at all; with it the member is done."""
    files.write_whole(answers_path(folder, name, rank), json.dumps(answers, ensure_ascii=False))
    if not answers["stopped"]:
        shutil.rmtree(folder / name / "checkpoint", ignore_errors=True)


def read_answers(folder: Path, name: str, ranks: int = 1) -> dict[str, Any] | None:
    """Return a member's answers, those of all its ranks together, or None where it is not done."""
    paths = [answers_path(folder, name, rank) for rank in range(ranks)]
    if not all(path.is_file() for path in paths):
        return None
    first, *others = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
    answers: dict[str, Any] = first
    for other in others:
        answers["probabilities"] |= other["probabilities"]
        answers["completions"] |= other["completions"]
        answers["peak_memory_bytes"] = max(answers["peak_memory_bytes"], other["peak_memory_bytes"])
        for stage, seconds in other["timings"].items():
            answers["timings"][stage] = max(answers["timings"][stage], seconds)
    return answers


def drop_parts(folder: Path, name: str, ranks: int) -> None:
    """Remove a member's answers where not all of its ranks left theirs: ranks only answer together."""
    if read_answers(folder, name, ranks) is None:
        for path in (folder / name).glob("answers*.json"):
            path.unlink()


def earlier_run(root: Path, bundle_hash: str, what: str) -> tuple[Path, dict[str, Any]]:
    """Return the folder and the run.json of the attached run that carries `bundle_hash`.

    Raises InputInvalid naming `what` asked for it where no attached output does.
    """
    found = []
    for path in inputs.marked(root, EARLIER_FILE):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            found.append(str(told["bundle_hash"]))
        except (ValueError, KeyError, TypeError):
            continue
        if told["bundle_hash"] == bundle_hash:
            return path.parent, told
    raise InputInvalid(
        f"{what}: no attached output is of the run with bundle_hash {bundle_hash[:12]}; "
        f"attached are {', '.join(name[:12] for name in found) or 'none'}",
        hint="the newest version's output is what Kaggle attaches; upload an older one as a dataset",
    )


def bring_back(earlier: Path, told: dict[str, Any], config: Config, test_sha256: str, folder: Path) -> None:
    """Copy what an interrupted run left to `folder`, so that this run goes on from there.

    Raises KitError where that run was another one: other settings or other test rows.
    """
    if reason := plan.differs(told["config"], config):
        raise KitError(
            f"the run to resume is another one: {reason}", hint="its settings, or a run without RESUME"
        )
    if told.get("test_sha256") != test_sha256:
        raise KitError(
            "the run to resume had another test.csv", hint="FROM=<version>, which only answers new rows"
        )
    if not (earlier / FOLDER).is_dir():
        raise InputInvalid(
            f"{earlier} holds no {FOLDER}/: that run ended as {told.get('ended')!r}",
            hint="FROM=<version> to answer with its adapters, or a run without RESUME",
        )
    shutil.copytree(earlier / FOLDER, folder, dirs_exist_ok=True)
    for path in folder.glob("*/answers*.json"):
        if json.loads(path.read_text(encoding="utf-8"))["stopped"]:
            path.unlink()  # it answered in time, but had more to learn


def checkpoint_to_resume(folder: Path, name: str) -> Path | None:
    """Return the folder of a member's checkpoint, or None where it has none."""
    place = folder / name / "checkpoint"
    return place if checkpoint.newest(place) else None


def adapter_folder(run: Path, names: Sequence[str], name: str) -> Path:
    """Return where a finished run keeps a member's adapter: alone, or in a folder of its own."""
    return run / "adapter" if len(names) == 1 else run / "adapter" / name


def save_adapter(loaded: Loaded, folder: Path) -> str:
    """Save the trained adapter whole or not at all; return why it could not be saved, else nothing.

    Answers matter more: a full disk must not keep a member from giving them.
    """
    from safetensors import SafetensorError

    try:
        loaded.model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        return str(error).splitlines()[0]
    return ""


def keep_adapters(folder: Path, members: Sequence[dict[str, Any]], working: Path) -> None:
    """Copy the members' adapters to where a finished run keeps them; on a full disk none is kept."""
    target = working / "adapter"
    shutil.rmtree(target, ignore_errors=True)
    names = [member["name"] for member in members]
    if lost := next((member["adapter_lost"] for member in members if member["adapter_lost"]), ""):
        raise KitError(f"{target} cannot be written: {lost}", hint="df -h")
    try:
        for name in names:
            place = adapter_folder(working, names, name)
            place.mkdir(parents=True)
            for path in sorted((folder / name / "adapter").iterdir()):
                shutil.copy(path, place)
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise KitError(f"{target} cannot be written: {error.strerror}", hint="df -h") from error
