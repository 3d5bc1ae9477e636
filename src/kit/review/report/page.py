"""Put a run on one page, report.html in its folder: gather what it left, draw it, write it.

Every value reaches the page escaped; the only markup that passes as it is are our own charts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kit import files
from kit.errors import InputInvalid
from kit.review import baselines, results
from kit.review.record import Judged
from kit.review.report import charts, held_out, timeline
from kit.review.results import Results
from kit.task import metrics, rows

NAME = "report.html"
THIS_RUN = "this run"
NO_ROWS = "This run kept no oof.csv, so its held-out rows cannot be told apart."
_NONE = {True: "No row was held out.", False: "The run ended before it answered a held-out row."}
"""By whether the run ended well."""
SHOWN_MEMBERS = 60


def write(folder: Path, places: Sequence[Path]) -> Path:
    """Write the page of the run in `folder` and return its path.

    `places` are folders that may hold the train.csv of the run; the one whose test.csv the run answered does.
    Raises InputInvalid where the folder holds no run.
    """
    run = results.read(folder, whole=False)
    path = run.folder / NAME
    files.write_whole(path, render(run, results.data_folder(run, places)))
    return path


def render(run: Results, data: Path | None) -> str:
    """Return the page; `data` is the folder of train.csv, or None where it is not at hand."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(_contents(run, data))


def _contents(run: Results, data: Path | None) -> dict[str, object]:
    text_by_id, rivals, worded, without_rows = _beside(run, data)
    ended_well = run.run.state[0] == "complete"
    judged = run.held_out or Judged()
    histories, members = timeline.histories(run, SHOWN_MEMBERS)
    missed, uncertain = held_out.to_read(run, text_by_id)
    groups = held_out.by_length(run, text_by_id)
    return {
        "run": run,
        "held_out": held_out,
        "timeline": timeline,
        "marks": charts,
        # The server of a rehearsal is gone.
        "address": run.push.url if run.push and run.push.url.startswith("https://") else "",
        "judged": judged,
        "figures": [name for name in metrics.shown(run.metric) if name in judged.figures],
        "metrics": metrics.METRICS,
        "remarks": held_out.remarks(run, rivals, worded),
        "baselines": _compared(run, rivals),
        "named": list(dict.fromkeys([run.metric, "macro_f1", "accuracy", "log_loss"])),
        "by_length": groups,
        "members": histories,
        "more_members": members - len(histories),
        "missed": missed,
        "uncertain": uncertain,
        "charts": _charts(run, groups, histories),
        "without": {
            "reason": _why_not_judged(run, ended_well),
            "held_out": _NONE[ended_well],
            "rows": NO_ROWS if run.held_out else _NONE[ended_well],
            "texts": without_rows,
        },
    }


def _charts(
    run: Results, groups: Sequence[tuple[int, int, int, int]], members: Sequence[timeline.History]
) -> dict[str, str]:
    """Return each chart as SVG, empty where there is nothing to draw."""
    from markupsafe import Markup

    labels = len(run.labels)
    drawn = members[: charts.DRAWN]
    histories = [member.points for member in drawn] if any(member.points for member in drawn) else []
    bins = [one for one in run.held_out.reliability if one.rows] if run.held_out else []
    chosen = [*held_out.chosen(run).values(), held_out.chosen(run, test=True)[True]]
    lanes, spans = timeline.spans(run)
    found = {
        "loss": histories and charts.loss(histories),
        "learning_rate": histories and charts.learning_rate(histories),
        "reliability": bins and charts.reliability(bins, labels),
        "probabilities": any(chosen) and charts.probabilities(chosen, labels),
        "length": len(groups) > 1 and charts.length(groups),
        "time_line": spans and charts.time_line(lanes, spans, [member.memory for member in drawn]),
    }
    return {name: Markup(svg or "") for name, svg in found.items()}  # noqa: S704 - drawn from numbers alone


def _beside(
    run: Results, data: Path | None
) -> tuple[dict[str, str], dict[str, Judged], tuple[float, float] | None, str]:
    """Return sentences by id, the baselines' metrics, what `wording` gives, and why there are none."""
    if run.oof is None:
        return {}, {}, None, ""
    if data is None or not (data / "train.csv").is_file():
        return {}, {}, None, "The train.csv of this run is not at hand; make data brings it."
    import sklearn.linear_model  # noqa: F401 - only a library that is loaded can be limited
    from threadpoolctl import threadpool_limits

    try:
        train = results.training_rows(run, data)
        # OpenBLAS's threads wait by spinning, which took four times as long on a busy machine.
        with threadpool_limits(limits=1, user_api="blas"):
            rivals = baselines.held_out_baselines(train, run.oof)
        test, _ = rows.read(data / "test.csv", run.competition, labelled=False)
        worded = held_out.wording(run.oof, train, test["text"].tolist())
    except InputInvalid as error:
        return {}, {}, None, f"{error.message}."
    return dict(zip(train["id"], train["text"], strict=True)), rivals, worded, ""


def _compared(run: Results, rivals: Mapping[str, Judged]) -> list[tuple[str, Judged]]:
    """Return name and metrics of this run and its rivals, the best first."""
    if not run.held_out or not rivals:
        return []
    all_of_them = {THIS_RUN: run.held_out, **rivals}
    return sorted(all_of_them.items(), key=lambda one: metrics.order(one[1].figures, run.metric))


def _why_not_judged(run: Results, ended_well: bool) -> str:
    if run.run.settings.get("evaluate.mode") == "none":
        return "evaluate.mode is none: every labelled row was trained on, so only the leaderboard can judge."
    if not ended_well:
        return "The run ended before it judged itself."
    return "metrics.json has no figures of held-out rows."
