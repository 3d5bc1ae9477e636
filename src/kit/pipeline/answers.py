"""What a member leaves: how it was trained and what it answered; and the table of several members together.

Written whole or not at all, and read back only undamaged and of the same question. Trains and scores nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kit import files
from kit.config import Config
from kit.errors import KitError
from kit.pipeline.training.layout import Layout
from kit.task import parse

if TYPE_CHECKING:
    import numpy
    from pandas import DataFrame

FOLDER = "members"
"""In the working folder; holds `<member>/answers.json`, `<member>/adapter/` and `<member>/checkpoint/`."""


@dataclass(frozen=True)
class Trained:
    """What training did: one (step, loss, learning rate) per optimizer step, and the packed tokens seen.

    `step` of `steps` were reached; `stopped` is empty, "time limit" or "SIGTERM". The layout is the one that
    fitted, None where nothing was trained; `notes` say how it was found and what else did not go as planned.
    """

    history: list[dict[str, float]]
    seconds: float
    tokens: int
    bins: int
    step: int
    steps: int
    skipped: int
    stopped: str
    notes: list[str]
    layout: Layout | None


UNTRAINED = Trained([], 0.0, 0, 0, 0, 0, 0, "", [], None)


@dataclass(frozen=True)
class Answers:
    """All that a member leaves but its adapter; rows are named by their keys."""

    name: str
    seed: int
    fold: int | None
    point: int | None
    settings: str
    identity: str
    """Hash of the settings, the rows and the base model that these answers come from."""
    trained: Trained
    probabilities: dict[str, list[float]]
    completions: dict[str, str]
    peak_memory_bytes: int
    timings: dict[str, float]
    slot: int
    loader: str
    versions: dict[str, str]
    ranks: int = 1
    """Processes that trained it together; each leaves the answers to its part of the rows."""

    @property
    def keys(self) -> set[str]:
        """The keys of every row that it answered."""
        return self.probabilities.keys() | self.completions.keys()


@dataclass(frozen=True)
class Failure:
    """Why a member left no answers, and whether another try would end alike."""

    reason: str
    is_final: bool


class FailsAgain(KitError):
    """Training or answering cannot succeed with these settings and rows, however often it is tried."""


def giving_way(working: Path, write: Callable[[], object]) -> None:
    """Let `write` write what matters; on a full disk the adapters and checkpoints in `working` give way."""
    try:
        write()
    except KitError:
        for place in (*working.glob(f"{FOLDER}/*/checkpoint"), *working.glob(f"{FOLDER}/*/adapter")):
            shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(working / "adapter", ignore_errors=True)
        write()


def write_first(path: Path, text: str, working: Path) -> None:
    """Write a file that matters."""
    giving_way(working, lambda: files.write_whole(path, text))


def answers_path(folder: Path, name: str, rank: int = 0) -> Path:
    """Return where a member's answers lie; ranks that trained it together write one file each."""
    return folder / name / ("answers.json" if rank == 0 else f"answers-{rank}.json")


def write(folder: Path, answers: Answers, rank: int = 0) -> None:
    """Write what a member answered; where the disk is full, what only saves time later gives way."""
    told = asdict(answers)
    text = json.dumps({"sha256": _digest(told), "answers": told}, ensure_ascii=False)
    write_first(answers_path(folder, answers.name, rank), text, folder.parent)
    if not answers.trained.stopped:
        shutil.rmtree(folder / answers.name / "checkpoint", ignore_errors=True)


def read(folder: Path, name: str, identity: str) -> Answers | None:
    """Return a member's answers, its ranks' together; None where it is not done or a file is damaged."""
    first = _read(answers_path(folder, name), identity)
    if first is None:
        return None
    for rank in range(1, first.ranks):
        other = _read(answers_path(folder, name, rank), identity)
        if other is None:
            return None
        first = replace(
            first,
            probabilities=first.probabilities | other.probabilities,
            completions=first.completions | other.completions,
            peak_memory_bytes=max(first.peak_memory_bytes, other.peak_memory_bytes),
            timings={stage: max(first.timings[stage], other.timings[stage]) for stage in first.timings},
        )
    return first


def is_settled(folder: Path, name: str, rank: int = 0) -> bool:
    """Tell whether a member has answered or failed."""
    return answers_path(folder, name, rank).is_file() or (folder / name / "failed.json").is_file()


def drop(folder: Path, name: str) -> None:
    """Remove what a member answered, so that it is trained again; half of the ranks' answers are none."""
    for path in (folder / name).glob("answers*.json"):
        path.unlink()


def write_failure(folder: Path, name: str, failure: Failure) -> None:
    """Leave why a member failed, where the process that started it and another run look."""
    write_first(folder / name / "failed.json", json.dumps(asdict(failure)) + "\n", folder.parent)


def read_failure(folder: Path, name: str) -> Failure | None:
    """Return why a member failed, or None where it did not."""
    told = files.read_json(folder / name / "failed.json")
    return Failure(str(told.get("reason")), bool(told.get("is_final"))) if told else None


def predictions(
    config: Config, members: Sequence[Answers], keys: Sequence[str], frame: DataFrame
) -> DataFrame:
    """Return `id, language?, label, source, probability_<label>…, completion`, in the order of `frame`.

    `keys` name the rows in the members' answers; each row, which one of them at least has answered, gets the
    mean of those that did. `source` is `parse` where every such text was parsed, else `score`. A tie goes to
    the label that stands first.
    """
    import numpy
    from pandas import DataFrame

    labels = config.competition.labels
    by_key: dict[str, list[Answers]] = {key: [] for key in keys}
    for member in members:
        for key in member.keys & by_key.keys():
            by_key[key].append(member)
    mean = numpy.array(
        [numpy.mean([_vote(config, member, key) for member in by_key[key]], axis=0) for key in keys]
    )
    table = DataFrame({"id": frame["id"].tolist()})
    table["language"] = frame["language"].tolist() if "language" in frame else ""
    table["label"] = [labels[index] for index in mean.argmax(axis=1)]
    parsed = [all(key not in member.probabilities for member in by_key[key]) for key in keys]
    table["source"] = ["parse" if certain else "score" for certain in parsed]
    for index, label in enumerate(labels):
        table[f"probability_{label}"] = mean[:, index]
    table["completion"] = [by_key[key][0].completions.get(key, "") for key in keys]
    return table


def probabilities(table: DataFrame, config: Config) -> numpy.ndarray | None:
    """Return the probabilities of `table`, rows x labels; None where texts were parsed and there are none."""
    if (table["source"] == "parse").any():
        return None
    columns = [f"probability_{label}" for label in config.competition.labels]
    return table[columns].to_numpy()


def csv_text(table: DataFrame) -> str:
    """Return a table as text from which every field comes back exactly, line breaks too."""
    return str(table.to_csv(index=False, float_format="%.6f", lineterminator="\n"))


def _vote(config: Config, member: Answers, key: str) -> list[float]:
    scored = member.probabilities.get(key)
    if scored is not None:
        return scored
    labels = config.competition.labels
    label = parse.parse(member.completions[key], labels, config.competition.synonyms)
    return [float(label == other) for other in labels]


def _read(path: Path, identity: str) -> Answers | None:
    told = files.read_json(path)
    if told.get("sha256") != _digest(told.get("answers")) or told["answers"].get("identity") != identity:
        return None
    from pydantic import TypeAdapter

    return TypeAdapter(Answers).validate_python(told["answers"])


def _digest(told: object) -> str:
    return files.sha256_of(json.dumps(told))
