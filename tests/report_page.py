"""What a test sees of a report.html: its elements, the text of each section, and which charts are there."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "br", "use", "path", "link", "img", "hr"}


class Page(HTMLParser):
    """The elements of a page, the text of each section, and whether every element is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.section = "header"
        self.texts: dict[str, str] = {}
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "section":
            self.section = str(dict(attrs)["id"])
        if tag not in VOID:
            self.open.append(tag)
        if tag not in {"b", "strong", "span", "code"}:
            self.texts[self.section] = self.texts.get(self.section, "") + " "

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts[self.section] = self.texts.get(self.section, "") + data

    def says(self, section: str) -> str:
        """Return the text of a section, each run of white space as one space."""
        return " ".join(self.texts[section].split())

    @property
    def charts(self) -> set[str]:
        """Every chart and table of figures that is there."""
        return {str(named) for _, attributes in self.elements if (named := attributes.get("data-chart"))}
