"""Make `.venv` and install dependency groups into it, from the committed lock.

Run by the Makefile with the system's Python, so it uses the standard library only. pip's own configuration
(index, proxies, wheel folders) is honoured.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PIP_VERSION = "26.3"
"""Groups of pyproject.toml need pip 25.1; one version for everybody makes set-up the same everywhere."""
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""Holds torch without the gigabytes of CUDA packages that the default index brings along."""


def main() -> int:
    """Install the groups named on the command line and leave a stamp for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("group", nargs="+", choices=("home", "train", "dev"))
    groups: list[str] = parser.parse_args().group
    found = sys.version.split()[0]
    if sys.version_info < (3, 11):  # noqa: UP036 - this script is what meets an older Python
        print(f"error: Python 3.11 or later is needed, this is {found} (try: make PYTHON=python3.12)")
        return 1
    VENV.mkdir(exist_ok=True)
    with (VENV / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two groups may be asked for at once under make -j
        return _install(groups)


def _install(groups: list[str]) -> int:
    python = VENV / "bin" / "python"
    started = time.monotonic()
    if not python.exists():
        print("creating .venv", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        _pip(python, f"pip=={PIP_VERSION}")
    print(f"installing {', '.join(groups)} (a few minutes the first time)", flush=True)
    wanted = [part for group in groups for part in ("--group", group)]
    extra = ["--extra-index-url", CPU_INDEX] if "train" in groups and _is_reachable(CPU_INDEX) else []
    try:
        _pip(python, "-c", "requirements.lock", *extra, *wanted)
        _pip(python, "--no-deps", "-e", ".")
    except subprocess.CalledProcessError:
        print("error: pip failed, its lines are above (try: the same command again, or pip config list)")
        return 1
    for group in groups:
        (VENV / f".{group}").touch()
    print(f"set-up took {time.monotonic() - started:.0f} s", flush=True)
    return 0


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "PIP_REQUIRE_VIRTUALENV": "0"})


def _is_reachable(url: str, seconds: float = 3.0) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/torch/", timeout=seconds):  # noqa: S310 - a constant https address
            return True
    except (urllib.error.URLError, TimeoutError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(main())
