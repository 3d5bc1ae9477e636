"""Run the tests that need no torch on the other Pythons of this machine, each in a fresh environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from kit.command import Arguments, verb
from kit.files import PROJECT_ROOT

VERSIONS = ("3.11", "3.12", "3.13")
"""What runs at home, and what Kaggle's image had before and since 2026-10-03."""


def _find(version: str) -> str | None:
    """Return an interpreter of this version; a pyenv shim may stand on PATH and lead nowhere."""
    installed = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
    for candidate in filter(None, (shutil.which(f"python{version}"), *map(str, installed))):
        asked = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
        if answer.stdout.strip() == version:
            return candidate
    return None


def _passes(version: str, interpreter: str) -> bool:
    venv = PROJECT_ROOT / "build" / f"python-{version}"
    setup = [interpreter, "scripts/setup.py", "home", "dev"]
    subprocess.run(setup, cwd=PROJECT_ROOT, env={**os.environ, "KIT_VENV": str(venv)}, check=True)
    python = str(venv / "bin" / "python")
    tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow and not train"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(tests, cwd=PROJECT_ROOT, env=environment, check=False).returncode == 0


@verb()
def main(_: Arguments) -> int:
    failed = []
    for version in VERSIONS:
        if version == f"{sys.version_info.major}.{sys.version_info.minor}":
            continue
        python = _find(version)
        print(f"Python {version}: {python or 'not on this machine, left out'}", flush=True)
        if python and not _passes(version, python):
            failed.append(version)
    if failed:
        print(f"error: the tests fail on Python {', '.join(failed)} (try: the lines above)", file=sys.stderr)
    return 1 if failed else 0
