"""What the API methods have in common: reading requests, the kinds of answers, pages, times and the table."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from kagglesdk.kaggle_object import KaggleObject

from local_kaggle.sessions import Sessions
from local_kaggle.state import Refused, State, Version

Item = TypeVar("Item")
Json = dict[str, object]


@dataclass(frozen=True)
class LogOf:
    """Answer with the log of this version, as a stream while it runs."""

    version: Version
    wait_seconds: int


Answer = Json | LogOf | str
"""A JSON object, a log, or the link that a 302 leads to."""
Handler = Callable[[State, Sessions, KaggleObject], KaggleObject | Answer]
Routes = dict[str, tuple[type[KaggleObject], Handler]]


def payload(body: KaggleObject, state: State) -> Json:
    """Give one of the SDK's objects as JSON, with defaults where this server's profile writes them."""
    fields = body.to_dict(ignore_defaults=not state.settings.profile.writes_defaults)
    return {name: value for name, value in fields.items() if value is not None}


def read(body: bytes) -> Json:
    """Read a request's JSON object; raises Refused for anything else."""
    try:
        asked = json.loads(body or b"{}")
        # A lone surrogate is a letter of no file name and no log.
        json.dumps(asked, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refused(400, "Invalid JSON payload received.") from error
    if not isinstance(asked, dict):
        raise Refused(400, "The JSON payload is not an object.")
    return asked


def typed(request_type: type[KaggleObject], asked: Json) -> KaggleObject:
    """Fill the SDK's request; raises Refused for a field of another type, which the SDK would take."""
    given = {name: value for name, value in asked.items() if value is not None}
    for known in request_type._fields:
        kind = known.field_type
        if known.json_name in given and kind in (str, int, bool):
            value = given[known.json_name]
            items = value if isinstance(known.default_value, list) else [value]
            if not isinstance(items, list) or any(
                type(item) is not kind or (kind is int and abs(item) >= 1 << 63) for item in items
            ):
                raise Refused(400, f"Invalid value for {known.json_name!r}.")
    try:
        return request_type.from_dict(given)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused(400, "Invalid JSON payload received.") from error


def fill(body: KaggleObject, **values: object) -> KaggleObject:
    """Set fields of one of the SDK's objects, which checks their types, and give it back."""
    for name, value in values.items():
        setattr(body, name, value)
    return body


def listed(kind: type[KaggleObject], folder: Path, paths: Sequence[Path]) -> list[KaggleObject]:
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


class Service:
    """One of Kaggle's services: each public method of a subclass answers the API method of its name."""

    def __init__(self, state: State, sessions: Sessions) -> None:
        self.state, self.settings, self.sessions = state, state.settings, sessions
        self.title = state.settings.slug.replace("-", " ").title()

    @classmethod
    def routes(cls, service: str, types: ModuleType) -> Routes:
        """Give the methods of this class by their names on the wire."""
        names = {name.title().replace("_", ""): name for name in vars(cls) if not name.startswith("_")}
        return {
            f"{service}/{method}": (getattr(types, f"Api{method}Request"), cls._handler(name))
            for method, name in names.items()
        }

    @classmethod
    def _handler(cls, name: str) -> Handler:
        return lambda state, sessions, request: getattr(cls(state, sessions), name)(request)

    def _page(self, items: Sequence[Item], request: KaggleObject) -> tuple[Sequence[Item], str]:
        """Cut one page out of `items` and give the token of the next, which is empty on the last."""
        size = max(1, min(request.page_size or 20, self.settings.page_size))
        token = request.page_token or "0"
        if not token.isdecimal() or len(token) > 9:
            raise Refused(400, f"The page token {token!r} is not one of ours")
        start = int(token) or (max(1, getattr(request, "page", 0) or 1) - 1) * size
        return items[start : start + size], str(start + size) if start + size < len(items) else ""

    def _upload(self, kind: type[KaggleObject], name: str, size: int) -> KaggleObject:
        """Announce an upload."""
        token = self.state.start_upload(name, size)
        return fill(kind(), token=token, create_url=f"{self.state.base_url}/upload/{token}")
