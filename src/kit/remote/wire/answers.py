"""Turn whatever a server sends into the SDK's typed objects, or into one line that it cannot be read."""

import json
import re
import time
from contextlib import closing, suppress
from types import SimpleNamespace
from typing import Any, TypeAlias

import requests

Untyped: TypeAlias = Any  # a JSON value, or a type or an object of the SDK, which declares none
ANSWER_BYTES = 64 << 20  # more than any log that Kaggle keeps; a packed body counts as it unpacks
ERROR_BYTES = 1 << 16
ANSWER_SECONDS = 300.0  # longest time that one answer may take to arrive, however steadily it drips
UNREADABLE = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What parsing raises on hostile input; any other exception is a programming error."""


def body(response: requests.Response, limit: int = ANSWER_BYTES) -> bytes:
    """Read and close a response; raises ValueError for a body over `limit` or one that takes too long."""
    parts: list[bytes] = []
    size, started = 0, time.monotonic()
    with closing(response):
        while part := response.raw.read1(1 << 16, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > limit:
                raise ValueError(f"it has over {limit:,} bytes")
            if time.monotonic() - started > ANSWER_SECONDS:
                raise ValueError(f"it is still coming after {ANSWER_SECONDS:.0f} s")
    return b"".join(parts)


def json_of(data: bytes) -> Untyped:
    """Return the JSON value in a body; raises one of UNREADABLE. A bad byte or half a surrogate becomes ?."""
    return json.loads(data.decode("utf-8-sig", "replace"))


def typed(kind: Untyped, payload: object) -> Untyped:
    """Return an object of the SDK's type `kind` with what an answer says; raises one of UNREADABLE."""
    if not isinstance(payload, dict):
        raise TypeError(f"{type(payload).__name__} where an object is due")
    answer = kind()
    for field in kind._fields:
        value = payload.get(field.json_name)
        if value is None:
            continue
        read: object
        if type(field.default_value) is not list:
            read = _read(field.field_type, field.serializer, value)
        elif isinstance(value, list):
            read = [_read(field.field_type, None, item) for item in value if item is not None]
        else:
            raise TypeError(f"{field.json_name} is no list")
        setattr(answer, field.private_field_name, read)
    return answer


def refusal(payload: object) -> tuple[int, str, str] | None:
    """Return code, kind and message of an error body, flat or in an envelope; None for anything else."""
    if not isinstance(payload, dict):
        return None
    envelope = payload.get("error")
    error = envelope if isinstance(envelope, dict) else payload
    words = (error.get("status"), error.get("message") or envelope)
    kind, message = (word if isinstance(word, str) else "" for word in words)
    code = error["code"] if type(error.get("code")) is int else 0
    return (code, kind, plain(message)) if error is envelope or message or code >= 400 else None


def plain(text: str) -> str:
    """Return text of a server as one line without control characters, none of its words left out."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return re.sub(r"\s+", " ", shown).strip()


def _read(kind: Untyped, serializer: Untyped, value: object) -> object:
    if hasattr(kind, "_fields"):
        return typed(kind, value)
    if kind is float and type(value) is int:
        return float(value)
    if kind in (str, int, bool, float, dict):
        if type(value) is not kind:
            raise TypeError(f"{type(value).__name__} where {kind.__name__} is due")
        return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
    found: object = None
    with suppress(KeyError):
        found = serializer.from_dict_value(kind, value)
    # A state that the SDK does not know keeps its name; it is none of those that end a wait.
    return found if isinstance(found, kind) else SimpleNamespace(name=plain(str(value)))
