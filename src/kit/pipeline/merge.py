"""Put the members' answers together: one label a row, with where it came from.

Averages probabilities; a parsed completion counts as a certain vote. Trains and scores nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit import files
from kit.config import Config
from kit.task import parse

if TYPE_CHECKING:
    import numpy
    from pandas import DataFrame


def predictions(
    config: Config, members: Sequence[dict[str, Any]], keys: Sequence[str], frame: DataFrame
) -> DataFrame:
    """Return `id, language?, label, source, probability_<label>…, completion`, in the order of `frame`.

    `keys` name the rows in the members' answers; each row is answered by the mean of those that answered it.
    `source` is `parse` where every such text was parsed, else `score`. A tie goes to the label that stands
    first. Raises KeyError for a row that no member answered.
    """
    import numpy
    from pandas import DataFrame

    labels = config.competition.labels
    mean = numpy.array(
        [numpy.mean([_vote(config, member, key) for member in _who(members, key)], axis=0) for key in keys]
    )
    table = DataFrame({"id": frame["id"].tolist()})
    table["language"] = frame["language"].tolist() if "language" in frame else ""
    table["label"] = [labels[index] for index in mean.argmax(axis=1)]
    parsed = [all(key not in member["probabilities"] for member in _who(members, key)) for key in keys]
    table["source"] = ["parse" if certain else "score" for certain in parsed]
    for index, label in enumerate(labels):
        table[f"probability_{label}"] = mean[:, index]
    table["completion"] = [_who(members, key)[0]["completions"].get(key, "") for key in keys]
    return table


def probabilities(table: DataFrame, config: Config) -> numpy.ndarray | None:
    """Return the probabilities of `table`, rows x labels; None where texts were parsed and there are none."""
    if (table["source"] == "parse").any():
        return None
    columns = [f"probability_{label}" for label in config.competition.labels]
    return table[columns].to_numpy()


def write_csv(table: DataFrame, path: Path) -> None:
    """Write a table so that every text comes back exactly, line breaks too."""
    text = table.to_csv(index=False, quoting=csv.QUOTE_MINIMAL, float_format="%.6f", lineterminator="\n")
    files.write_whole(path, text)


def answered(members: Sequence[dict[str, Any]]) -> set[str]:
    """Return the keys of every row that a member answered."""
    return {key for member in members for kind in ("probabilities", "completions") for key in member[kind]}


def _who(members: Sequence[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    found = [member for member in members if key in member["probabilities"] or key in member["completions"]]
    if not found:
        raise KeyError(key)
    return found


def _vote(config: Config, member: dict[str, Any], key: str) -> list[float]:
    scored: list[float] | None = member["probabilities"].get(key)
    if scored is not None:
        return scored
    labels = config.competition.labels
    label = parse.parse(member["completions"][key], labels, config.competition.synonyms)
    return [float(label == other) for other in labels]
