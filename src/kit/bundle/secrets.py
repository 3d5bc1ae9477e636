"""Look for credentials in what a bundle would carry: names, texts in any encoding, joined strings, base64.

General kinds are those of detect-secrets, Kaggle's and a few more are ours. A password that looks like a word
passes.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import fnmatch
import functools
import importlib
import io
import re
import tokenize
import urllib.parse
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kit.errors import InputInvalid

_NAMES = (
    *("kaggle.json", "access_token", "credentials.json", ".env", ".env.*", ".netrc", "_netrc", ".pypirc"),
    *(".git-credentials", "secrets.toml", "secrets.json", "cookies.txt", "cookies.sqlite", "*.ppk", "*.p12"),
    *("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"),
)
_NAMES_ALLOWED = ("*.example", "*.sample", "*.template")
_RULES = {
    "a Kaggle key": r"""(?i)(?:\bkey\\?["']?\s*[:=]\s*\\?["']?|kaggle_key[^\n]{0,20}?)"""
    r"[0-9a-f]{32}(?![0-9a-f])",
    "a bare key": r"\A\s*[0-9a-f]{32}\s*\Z",
    "a Kaggle token": r"KGAT_[0-9A-Za-z]{16,}",
    "a Hugging Face token": r"(?:hf|api_org)_[0-9A-Za-z]{26,}",
    "a Google key": r"AIza[0-9A-Za-z_-]{35}",
    "a Weights & Biases key": r"(?i)wandb[^\n]{0,40}?\b[0-9a-f]{40}\b",
    "a password in an address": r"""://[^\s/:@"'(){}<>|\\\[\]]+:(?!password@)[^\s/:@"'(){}<>|\\\[\]]{3,}@\w""",
    "an OpenAI key": r"\bsk-[0-9A-Za-z_-]{32,}",
    # The marker alone, as in code that looks for keys, is no secret.
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"""(?:\\[nr]|[\s"'])*[A-Za-z0-9+/]{4}|PuTTY-User-Key-File-\d: """,
}
_PLUGINS = {
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "jwt": "JwtTokenDetector",
    "npm": "NpmDetector",
    "openai": "OpenAIDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "stripe": "StripeDetector",
    "twilio": "TwilioKeyDetector",
}
_MOST_UNPACKED_BYTES = 4 * 1024 * 1024


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


def found(path: str, data: bytes) -> Iterator[tuple[int, str]]:
    """Yield line and kind of each credential in a file."""
    name = path.rpartition("/")[2].lower()
    allowed = any(fnmatch.fnmatchcase(name, pattern) for pattern in _NAMES_ALLOWED)
    if not allowed and any(fnmatch.fnmatchcase(name, pattern) for pattern in _NAMES):
        yield 1, "a file of that name holds credentials"
    if data.startswith(b"\x1f\x8b"):
        try:
            data = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, _MOST_UNPACKED_BYTES)
        except zlib.error:
            return
    text = _text(data)
    for view in _views(text):
        for kind, value in _secrets(view):
            # A part of the value is looked up, since strings that were joined stand apart in the file.
            at = next((at for length in (len(value), 8, 4) if (at := text.find(value[:length])) >= 0), 0)
            yield text.count("\n", 0, at) + 1, kind


def _text(data: bytes) -> str:
    """Decode as Python would: by byte order mark, by coding line, else UTF-8; what has none byte by byte."""
    marks = (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16")
    guess = next(
        (name for mark, name in (*marks, (codecs.BOM_UTF16_BE, "utf-16")) if data.startswith(mark)), ""
    )
    if not guess and data.count(0) > len(data) // 4:
        guess = "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    try:
        return data.decode(guess or tokenize.detect_encoding(io.BytesIO(data).readline)[0])
    except (UnicodeError, SyntaxError, LookupError):
        return data.decode("latin-1")


def _views(text: str) -> Iterator[str]:
    """Yield the text, with its strings joined, without escapes, and what its base64 words hold."""
    yield text
    yield re.sub(r"""["']\s*(?:\\\s*)?\+?\s*[rbfRBF]?["']""", "", text)
    yield urllib.parse.unquote(text.replace('\\"', '"').replace("\\/", "/"))
    for word in re.findall(r"[A-Za-z0-9+/_-]{24,400}={0,2}", text):
        try:
            inner = base64.b64decode(
                word.rstrip("=") + "=" * (-len(word.rstrip("=")) % 4), b"-_" if "-" in word else None
            )
            decoded = inner.decode("ascii")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
        if decoded.isprintable():
            yield decoded


def _secrets(text: str) -> Iterator[tuple[str, str]]:
    for kind, pattern in _RULES.items():
        for match in re.finditer(pattern, text):
            yield kind, match[0]
    for plugin in _plugins():
        for value in plugin.analyze_string(text):
            yield f"a secret ({plugin.secret_type})", value


@functools.cache
def _plugins() -> tuple[Any, ...]:
    modules = {name: importlib.import_module(f"detect_secrets.plugins.{name}") for name in _PLUGINS}
    return tuple(getattr(modules[name], detector)() for name, detector in _PLUGINS.items())
