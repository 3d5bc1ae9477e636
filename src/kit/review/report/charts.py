"""Draw the charts of a run: what each one shows, how its axes run. Text of the user never gets in here.

Figures come in as plain numbers; names, captions and legends stand in the page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from kit.review.record import Bin
from kit.review.report.svg import PAINT, SERIES, draw
from kit.task import intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.typing import LineStyleType

POINTS = 240
"""Most points of one line; a longer history is averaged down to it."""
WIDE = 20.0
"""Ratio of the highest to the lowest loss beyond which its axis is logarithmic."""
DASHES: tuple[LineStyleType, ...] = ("solid", (0, (4, 2)), (0, (1, 1.5)))
"""A second and third round through the colours."""
DRAWN = SERIES * len(DASHES)
"""Members whose lines can be told apart; further ones are not drawn."""
STAGES = ("install", "download", "import", "load", "train", "predict")


class Span(NamedTuple):
    """One stage of one lane of the time line; seconds since the kernel began."""

    lane: int
    stage: str
    start: float
    end: float


class Point(NamedTuple):
    """One optimizer step; None is no number."""

    step: float | None
    loss: float | None
    learning_rate: float | None


History = Sequence[Sequence[Point]]


def loss(history: History) -> str:
    """Draw the loss of each member, one list of points a member; what is not a number leaves a gap."""

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        lines = [_line(steps, 1) for steps in history]
        values = [value for _, losses in lines for value in losses if math.isfinite(value)]
        is_wide = bool(values) and min(values) > 0 and max(values) / min(values) > WIDE
        for member, (steps, losses) in enumerate(lines):
            _plot(axes, member, steps, losses)
        if is_wide:
            _logarithmic(axes, min(values), max(values))
        elif values:
            axes.set_ylim(bottom=0)
        _steps(axes, history, "logarithmic" if is_wide else "")

    return draw("loss", "Training loss by step", paint)


def learning_rate(history: History) -> str:
    """Draw the learning rate of each member."""

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for member, steps in enumerate(history):
            _plot(axes, member, *_line(steps, 2))
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda value, _: _power(value))
        _steps(axes, history, "")

    return draw("learning-rate", "Learning rate by step", paint)


def reliability(bins: Sequence[Bin], labels: int) -> str:
    """Draw how often the model was right against how sure it was; a bar is the 95 % interval of its rows."""

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        filled = [
            (one.rows, one.confidence, one.accuracy)
            for one in bins
            if one.rows and one.confidence is not None and one.accuracy is not None
            if 0 <= one.confidence <= 1 and 0 <= one.accuracy <= 1
        ]
        lowest = min([1 / labels, *(confidence for _, confidence, _ in filled)])
        axes.plot([lowest, 1], [lowest, 1], color=PAINT["muted"], linewidth=1, linestyle=(0, (4, 3)))
        for rows, confidence, share in filled:
            low, high = intervals.share_interval(round(share * rows), rows)
            axes.plot([confidence] * 2, [low, high], color=PAINT["right"], linewidth=1.2, alpha=0.6)
        axes.plot(
            [confidence for _, confidence, _ in filled],
            [share for _, _, share in filled],
            color=PAINT["right"], marker="o", markersize=5, linewidth=1.4, clip_on=False,
        )  # fmt: skip
        margin = (1 - lowest) * 0.03
        axes.set(xlim=(lowest - margin, 1 + margin), ylim=(0, 1.02), xlabel="probability given")
        axes.set_title("share that was right")
        _percent(axes.xaxis)
        _percent(axes.yaxis)

    return draw("reliability", "How often the model was right, by how sure it was", paint)


def probabilities(right: Sequence[float], wrong: Sequence[float], test: Sequence[float], labels: int) -> str:
    """Draw how sure the model was of its right, its wrong and its test answers, each as shares of its own."""

    def paint(figure: Figure) -> None:
        import numpy

        axes = figure.add_subplot()
        edges = numpy.linspace(1 / labels, 1, 11)
        for values, colour in ((right, "right"), (wrong, "wrong"), (test, "ink")):
            if values:
                shares = numpy.histogram(numpy.clip(values, edges[0], 1), edges)[0] / len(values)
                if colour == "right":
                    axes.stairs(shares, edges, color=PAINT[colour], fill=True, alpha=0.25, linewidth=0)
                line = (0, (2, 2)) if colour == "ink" else "solid"
                axes.stairs(shares, edges, color=PAINT[colour], linewidth=1.6, linestyle=line)
        margin = (1 - 1 / labels) * 0.03
        axes.set(xlim=(1 / labels - margin, 1 + margin), xlabel="probability of the chosen label")
        axes.set_ylim(bottom=0)
        axes.set_title("share of each kind")
        _percent(axes.xaxis)
        _percent(axes.yaxis)

    return draw("probabilities", "How sure the model was of its answers", paint)


def length(groups: Sequence[tuple[int, int, int, int]]) -> str:
    """Draw the share of errors by length; a group is (shortest, longest, rows, errors)."""

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for place, (_, _, rows, errors) in enumerate(groups):
            low, high = intervals.share_interval(errors, rows)
            axes.plot([place, place], [low, high], color=PAINT["wrong"], linewidth=1.2, alpha=0.6)
        shares = [errors / rows for _, _, rows, errors in groups]
        axes.plot(
            range(len(groups)),
            shares,
            color=PAINT["wrong"],
            marker="o",
            markersize=5,
            linestyle="",
            clip_on=False,
        )
        names = [f"{low:,}" if low == high else f"{low:,}–{high:,}" for low, high, _, _ in groups]
        size = 12 if sum(map(len, names)) < 48 else 10
        axes.set_xticks(range(len(groups)), names, fontsize=size)
        axes.set(xlim=(-0.6, len(groups) - 0.4), xlabel="characters of the sentence")
        axes.set_ylim(bottom=0)
        axes.set_title("share of errors")
        _percent(axes.yaxis)

    return draw("length", "Share of errors by length of the sentence", paint)


def time_line(
    lanes: Sequence[str], spans: Sequence[Span], memory: Sequence[Sequence[tuple[float, float]]]
) -> str:
    """Draw the stages of each lane, and below it the memory, (seconds, bytes), where the log tells it."""
    with_memory = any(memory)
    height = 70 + 30 * len(lanes) + (130 if with_memory else 0)

    def paint(figure: Figure) -> None:
        ratios = [30 * len(lanes), *([110] if with_memory else [])]
        stack = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0]
        told = [at for points in memory for at, _ in points]
        longest = max([*(span.end for span in spans), *told], default=1.0) or 1.0
        unit, divisor = ("minutes", 60.0) if longest > 180 else ("seconds", 1.0)
        for lane, stage, start, end in spans:
            stack[0].barh(
                lane, (end - start) / divisor, 0.62, start / divisor,
                color=PAINT[f"stage-{STAGES.index(stage) + 1}"], edgecolor=PAINT["paper"], linewidth=0.8,
            )  # fmt: skip
        stack[0].set_yticks(range(len(lanes)), lanes)
        stack[0].set_ylim(len(lanes) - 0.4, -0.6)
        stack[0].grid(visible=False)
        if with_memory:
            _memory(stack[1], memory, divisor)
        stack[-1].set_xlim(-0.03 * longest / divisor, longest / divisor)
        stack[-1].set_xlabel(f"{unit} since the kernel began")

    return draw("time-line", "Stages of the run over time, and memory", paint, height=height)


def _memory(axes: Axes, memory: Sequence[Sequence[tuple[float, float]]], divisor: float) -> None:
    for member, points in enumerate(memory):
        colour, dash = _look(member)
        seconds, sizes = thin([at for at, _ in points], [size / 2**30 for _, size in points])
        mark = "o" if len(seconds) == 1 else ""
        axes.plot([at / divisor for at in seconds], sizes, color=colour, linestyle=dash, marker=mark)
    axes.set_ylim(bottom=0)
    axes.set_title("peak memory, GiB")


def _look(member: int) -> tuple[str, LineStyleType]:
    return PAINT[f"series-{member % SERIES + 1}"], DASHES[member // SERIES % len(DASHES)]


def _plot(axes: Axes, member: int, steps: Sequence[float], values: Sequence[float]) -> None:
    colour, dash = _look(member)
    marker = "o" if len(steps) < 12 else ""
    axes.plot(
        steps, values, color=colour, linestyle=dash, marker=marker, markersize=3.5, alpha=0.9,
        clip_on=False,
    )  # fmt: skip


def _line(points: Sequence[Point], field: int) -> tuple[list[float], list[float]]:
    values = [math.nan if (value := point[field]) is None else value for point in points]
    return thin([point.step or 0.0 for point in points], values)


def thin(at: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the means of equal stretches, POINTS at the most; a stretch with a gap in it is a gap."""
    width = math.ceil(len(values) / POINTS)
    if width <= 1:
        return list(at), [value if math.isfinite(value) else math.nan for value in values]
    stretches = [slice(start, start + width) for start in range(0, len(values), width)]
    means = [sum(values[stretch]) / len(values[stretch]) for stretch in stretches]
    middles = [sum(at[stretch]) / len(at[stretch]) for stretch in stretches]
    return middles, [mean if math.isfinite(mean) else math.nan for mean in means]


def _steps(axes: Axes, history: History, title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    last = max((point.step or 0.0 for points in history for point in points), default=1.0)
    axes.set_xlim(-0.03 * last, max(last, 1.0))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.set_xlabel("optimizer step")
    axes.set_title(title)


def _logarithmic(axes: Axes, lowest: float, highest: float) -> None:
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    axes.set_yscale("log")
    decades = range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)
    axes.yaxis.set_major_locator(FixedLocator([10.0**decade for decade in decades]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _power(value: float) -> str:
    """Return 2.5e-4 for 0.00025."""
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}" if value else "0"


def _percent(axis: Axis) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
