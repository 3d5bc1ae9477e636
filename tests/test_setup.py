"""Set-up mends whatever it finds at .venv, in a small project that needs no index."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_wheels import make_wheel

from kit.files import PROJECT_ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "toy-project"
version = "1.0"
[dependency-groups]
home = ["kit-toy"]
train = ["kit-other"]
"""
BACKEND = """
import pathlib, sys
sys.path.insert(0, "wheels")
from toy_wheels import make_wheel

def build_editable(folder, *_):
    return make_wheel(pathlib.Path(folder), "toy_project", "1.0").name
"""


def _wheel_of_pip(folder: Path) -> str:
    """Pack the pip that runs here, as an index would give it; return its version."""
    pip = importlib.metadata.distribution("pip")
    with zipfile.ZipFile(folder / f"pip-{pip.version}-py3-none-any.whl", "w") as archive:
        for file in pip.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                archive.write(str(file.locate()), str(file))
    return pip.version


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose home group is installed; each test damages its own copy at the same place."""
    root = tmp_path_factory.mktemp("setup") / "project"
    wheels = root / "wheels"
    wheels.mkdir(parents=True)
    version = _wheel_of_pip(wheels)
    shutil.copy(PROJECT_ROOT / "tests" / "kernel" / "toy_wheels.py", wheels)
    for name in ("kit_toy", "kit_other"):
        make_wheel(wheels, name, "1.0")
    (root / "scripts").mkdir()
    text = (PROJECT_ROOT / "scripts" / "setup.py").read_text(encoding="utf-8")
    (root / "scripts" / "setup.py").write_text(
        re.sub('PIP_VERSION = ".*"', f'PIP_VERSION = "{version}"', text)
    )
    (root / "pyproject.toml").write_text(PROJECT)
    (root / "backend.py").write_text(BACKEND)
    (root / "requirements.lock").write_text("kit-toy==1.0\nkit-other==1.0\n")
    assert _set_up(root).returncode == 0
    shutil.copytree(root, root.with_name("kept"), symlinks=True)
    return root


def _set_up(root: Path, *groups: str, index: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
    environment["PIP_FIND_LINKS"] = str(index or root / "wheels")
    command = [sys.executable, root / "scripts" / "setup.py", *(groups or ("home",))]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250, check=False)


def _site(root: Path) -> Path:
    return next((root / ".venv").glob("lib/python3*/site-packages"))


def _old_pip(root: Path) -> None:
    shutil.rmtree(root / ".venv")
    subprocess.run([sys.executable, "-m", "venv", root / ".venv"], check=True, timeout=100)


def _file_in_its_place(root: Path) -> None:
    shutil.rmtree(root / ".venv")
    (root / ".venv").write_text("")


def _python_gone(root: Path) -> None:
    (root / ".venv/bin/python").unlink()
    (root / ".venv/bin/python").symlink_to("/nowhere/python3")


def _python_broken(root: Path) -> None:
    (root / ".venv/bin/python").unlink()
    (root / ".venv/bin/python").write_text("#!/bin/sh\nexit 3\n")
    (root / ".venv/bin/python").chmod(0o755)


def _moved(root: Path) -> None:
    cfg = root / ".venv/pyvenv.cfg"
    cfg.write_text(cfg.read_text().replace(str(root), "/elsewhere/project"))
    (root / ".venv/.home").unlink()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "old pip": (_old_pip, "installing home"),
    "a file": (_file_in_its_place, ".venv is no folder"),
    "an empty folder": (lambda root: [shutil.rmtree(root / ".venv"), (root / ".venv").mkdir()], "is gone"),
    "interrupted": (lambda root: (root / ".venv/.busy").touch(), "was interrupted"),
    "python gone": (_python_gone, "is gone"),
    "python broken": (_python_broken, "does not run"),
    "moved": (_moved, "in another folder"),
    "package gone": (lambda root: (_site(root) / "kit_toy.py").unlink(), "kit_toy.py is missing"),
    "stamp torn": (lambda root: (root / ".venv/.home").write_text('{"facts'), "installing home"),
    "pins changed": (
        lambda root: (root / "requirements.lock").write_text("kit-toy==1.0\n"),
        "installing home",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_the_next_verb_mends_it(name: str, whole: Path) -> None:
    """It says why in one line, and the time after there is nothing to do."""
    damage, says = DAMAGES[name]
    shutil.rmtree(whole)
    shutil.copytree(whole.with_name("kept"), whole, symlinks=True)
    assert (_set_up(whole).stdout, _set_up(whole).returncode) == ("", 0)
    damage(whole)
    mended = _set_up(whole)
    assert (mended.returncode, mended.stderr) == (0, "")
    assert says in mended.stdout.splitlines()[0]
    subprocess.run([whole / ".venv/bin/python", "-c", "import kit_toy, toy_project"], check=True, timeout=60)
    assert (_set_up(whole).stdout, _set_up(whole).returncode) == ("", 0)


def test_for_programs_it_speaks_on_stderr(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under JSON=1 stdout holds the verb's one object and nothing else."""
    shutil.rmtree(whole)
    shutil.copytree(whole.with_name("kept"), whole, symlinks=True)
    (whole / "requirements.lock").write_text("kit-toy==1.0\n")
    monkeypatch.setenv("KIT_JSON", "1")
    said = _set_up(whole)
    assert (said.stdout, "installing home" in said.stderr) == ("", True)


def test_groups_stand_and_fall_together(whole: Path) -> None:
    """A later group may move a package of an earlier one; a .venv that is made again has both."""
    shutil.rmtree(whole)
    shutil.copytree(whole.with_name("kept"), whole, symlinks=True)
    assert _set_up(whole, "train").returncode == 0
    stamps = [(whole / ".venv" / f".{group}").read_text() for group in ("home", "train")]
    assert stamps[0] == stamps[1]
    (_site(whole) / "kit_toy.py").unlink()
    assert "kit_toy.py is missing" in _set_up(whole, "train").stdout
    subprocess.run([whole / ".venv/bin/python", "-c", "import kit_toy, kit_other"], check=True, timeout=60)
    assert (_set_up(whole, "home", "train").stdout, _set_up(whole).returncode) == ("", 0)


def test_what_cannot_be_mended_stays(whole: Path, tmp_path: Path) -> None:
    """Without an index set-up fails in one line and the old .venv is still there."""
    shutil.rmtree(whole)
    shutil.copytree(whole.with_name("kept"), whole, symlinks=True)
    (whole / ".venv/.busy").touch()
    (tmp_path / "empty").mkdir()
    failed = _set_up(whole, index=tmp_path / "empty")
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
    assert "pip" in failed.stderr
    assert (_site(whole) / "kit_toy.py").is_file()
    assert _set_up(whole, "home", "train").returncode == 0
    assert (_site(whole) / "kit_other.py").is_file()


def test_an_older_python_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where errors go, so that a program's stdout stays its own."""
    monkeypatch.syspath_prepend(str(PROJECT_ROOT / "scripts"))
    import setup  # type: ignore[import-not-found]

    monkeypatch.setattr(sys, "argv", ["setup.py", "home"])
    monkeypatch.setattr(sys, "version_info", (3, 10))
    assert setup.main() == 1
    said = capsys.readouterr()
    assert (said.out, said.err[:33]) == ("", "error: Python 3.11 or later is ne")


def test_uv_is_used_where_it_is_and_pip_where_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With pip's own variables set, which uv does not read, pip is asked at once."""
    monkeypatch.syspath_prepend(str(PROJECT_ROOT / "scripts"))
    import setup  # type: ignore[import-not-found]

    asked: list[list[str]] = []
    monkeypatch.setattr(setup, "_run", asked.append)
    (tmp_path / "uv").write_text(f"#!/bin/sh\necho $* >> {tmp_path}/uv-args\ntest $6 != broken\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    setup._pip("toy")
    assert (asked, (tmp_path / "uv-args").read_text().split()[-1]) == ([], "toy")
    setup._pip("broken")
    assert asked.pop()[-1] == "broken"
    assert "pip is asked" in capsys.readouterr().out
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    setup._pip("toy")
    assert asked[-1][1:4] == ["-m", "pip", "install"]
