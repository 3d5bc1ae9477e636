"""Draw the charts of a run as SVG that lives inside a page: text stays text, colours follow the page's theme.

Figures come in as plain numbers; names, captions and legends stand in the page. Text of the user never gets
in here, and the same figures give the same bytes.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kit.review.record import Bin, Step
from kit.task import intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import LineStyleType

WIDTH, HEIGHT = 440, 250
"""Pixels; a phone shows a chart at nearly this width, so text keeps its size everywhere."""
SERIES = 6
"""How many lines the page's palette tells apart."""
POINTS = 240
"""Most points of one line; a longer history is averaged down to it."""
WIDE = 20.0
"""Ratio of the highest to the lowest loss beyond which its axis is logarithmic."""
DASHES: tuple[LineStyleType, ...] = ("solid", (0, (4, 2)), (0, (1, 1.5)))
"""A second and third round through the colours."""
DRAWN = SERIES * len(DASHES)
"""Members whose lines can be told apart; further ones are not drawn."""
STAGES = ("install", "download", "import", "load", "train", "predict")
_NAMES = ("ink", "muted", "rule", "paper", "right", "wrong", *(f"stage-{n}" for n in range(1, 7)))
PAINT = {
    name: f"#00{number:02x}01"
    for number, name in enumerate([*_NAMES, *(f"series-{n}" for n in range(1, SERIES + 1))], start=1)
}
"""A stand-in colour for each CSS variable of the page; nothing else is drawn in these."""


class Span(NamedTuple):
    """One stage of one lane of the time line; seconds since the kernel began."""

    lane: int
    stage: str
    start: float
    end: float


class Line(NamedTuple):
    """Points that one line goes through, and how it looks; a NaN is a gap."""

    x: Sequence[float]
    y: Sequence[float]
    colour: str
    dash: LineStyleType = "solid"
    marker: str = ""
    is_filled: bool = False


def loss(history: Sequence[Sequence[Step]]) -> str:
    """Draw the loss of each member, one list of steps a member; what is not a number leaves a gap."""
    lines = [_by_step(at, steps, [one.loss for one in steps]) for at, steps in enumerate(history)]
    values = [value for line in lines for value in line.y if math.isfinite(value)]
    is_wide = bool(values) and min(values) > 0 and max(values) / min(values) > WIDE
    scale = {"yscale": "log", "title": "logarithmic"} if is_wide else {"yscale": "linear"}
    return _chart("loss", "Training loss by step", lines, xlabel="optimizer step", **scale)


def learning_rate(history: Sequence[Sequence[Step]]) -> str:
    """Draw the learning rate of each member."""
    lines = [_by_step(at, steps, [one.learning_rate for one in steps]) for at, steps in enumerate(history)]
    return _chart("learning-rate", "Learning rate by step", lines, xlabel="optimizer step")


def reliability(bins: Sequence[Bin], labels: int) -> str:
    """Draw how often the model was right against how sure it was; a bar is the 95 % interval of its rows."""
    sure, right, bars = [], [], []
    for one in bins:
        if one.rows > 0 and 0 <= (one.confidence or -1) <= 1 and 0 <= (one.accuracy or 0) <= 1:
            sure.append(one.confidence or 0.0)
            right.append(one.accuracy or 0.0)
            bars.append(intervals.share_interval(round(right[-1] * one.rows), one.rows))
    lowest = min([1 / labels, *sure])
    lines = [
        Line([lowest, 1], [lowest, 1], "muted", (0, (4, 3))),
        *(Line([at, at], bar, "right") for at, bar in zip(sure, bars, strict=True)),
        Line(sure, right, "right", marker="o"),
    ]
    title = "How often the model was right, by how sure it was"
    words = {"xlabel": "probability given", "title": "share that was right"}
    return _chart("reliability", title, lines, percent="xy", ylim=(0, 1.02), **words)


def probabilities(kinds: Sequence[Sequence[float]], labels: int) -> str:
    """Draw how sure the model was of its right, its wrong and its test answers, each as shares of its own."""
    import numpy

    edges = numpy.linspace(1 / labels, 1, 11)
    lines = []
    for values, colour in zip(kinds, ("right", "wrong", "ink"), strict=True):
        if values:
            shares = numpy.histogram(numpy.clip(values, edges[0], 1), edges)[0] / len(values)
            x, y = numpy.repeat(edges, 2).tolist(), [0, *numpy.repeat(shares, 2).tolist(), 0]
            dash: LineStyleType = (0, (2, 2)) if colour == "ink" else "solid"
            lines.append(Line(x, y, colour, dash, is_filled=colour == "right"))
    words = {"xlabel": "probability of the chosen label", "title": "share of each kind"}
    return _chart("probabilities", "How sure the model was of its answers", lines, percent="xy", **words)


def length(groups: Sequence[tuple[int, int, int, int]]) -> str:
    """Draw the share of errors by length; a group is (shortest, longest, rows, errors)."""
    bars = [intervals.share_interval(errors, rows) for *_, rows, errors in groups]
    shares = [errors / rows for *_, rows, errors in groups]
    lines = [
        *(Line([at, at], bar, "wrong") for at, bar in enumerate(bars)),
        Line(range(len(groups)), shares, "wrong", "", "o"),
    ]
    names = [f"{low:,}" if low == high else f"{low:,}–{high:,}" for low, high, *_ in groups]
    words = {"xlabel": "characters of the sentence", "title": "share of errors"}
    title = "Share of errors by length of the sentence"
    return _chart("length", title, lines, percent="y", names=names, xlim=(-0.6, len(groups) - 0.4), **words)


def time_line(
    lanes: Sequence[str], spans: Sequence[Span], memory: Sequence[Sequence[tuple[float, float]]]
) -> str:
    """Draw the stages of each lane, and below it the memory, (seconds, bytes), where the log tells it."""
    with_memory = any(memory)
    ratios = [30 * len(lanes), *([110] if with_memory else [])]
    told = [at for points in memory for at, _ in points]
    longest = max([*(span.end for span in spans), *told], default=1.0) or 1.0
    unit, divisor = ("minutes", 60.0) if longest > 180 else ("seconds", 1.0)

    def paint(figure: Figure) -> None:
        stack = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0]
        for lane, stage, start, end in spans:
            stack[0].barh(
                lane, (end - start) / divisor, 0.62, start / divisor,
                color=PAINT[f"stage-{STAGES.index(stage) + 1}"], edgecolor=PAINT["paper"], linewidth=0.8,
            )  # fmt: skip
        stack[0].set_yticks(range(len(lanes)), lanes)
        stack[0].set_ylim(len(lanes) - 0.4, -0.6)
        stack[0].grid(visible=False)
        for member, points in enumerate(memory if with_memory else ()):
            seconds, sizes = [at / divisor for at, _ in points], [size / 2**30 for _, size in points]
            _plot(stack[1], _member_line(member, seconds, sizes))
        if with_memory:
            stack[1].set_ylim(bottom=0)
            stack[1].set_title("peak memory, GiB")
        stack[-1].set_xlim(-0.03 * longest / divisor, longest / divisor)
        stack[-1].set_xlabel(f"{unit} since the kernel began")

    height = 70 + 30 * len(lanes) + (130 if with_memory else 0)
    return _draw("time-line", "Stages of the run over time, and memory", paint, height)


def thin(at: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the means of equal stretches, POINTS at the most; a stretch with a gap in it is a gap."""
    width = max(1, math.ceil(len(values) / POINTS))
    stretches = [slice(start, start + width) for start in range(0, len(values), width)]
    middles, means = ([sum(side[one]) / len(side[one]) for one in stretches] for side in (at, values))
    return middles, [mean if math.isfinite(mean) else math.nan for mean in means]


def _by_step(member: int, steps: Sequence[Step], values: Sequence[float | None]) -> Line:
    told = [math.nan if value is None else value for value in values]
    return _member_line(member, [one.step or 0.0 for one in steps], told)


def _member_line(member: int, x: Sequence[float], y: Sequence[float]) -> Line:
    x, y = thin(x, y)
    dash = DASHES[member // SERIES % len(DASHES)]
    return Line(x, y, f"series-{member % SERIES + 1}", dash, "o" if len(x) < 12 else "")


def _chart(
    name: str,
    spoken: str,
    lines: Sequence[Line],
    *,
    percent: str = "",
    names: Sequence[str] = (),
    **settings: object,
) -> str:
    """Draw lines; `percent` names axes of shares, `names` stand below x, `settings` go to Axes.set."""

    def paint(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator, PercentFormatter

        axes = figure.add_subplot()
        for line in lines:
            _plot(axes, line)
        if settings.get("yscale") != "log":
            axes.set_ylim(bottom=0)
        axes.set(**settings)
        axes.minorticks_off()
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer="x" not in percent))
        for axis in percent:
            getattr(axes, f"{axis}axis").set_major_formatter(PercentFormatter(1))
        if percent == "":
            axes.yaxis.set_major_formatter("{x:g}")
        if names:
            axes.set_xticks(range(len(names)), names, fontsize=12 if sum(map(len, names)) < 48 else 10)

    return _draw(name, spoken, paint, HEIGHT)


def _plot(axes: Axes, line: Line) -> None:
    colour = PAINT[line.colour]
    axes.plot(
        line.x, line.y, color=colour, linestyle=line.dash, marker=line.marker, markersize=4, clip_on=False
    )
    if line.is_filled:
        axes.fill_between(line.x, line.y, color=colour, alpha=0.25, linewidth=0)


def _draw(name: str, title: str, paint: Callable[[Figure], None], height: int) -> str:
    """Return what `paint` draws as an `<svg>` element; `title` is read out in its place.

    `name` keeps the ids of two charts on one page apart.
    """
    import matplotlib
    from matplotlib.figure import Figure

    style = matplotlib.rc_params_from_file(
        Path(__file__).with_name("page.mplstyle"), use_default_template=False
    )
    with matplotlib.rc_context({**style, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72, layout="constrained")
        paint(figure)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    variables = {colour: f"var(--{name})" for name, colour in PAINT.items()}
    # A page must hold neither matplotlib's style sheet nor ids like `axes_1` twice.
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", drawn.getvalue(), flags=re.DOTALL)
    text = re.sub(r' id="[\w.]+_\d+"', "", text)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda found: variables[found[0]], text)
    head = f'<svg class="drawn" role="img" aria-label="{title}" viewBox="0 0 {WIDTH} {height}">'
    return re.sub("^.*?<svg[^>]*>", head, text, count=1, flags=re.DOTALL)
