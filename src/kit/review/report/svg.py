"""Draw a matplotlib figure as SVG that lives inside a page: text stays text, colours follow the page's theme.

It knows nothing of runs. The same drawing gives the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 440, 250
"""Pixels; a phone shows a chart at nearly this width, so text keeps its size everywhere."""
SERIES = 6
"""How many lines the page's palette tells apart."""
_NAMES = ("ink", "muted", "rule", "paper", "right", "wrong", *(f"stage-{n}" for n in range(1, 7)))
PAINT = {
    name: f"#00{number:02x}01"
    for number, name in enumerate([*_NAMES, *(f"series-{n}" for n in range(1, SERIES + 1))], start=1)
}
"""A stand-in colour for each CSS variable of the page; nothing else is drawn in these."""
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_VARIABLE = {colour: f"var(--{name})" for name, colour in PAINT.items()}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": PAINT["rule"],
    "axes.labelcolor": PAINT["muted"],
    "axes.labelsize": 12,
    "axes.titlesize": 12,
    "axes.titlecolor": PAINT["muted"],
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
    "grid.color": PAINT["rule"],
    "grid.linewidth": 1,
    "xtick.color": PAINT["muted"],
    "ytick.color": PAINT["muted"],
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "xtick.major.pad": 9,
    "ytick.major.pad": 6,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
}


def draw(name: str, title: str, paint: Callable[[Figure], None], *, height: int = HEIGHT) -> str:
    """Return what `paint` draws as an `<svg>` element; `title` is read out in its place.

    `name` keeps the ids of two charts on one page apart.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72, layout="constrained")
        paint(figure)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _fit_for_a_page(drawn.getvalue(), name, title)


def _fit_for_a_page(drawn: bytes, name: str, title: str) -> str:
    """Drop what a page must not hold twice or at all, and put the page's colours in."""
    root = ElementTree.fromstring(drawn)  # noqa: S314 - written by matplotlib a moment ago
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"}:
                parent.remove(child)  # the style sheet would hold for the whole page
    used = set(re.findall(r"#([\w-]+)", " ".join(_references(root))))
    for element in root.iter():
        own = element.attrib.pop("id", None)
        if own in used:
            element.set("id", f"{name}-{own}")
        if link := element.attrib.pop(f"{{{_XLINK}}}href", None):
            element.set("href", f"#{name}-{link.removeprefix('#')}")
        if clip := element.get("clip-path"):
            element.set("clip-path", clip.replace("url(#", f"url(#{name}-"))
        if style := element.get("style"):
            element.set("style", re.sub(r"#[0-9a-f]{6}", lambda found: _VARIABLE[found[0]], style))
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("class", "drawn")
    root.set("role", "img")
    root.set("aria-label", title)
    ElementTree.register_namespace("", _SVG)
    return ElementTree.tostring(root, encoding="unicode")


def _references(root: ElementTree.Element) -> list[str]:
    return [
        value
        for element in root.iter()
        for key, value in element.attrib.items()
        if key in {f"{{{_XLINK}}}href", "clip-path"}
    ]
