"""One run, from the attached inputs to run.json and what `results` writes, which only this process does.

Lets the members work (`crew`), and answers with those that come back. Loads no torch itself.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from kit import environment, files
from kit.config import PROJECT_ROOT, Config, load
from kit.errors import InputInvalid, KitError
from kit.pipeline import earlier, events, plan, results, schedule
from kit.pipeline.crew import Crew
from kit.pipeline.machine import base_model, hardware, inputs
from kit.pipeline.record import RunRecord
from kit.task import competition_files, rows
from kit.task.submission import Columns

if TYPE_CHECKING:
    from pandas import DataFrame

SPARE_SECONDS, SPARE_PART = 30.0, 0.08
"""What the members leave of the run's time: twice this, or this part of a short run's. Who has not answered
after the first half is stopped; the results are written in the second."""


def main() -> int:
    """Run what the bundle's manifest says, in the working folder; return the kernel's exit status."""
    signal.signal(signal.SIGTERM, schedule.leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # kernel/main.py held it back until here
    manifest = json.loads((PROJECT_ROOT / "bundle.json").read_text(encoding="utf-8"))
    config = load(manifest["config"], where="the bundle's config")
    working = environment.working_dir()
    record = RunRecord(manifest["bundle_hash"], config.model_dump(mode="json"))
    record.timings["install"] = environment.stage_seconds("install")
    try:
        run(config, environment.input_dir(), working, record)
        record.ended = "complete"
    except KitError as error:
        record.ended = f"failed: {error}"
        print(f"error: {error}", file=sys.stderr, flush=True)
    except SystemExit:
        record.ended = "failed: stopped by SIGTERM"
        raise
    except BaseException:
        record.ended = "failed: an error in the program, see the log"
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what is written from here on is what is left
        try:
            record.close(working)
        except KitError as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            record.ended = f"failed: {error}"
    events.emit("end", ended=record.ended)
    return 0 if record.ended == "complete" else 1


def run(config: Config, input_root: Path, working: Path, record: RunRecord) -> None:
    """Train and answer; leave in `working` what `results.write` names, and the adapters.

    Fills `record` with what run.json says, as it becomes known. Raises KitError where no member answered.
    """
    begun = environment.started() or time.monotonic()
    limit = 60 * config.run.time_limit_minutes
    spare = min(SPARE_SECONDS, SPARE_PART * limit)
    cards = hardware.choose(hardware.cards(), config.run.cards, config.kernel.accelerator)
    record.cards, record.precision = list(cards), hardware.precision(cards, config.model.dtype)
    events.emit(
        "start", preset=config.preset, cards=[card.name for card in cards], dtype=record.precision.dtype
    )
    train, test, columns = _read(
        config, inputs.competition_folder(input_root, config.competition.slug), record
    )
    members = plan.members(config, train)
    plan.refuse_missing_labels(members, train, config.competition.labels)
    record.write(working)  # by which RESUME finds what a killed run leaves
    model = _model(config, input_root, record)
    crew = Crew(config, train, test, model, working, begun + limit, spare, record, members)
    adapters = crew.take_up(input_root)
    crew.record_rows()
    record.write(working)
    done = crew.work(adapters)
    if not done:
        reasons = list(dict.fromkeys(record.failed.values()))
        if len(reasons) > 1:
            reasons = [f"{name}: {reason}" for name, reason in record.failed.items()]
        raise KitError(
            "; ".join(reasons) or "no member was begun in time",
            hint="" if reasons else "a larger run.time_limit_minutes",
        )
    chosen = results.write(config, done, train, test, working, columns, record.failed)
    record.answered_by = [member.name for member in chosen]
    crew.describe(done)
    if lost := _keep_adapters(crew.kept, record.answered_by, working):
        crew.warn(f"the adapters are not kept: {lost}")
    if not (record.failed or record.unreached or any(member.trained.stopped for member in done)):
        shutil.rmtree(crew.kept, ignore_errors=True)


def _model(config: Config, input_root: Path, record: RunRecord) -> Path:
    started = time.monotonic()
    folder = inputs.model_folder(input_root, config.model.name)
    base_model.check(folder, config)
    record.model_revision = inputs.revision(folder)
    seconds = environment.stage_seconds("download") + time.monotonic() - started
    record.timings["download"] = round(seconds, 2)
    return folder


def _read(config: Config, folder: Path, record: RunRecord) -> tuple[DataFrame, DataFrame, Columns]:
    brought = competition_files.read(folder, config.competition)
    train, test = brought.train, brought.test
    record.submission = brought.columns
    for name, left in (("train", brought.train_left), ("test", brought.test_left)):
        if left:
            record.left[name] = asdict(left)
            events.emit("left", file=f"{name}.csv", rows=str(left), first=left.first)
    record.train_sha256, record.test_sha256 = (
        files.sha256_of(folder / name) for name in ("train.csv", "test.csv")
    )
    train = rows.sample(train, config.data.train_rows, config.evaluate.seed)
    test = test.head(config.data.test_rows) if config.data.test_rows else test
    record.test_ids = test["id"].tolist()
    missing = set(config.competition.labels) - set(train["label"])
    if missing:
        raise InputInvalid(
            f"{folder / 'train.csv'}: no row is labelled {sorted(missing)!r}", hint="mend kit.toml"
        )
    events.emit("data", folder=str(folder), train=len(train), test=len(test))
    return train, test, brought.columns


def _keep_adapters(kept: Path, names: Sequence[str], working: Path) -> str:
    """Put the adapters where a finished run keeps them, without a second copy; return why one is missing."""
    target = working / "adapter"
    shutil.rmtree(target, ignore_errors=True)
    try:
        for name in names:
            place = earlier.adapter_folder(working, names, name)
            place.mkdir(parents=True)
            for path in sorted((kept / name / "adapter").iterdir()):
                try:
                    (place / path.name).hardlink_to(path)
                except OSError:  # a file system that knows one name only
                    shutil.copy(path, place / path.name)
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        return error.strerror or str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main())
