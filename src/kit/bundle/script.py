"""Write a tree of files as one script that behaves like the tree: readable, small, always the same bytes."""

import base64
import json
import lzma
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kit.bundle import loader, notebook, secrets
from kit.bundle.tree import LIMIT_BYTES, Tree, too_large
from kit.files import sha256_of

READABLE_BYTES = 900 * 1024  # a script above this is compressed as a whole

# What is not plain text, and what a viewer may take for a line end or drop.
_FRAGILE = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ufeff]")

_HEAD = """\
# {count} files in one script; --manifest as its only argument lists them.
"""


@dataclass(frozen=True)
class Bundle:
    """A script that holds a tree."""

    text: str
    sha256: str
    """Of the text in UTF-8."""
    bundle_hash: str
    """Of relative paths, bytes, entry and config, and nothing else."""
    files: tuple[str, ...]
    compressed: bool


def bundle(tree: Tree, config: Mapping[str, object] | None = None, *, title: str = "") -> Bundle:
    """Write `tree` as one script, under a `title` as a notebook, with `config` (JSON values) in its manifest.

    Raises InputInvalid above LIMIT_BYTES.
    """
    settings = json.dumps(config, sort_keys=True, indent=1, allow_nan=False)
    secrets.refuse({"the settings": settings.encode()}, tree.allow)
    sizes = {path: len(data) for path, data in tree.files.items()}
    told = loader.manifest(dict(tree.files), tree.entry, tree.source_root, json.loads(settings))
    text = notebook.written(tree, told, title) if title else _script(tree, settings, compressed=False)
    is_long = not title and len(text.encode()) > READABLE_BYTES
    packed = _script(tree, settings, compressed=True) if is_long else text
    compressed = len(packed.encode()) < len(text.encode())
    text = packed if compressed else text
    if (size := len(text.encode())) > LIMIT_BYTES:
        raise too_large(size, sizes)
    return Bundle(text, sha256_of(text), str(told["bundle_hash"]), tuple(sizes), compressed)


def _script(tree: Tree, settings: str, *, compressed: bool) -> str:
    files = _as_one(tree.files) if compressed else _as_text(tree.files)
    head, text = _HEAD.format(count=len(tree.files)), Path(loader.__file__).read_text(encoding="utf-8")
    values = f"files, config, {tree.entry!a}, {tree.source_root!a}"
    return f"{head}{text}\n\n{files}config = {_literal(settings.encode())}\nstart({values})\n"


def _as_text(files: Mapping[str, bytes]) -> str:
    lines = "".join(f"{path!a}: {_literal(data)},\n" for path, data in files.items())
    imports = "import base64\n" if "base64.b85decode(" in lines else ""
    return f"{imports}files = {{\n{lines}}}\n"


def _as_one(files: Mapping[str, bytes]) -> str:
    index = json.dumps({path: len(data) for path, data in files.items()}) + "\n"
    # Preset 1 takes half the time of 2 for 3% more bytes; zlib's bytes depend on who built it.
    packed = lzma.compress(index.encode() + b"".join(files.values()), preset=1)
    return f"""import base64, io, json, lzma
packed = io.BytesIO(lzma.decompress(base64.b64decode('''
{_wrapped(base64.b64encode(packed))}
''')))
files = {{path: packed.read(size) for path, size in json.loads(packed.readline()).items()}}
"""


def _literal(data: bytes) -> str:
    """Write bytes as an expression: text after one line feed where every viewer keeps it, else base85."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if _FRAGILE.search(text):
        return f"base64.b85decode('''\n{_wrapped(base64.b85encode(data))}'''.replace('\\n', ''))"
    for quote in ("'''", '"""'):
        if quote not in text and not text.endswith((quote[0], "\\")):
            return f"r{quote}\n{text}{quote}[1:].encode()"
    escaped = re.sub(r"'(?='|\Z)", r"\\'", text.replace("\\", "\\\\"))
    return f"'''\n{escaped}'''[1:].encode()"


def _wrapped(code: bytes) -> str:
    return "\n".join(re.findall(".{1,100}", code.decode()))
