"""Run the tests that need no torch on the other Pythons of this machine, each in a fresh environment."""

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
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    others = [version for version in VERSIONS if version != own]
    parser.add_argument("version", nargs="*", default=others, help="default: %(default)s")
    found = {version: _find(version) for version in parser.parse_args().version}
    for version, interpreter in found.items():
        print(f"Python {version}: {interpreter or 'not on this machine, left out'}", flush=True)
    failed = [version for version, python in found.items() if python and not _passes(version, python)]
    if failed:
        print(f"error: the tests fail on Python {', '.join(failed)} (try: the lines above)", file=sys.stderr)
    return 1 if failed else 0


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
    venv = ROOT / "build" / f"python-{version}"
    python = str(venv / "bin" / "python")
    pins = (ROOT / "requirements.lock").read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    ready = venv / f".ready-{hashlib.sha256(pins).hexdigest()[:12]}"
    if not ready.exists():
        shutil.rmtree(venv, ignore_errors=True)
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        groups = ["-c", "requirements.lock", "--group", "home", "--group", "dev"]
        for command in ([interpreter, "-m", "venv", str(venv)], [*pip, "-U", "pip"], [*pip, *groups],
                        [*pip, "--no-deps", "-e", "."]):  # fmt: skip
            subprocess.run(command, cwd=ROOT, check=True)
        ready.touch()
    tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow and not train"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(tests, cwd=ROOT, env=environment, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
