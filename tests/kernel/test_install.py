"""Only what is missing is installed, from where it may come, and nothing that the image must keep."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from toy_wheels import make_python, make_wheel

from kit.errors import InputInvalid
from kit.pipeline.machine import install

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = (ROOT / "kernel" / "requirements.txt").read_text(encoding="utf-8")
TOY = "kit-toy==1.0"


@pytest.mark.parametrize(
    ("requirements", "cuda", "wanted"),
    [
        ("pytest>=1", False, []),
        ("pytest==0.0.1", False, ["pytest==0.0.1"]),
        ("no-such-package==1.0  # why", False, ["no-such-package==1.0"]),
        ("# only a comment\n\n", True, []),
        ('no-such-package==1.0 ; extra == "cuda"', False, []),
        ('no-such-package==1.0 ; extra == "cuda"', True, ["no-such-package==1.0"]),
        ('no-such-package==1.0 ; python_version < "3.0"', True, []),
    ],
)
def test_only_what_is_missing_or_outside_its_pin_is_installed(
    requirements: str, cuda: bool, wanted: list[str]
) -> None:
    """CUDA-only lines count where there is a GPU and nowhere else."""
    assert install.missing(install.pins(requirements, cuda=cuda)) == wanted


def test_the_kernel_never_replaces_the_image_s_torch() -> None:
    """torch, torchvision, triton, numpy and pandas stay the image's own."""
    pins = install.pins(REQUIREMENTS, cuda=True)
    names = {pin.partition("==")[0] for pin in pins}
    assert len(pins) > 20
    assert not names & {"torch", "torchvision", "triton", "numpy", "pandas"}
    assert all("==" in pin for pin in pins)


def test_the_kernel_pins_what_the_lock_holds() -> None:
    """The dry run meets the very versions that Kaggle will install."""
    lock = {*(ROOT / "requirements.lock").read_text().splitlines()}
    assert {*install.pins(REQUIREMENTS, cuda=False)} <= lock


def _marked(folder: Path, python: str, *pins: str) -> Path:
    folder.mkdir(parents=True)
    install.mark(folder, python, pins)
    return folder


@pytest.mark.parametrize("mount", ["notebooks/ada/reviews-prepare", "reviews-prepare", "datasets/ada/wheels"])
def test_attached_wheels_are_found_in_every_mount_layout(tmp_path: Path, mount: str) -> None:
    """By their marker, below whatever folder the day's layout puts them in."""
    _marked(tmp_path / "notebooks" / "other", "2.7", TOY)
    folder = _marked(tmp_path / mount / "wheels", install.PYTHON, TOY, "other==2.0")
    assert install.attached_wheels(tmp_path, [TOY], wait_seconds=0) == folder


@pytest.mark.parametrize(
    ("python", "held", "says"),
    [
        ("2.7", [TOY], rf"are for Python 2\.7, this kernel runs Python {install.PYTHON}"),
        (install.PYTHON, [], "lack kit-toy==1.0"),
        (install.PYTHON, ["kit-toy==0.9"], "lack kit-toy==1.0"),
    ],
)
def test_wheels_that_do_not_fit_name_what_is_wrong_and_the_way_out(
    tmp_path: Path, python: str, held: list[str], says: str
) -> None:
    """The image's Python changes overnight, and wheels are tagged for one; pip would need five lines."""
    _marked(tmp_path / "wheels", python, *held)
    with pytest.raises(InputInvalid, match=says) as caught:
        install.attached_wheels(tmp_path, [TOY], wait_seconds=0)
    assert caught.value.hint.startswith("make prepare")


@pytest.mark.parametrize("text", ["", "[]", '{"python": "3.13"}'])
def test_a_damaged_marker_is_one_line(tmp_path: Path, text: str) -> None:
    """It names the file."""
    (tmp_path / install.MARKER).write_text(text)
    with pytest.raises(InputInvalid, match=install.MARKER):
        install.attached_wheels(tmp_path, [TOY], wait_seconds=0)


def _install(folder: Path, wheels: Path | None, path: str = "") -> subprocess.CompletedProcess[str]:
    """Install in an interpreter of its own that sees this one's packages, as the kernel sees the image's."""
    python = make_python(folder / "python")
    code = f"""
from pathlib import Path
from kit.errors import KitError
from kit.pipeline.machine import install
try:
    install.install([{TOY!r}], {f"Path({str(wheels)!r})" if wheels else None})
except KitError as error:
    print("refused:", error)
print("left:", install.missing([{TOY!r}]))"""
    environment = {"PATH": f"{path}:/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        [str(python), "-c", code], env={**environment, **({} if wheels else {"PIP_NO_INDEX": "1"})},
        capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip


@pytest.mark.slow
def test_attached_wheels_are_installed_and_what_they_ask_for_is_not(tmp_path: Path) -> None:
    """The list is exact: a dependency that would pull another torch is left alone."""
    make_wheel(tmp_path / "wheels", "kit_toy", "1.0", requires=["torch==0.0.1"])
    done = _install(tmp_path, tmp_path / "wheels")
    assert done.stdout.splitlines()[-1] == "left: []", done.stderr


@pytest.mark.slow
def test_where_uv_fails_pip_goes_on(tmp_path: Path) -> None:
    """uv's own reason is one line of the log."""
    make_wheel(tmp_path / "wheels", "kit_toy", "1.0")
    tool = tmp_path / "tools" / "uv"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\necho $* > {tmp_path}/asked\necho 'error: no such luck' >&2\nexit 2\n")
    tool.chmod(0o755)
    done = _install(tmp_path, tmp_path / "wheels", path=str(tool.parent))
    assert "pip tries: error: no such luck" in done.stdout
    assert done.stdout.splitlines()[-1] == "left: []", done.stderr
    asked = (tmp_path / "asked").read_text()
    assert "--no-deps --no-index" in asked
    assert str(tmp_path / "python" / "bin" / "python") in asked


@pytest.mark.slow
def test_a_failed_install_names_the_switch(tmp_path: Path) -> None:
    """Without internet there is no index, which a new account has not either."""
    done = _install(tmp_path, None)
    assert "refused: the packages above could not be installed: ERROR: No matching" in done.stdout
    assert "(try: kernel.internet=true" in done.stdout
    assert done.stdout.splitlines()[-1] == f"left: {[TOY]}"


def test_the_marker_tells_python_and_pins(tmp_path: Path) -> None:
    """What the kernel reads is what the wheels' folder was made with."""
    install.mark(tmp_path, "3.13", [TOY])
    assert json.loads((tmp_path / install.MARKER).read_text()) == {
        "schema": 1, "python": "3.13", "pins": [TOY],
    }  # fmt: skip
