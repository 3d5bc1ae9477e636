"""Put a run on one page, report.html in its folder: gather what it left; page.html says what is shown of it.

Every value reaches the page escaped; the only markup that passes as it is are our own charts.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kit import files
from kit.review import baselines, results
from kit.review.baselines import Beside
from kit.review.report import charts, held_out, timeline
from kit.task import languages, metrics, sums

NAME = "report.html"


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
    beside = Beside() if run.oof.empty else baselines.beside(run, run.oof, places)
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
