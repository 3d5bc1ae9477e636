"""A small tree with everything that bundlers lose."""

from __future__ import annotations

from pathlib import Path

PACKAGE: dict[str, bytes] = {
    "kernel/beside.txt": b"beside the entry\n",
    "kernel/sibling.py": b'WORD = "sibling of the entry"\n',
    "src/pkg/__init__.py": b'"""A package."""\n\nfrom .inner.deep import depth as DEPTH\n',
    "src/pkg/boom.py": '''"""Raise from a depth."""

import asyncio

LATER = """a 'string' of
several \\\\ lines, \'\'\' and all
"""


class Boom(Exception):
    """Grüße, raised on purpose."""


def raise_it(word):
    def inner():
        raise Boom(f"{word}: ünïcödé")

    inner()


def chain():
    try:
        raise_it("first")
    except Boom as error:
        raise KeyError("second") from error


def group():
    errors = []
    for word in "ab":
        try:
            raise_it(word)
        except Boom as error:
            errors.append(error)
    raise ExceptionGroup("several", errors)


async def later():
    await asyncio.sleep(0)
    chain()
'''.encode(),
    "src/pkg/child.py": b"""import sys

from pkg.boom import chain

print(__name__, __package__, sys.argv[1:])
if __name__ == "__main__":
    chain()
""",
    "src/pkg/crlf.txt": b"one\r\ntwo\r\nthree\rfour\n",
    "src/pkg/crlf_module.py": b'TEXT = """a\r\nb"""\r\n\r\n\r\ndef whole():\r\n    return TEXT\r\n',
    "src/pkg/data.txt": "नमस्ते, Grüße\n".encode(),
    "src/pkg/empty.txt": b"",
    "src/pkg/future.py": b"""from __future__ import annotations


def typed(value: NoSuchName) -> None: ...


NOTES = typed.__annotations__
""",
    "src/pkg/inner/__init__.py": b"",
    "src/pkg/inner/deep.py": b"""from .. import names
from ..names import NAME


def depth():
    return names.NAME, NAME, __name__
""",
    "src/pkg/latin.py": '# coding: latin-1\nWORD = "déjà vu"\n'.encode("latin-1"),
    "src/pkg/names.py": b"NAME = 'names'\n",
    "src/pkg/no_newline.py": b"END = 'no newline at the end'",
    "src/pkg/raw.bin": bytes(range(256)),
    "src/pkg/work.py": b"""import os


class Point:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return type(self) is type(other) and self.x == other.x

    def __repr__(self):
        return f"Point({self.x})"


def double(point):
    return Point(2 * point.x)


def refuse(point):
    raise ValueError(f"no {point}")
""",
    "src/space/part/thing.py": b"THING = 'in a namespace package'\n",
    "src/pkg/\u00fcml\u00e4ut.txt": b"a name that is not ASCII\n",
}


def plant(top: Path, entry: str) -> Path:
    """Write the tree below `top` with `entry` as kernel/main.py and return the path of that script."""
    for name, data in {**PACKAGE, "kernel/main.py": entry.encode()}.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return top / "kernel" / "main.py"
