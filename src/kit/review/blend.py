"""Average the probabilities of several runs into one submission, and score it on the rows that all held out.

It joins by id and trains nothing. The folder that it writes can be read, reported and compared like a run's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy
from pydantic import Field, TypeAdapter, ValidationError

from kit.errors import InputInvalid, KitError
from kit.outputs import MADE
from kit.review import record, results, tables
from kit.review.made import Made
from kit.review.record import Judged, Push
from kit.review.results import Results

if TYPE_CHECKING:
    from pandas import DataFrame

PRESET = "blend"
_WEIGHTS = TypeAdapter(list[Annotated[float, Field(ge=0, le=1e9)]])
VOTE = "vote"
"""Source of a row for which every run read its answer out of a text: the share of the weights behind it."""


def normalised(weights: Sequence[str], runs: int) -> tuple[float, ...]:
    """Return weights as the user wrote them, made to sum to 1; none given are equal ones. Raises KitError."""
    if not weights:
        return (1 / runs,) * runs
    example = 'make blend RUNS="v1 v2" WEIGHTS="0.6 0.4"'
    if len(weights) != runs:
        raise KitError(f"{len(weights)} weights for {runs} runs", hint=example)
    try:
        values = _WEIGHTS.validate_python(weights)
    except ValidationError as error:
        odd = error.errors()[0]["input"]
        raise KitError(f"weight {odd!r} is no number from 0 to 1e9", hint=example) from None
    if not any(values):
        raise KitError("every weight is 0", hint=example)
    return tuple(value / sum(values) for value in values)


def blend(runs: Sequence[Results], weights: Sequence[float]) -> Made:
    """Return the weighted mean of the runs' probabilities, the likeliest label of each row, and its metrics.

    A parsed text counts as a certain vote. A tie goes to the label that stands first. Raises InputInvalid
    where the runs answered other ids or have other labels.
    """
    names = [run.name for run in runs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputInvalid(f"{twice[0]} is named twice", hint="a weight instead")
    labels, first = runs[0].competition.labels, runs[0].run
    held_out = results.shared_held_out(runs)
    oof = held_out[0]
    if len(oof):
        oof = _mean(held_out, weights, labels, "predicted")
        folds = zip(*(table["fold"] for table in held_out), strict=True)
        oof["fold"] = [same[0] if len(set(same)) == 1 else "" for same in folds]
    pushes = [run.push or record.read(Push, run.folder / MADE) for run in runs]
    owners = {push.owner for push in pushes}
    kept = ("seed", "competition", "data", "evaluate")
    return Made(
        name=_name(runs, weights),
        competition=runs[0].competition,
        config={"preset": PRESET, **{name: first.config[name] for name in kept if name in first.config}},
        predictions=_mean(_answers(runs), weights, labels, "label"),
        oof=oof,
        test_sha256=first.test_sha256,
        columns=first.submission,
        members=[
            {"run": run.name, "weight": weight, "bundle_hash": run.run.bundle_hash}
            for run, weight in zip(runs, weights, strict=True)
        ],
        owner=owners.pop() if len(owners) == 1 else "",
        # One that was rehearsed makes it a rehearsal's: an http address sorts before https.
        url=min((push.url for push in pushes if push.url), default=""),
    )


def _name(runs: Sequence[Results], weights: Sequence[float]) -> str:
    """Return the folder below runs/: `blend-` with the runs, and the weights where they are not equal."""
    slugs = {run.folder.parent.name if run.push else "" for run in runs}
    is_one = len(slugs) == 1 and "" not in slugs
    names = [run.folder.name if is_one else run.name.replace("/", "-") for run in runs]
    parts = [PRESET, *(slugs if is_one else ()), "+".join(names)]
    if len(set(weights)) > 1:
        parts.append("+".join(f"{weight:.3g}" for weight in weights))
    return "-".join(parts)


def show(blended: Made, runs: Sequence[Results], weights: Sequence[float]) -> None:
    """Print each run's figures and the blend's on the same rows."""
    out = tables.console()
    if blended.held_out is None:
        out.print("the runs share no held-out rows (oof.csv), so nothing says whether the blend is better")
        return
    for number, (run, weight) in enumerate(zip(runs, weights, strict=True), start=1):
        out.print(f"[bold]{number}[/] {tables.sentence(run.name)}, weight {weight:.3g}")
    shared = [*results.shared_held_out(runs), blended.oof]
    judged = [Judged.model_validate(results.judge(one, blended.competition.labels)) for one in shared]
    title = f"on the {len(blended.oof)} rows that all held out, with 95 % intervals"
    table = tables.table(title, "", *map(str, range(1, len(judged))), PRESET)
    tables.add_figures(table, judged, blended.competition.metric)
    out.print(table)
    tables.warn_of_few(out, len(blended.oof))


def _answers(runs: Sequence[Results]) -> list[DataFrame]:
    """Return each run's predictions in the order of the first's. Raises InputInvalid where ids differ."""
    for run in runs:
        if run.predictions.empty:
            raise InputInvalid(f"{run.folder / 'predictions.csv'} is missing", hint="make pull")
    ids = [set(run.predictions["id"]) for run in runs]
    for run, own in zip(runs, ids, strict=True):
        if alone := sorted(own ^ ids[0]):
            first = ", ".join(map(repr, alone[:3]))
            what = (
                f"{len(alone)} ids are answered by {runs[0].name} or {run.name} alone, the first are {first}"
            )
            raise InputInvalid(what, hint="runs that answered the same test.csv")
    return results.joined([run.predictions for run in runs])


def _mean(
    answers: Sequence[DataFrame], weights: Sequence[float], labels: Sequence[str], answer: str
) -> DataFrame:
    """Return the first table with the mean probabilities, and their likeliest label in column `answer`."""
    mean = numpy.average([results.votes(table, labels) for table in answers], axis=0, weights=weights)
    scored = numpy.any([table["source"].isin(results.SCORED) for table in answers], axis=0)
    table = answers[0].copy()
    table[answer] = [labels[index] for index in mean.argmax(axis=1)]
    table["source"] = numpy.where(scored, "score", VOTE)
    table[[f"probability_{label}" for label in labels]] = mean
    return table.assign(completion="")
