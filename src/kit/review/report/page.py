"""Put a run on one page, report.html in its folder: gather what it left; page.html says what is shown of it.

Every value reaches the page escaped; the only markup that passes as it is are our own charts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kit import files
from kit.errors import InputInvalid
from kit.review import baselines, results
from kit.review.record import Judged
from kit.review.report import charts, held_out, timeline
from kit.review.results import Results
from kit.task import languages, metrics, rows, sums

NAME = "report.html"


class Beside(NamedTuple):
    """What the competition's files add to a run, or why they add nothing."""

    missing: str = ""
    text_by_id: Mapping[str, str] = {}
    rivals: Mapping[str, Judged] = {}  # the figures of the baselines
    worded: tuple[float, float] | None = None  # what `held_out.wording` gives


def write(folder: Path, places: Callable[[str], Sequence[Path]]) -> Path:
    """Write the page of a run; `places` gives the folders that may hold its files. Raises InputInvalid."""
    run = results.read(folder, whole=False)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    beside = _beside(run, results.data_folder(run.run.test_sha256, places(run.competition.slug)))
    page = environment.get_template("page.html").render(
        run=run,
        beside=beside,
        charts=charts,
        held_out=held_out,
        languages=languages,
        metrics=metrics,
        sums=sums,
        timeline=timeline,
    )
    path = run.folder / NAME
    files.write_whole(path, page)
    return path


def _beside(run: Results, data: Path | None) -> Beside:
    if run.oof is None:
        return Beside()
    if data is None or not (data / "train.csv").is_file():
        return Beside("The train.csv of this run is not at hand; make data brings it.")
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
        return Beside(f"{error.message}.")
    return Beside("", dict(zip(train["id"], train["text"], strict=True)), rivals, worded)
