"""Look for credentials in what a bundle would carry: names, texts in any encoding, joined, escaped, packed.

General kinds are those of detect-secrets, Kaggle's and a few more are ours. A password that looks like a word
passes, and so does what somebody hides on purpose: reversed, encrypted, computed.
"""

from __future__ import annotations

import base64
import bz2
import codecs
import fnmatch
import functools
import gzip
import html
import io
import lzma
import re
import tokenize
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kit.errors import InputInvalid
from kit.progress import TOKENS

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin

NAMES = (
    *("kaggle.json", "kaggle ([0-9]*).json", "access_token", "credentials", "credentials.json", ".env*"),
    *("*.env", ".netrc", "_netrc", ".pypirc", ".git-credentials", ".htpasswd", "rclone.conf", "secrets.toml"),
    *("secrets.json", "cookies.txt", "cookies.sqlite", "*.ppk", "*.p12", "*.pfx", "*.jks", "*.kdbx", "*.key"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
)
_NAMES_ALLOWED = ("*.example", "*.sample", "*.template", "*.pub")
_HEX_KEY = "[0-9a-f]{32}(?![0-9a-f])"
_RULES = {
    **TOKENS,
    "a Kaggle key": r"""(?i)(?:key\\?["']?\s*[:=]\s*\\?["']?|"""
    rf"""(?:kaggle|auth|login|-u )[^\n]{{0,40}}?\b){_HEX_KEY}""",
    "a Kaggle key in a table": rf"(?i)^[^\n]*\bkey\b[^\n]*\n[^\n]*\b{_HEX_KEY}",
    "a bare key": rf"\A\s*(?:[\w.-]+:)?{_HEX_KEY}\s*\Z",
    "a Weights & Biases key": r"(?i)wandb[^\n]{0,40}?\b[0-9a-f]{40}\b",
    "an AWS secret": r"""(?i)aws_?secret[^\n=:]{0,30}[=:]\s*["']?[0-9a-z/+]{40}(?![0-9a-z/+])""",
    "a value called a secret": r"""(?i)(?:api_?key|(?:api|access|auth)_?token|secret(?:_access)?(?:_?key)?"""
    r"""|passw(?:or)?d)\\?["']?\s*(?::\s*\w+\s*)?[:=]\s*\\?["']?(?=[a-z]*\d)(?=[\d-]*[a-z])[0-9a-z/+!-]{16,}+(?![\w(.\[])""",
    "a login of a registry": r'"auth"\s*:\s*"[A-Za-z0-9+/]{8,}={0,2}"',
    "a password in an address": r"""://([^\s/:@"'(){}<>|\\\[\]]+):(?!(?:\1|pass(?:word|wd)?)@)[^\s/:@"'(){}<>|\\\[\]]{3,}@\w""",
    # The marker alone, as in code that looks for keys, is no secret.
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"""(?:\\[nr]|[\s"'])*[A-Za-z0-9+/]{4}|PuTTY-User-Key-File-\d: """,
}
_PLUGINS = (
    *("AWSKeyDetector", "AzureStorageKeyDetector", "DiscordBotTokenDetector", "JwtTokenDetector"),
    *("NpmDetector", "PypiTokenDetector", "SlackDetector", "SendGridDetector", "StripeDetector"),
    "TwilioKeyDetector",
)
_PACKED: dict[bytes, Callable[[io.BytesIO], io.BufferedIOBase]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")
_MARKS = (*_PACKED, *_ZLIB, b"PK\x03\x04")
"""How packed bytes begin; a zip may stand behind something else as well."""
_CODED: dict[str, Callable[[str], bytes]] = {
    r"[A-Za-z0-9+/_-]{24,}={0,2}(?:[ \t]*\n[ \t]*[A-Za-z0-9+/_-]+={0,2}(?=[ \t]*$))*": lambda word: (
        base64.b64decode(word.rstrip("=").translate({45: "+", 95: "/"}) + "==")
    ),
    r"\b[A-Z2-7]{32,}={0,6}": lambda word: base64.b32decode(
        word.rstrip("=") + "=" * (-len(word.rstrip("=")) % 8)
    ),
    r"\b(?:[0-9A-Fa-f]{2}){20,}\b": bytes.fromhex,
}
"""How words are found that hold bytes in letters, and how they are read."""
_MOST_BYTES = 8 * 1024 * 1024  # of what one packed file unpacks to
_DEEPEST = 4  # levels of packing and coding that are looked through


def refuse(files: Mapping[str, bytes], allow: Sequence[str] = ()) -> None:
    """Raise InputInvalid at the first finding that `allow` does not name, `path: kind`; show no value."""
    for path, data in files.items():
        for line, kind in found(path, data):
            if f"{path}: {kind}" not in allow:
                raise InputInvalid(
                    f"{path}:{line}: {kind}",
                    hint="take it out and revoke it if it was pushed; a false alarm goes to allow in "
                    f"[tool.kit.bundle] of pyproject.toml as {f'{path}: {kind}'!r}",
                )


def found(path: str, data: bytes, depth: int = 0) -> Iterator[tuple[int, str]]:
    """Yield line and kind of each credential in a file; what is packed or coded in it stands on its line."""
    named = functools.partial(fnmatch.fnmatchcase, path.rpartition("/")[2].lower())
    if any(map(named, NAMES)) and not any(map(named, _NAMES_ALLOWED)):
        yield 1, "a file of that name holds credentials"
    try:
        packed = _unpacked(data)
    except ValueError as error:
        yield 1, str(error)
        return
    for inner_path, inner in packed if depth < _DEEPEST else ():
        yield from ((1, kind) for _, kind in found(inner_path, inner, depth + 1))
    if packed and data.startswith(_MARKS):
        return
    text = _text(data)
    # Zeros may as well be those of a database or an array that holds plain text.
    plain = data.decode("latin-1") if b"\0" in data else text
    for view in dict.fromkeys([*_views(text), plain]):
        for kind, value in _secrets(view):
            yield _line(text, value), kind
        for word, inner in _decoded(view) if depth < _DEEPEST else ():
            yield from ((_line(text, word), kind) for _, kind in found("", inner, depth + 1))


def _unpacked(data: bytes) -> list[tuple[str, bytes]]:
    """Return names and bytes of what an archive holds; raises ValueError where it cannot be looked into."""
    files: list[tuple[str, bytes]] = []
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for name in archive.namelist():
                    with archive.open(name) as file:
                        files.append((name, file.read(_MOST_BYTES + 1)))
        for mark, opened in _PACKED.items():
            if data.startswith(mark):
                files.append(("", opened(io.BytesIO(data)).read(_MOST_BYTES + 1)))
        if data.startswith(_ZLIB):
            files.append(("", zlib.decompressobj().decompress(data, _MOST_BYTES + 1)))
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile):
        pass  # another kind of file that begins alike
    except RuntimeError:  # encrypted, or packed in a way that Python does not know
        raise ValueError("an archive that cannot be looked into") from None
    if sum(len(inner) for _, inner in files) > _MOST_BYTES:
        raise ValueError("an archive of more than can be looked through")
    return files


def _text(data: bytes) -> str:
    """Decode as Python would: by byte order mark, by coding line, else UTF-8; what has none byte by byte."""
    marks = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}
    marks |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    guess = next((name for mark, name in marks.items() if data.startswith(mark)), "")
    if not guess and data.count(0) > len(data) // 4:
        width = 32 if data.count(0) > len(data) * 5 // 8 else 16
        guess = f"utf-{width}-be" if data[:1] == b"\0" else f"utf-{width}-le"
    try:
        return data.decode(guess or tokenize.detect_encoding(io.BytesIO(data).readline)[0])
    except (UnicodeError, SyntaxError, LookupError):
        return data.decode("latin-1")


def _views(text: str) -> Iterator[str]:
    """Yield the text, with its strings joined, and without escapes of Python, JSON, HTML and addresses."""
    yield text
    yield re.sub(r"""["']\s*(?:\\\s*)?[+,]?\s*[rbfRBF]?["']|\{["']|["']\}""", "", text)
    for _ in range(_DEEPEST):
        plain = re.sub(r"(?i)\\(?:u00|x)([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), text)
        plain = plain.replace("\\\n", "")
        plain = html.unescape(urllib.parse.unquote(re.sub(r"""\\(["'/\\])""", r"\1", plain)))
        if plain == text:
            return
        yield plain
        text = plain


def _decoded(text: str) -> Iterator[tuple[str, bytes]]:
    """Yield each word that holds bytes in letters, with the bytes, where those are text or packed."""
    for pattern, decode in _CODED.items():
        for word in re.findall(pattern, text, re.MULTILINE):
            try:
                inner = decode("".join(word.split()))
            except ValueError:
                continue
            plain = inner.translate(None, b"\t\r\n")
            is_text = plain.isascii() and plain.decode("ascii").isprintable()
            if is_text or inner.startswith(_MARKS):
                yield word, inner


def _line(text: str, value: str) -> int:
    """Return the line of a value; a part of it is looked up, since strings that were joined stand apart."""
    at = next((at for length in (len(value), 8, 4) if (at := text.find(value[:length])) >= 0), 0)
    return text.count("\n", 0, at) + 1


def _secrets(text: str) -> Iterator[tuple[str, str]]:
    for kind, pattern in _RULES.items():
        for match in re.finditer(pattern, text, re.MULTILINE):
            yield kind, match[0]
    for plugin in _plugins():
        for value in plugin.analyze_string(text):
            yield f"a secret ({plugin.secret_type})", value


@functools.cache
def _plugins() -> tuple[BasePlugin, ...]:
    from detect_secrets.core.plugins import initialize

    return tuple(map(initialize.from_plugin_classname, _PLUGINS))
