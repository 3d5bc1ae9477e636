"""Credentials of every kind that we know of are found in what a bundle would carry, and nothing else is."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import random
import string
import subprocess
import sys
import tarfile
import urllib.parse
import zipfile
import zlib
from pathlib import Path

import pytest

from kit import progress
from kit.bundle import secrets
from kit.bundle.script import bundle
from kit.bundle.tree import collect
from kit.errors import InputInvalid
from kit.files import PROJECT_ROOT

CHOOSE = random.Random(19)


def letters(count: int, of: str = string.ascii_letters + string.digits) -> str:
    return "".join(CHOOSE.choices(of, k=count))


def coded(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def zipped(name: str, data: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return made.getvalue()


def tarred(data: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        member = tarfile.TarInfo("x")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


KEY = letters(32, "0123456789abcdef")
HEX40 = letters(40, "0123456789abcdef")
TOKEN = "KGAT_" + letters(32, "0123456789abcdef")
FACE, SHORT_FACE, HUB = "hf_" + letters(34), "hf_" + letters(25), "ghp_" + letters(36)
BASE = letters(40)
BEGIN = "-----BEGIN " + "{}-----\n{}"
LOGIN = json.dumps({"username": "somebody", "key": KEY, "why": "a text that is long enough to be wrapped"})

NPM, PUTTY = "npm", "PuTTY-User"
NAMES = """kaggle.json deep/kaggle.json x/access_token credentials.json .aws/credentials
.env .env.local prod.env .envrc .netrc .pypirc .git-credentials .htpasswd rclone.conf .streamlit/secrets.toml
cookies.txt cookies.sqlite id_rsa keys/id_ed25519 id_rsa.bak deploy.key a.ppk a.p12 a.pfx a.jks a.kdbx"""
KINDS: dict[str, str | bytes] = {
    "bare key": KEY,
    "json": LOGIN,
    "upper case": f'KEY="{KEY.upper()}"',
    "single quotes": f"d = {{'username': 'u', 'key': '{KEY}'}}",
    "notebook": json.dumps({"source": [f"os.environ['KAGGLE_KEY'] = \"{KEY}\""]}),
    "notebook in a notebook": json.dumps({"a": json.dumps({"b": json.dumps({"key": KEY})})}),
    "assigned": f"\nkaggle_key = '{KEY}'",
    "typed": f"KAGGLE_KEY: Final[str] = '{KEY}'",
    "set as default": f'os.environ.setdefault("KAGGLE_KEY", "{KEY}")',
    "keyword": f"login(username='x', api_key='{KEY}')",
    "yaml": f"kaggle:\n  username: x\n  key: {KEY}\n",
    "shell": f"#!/bin/sh\n\nexport KAGGLE_KEY={KEY}\n",
    "two lines": f"username: x\nkey:\n  {KEY}\n",
    "table": f"user,key\nx,{KEY}\n",
    "comment": f"# kaggle: somebody {KEY}",
    "glued": f"my{TOKEN}z",
    "added": f"t = '{TOKEN[:5]}' + '{TOKEN[5:]}'",
    "on two lines": f"t = '{TOKEN[:9]}\\\n{TOKEN[9:]}'",
    "curl": f"curl -u somebody:{KEY} https://api.host",
    "pair": f"auth=('somebody', '{KEY}')",
    "called a key": f"COHERE_API_KEY: str = '{letters(6)}1a{letters(30)}'",
    "called a password": f"db:\n  password: {letters(6)}1a{letters(12)}\n",
    "S3": f"secret_access_key={letters(6)}1a{letters(32)}",
    "Groq": f"gsk_{letters(52)}",
    "Telegram": f"{letters(9, '123456789')}:AA{letters(33)}",
    "side by side": f"t = ('{TOKEN[:15]}'\n  '{TOKEN[15:]}')",
    "filled in": f"t = f\"{TOKEN[:5]}{{'{TOKEN[5:]}'}}\"",
    "joined": f"t = ''.join(['{TOKEN[:5]}', '{TOKEN[5:]}'])",
    "header": f'{{"Authorization": "Bearer {TOKEN}"}}',
    "basic": f'{{"Authorization": "Basic {coded(f"somebody:{KEY}")}"}}',
    "base64": f"t = b64decode('{coded(TOKEN)}')",
    "base64 without its end": "x " + coded(f"export TOKEN={FACE}").rstrip("="),
    "base64 twice": coded(coded(TOKEN)),
    "base64 in lines": base64.encodebytes(LOGIN.encode()),
    "base64 of gzip": coded(gzip.compress(TOKEN.encode())),
    "base64 of zlib": coded(zlib.compress(TOKEN.encode())),
    "base32": base64.b32encode(TOKEN.encode()),
    "hexadecimal": TOKEN.encode().hex(),
    "UTF-16": f"x {TOKEN}".encode("utf-16"),
    "UTF-16 without a mark": f"x {TOKEN}".encode("utf-16-be"),
    "UTF-32": f"x {TOKEN}".encode("utf-32"),
    "UTF-32 without a mark": f"x {TOKEN}".encode("utf-32-le"),
    "among zeros": TOKEN.encode() + bytes(len(TOKEN)),
    "Latin-1": f"d\xe9j\xe0\n{FACE}\n".encode("latin-1"),
    "coding line": b"# coding: utf-7\nx = '" + TOKEN.encode() + b"'",
    "address escapes": urllib.parse.quote("key=" + KEY, safe=""),
    "address escapes twice": urllib.parse.quote(TOKEN.replace("_", "%5F")),
    "Unicode escapes": "".join(f"\\u{ord(letter):04x}" for letter in TOKEN),
    "byte escapes": "".join(f"\\x{ord(letter):02x}" for letter in TOKEN),
    "HTML escapes": TOKEN.replace("_", "&#95;"),
    "gzip": gzip.compress(TOKEN.encode()),
    "gzip after gzip": gzip.compress(b"hello") + gzip.compress(TOKEN.encode()),
    "zip": zipped("a.txt", TOKEN.encode()),
    "zip in zip": zipped("a.zip", zipped("a.txt", TOKEN.encode())),
    "before a zip": TOKEN.encode() + zipped("a.txt", b"x"),
    "zip behind a line": b"#!/usr/bin/python3\n" + zipped("a.txt", TOKEN.encode()),
    "zip of an unknown way": zipped("a", b"").replace(b"\x14\0\0\0\x08\0", b"\x14\0\0\0\x09\0"),
    "name in zip": zipped("x/kaggle.json", b""),
    "tar": tarred(TOKEN.encode()),
    "bz2": bz2.compress(TOKEN.encode()),
    "xz": lzma.compress(TOKEN.encode()),
    "zlib": zlib.compress(TOKEN.encode()),
    "more than is looked through": gzip.compress(bytes(secrets._MOST_BYTES + 1)),
    "Hugging Face": f"\n\n\nlogin('{FACE}')\n",
    "short Hugging Face": SHORT_FACE,
    "AWS": "AKIA" + letters(16, string.ascii_uppercase),
    "AWS secret": f"aws_secret_access_key = {BASE}",
    "W&B": f"WANDB_API_KEY={HEX40}",
    "W&B login": f"wandb.login(key='{HEX40}')",
    "GitHub": f"\n{HUB}\n",
    "GitHub fine": f"github_pat_{letters(22)}_{letters(59)}",
    "GitLab": f"glpat-{letters(20)}",
    "OpenAI": f"sk-proj-{letters(90)}",
    "Google": f"AIzaSy{letters(33)}",
    "Google secret": f"GOCSPX-{letters(28)}",
    "Slack": f"xoxb-{letters(12, string.digits)}-{letters(12, string.digits)}-{letters(24)}",
    "npm": f"//registry.npmjs.org/:_authToken={NPM}_{letters(36)}",
    "PyPI": f"pypi-AgEIcHlwaS5vcmc{letters(80)}",
    "registry": json.dumps({"auths": {"x": {"auth": coded(f"user:{letters(10)}")}}}),
    "password in an address": f"postgres://user:{letters(10)}@db.host/x",
    "index": f"--index-url https://user:{letters(10)}@pypi.host/simple",
    "RSA": BEGIN.format("RSA PRIVATE KEY", "MIIEowIBAAKCAQEA"),
    "OpenSSH": BEGIN.format("OPENSSH PRIVATE KEY", "b3BlbnNzaC1rZXktdjEA"),
    "PGP": BEGIN.format("PGP PRIVATE KEY BLOCK", "\nlQOYBF"),
    "service account": json.dumps({"private_key": BEGIN.format("PRIVATE KEY", "MIIEvQIBADANBg")}),
    "PuTTY": f"{PUTTY}-Key-File-3: ssh-ed25519",
}  # fmt: skip
"""Beyond the finding's 45 kinds: values made for this run, in files whose names say nothing."""
LINES = {"assigned": 2, "two lines": 2, "coding line": 2, "shell": 3, "yaml": 3, "Hugging Face": 4}
LINES |= {"called a password": 2, "GitHub": 2, "Latin-1": 2}
VALUES = (KEY, KEY.upper(), HEX40, TOKEN, TOKEN[5:], FACE, SHORT_FACE, HUB, BASE)


@pytest.mark.parametrize("kind", [*KINDS, *NAMES.split(), "kaggle (1).json"])
def test_secrets_are_refused(kind: str, tmp_path: Path) -> None:
    """A secret is refused with file and line, is not repeated in the message, and can be allowed by name."""
    text = KINDS.get(kind, "")
    name = "data" if kind in KINDS else kind
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "main.py").touch()
    with pytest.raises(InputInvalid) as caught:
        collect(tmp_path, tmp_path / "main.py")
    assert str(caught.value).startswith(f"{name}:{LINES.get(kind, 1)}: ")
    assert not [value for value in VALUES if value in str(caught.value)]
    allow = [f"{name}: {kind}" for _, kind in secrets.found(name, (tmp_path / name).read_bytes())]
    assert name in collect(tmp_path, tmp_path / "main.py", allow=allow).files


def test_secrets_in_settings_are_refused(tmp_path: Path) -> None:
    """The settings travel in the bundle as well; one finding in them can be allowed by name."""
    (tmp_path / "main.py").touch()
    settings = {"model": {"name": coded(FACE)}}
    with pytest.raises(InputInvalid, match=r"^the settings:\d+: a Hugging Face token") as caught:
        bundle(collect(tmp_path, tmp_path / "main.py"), settings)
    assert FACE not in str(caught.value)
    allow = ["the settings: a Hugging Face token"]
    assert bundle(collect(tmp_path, tmp_path / "main.py", allow=allow), settings).text


@pytest.mark.parametrize("option", ["--set={}", "--set=train.epochs={}", "--{}", "--preset={}"])
def test_no_message_shows_a_value_that_looks_like_a_token(option: str) -> None:
    """A setting, an option or a preset that is refused is named without it."""
    command = [sys.executable, str(PROJECT_ROOT / "scripts" / "settings.py"), option.format(TOKEN)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert said.stderr.startswith("error: ")
    assert TOKEN not in said.stdout + said.stderr


@pytest.mark.parametrize("value", [TOKEN, FACE, HUB], ids=["Kaggle", "Hugging Face", "GitHub"])
def test_no_line_of_a_log_shows_a_token(value: str) -> None:
    """Whatever a kernel prints."""
    assert value not in progress.show(f"a log line with {value} in it")


def test_what_looks_like_a_secret_passes(tmp_path: Path) -> None:
    """An example, a name like a token, code that looks for keys, a hash, and every file of this project."""
    texts = {
        ".env.example": "KAGGLE_KEY=your key\n",
        "a.py": "from hf_transfer import x\nMARK = '-----BEGIN " + "PRIVATE KEY-----'\n",
        "b.json": '{"key": "' + "0" * 64 + '"}',
        "c.py": "URL = f'https://{user}:{password}@host/'\n",
        "d.py": f"md5 = '{KEY}'\n",
        "id_rsa.pub": "ssh-rsa AAAA",
    }
    for name, text in texts.items():
        assert list(secrets.found(name, text.encode())) == [], name
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, timeout=60, check=True).stdout
    for path in map(os.fsdecode, filter(None, listed.split(b"\0"))):
        if (PROJECT_ROOT / path).is_file():
            assert list(secrets.found(path, (PROJECT_ROOT / path).read_bytes())) == [], path


def test_git_ignores_what_its_name_gives_away() -> None:
    """So that no commit takes along what no bundle may."""
    ignored = (PROJECT_ROOT / ".gitignore").read_text().splitlines()
    assert set(secrets.NAMES) <= set(ignored)
