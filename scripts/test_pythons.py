"""Run the tests that need no torch on every supported Python of this machine, each in a fresh environment."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.11", "3.12", "3.13")
"""What runs at home, and what Kaggle's image had before and since 2026-10-03."""


def main() -> int:
    """Return 1 where the tests fail on any of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", nargs="*", default=VERSIONS, help="default: %(default)s")
    failed = []
    for version in parser.parse_args().version:
        interpreter = _find(version)
        if interpreter is None:
            print(f"Python {version}: not on this machine, left out", flush=True)
        elif not _passes(version, interpreter):
            failed.append(version)
    if failed:
        print(f"error: the tests fail on Python {', '.join(failed)} (try: the lines above)", file=sys.stderr)
    return 1 if failed else 0


def _find(version: str) -> str | None:
    """Return an interpreter of this version; a pyenv shim may stand on PATH and lead nowhere."""
    installed = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
    for candidate in (shutil.which(f"python{version}"), *map(str, installed)):
        if candidate is None:
            continue
        asked = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
        if answer.stdout.strip() == version:
            return candidate
    return None


def _passes(version: str, interpreter: str) -> bool:
    venv = ROOT / "build" / f"python-{version}"
    python = venv / "bin" / "python"
    print(f"Python {version}: {interpreter}", flush=True)
    pins = (ROOT / "requirements.lock").read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    ready = venv / f".ready-{hashlib.sha256(pins).hexdigest()[:12]}"
    if not ready.exists():
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([interpreter, "-m", "venv", str(venv)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*install, "-U", "pip"], check=True)
        groups = ["--group", "home", "--group", "dev"]
        subprocess.run([*install, "-c", "requirements.lock", *groups], cwd=ROOT, check=True)
        subprocess.run([*install, "--no-deps", "-e", "."], cwd=ROOT, check=True)
        ready.touch()
    tests = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow and not train"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(tests, cwd=ROOT, env=environment, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
