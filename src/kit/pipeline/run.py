"""One run, from the attached inputs to run.json, metrics.json and predictions.csv, which only this writes.

Starts the members through `schedule`, averages what they say, writes the submission. Loads no torch itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit import files
from kit.config import PROJECT_ROOT, Config, input_dir, install_seconds, is_offline, load, working_dir
from kit.errors import InputInvalid, KitError
from kit.pipeline import events, hardware, inputs, merge, schedule
from kit.task import metrics, rows, submission

if TYPE_CHECKING:
    from pandas import DataFrame

SCHEMA = 1


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
    except BaseException:
        record["ended"] = "failed: an error in the program, see the log"
        raise
    finally:
        _keep_record(working / "run.json", record)
    events.emit("end", ended=record["ended"])
    return 0 if record["ended"] == "complete" else 1


def run(config: Config, input_root: Path, working: Path, record: dict[str, Any]) -> None:
    """Train and answer; leave submission.csv, predictions.csv, metrics.json and adapters in `working`.

    Fills `record` with what run.json tells, as it becomes known.
    """
    cards = hardware.choose(hardware.cards(), config.run.cards)
    precision = hardware.precision(cards, config.model.dtype)
    record["cards"] = [dataclasses.asdict(card) for card in cards]
    record["precision"] = dataclasses.asdict(precision)
    events.emit("start", preset=config.preset, cards=[card.name for card in cards], dtype=precision.dtype)

    folder = inputs.competition_folder(input_root, config.competition.slug)
    train, test = _read(config, folder, record)
    fit, held_out = train, train.iloc[:0]
    if config.evaluate.mode == "holdout":
        fit, held_out = rows.split(train, config.evaluate.holdout, config.seed)
    record["train_rows"] = {"all": len(train), "fit": len(fit), "held_out": len(held_out)}
    record["share_of_train_seen"] = round(len(fit) / len(train), 4)

    started = time.monotonic()
    model_folder = inputs.model_folder(input_root, config.model.name, offline=is_offline())
    record["timings"]["download"] = round(time.monotonic() - started, 2)

    slots = schedule.share(range(config.seed, config.seed + config.run.members), max(1, len(cards)))
    scratch = Path(tempfile.mkdtemp(prefix="kit-run-"))
    try:
        job = {
            "config": record["config"],
            "precision": record["precision"],
            "cards": record["cards"],
            "model": str(model_folder),
            "seeds_by_slot": slots,
            "fit": _records(fit, "train"),
            "held_out": _records(held_out, "train"),
            "test": _records(test, "test"),
        }
        _write_json(scratch / "job.json", job)
        schedule.run(scratch / "job.json", len(slots), on_cards=bool(cards))
        members = [json.loads(path.read_text("utf-8")) for path in sorted(scratch.glob("member-*.json"))]
        _write_results(config, members, held_out, test, working, record)
        _keep_adapters(members, scratch, working / "adapter")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _read(config: Config, folder: Path, record: dict[str, Any]) -> tuple[DataFrame, DataFrame]:
    train = rows.read(folder / "train.csv", config.competition, labelled=True)
    test = rows.read(folder / "test.csv", config.competition, labelled=False)
    record["test_sha256"] = hashlib.sha256((folder / "test.csv").read_bytes()).hexdigest()
    train = rows.sample(train, config.data.train_rows, config.seed)
    test = test.head(config.data.test_rows) if config.data.test_rows else test
    record["test_ids"] = test["id"].tolist()
    missing = set(config.competition.labels) - set(train["label"])
    if missing:
        raise InputInvalid(
            f"{folder / 'train.csv'}: no row is labelled {sorted(missing)!r}", hint="mend kit.toml"
        )
    events.emit("data", folder=str(folder), train=len(train), test=len(test))
    return train, test


def _write_results(
    config: Config,
    members: list[dict[str, Any]],
    held_out: DataFrame,
    test: DataFrame,
    working: Path,
    record: dict[str, Any],
) -> None:
    predicted = merge.predictions(config, members, _keys(test, "test"), test)
    submission.write(
        working / "submission.csv",
        test,
        dict(zip(predicted["id"], predicted["label"], strict=True)),
        config.competition,
    )
    merge.write_csv(predicted, working / "predictions.csv")
    report: dict[str, Any] = {"schema": SCHEMA, "metric": config.competition.metric, "held_out": None}
    if len(held_out):
        judged = merge.predictions(config, members, _keys(held_out, "train"), held_out)
        report["held_out"] = metrics.evaluate(
            held_out["label"].tolist(),
            judged["label"].tolist(),
            config.competition.labels,
            probability=merge.probabilities(judged, config),
            language=held_out["language"].tolist() if "language" in held_out else None,
        )
        events.emit(
            "held_out", **{name: report["held_out"][name] for name in ("rows", "accuracy", "macro_f1")}
        )
    report["test"] = {
        "rows": len(predicted),
        "labels": predicted["label"].value_counts().to_dict(),
        "sources": predicted["source"].value_counts().to_dict(),
    }
    report["history"] = {str(member["seed"]): member["history"] for member in members}
    _write_json(working / "metrics.json", report)
    record["versions"] = members[0]["versions"]
    record["loader"] = members[0]["loader"]
    record["members"] = [
        {
            name: member[name]
            for name in ("seed", "slot", "train_tokens", "bins", "peak_memory_bytes", "timings")
        }
        for member in members
    ]
    for name in ("import", "load", "train", "predict"):
        record["timings"][name] = round(max(member["timings"][name] for member in members), 2)


def _keep_adapters(members: list[dict[str, Any]], scratch: Path, target: Path) -> None:
    """Move the adapters home, one folder a seed where there are several; on a full disk none is kept."""
    try:
        for member in members:
            folder = target if len(members) == 1 else target / str(member["seed"])
            folder.mkdir(parents=True)
            for path in sorted((scratch / f"adapter-{member['seed']}").iterdir()):
                shutil.copy(path, folder)
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise KitError(f"{target} cannot be written: {error.strerror}", hint="df -h") from error


def _records(frame: DataFrame, kind: str) -> list[dict[str, str]]:
    keyed = frame.assign(id=_keys(frame, kind))
    return [{str(name): str(value) for name, value in row.items()} for row in keyed.to_dict("records")]


def _keys(frame: DataFrame, kind: str) -> list[str]:
    """Return `train/<id>` or `test/<id>`: both files may number their rows from 1."""
    return [f"{kind}/{row_id}" for row_id in frame["id"]]


def _keep_record(path: Path, record: dict[str, Any]) -> None:
    """Write run.json; where even that has no room, the log has said why already."""
    try:
        _write_json(path, record)
    except KitError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        record["ended"] = f"failed: {error}"


def _write_json(path: Path, value: object) -> None:
    files.write_whole(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
