"""Draw the charts of a run as SVG that lives inside a page: text stays text, colours follow the page's theme.

Figures come in as plain numbers; names, captions and legends stand in the page. Text of the user never gets
in here, and the same figures give the same bytes.
"""

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy
from markupsafe import Markup
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from matplotlib.typing import LineStyleType

from kit.review.record import Bin, Step
from kit.task import sums

WIDTH, HEIGHT = 440, 250
"""Pixels; a phone shows a chart at nearly this width, so text keeps its size everywhere."""
SERIES = 6  # how many lines the page's palette tells apart
WIDE = 20.0  # ratio of the highest to the lowest loss beyond which its axis is logarithmic
DASHES: tuple[LineStyleType, ...] = ("solid", (0, (4, 2)), (0, (1, 1.5)))
"""A second and third round through the colours."""
DRAWN = SERIES * len(DASHES)  # members whose lines can be told apart; further ones are not drawn
STAGES = ("install", "download", "import", "load", "train", "predict")
_NAMES = ("ink", "muted", "rule", "paper", "right", "wrong", *(f"stage-{n}" for n in range(1, 7)))
PAINT = {
    name: f"#00{number:02x}01"
    for number, name in enumerate([*_NAMES, *(f"series-{n}" for n in range(1, SERIES + 1))], start=1)
}
"""A stand-in colour for each CSS variable of the page; nothing else is drawn in these."""


def by_step(figure: Literal["loss", "learning_rate"], history: Sequence[Sequence[Step]]) -> Markup:
    """Draw a figure of each member, one list of steps a member; what is not a number leaves a gap."""
    lines = [[getattr(one, figure) for one in steps] for steps in history]
    values = [value for line in lines for value in line if value is not None]

    def paint(axes: Axes) -> None:
        for member, (steps, line) in enumerate(zip(history, lines, strict=True)):
            colour, dash = PAINT[f"series-{member % SERIES + 1}"], DASHES[member // SERIES]
            x, y = numpy.array([[one.step for one in steps], line], dtype=float)
            marker = "o" if len(line) < 12 else ""
            axes.plot(x, y, color=colour, linestyle=dash, marker=marker, clip_on=False)
        if figure == "loss" and values and 0 < min(values) < max(values) / WIDE:
            axes.set(yscale="log", title="logarithmic")

    words = figure.replace("_", " ")
    return _chart(words.replace(" ", "-"), f"Training {words} by step", paint, xlabel="optimizer step")


def reliability(bins: Sequence[Bin], labels: int) -> Markup:
    """Draw how often the model was right against how sure it was; a bar is the 95 % interval of its rows."""
    told = [
        (one.confidence, one.accuracy, sums.share_interval(round(one.accuracy * one.rows), one.rows))
        for one in bins
        if one.confidence and one.accuracy is not None
    ]
    sures, rights = [sure for sure, _, _ in told], [right for _, right, _ in told]
    lowest = min([1 / labels, *sures])

    def paint(axes: Axes) -> None:
        axes.plot([lowest, 1], [lowest, 1], color=PAINT["muted"], linestyle=(0, (4, 3)), clip_on=False)
        for sure, _, bar in told:
            axes.plot([sure, sure], bar, color=PAINT["right"], clip_on=False)
        axes.plot(sures, rights, color=PAINT["right"], marker="o", clip_on=False)

    title = "How often the model was right, by how sure it was"
    words = {"xlabel": "probability given", "title": "share that was right"}
    return _chart("reliability", title, paint, shares="xy", ylim=(0, 1.02), **words)


def probabilities(kinds: Sequence[Sequence[float]], labels: int) -> Markup:
    """Draw how sure the model was of its right, its wrong and its test answers, each as shares of its own."""

    def paint(axes: Axes) -> None:
        edges = numpy.linspace(1 / labels, 1, 11)
        for values, colour in zip(kinds, ("right", "wrong", "ink"), strict=True):
            if values:
                shares = numpy.histogram(numpy.clip(values, edges[0], 1), edges)[0] / len(values)
                dash: LineStyleType = (0, (2, 2)) if colour == "ink" else "solid"
                axes.stairs(shares, edges, color=PAINT[colour], linewidth=1.8, linestyle=dash)
                if colour == "right":
                    axes.stairs(shares, edges, fill=True, color=PAINT[colour], alpha=0.25)

    words = {"xlabel": "probability of the chosen label", "title": "share of each kind"}
    return _chart("probabilities", "How sure the model was of its answers", paint, shares="xy", **words)


def _chart(
    name: str, spoken: str, paint: Callable[[Axes], None], *, shares: str = "", **settings: object
) -> Markup:
    """Return what `paint` draws as an `<svg>` element; `spoken` is read out in its place.

    `name` keeps the ids of two charts on one page apart, `shares` names the axes that show percents,
    `settings` go to Axes.set.
    """
    with style.context([Path(__file__).with_name("page.mplstyle"), {"svg.hashsalt": name}]):
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72, layout="constrained")
        axes = figure.add_subplot()
        paint(axes)
        if axes.get_yscale() == "linear":
            axes.set_ylim(bottom=0)
        axes.set(**settings)
        axes.minorticks_off()
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=not shares))
        axes.yaxis.set_major_formatter("{x:g}")
        for axis in shares:
            getattr(axes, f"{axis}axis").set_major_formatter(PercentFormatter(1))
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    variables = {colour: f"var(--{name})" for name, colour in PAINT.items()}
    # A page must hold neither matplotlib's style sheet nor ids like `axes_1` twice.
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", drawn.getvalue(), flags=re.DOTALL)
    text = re.sub(r' id="[\w.]+_\d+"', "", text)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda found: variables[found[0]], text)
    head = f'<svg class="drawn" role="img" aria-label="{spoken}" viewBox="0 0 {WIDTH} {HEIGHT}">'
    text = re.sub("^.*?<svg[^>]*>", head, text, count=1, flags=re.DOTALL)
    return Markup(text)  # noqa: S704 - drawn from numbers alone
