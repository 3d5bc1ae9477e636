"""report.html in a real browser: nothing is fetched, and every chart is legible.

The screenshots stay in build/, light and dark, on a desk and on a phone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import made_run
import pytest

from kit.config import PROJECT_ROOT
from kit.review.report import page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (make check)")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on PATH"),
    pytest.mark.timeout(300),
]
LOOKS = [(1400, "light"), (1400, "dark"), (400, "light"), (400, "dark")]
CHARTS = {
    *("figures", "baselines", "confusion", "languages", "reliability", "probabilities", "length"),
    *("loss", "learning-rate", "members", "time-line", "answers", "label-shares"),
}
HOSTILE = "</p><script>document.title = 'owned'</script><img src='http://127.0.0.1:9/x.png'>"
READABLE_PIXELS = 9.0
"""Smallest height of a letter's line in a chart."""
CONTRAST = 4.5
"""Least contrast of text, WCAG 2.2 level AA."""
TEXTS_OF_CHARTS = """() => [...document.querySelectorAll("svg.drawn")].map(svg => {
  const box = element => {
    const {left, top, right, bottom} = element.getBoundingClientRect();
    return [left, top, right, bottom];
  };
  return {
    chart: svg.closest("[data-chart]").dataset.chart,
    box: box(svg),
    texts: [...svg.querySelectorAll("text")].map(text => ({
      text: text.textContent,
      box: box(text),
      colour: getComputedStyle(text).fill,
      paper: getComputedStyle(document.body).backgroundColor,
    })),
  };
})"""


@dataclass
class Opened:
    """A page in the browser, with everything that it asked for and complained about."""

    page: Page
    look: tuple[int, str]
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # No name is resolved, so that even a request that slips out reaches nothing.
    closed = ["--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=closed)
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run whose thirty held-out rows speak eighteen languages and end in markup."""
    root = tmp_path_factory.mktemp("report")
    data = made_run.data(root / "data", count=300, ending=f" {HOSTILE}")
    return page.write(made_run.make(root / "sample-sentiment-t4x2" / "v3", data), lambda _: [data])


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def opened(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Opened]:
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce", offline=True
    )
    shown = Opened(context.new_page(), request.param)
    shown.page.on("request", lambda asked: shown.requests.append(asked.url))
    shown.page.on("console", lambda message: shown.complaints.append(message.text))
    shown.page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    shown.page.goto(report.as_uri())
    shown.page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    yield shown
    context.close()


def test_the_page_asks_for_nothing_and_complains_of_nothing(opened: Opened, report: Path) -> None:
    """It is one file; what a sentence would fetch or run stays text."""
    assert opened.requests == [report.as_uri()]
    assert opened.complaints == []
    assert opened.page.title() == "sample-sentiment-t4x2/v3"
    assert opened.page.locator("script, img").count() == 0
    assert HOSTILE in opened.page.locator("#rows").inner_text()


def test_every_chart_has_its_place(opened: Opened) -> None:
    """None is empty, none reaches beyond the window, and the page does not scroll sideways."""
    width, scheme = opened.look
    picture = PROJECT_ROOT / "build" / f"report-{width}-{scheme}.png"
    opened.page.screenshot(path=picture, full_page=True, timeout=120_000)
    found = set()
    for chart in opened.page.locator("[data-chart]").all():
        name = chart.get_attribute("data-chart")
        box = chart.bounding_box()
        assert box is not None, name
        assert box["width"] > 100, name
        assert box["height"] > 40, name
        assert box["x"] >= 0, name
        found.add(name)
    assert found == CHARTS
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_words_of_every_chart_can_be_read(opened: Opened) -> None:
    """Large enough, apart from one another, inside the window and with contrast, light and dark."""
    charts = opened.page.evaluate(TEXTS_OF_CHARTS)
    assert len(charts) == 4
    for chart in charts:
        name, texts = chart["chart"], chart["texts"]
        assert len(texts) >= 6, name
        for text in texts:
            left, top, right, bottom = text["box"]
            assert bottom - top >= READABLE_PIXELS, (name, text)
            assert left >= chart["box"][0] - 8, (name, text)
            assert right <= chart["box"][2] + 8, (name, text)
            assert _contrast(text["colour"], text["paper"]) >= CONTRAST, (name, text)
        for at, one in enumerate(texts):
            for other in texts[at + 1 :]:
                assert not _overlap(one["box"], other["box"]), (name, one["text"], other["text"])


def test_urdu_runs_from_right_to_left(opened: Opened) -> None:
    """And the others do not."""
    directions = {
        str(sentence.get_attribute("lang")): sentence.evaluate(
            "element => getComputedStyle(element).direction"
        )
        for sentence in opened.page.locator("#rows .sentence").all()
    }
    assert {language for language, direction in directions.items() if direction == "rtl"} == {"ur"}


def _overlap(one: list[float], other: list[float]) -> bool:
    """Tell whether two boxes share more than the air around their letters."""
    air = 1.5
    across = min(one[2], other[2]) - max(one[0], other[0])
    along = min(one[3], other[3]) - max(one[1], other[1])
    return across > air and along > air


def _contrast(one: str, other: str) -> float:
    """Return the contrast of two `rgb(…)` colours as WCAG defines it."""
    lights = sorted(map(_luminance, (one, other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
