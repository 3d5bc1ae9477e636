"""Folders that are built whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.errors import KitError
from kit.fetch import stage


def make(folder: Path, recipe: str, text: object = "content") -> bool:
    def build(fresh: Path) -> dict[str, object]:
        (fresh / "b.txt").touch()
        (fresh / "a.txt").write_text(text)  # type: ignore[arg-type]  # a number makes it fail
        return {"what": "a test"}

    return stage.make(folder, build, recipe)


def test_a_finished_block_replaces_the_folder(tmp_path: Path) -> None:
    """What was there before is gone, and nothing is left beside the folder."""
    folder = tmp_path / "deep" / "1"
    make(folder, "old")
    (folder / "extra.txt").write_text("stale")
    make(folder, "new", "other")
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b.txt", "provenance.json"]
    assert (folder / "a.txt").read_text() == "other"
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def test_a_failed_block_leaves_the_old_folder(tmp_path: Path) -> None:
    """An error inside the block changes nothing and leaves nothing half-made."""
    folder = tmp_path / "1"
    make(folder, "old")
    with pytest.raises(TypeError):
        make(folder, "new", 1)
    assert (folder / "a.txt").read_text() == "content"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


@pytest.mark.parametrize(
    ("number", "kind", "says"),
    [
        (errno.ENOSPC, KitError, "1 could not be written: No space left on device"),
        (errno.EIO, OSError, "Input/output error"),
    ],
)
def test_only_a_full_disk_and_missing_permissions_are_the_users_to_mend(
    tmp_path: Path, number: int, kind: type[Exception], says: str
) -> None:
    """They become one line that names the folder; another error of the system keeps its traceback."""

    def build(_: Path) -> dict[str, object]:
        raise OSError(number, os.strerror(number))

    with pytest.raises(kind, match=says) as caught:
        stage.make(tmp_path / "1", build)
    assert type(caught.value) is kind
    assert list(tmp_path.iterdir()) == []


def test_of_two_builders_at_once_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that appears between the look and the rename stays, and the later builder ends well."""

    def build(fresh: Path) -> dict[str, object]:
        (fresh / "a.txt").write_text("mine")
        make(tmp_path / "1", "recipe", "theirs")
        monkeypatch.setattr(Path, "exists", lambda _: False)
        return {}

    assert stage.make(tmp_path / "1", build)
    assert (tmp_path / "1" / "a.txt").read_text() == "theirs"


@pytest.mark.parametrize(
    ("damage", "current"),
    [
        (lambda _: None, True),
        (lambda folder: (folder / "a.txt").unlink(), False),
        (lambda folder: (folder / "a.txt").write_text("cut"), False),
        (lambda folder: (folder / "provenance.json").unlink(), False),
        (lambda folder: (folder / "provenance.json").write_text("[]"), False),
        (lambda folder: (folder / "provenance.json").write_text("{"), False),
    ],
)
def test_only_a_whole_folder_of_the_same_recipe_is_current(
    tmp_path: Path, damage: Callable[[Path], object], current: bool
) -> None:
    """A missing or shortened file makes a folder stale, and so does another recipe."""
    make(tmp_path / "1", "recipe")
    damage(tmp_path / "1")
    assert make(tmp_path / "1", "recipe") is not current
    assert make(tmp_path / "1", "another")


def test_where_an_input_ends_matters(tmp_path: Path) -> None:
    """Two inputs are not the one that they spell together; a forced make is one in any case."""
    told: dict[str, object] = {}
    assert stage.make(tmp_path / "1", lambda _: told, "ab")
    assert not stage.make(tmp_path / "1", lambda _: told, "ab")
    assert stage.make(tmp_path / "1", lambda _: told, "a", "b")
    assert stage.make(tmp_path / "1", lambda _: told, "a", "b", force=True)
