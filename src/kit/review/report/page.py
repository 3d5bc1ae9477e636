"""Put a run on one page, report.html in its folder: gather what it left, draw it, write it.

Every value reaches the page escaped; the only markup that passes as it is are our own charts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from kit import files
from kit.errors import InputInvalid
from kit.review import baselines, results
from kit.review.record import Judged
from kit.review.report import charts, held_out, provenance, sentences, svg, timeline
from kit.review.results import Results
from kit.task import metrics

NAME = "report.html"
THIS_RUN = "this run"
NO_ROWS = "This run kept no oof.csv, so its held-out rows cannot be told apart."
_NONE = {True: "No row was held out.", False: "The run ended before it answered a held-out row."}
"""By whether the run ended well."""
SHOWN_MEMBERS = 60
CHARTS = ("loss", "learning_rate", "reliability", "probabilities", "length", "time_line")


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
    text_by_id, rivals, without_rows = _beside(run, data)
    word, reason = run.run.state
    ended_well = word == "complete"
    judged = run.held_out
    histories, members = timeline.histories(run, SHOWN_MEMBERS)
    return {
        "name": run.name,
        "word": word,
        "why_ended": reason,
        "ended_well": ended_well,
        "score": run.submission.public_score,
        "address": provenance.address(run),
        "slug": run.competition.slug,
        "preset": run.run.settings.get("preset", ""),
        "model": run.run.settings.get("model.name", ""),
        "labels": run.labels,
        "held_out_rows": judged.rows if judged else 0,
        "test_rows": 0 if run.predictions is None else len(run.predictions),
        "figures": held_out.figures(run),
        "remarks": held_out.remarks(run, rivals),
        "baselines": _compared(run, rivals),
        "named": [(name, metrics.METRICS[name].title) for name in _columns(run.metric)],
        "has_bar": metrics.METRICS[run.metric].higher_is_better,
        "by_label": held_out.by_label(run),
        "by_language": held_out.by_language(run),
        "by_length": held_out.by_length(run, text_by_id),
        "accuracy": judged.figures.get("accuracy", 0.0) if judged else 0.0,
        "members": histories,
        "more_members": members - len(histories),
        "drawn": charts.DRAWN,
        "member_notes": timeline.notes(run),
        "lane_name": lambda slot: timeline.lane_name(run, slot),
        "stages": timeline.stages(run),
        "answers": timeline.answers(run),
        "label_shares": timeline.label_shares(run),
        "missed": sentences.missed(run, text_by_id),
        "uncertain": sentences.uncertain(run, text_by_id),
        "shown_rows": sentences.SHOWN_ROWS,
        "differences": provenance.differences(run),
        "newer_settings": provenance.newer_settings(run),
        "facts": provenance.facts(run),
        "versions": sorted(run.run.versions.items()),
        "charts": _charts(run, text_by_id, histories),
        "without": {
            "reason": _why_not_judged(run, ended_well),
            "held_out": _NONE[ended_well],
            "rows": NO_ROWS if run.held_out else _NONE[ended_well],
            "texts": without_rows,
        },
        "series": svg.SERIES,
    }


def _charts(
    run: Results, text_by_id: Mapping[str, str], members: Sequence[timeline.History]
) -> dict[str, str]:
    """Return each chart as SVG, empty where there is nothing to draw."""
    from markupsafe import Markup

    drawn = dict.fromkeys(CHARTS, "")
    histories = [member.points for member in members[: charts.DRAWN]]
    if any(histories):
        drawn["loss"] = charts.loss(histories)
        drawn["learning_rate"] = charts.learning_rate(histories)
    bins = run.held_out.reliability if run.held_out else ()
    if any(one.rows for one in bins):
        drawn["reliability"] = charts.reliability(bins, len(run.labels))
    chosen, test = held_out.chosen(run), held_out.chosen(run, test=True)[True]
    if chosen[True] or chosen[False] or test:
        drawn["probabilities"] = charts.probabilities(chosen[True], chosen[False], test, len(run.labels))
    groups = held_out.by_length(run, text_by_id)
    if len(groups) > 1:
        drawn["length"] = charts.length(groups)
    lanes, spans = timeline.spans(run)
    if spans:
        drawn["time_line"] = charts.time_line(
            lanes, spans, [member.memory for member in members[: charts.DRAWN]]
        )
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704 - drawn from numbers alone


def _beside(run: Results, data: Path | None) -> tuple[dict[str, str], dict[str, Judged], str]:
    """Return sentences by id and the baselines' metrics, and why there are none."""
    if run.oof is None:
        return {}, {}, ""
    if data is None or not (data / "train.csv").is_file():
        return {}, {}, "The train.csv of this run is not at hand; make data brings it."
    try:
        train = results.training_rows(run, data)
        with _one_thread():
            rivals = baselines.held_out_baselines(train, run.oof)
    except InputInvalid as error:
        return {}, {}, f"{error.message}."
    return dict(zip(train["id"], train["text"], strict=True)), rivals, ""


def _one_thread() -> AbstractContextManager[object]:
    """Keep OpenBLAS from threads that wait by spinning, which took four times as long on a busy machine."""
    import sklearn.linear_model  # noqa: F401 - only a library that is loaded can be limited
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _compared(run: Results, rivals: Mapping[str, Judged]) -> list[tuple[str, Judged]]:
    """Return name and metrics of this run and its rivals, the best first."""
    if not run.held_out or not rivals:
        return []
    all_of_them = {THIS_RUN: run.held_out, **rivals}
    return sorted(all_of_them.items(), key=lambda one: metrics.order(one[1].figures, run.metric))


def _columns(metric: str) -> list[str]:
    return list(dict.fromkeys([metric, "macro_f1", "accuracy", "log_loss"]))


def _why_not_judged(run: Results, ended_well: bool) -> str:
    if run.run.settings.get("evaluate.mode") == "none":
        return "evaluate.mode is none: every labelled row was trained on, so only the leaderboard can judge."
    if not ended_well:
        return "The run ended before it judged itself."
    return "metrics.json has no figures of held-out rows."
