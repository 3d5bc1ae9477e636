"""One run, from the attached inputs to run.json, metrics.json and predictions.csv, which only this writes.

Starts the members through `schedule`, averages what they say, writes the submission. Loads no torch itself.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit import files, outputs
from kit.config import PROJECT_ROOT, Config, load, override
from kit.environment import download_seconds, input_dir, install_seconds, is_offline, working_dir
from kit.errors import InputInvalid, KitError
from kit.pipeline import events, keep, merge, plan, results, schedule
from kit.pipeline.machine import base, hardware, inputs
from kit.pipeline.plan import Member
from kit.task import competition_files, rows
from kit.task.submission import Columns

if TYPE_CHECKING:
    from pandas import DataFrame

SCHEMA = 1
LOAD_TOGETHER_BYTES = 24 * 2**30
"""Weights that processes may read at the same time: a kernel has 31 GB of memory."""


def main() -> int:
    """Run what the bundle's manifest says, in the working folder; return the kernel's exit status."""
    manifest = json.loads((PROJECT_ROOT / "bundle.json").read_text(encoding="utf-8"))
    config = load(manifest["config"], where="the bundle's config")
    working = working_dir()
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "bundle_hash": manifest["bundle_hash"],
        "config": config.model_dump(mode="json"),
        "timings": {"install": install_seconds()},
        "ended": "started",
    }
    try:
        run(config, input_dir(), working, record)
        record["ended"] = "complete"
    except KitError as error:
        record["ended"] = f"failed: {error}"
        print(f"error: {error}", file=sys.stderr, flush=True)
    except SystemExit:
        record["ended"] = "failed: stopped by SIGTERM"
        raise
    except BaseException:
        record["ended"] = "failed: an error in the program, see the log"
        raise
    finally:
        _keep_record(working, record)
    events.emit("end", ended=record["ended"])
    return 0 if record["ended"] == "complete" else 1


def run(config: Config, input_root: Path, working: Path, record: dict[str, Any]) -> None:
    """Train and answer; leave in `working` what `results.write` names, and the adapters.

    Fills `record` with what run.json tells, as it becomes known.
    """
    deadline = time.time() + 60 * config.run.time_limit_minutes - install_seconds()
    cards = hardware.choose(hardware.cards(), config.run.cards)
    precision = hardware.precision(cards, config.model.dtype)
    record["cards"] = [dataclasses.asdict(card) for card in cards]
    record["precision"] = dataclasses.asdict(precision)
    events.emit("start", preset=config.preset, cards=[card.name for card in cards], dtype=precision.dtype)

    folder = inputs.competition_folder(input_root, config.competition.slug)
    train, test, columns = _read(config, folder, record)
    members = _plan(config, train, record)
    files.write_json(working / "run.json", record)  # by which RESUME finds what a killed run leaves
    kept = working / keep.FOLDER
    job = {
        "config": record["config"],
        "precision": record["precision"],
        "cards": record["cards"],
        "model": str(_model(config, input_root, record)),
        "folder": str(kept),
        "deadline": deadline,
        "adapters": _earlier(config, input_root, members, record, kept),
        "train": _records(train, "train"),
        "test": _records(test, "test"),
    }
    slots = len(cards) or config.run.cpu_processes
    failure: KitError | None = None
    try:
        members, ranks = _work(config, members, train, job, slots, record)
    except KitError as error:
        failure, ranks = error, record.get("ranks", 1)
    asked = set(plan.keys(test, "test"))
    found = [keep.read_answers(kept, member.name, ranks) for member in members]
    # Where one of several ranks failed, the others' part of the rows is no answer.
    answers = [member for member in found if member and asked <= merge.answered([member])]
    if not answers:
        raise failure or KitError("no member was done in time", hint="a larger run.time_limit_minutes")
    chosen = results.write(config, answers, train, test, working, columns)
    record["answered_by"] = [member["name"] for member in chosen]
    record["unreached"] = results.unreached(members, answers)
    _tell(record, answers)
    keep.keep_adapters(kept, chosen, working)
    if failure:
        # What the finished members said is there; what the others learned stays for RESUME.
        raise failure
    if not record["unreached"] and not any(member["stopped"] for member in answers):
        shutil.rmtree(kept, ignore_errors=True)


def _plan(config: Config, train: DataFrame, record: dict[str, Any]) -> list[Member]:
    members = plan.members(config, train)
    plan.refuse_missing_labels(members, train, config.competition.labels)
    seen = {key for member in members for key in member.fit}
    held_out = {key for member in members for key in member.held_out}
    record["train_rows"] = {"all": len(train), "fit": len(seen), "held_out": len(held_out)}
    record["share_of_train_seen"] = round(len(members[0].fit) / len(train), 4)
    return members


def _model(config: Config, input_root: Path, record: dict[str, Any]) -> Path:
    started = time.monotonic()
    folder = inputs.model_folder(input_root, config.model.name, offline=is_offline())
    record["timings"]["download"] = round(download_seconds() + time.monotonic() - started, 2)
    base.check(folder, config)
    return folder


def _tell(record: dict[str, Any], answers: list[dict[str, Any]]) -> None:
    """Fill the record with what the members said of themselves."""
    record["versions"] = answers[0]["versions"]
    record["loader"] = answers[0]["loader"]
    record["members"] = [results.member_record(member) for member in answers]
    for name in ("import", "load", "train", "predict"):
        record["timings"][name] = round(max(_by_slot(answers, name).values()), 2)


def _work(
    config: Config,
    members: list[Member],
    train: DataFrame,
    job: dict[str, Any],
    slots: int,
    record: dict[str, Any],
) -> tuple[list[Member], int]:
    """Let the members work; return them, and how many ranks each was trained by.

    A single member is trained by all slots together. Where that breaks without a reason of its own, as many
    seeds as there are slots take its place, one each.
    """
    together = len(members) == 1 and slots > 1 and config.run.one_member_on_all_cards
    if together and not job["adapters"]:
        keep.drop_parts(Path(job["folder"]), members[0].name, slots)
        try:
            _schedule(job, members, [[members[0].name]] * slots, as_ranks=True)
        except schedule.ProcessFailed as error:
            note = (
                f"training on {slots} cards together failed ({error.message}); {slots} seeds took its place"
            )
            record["notes"] = [note]
            events.emit("fall_back", reason=note)
            members = plan.members(override(config, [f"run.members={slots}"]), train)
        else:
            record["ranks"] = slots
            return members, slots
    _schedule(job, members, plan.deal([member.name for member in members], slots), as_ranks=False)
    return members, 1


def _schedule(job: dict[str, Any], members: list[Member], slots: list[list[str]], *, as_ranks: bool) -> None:
    weights = sum(path.stat().st_size for path in Path(job["model"]).glob("*.safetensors"))
    scratch = Path(tempfile.mkdtemp(prefix="kit-run-"))
    whole = {
        **job,
        "members": {member.name: dataclasses.asdict(member) for member in members},
        "slots": slots,
        "processes": len(slots),
        "load_in_turn": weights * len(slots) > LOAD_TOGETHER_BYTES,
    }
    try:
        files.write_json(scratch / "job.json", whole)
        schedule.run(scratch / "job.json", len(slots), on_cards=bool(job["cards"]), as_ranks=as_ranks)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _earlier(
    config: Config, input_root: Path, members: list[Member], record: dict[str, Any], kept: Path
) -> dict[str, str]:
    """Bring back what an attached run left; return the adapters that only answer, by member."""
    if config.run.resume:
        earlier, told = keep.earlier_run(input_root, config.run.resume, "RESUME")
        keep.bring_back(earlier, told, config, record["test_sha256"], kept)
        events.emit(
            "resume", folder=str(earlier), done=[path.parent.name for path in kept.glob("*/answers.json")]
        )
    if not config.run.adapters_from:
        return {}
    earlier, told = keep.earlier_run(input_root, config.run.adapters_from, "FROM")
    names = told["answered_by"]
    wanted = [member.name for member in members]
    if names != wanted:
        raise KitError(
            f"FROM: that run's adapters are {', '.join(names)}, this one needs {', '.join(wanted)}",
            hint="the same seed, run.members and evaluate.mode as that run",
        )
    return {name: str(keep.adapter_folder(earlier, names, name)) for name in names}


def _read(config: Config, folder: Path, record: dict[str, Any]) -> tuple[DataFrame, DataFrame, Columns]:
    brought = competition_files.read(folder, config.competition)
    train, test = brought.train, brought.test
    lefts = {"train": brought.train_left, "test": brought.test_left}
    record["left"] = {name: left.as_json() for name, left in lefts.items() if left}
    record["submission"] = dataclasses.asdict(brought.columns)
    for name, left in lefts.items():
        if left:
            events.emit("left", file=f"{name}.csv", rows=str(left), first=left.first)
    record["test_sha256"] = files.sha256_of(folder / "test.csv")
    train = rows.sample(train, config.data.train_rows, config.seed)
    test = test.head(config.data.test_rows) if config.data.test_rows else test
    record["test_ids"] = test["id"].tolist()
    missing = set(config.competition.labels) - set(train["label"])
    if missing:
        raise InputInvalid(
            f"{folder / 'train.csv'}: no row is labelled {sorted(missing)!r}", hint="mend kit.toml"
        )
    events.emit("data", folder=str(folder), train=len(train), test=len(test))
    return train, test, brought.columns


def _by_slot(members: list[dict[str, Any]], stage: str) -> dict[int, float]:
    """Return the seconds that each card spent on a stage; the cards work at the same time."""
    seconds: dict[int, float] = {}
    for member in members:
        seconds[member["slot"]] = seconds.get(member["slot"], 0.0) + member["timings"][stage]
    return seconds


def _records(frame: DataFrame, kind: str) -> list[dict[str, str]]:
    keyed = frame.assign(id=plan.keys(frame, kind))
    return [{str(name): str(value) for name, value in row.items()} for row in keyed.to_dict("records")]


def _keep_record(working: Path, record: dict[str, Any]) -> None:
    """Write run.json and the list of outputs; where even that has no room, the log has said why already."""
    try:
        files.write_json(working / "run.json", record)
        outputs.write_manifest(working)
    except KitError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        record["ended"] = f"failed: {error}"


if __name__ == "__main__":
    sys.exit(main())
