"""Wheels are downloaded whole or not at all, for another Python than this one, and described as a dataset."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_wheels import make_wheel

from kit.bundle import pins
from kit.errors import InputInvalid, KitError
from kit.fetch import wheels

PINS = ["kit-toy==1.0", "kit-other==2.0"]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the package index, for pip's own configuration names it."""
    folder = tmp_path / "index"
    make_wheel(folder, "kit_toy", "1.0", requires=["torch==0.0.1"])
    make_wheel(folder, "kit_other", "2.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def _mark(folder: Path) -> None:
    (folder / "mark").write_text("here")


def _make(folder: Path, wanted: list[str] = PINS) -> bool:
    return wheels.make(folder, wanted, pins.target("3.13"), finish=_mark)


def test_exactly_the_pins_are_downloaded_once(index: Path, tmp_path: Path) -> None:
    """Without what they ask for; a second time costs nothing, and a lost wheel is fetched again."""
    folder = tmp_path / "wheels"
    assert _make(folder)
    names = ["kit_other-2.0-py3-none-any.whl", "kit_toy-1.0-py3-none-any.whl"]
    assert sorted(wheels.sizes(folder)) == names
    assert (folder / "mark").is_file()
    assert not _make(folder)
    (folder / names[0]).unlink()
    assert _make(folder)
    assert sorted(wheels.sizes(folder)) == names


def test_a_pin_without_a_wheel_leaves_what_was_there(index: Path, tmp_path: Path) -> None:
    """One line names the pin, and the folder is the earlier one."""
    folder = tmp_path / "wheels"
    _make(folder, ["kit-toy==1.0"])
    with pytest.raises(KitError, match=r"could not download the wheels: .*kit-other==3\.0") as caught:
        _make(folder, ["kit-toy==1.0", "kit-other==3.0"])
    assert "\n" not in str(caught.value)
    assert list(wheels.sizes(folder)) == ["kit_toy-1.0-py3-none-any.whl"]


def test_the_description_is_written_once_and_kept(index: Path, tmp_path: Path) -> None:
    """The owner that a person wrote into it survives another download."""
    folder = tmp_path / "wheels"
    _make(folder)
    assert wheels.describe(folder, "My Wheels 3.13", "your-username") == "your-username/my-wheels-3-13"
    path = folder / wheels.DATASET
    path.write_text(path.read_text().replace("your-username", "ada"))
    assert not _make(folder)
    assert _make(folder, ["kit-toy==1.0"])
    assert wheels.describe(folder, "My Wheels 3.13", "your-username") == "ada/my-wheels-3-13"
    assert json.loads(path.read_text())["licenses"] == [{"name": "other"}]


def test_a_damaged_description_is_one_line(tmp_path: Path) -> None:
    """It names the file and how to get rid of it."""
    (tmp_path / wheels.DATASET).write_text("{")
    with pytest.raises(InputInvalid, match=wheels.DATASET):
        wheels.describe(tmp_path, "My Wheels", "ada")


def test_sizes_come_largest_first(tmp_path: Path) -> None:
    """What costs most stands on top."""
    for name, size in (("a.whl", 1), ("b.whl", 3), ("c.txt", 9)):
        (tmp_path / name).write_bytes(bytes(size))
    assert list(wheels.sizes(tmp_path).items()) == [("b.whl", 3), ("a.whl", 1)]
