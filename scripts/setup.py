"""Make `.venv` with dependency groups from the committed lock, and make it again where it is damaged.

Run by the Makefile before each verb, with the system's Python: the standard library only, and milliseconds
where all is well. pip's own configuration (index, proxies, wheel folders) is honoured.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / os.environ.get("KIT_VENV", ".venv")
"""Another one where the tests run on another Python."""
GROUPS = ("home", "train", "dev")
PYTHON = VENV / "bin" / "python"
BUSY = VENV / ".busy"
"""Stands while pip works: where it is found, pip was interrupted and nobody knows what is whole."""
ASIDE = ROOT / "build" / "venv-replaced"
PIP_VERSION = "26.3"
"""Groups of pyproject.toml need pip 25.1; one version for everybody makes set-up the same everywhere."""
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""Holds torch without the gigabytes of CUDA packages that the default index brings along."""


class SetupFailed(Exception):
    """What is wrong, in one line with the next command."""


def main() -> int:
    if os.environ.get("KIT_JSON"):  # there stdout is for the verb's one object
        sys.stdout = sys.stderr
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("group", nargs="+", choices=GROUPS)
    groups: list[str] = parser.parse_args().group
    try:
        if sys.version_info < (3, 11):  # noqa: UP036 - this script is what meets an older Python
            found = sys.version.split()[0]
            raise SetupFailed(
                f"Python 3.11 or later is needed, this is {found} (try: make PYTHON=python3.12)"
            )
        if _missing(groups):
            ASIDE.parent.mkdir(exist_ok=True)
            with (ASIDE.parent / ".setup-lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # two groups may be asked for at once under make -j
                _install(_missing(groups))
        return 0
    except SetupFailed as error:
        told = str(error)
    except OSError as error:
        told = f"{error.filename}: {error.strerror} (try: chmod -R u+w .venv build, or df -h)"
    print(f"error: {told}", file=sys.stderr)
    return 1


def _missing(groups: list[str]) -> list[str]:
    """Return the groups that are not in .venv as their stamps say."""
    return [group for group in groups if BUSY.exists() or _lost(group) != set()]


def _lost(group: str) -> set[str] | None:
    """Return what left site-packages since the group was installed; None where its stamp is void."""
    try:
        stamp = json.loads((VENV / f".{group}").read_text(encoding="utf-8"))
        return set(stamp["packages"]) - _packages() if stamp["facts"] == _facts() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _packages() -> set[str]:
    return {path.name for path in VENV.glob("lib/python3*/site-packages/*")} - {"__pycache__"}


def _facts() -> list[str]:
    """Return what a stamp belongs to: the pins, the place of .venv and the interpreter that it leads to."""
    pins = hashlib.sha256((ROOT / "requirements.lock").read_bytes() + (ROOT / "pyproject.toml").read_bytes())
    interpreter = os.path.realpath(PYTHON) if os.access(PYTHON, os.X_OK) else "none"
    return [pins.hexdigest(), str(VENV), interpreter]


def _install(groups: list[str]) -> None:
    """Install what is missing, into a new .venv where the old one is damaged, which is kept until then."""
    if not groups:
        return
    started = time.monotonic()
    damage = _damage()
    if damage:
        print(f"{damage}; making .venv again", flush=True)
        groups = [group for group in GROUPS if group in groups or (VENV / f".{group}").is_file()]
        shutil.rmtree(ASIDE, ignore_errors=True)
        VENV.rename(ASIDE)
    try:
        if not VENV.exists():
            _run([sys.executable, "-m", "venv", str(VENV)])
        print(f"installing {', '.join(groups)} (a few minutes the first time)", flush=True)
        BUSY.touch()
        _pip(f"pip=={PIP_VERSION}")
        extra = ["--extra-index-url", CPU_INDEX] if "train" in groups and _is_reachable(CPU_INDEX) else []
        _pip("-c", "requirements.lock", *extra, *(part for group in groups for part in ("--group", group)))
        _pip("--no-deps", "-e", ".")
    except BaseException as error:
        if isinstance(error, SetupFailed):  # pip itself gave up, in good order
            BUSY.unlink(missing_ok=True)
        if damage and ASIDE.exists():
            shutil.rmtree(VENV, ignore_errors=True)
            ASIDE.rename(VENV)
        raise
    stamp = json.dumps({"facts": _facts(), "packages": sorted(_packages())})
    # A later group may move a package of an earlier one, so what stands there now is whole for both.
    for group in [group for group in GROUPS if group in groups or _lost(group) is not None]:
        (VENV / f".{group}").write_text(stamp, encoding="utf-8")
    BUSY.unlink()
    shutil.rmtree(ASIDE, ignore_errors=True)
    print(f"set-up took {time.monotonic() - started:.0f} s", flush=True)


def _damage() -> str:
    """Return why pip cannot mend what stands at .venv; empty where it can, or where nothing stands there."""
    if not VENV.is_dir():
        return ".venv is no folder" if os.path.lexists(VENV) else ""
    if BUSY.exists():
        return "an earlier set-up was interrupted"
    try:
        made = (VENV / "pyvenv.cfg").read_text(encoding="utf-8")
        asked = [str(PYTHON), "-c", "import encodings, json, pip, ssl"]
        runs = subprocess.run(asked, capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return "the Python of .venv is gone"
    if not runs:
        return "the Python of .venv does not run"
    if not re.search(rf"^command = .*{re.escape(str(VENV))}$", made, re.MULTILINE):
        return ".venv was made in another folder"
    lost = sorted(name for group in GROUPS for name in _lost(group) or ())
    return f"{lost[0]} is missing" if lost else ""


def _run(command: list[str]) -> None:
    environment = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "0"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    if done.returncode == 0:
        return
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    if host := re.search(r"host='([^']+)'|Could not fetch URL (\S+):", done.stderr):
        where = host[1] or host[2]
        raise SetupFailed(f"{where} could not be reached (try: pip config list, or again when online)")
    reason = next((line for line in lines if line.lower().startswith("error")), (lines or ["no words"])[-1])
    raise SetupFailed(f"{' '.join(command[1:4])} failed: {reason} (try: pip config list)")


def _pip(*arguments: str) -> None:
    """Install with uv where it is there, in a third of the time; with pip where that fails or is told things.

    uv reads none of pip's variables, which may name the only index there is.
    """
    uv = shutil.which("uv")
    if uv and not any(name.startswith("PIP_") for name in os.environ):
        command = [uv, "pip", "install", "--quiet", "--python", str(PYTHON), *arguments]
        if subprocess.run(command, cwd=ROOT, check=False).returncode == 0:
            return
        print("uv could not, pip is asked", flush=True)
    _run([str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments])


def _is_reachable(url: str, seconds: float = 3.0) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/torch/", timeout=seconds):  # noqa: S310 - a constant https address
            return True
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
