"""What the API methods have in common: the kinds of answers, pages, times and the table's rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from local_kaggle.sessions import Sessions
from local_kaggle.state import Refused, State, Version

Item = TypeVar("Item")
Handler = Callable[[State, Sessions, Any], Any]
Routes = dict[str, tuple[Any, Handler]]


@dataclass(frozen=True)
class Redirect:
    """Answer with a 302 to this link."""

    url: str


@dataclass(frozen=True)
class LogOf:
    """Answer with the log of this version, as a stream while it runs."""

    version: Version
    wait_seconds: int


@dataclass(frozen=True)
class Answer:
    """Answer with this object and some fields beside it."""

    body: Any
    written: dict[str, Any] = field(default_factory=dict)
    """Fields that the SDK's own serialiser would write wrongly."""

    def payload(self, state: State) -> dict[str, Any]:
        """Give the JSON object as this server's profile has it."""
        fields = self.body.to_dict(ignore_defaults=not state.settings.profile.writes_defaults)
        return {name: value for name, value in fields.items() if value is not None} | self.written


def fill(body: Any, **values: Any) -> Any:
    """Set fields of one of the SDK's objects, which checks their types, and give it back."""
    for name, value in values.items():
        setattr(body, name, value)
    return body


def page(state: State, items: Sequence[Item], request: Any) -> tuple[Sequence[Item], str]:
    """Cut one page out of `items` and give the token of the next, which is empty on the last."""
    size = max(1, min(request.page_size or 20, state.settings.page_size))
    token = request.page_token or "0"
    if not token.isdecimal() or len(token) > 9:
        raise Refused(400, f"The page token {token!r} is not one of ours")
    start = int(token) or (max(1, getattr(request, "page", 0) or 1) - 1) * size
    return items[start : start + size], str(start + size) if start + size < len(items) else ""


def listed(kind: Any, folder: Path, paths: Sequence[Path]) -> list[Any]:
    """Describe files of a folder by the SDK's type for them."""
    files = []
    for path in paths:
        name, stat = path.relative_to(folder).as_posix(), path.stat()
        file = fill(kind(), ref=name, name=name, total_bytes=stat.st_size)
        files.append(fill(file, creation_date=moment(stat.st_mtime)))
    return files


def moment(seconds: float) -> datetime:
    """Give a time as the SDK writes it: UTC without saying so."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def table(service: str, types: Any, *handlers: Handler) -> Routes:
    """Name each handler's method and request type after the function."""
    methods = {handler.__name__.title().replace("_", ""): handler for handler in handlers}
    return {
        f"{service}/{method}": (getattr(types, f"Api{method}Request"), handler)
        for method, handler in methods.items()
    }
