"""Take up what an attached run left: its members' answers and checkpoints, or its adapters alone.

Another run's are refused by the name of what differs. Changes nothing in the attached folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from kit.config import Config
from kit.errors import InputInvalid, KitError
from kit.pipeline import answers, plan
from kit.pipeline.machine import inputs
from kit.pipeline.record import RUN_FILE, RunRecord


def find(root: Path, bundle_hash: str, verb: str) -> tuple[Path, RunRecord]:
    """Return the folder and the record of the attached run that carries `bundle_hash`.

    Raises InputInvalid naming the `verb` that asked for it where no attached output does.
    """
    records = {path.parent: RunRecord.read(path) for path in inputs.marked(root, RUN_FILE)}
    for folder, record in records.items():
        if record is not None and record.bundle_hash == bundle_hash:
            return folder, record
    attached = [record.bundle_hash[:12] for record in records.values() if record is not None]
    raise InputInvalid(
        f"{verb}: no attached output is of the run with bundle_hash {bundle_hash[:12]}; "
        f"attached are {', '.join(attached) or 'none'}",
        hint="the newest version's output is what Kaggle attaches; upload an older one as a dataset",
    )


def bring_back(folder: Path, was: RunRecord, config: Config, now: RunRecord, kept: Path) -> None:
    """Copy what an interrupted run left to `kept`, so that this run goes on from there.

    Raises KitError where that run was another one: settings, training or test rows, or the base model.
    """
    _refuse_other(was, config, now, "RESUME", ("train_sha256", "test_sha256", "model_revision"))
    if not (folder / answers.FOLDER).is_dir():
        raise InputInvalid(
            f"{folder} holds no {answers.FOLDER}/: that run ended as {was.ended!r}",
            hint="FROM=<version> to answer with its adapters, or a run without RESUME",
        )
    shutil.copytree(folder / answers.FOLDER, kept, dirs_exist_ok=True)
    for place in kept.iterdir():
        failure = answers.read_failure(kept, place.name)
        if failure and not failure.is_final:
            (place / "failed.json").unlink()


def adapters(
    folder: Path, was: RunRecord, config: Config, now: RunRecord, names: Sequence[str]
) -> dict[str, str]:
    """Return the folders of an earlier run's adapters by member; those that failed there are left out.

    Raises KitError where they learned something else than this run's members would.
    """
    _refuse_other(was, config, now, "FROM", ("train_sha256", "model_revision"))
    if not was.answered_by or not set(was.answered_by) <= set(names):
        raise KitError(
            f"FROM: that run's adapters are {', '.join(was.answered_by) or 'none'}, "
            f"this one needs {', '.join(names)}",
            hint="the same seed, run.members and evaluate.mode as that run",
        )
    return {name: str(adapter_folder(folder, was.answered_by, name)) for name in was.answered_by}


def adapter_folder(run: Path, names: Sequence[str], name: str) -> Path:
    """Return where a finished run keeps a member's adapter: alone, or in a folder of its own."""
    return run / "adapter" if len(names) == 1 else run / "adapter" / name


def _refuse_other(was: RunRecord, config: Config, now: RunRecord, verb: str, files: Sequence[str]) -> None:
    reason = plan.differs(was.config, config, only_answers=verb == "FROM")
    if reason:
        raise KitError(f"{verb}: that run is another one: {reason}", hint=f"its settings, or no {verb}")
    meaning = {"train_sha256": "train.csv", "test_sha256": "test.csv", "model_revision": "base model"}
    for name in files:
        before, here = getattr(was, name), getattr(now, name)
        if before != here:
            raise KitError(
                f"{verb}: that run had another {meaning[name]}: {before[:12] or 'unknown'}, now {here[:12]}",
                hint=f"the one it had, or a run without {verb}",
            )
