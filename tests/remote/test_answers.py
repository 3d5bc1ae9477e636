"""Whatever a server sends becomes a typed object or one line; nothing else comes out."""

import gzip
import json
import os
import random
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from kaggle_fixtures import SLUG

import kit.remote
from kit.errors import KitError
from kit.remote.wire import client as clients
from kit.remote.wire import transport
from kit.remote.wire.client import Client
from kit.remote.wire.transport import Refused, Unsettled
from local_kaggle import faults
from local_kaggle.faults import Fault
from local_kaggle.server import Server

SOURCES = "".join(path.read_text() for path in Path(kit.remote.__path__[0]).rglob("*.py"))
METHODS = sorted(set(re.findall(r'(?:call|pages|_object)\(\s*"(\w+)"', SOURCES)))
MUTATIONS = int(os.environ.get("KIT_MUTATIONS", "200"))
"""Of the answer to each method; 600 make ten thousand."""

HOSTILE: list[Any] = [
    None, True, 0, -1, 1.5, 10**400, 1e999, float("nan"), "", "x", "\ud83d", "1/../../evil", "PAUSED", [], {},
    [[[]]], [None], [{}], {"": {}}, ["x", 5], {"code": 500}, "2026-99-99T00:00:00Z", "9e9s", "-1.5.5s", "s",
]  # fmt: skip


Gate = Callable[[str, bytes], Any]


def answer_of(body: bytes) -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response.raw = urllib3.HTTPResponse(BytesIO(body), preload_content=False)
    return response


def kind_of(method: str) -> Any:
    return clients.types(method)[2]


def full(kind: Any) -> dict[str, Any]:
    """Return a good answer with every field set."""
    samples = {str: "text", int: 7, bool: True, float: 1.5, datetime: "2026-01-02T03:04:05.678Z"}

    def value(field: Any) -> Any:
        if hasattr(field.field_type, "_fields"):
            one: Any = full(field.field_type)
        elif issubclass(field.field_type, Enum):
            one = next(iter(field.field_type)).name
        else:
            one = samples.get(field.field_type, "60s" if field.field_type is timedelta else {})
        return [one] if isinstance(field.default_value, list) else one

    return {field.json_name: value(field) for field in kind._fields}


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container with every key in it."""
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from places(item)


def is_sound(answer: Any) -> bool:
    """Tell whether every field holds what its type says, or its default."""
    for field in answer._fields:
        value = getattr(answer, field.private_field_name)
        for item in value if isinstance(field.default_value, list) else [value]:
            if hasattr(field.field_type, "_fields"):
                if item is not None and not is_sound(item):
                    return False
            elif item != field.default_value and not isinstance(item, field.field_type):
                return issubclass(field.field_type, Enum) and isinstance(item.name, str)
            elif isinstance(item, str) and item.encode(errors="replace").decode() != item:
                return False
    return True


@pytest.fixture
def gate(own_home: None) -> Gate:
    client = Client("http://127.0.0.1:9")
    return lambda method, body: client._object(method, answer_of(body))


@pytest.mark.parametrize("method", METHODS)
def test_a_mutated_answer_is_typed_or_one_line(gate: Gate, method: str) -> None:
    """Hostile values at every place, and bytes that are cut, doubled and flipped."""
    good = full(kind_of(method))
    assert is_sound(gate(method, json.dumps(good).encode()))
    choose = random.Random(method)
    for number in range(MUTATIONS):
        payload = json.loads(json.dumps(good))
        if payload and number % 2:
            for container, key in choose.sample(list(places(payload)), k=1):
                container[key] = choose.choice(HOSTILE)
        body = json.dumps(payload).encode()
        if not number % 2:
            start, end = sorted(choose.choices(range(len(body) + 1), k=2))
            body = (
                body[:start]
                + choose.choice([b"", body[start:end] * 2, b"\xff", b"\\ud800", b"9" * 5000])
                + body[end:]
            )
        error: Exception | None = None
        try:
            answer = gate(method, body)
        except KitError as caught:
            error = caught
        assert "\n" not in str(error) if error else is_sound(answer)


NO_OBJECTS = [
    b"5", b"null", b"[]", b'"text"', b"", b"<html>", b"[" * 200_000, b'{"a":' * 100_000,
    b"9" * 5_000, b"\xff\xfe\x00",
]  # fmt: skip


@pytest.mark.parametrize("body", NO_OBJECTS, ids=lambda body: body[:6].decode("latin-1"))
@pytest.mark.parametrize("method", ["GetCompetition", "SaveKernel"])
def test_what_is_no_object_cannot_be_read(gate: Gate, method: str, body: bytes) -> None:
    """Numbers, lists, null, pages and depth are one line each."""
    with pytest.raises(Unsettled, match="cannot be read"):
        gate(method, body)


def test_missing_and_null_keys_are_the_defaults(gate: Gate) -> None:
    """Kaggle leaves out what is zero, empty or false."""
    assert gate("GetKernelSessionStatus", b"{}").status.name == "QUEUED"
    assert gate("GetSubmissionLimits", b"{}").num_allowed_now == 0
    assert gate("ListKernelSessionOutput", b'{"files": null, "log": null}').files == []
    assert gate("GetKernelSessionStatus", b'{"status": "PAUSED"}').status.name == "PAUSED"


SENTENCE = "Submission not allowed:  This competition only accepts Submissions from Notebooks."


@pytest.mark.parametrize(
    ("body", "reason", "kind"),
    [
        ({"error": {"code": 400, "message": SENTENCE, "status": "FAILED_X"}}, SENTENCE, "FAILED_X"),
        ({"code": 400, "message": "x" * 5_000 + SENTENCE}, SENTENCE, ""),
        ({"error": SENTENCE}, SENTENCE, ""),
        (SENTENCE, SENTENCE, ""),
        ({"message": f"\x1b[31m{SENTENCE}\r\n\x07"}, SENTENCE, ""),
        ("<html>no</html>", "", ""),
        ({"error": {"message": 5}}, "", ""),
    ],
)
def test_an_error_body_keeps_its_decisive_sentence(
    kaggle: Server, client: Client, body: object, reason: str, kind: str
) -> None:
    """In an envelope, flat, or as text; long or with control characters."""
    text = body if isinstance(body, str) else json.dumps(body)
    kaggle.faults.arm(faults.raw("GetCompetition", text.encode(), code=400))
    with pytest.raises(Refused) as caught:
        client.call("GetCompetition", competition_name=SLUG)
    assert caught.value.reason.endswith(re.sub(r"\s+", " ", reason))
    assert caught.value.kind == kind
    assert caught.value.message.isprintable()


BOMB = gzip.compress(b" " * (transport.ANSWER_BYTES + (1 << 20)))


@pytest.mark.parametrize(
    ("header", "body", "message"),
    [
        ("Content-Length: abc", b"{}", ""),
        ("Content-Length: 1, 1", b"{}", "broke the connection"),
        ("Content-Length: 1.0", b"{}", ""),
        (f"Content-Length: {'9' * 5000}", b"{}", ""),
        ("Content-Length: -1", b"{}", ""),
        ("Content-Length: 50", b"{}", "broke the connection"),
        ("Content-Encoding: gzip", BOMB, "over 67,108,864 bytes"),
        ("Content-Encoding: gzip", b"no gzip", "broke the connection"),
        ("Transfer-Encoding: chunked", b"zz\r\n{}", "broke the connection"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_odd_transport_of_an_answer_is_bounded_and_one_line(
    kaggle: Server, client: Client, header: str, body: bytes, message: str
) -> None:
    """Lengths of nonsense, broken packing, and a small body that unpacks to much."""
    name, _, value = header.partition(": ")
    headers = {"Connection": "close", "Content-Length": "", name: value}
    kaggle.faults.arm(Fault("GetCompetition", status=200, headers=headers, body=body))
    if message:
        with pytest.raises(Unsettled, match=message):
            client.call("GetCompetition", patient=False, competition_name=SLUG)
    else:
        assert client.call("GetCompetition", patient=False, competition_name=SLUG).id == 0
