"""Folders that are built whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from kit.errors import KitError
from kit.fetch import stage


def build(folder: Path, digest: str, text: str = "content") -> None:
    with stage.staged(folder) as fresh:
        (fresh / "b.txt").touch()
        (fresh / "a.txt").write_text(text)
        stage.write_provenance(fresh, digest, {"what": "a test"})


def test_a_finished_block_replaces_the_folder(tmp_path: Path) -> None:
    """What was there before is gone, and nothing is left beside the folder."""
    folder = tmp_path / "deep" / "1"
    build(folder, "old")
    (folder / "extra.txt").write_text("stale")
    build(folder, "new", "other")
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b.txt", "provenance.json"]
    assert (folder / "a.txt").read_text() == "other"
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def test_a_failed_block_leaves_the_old_folder(tmp_path: Path) -> None:
    """An error inside the block changes nothing and leaves nothing half-made."""
    folder = tmp_path / "1"
    build(folder, "old")
    with pytest.raises(TypeError):
        build(folder, "new", 1)  # type: ignore[arg-type]
    assert (folder / "a.txt").read_text() == "content"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_a_full_disk_is_the_users_to_mend(tmp_path: Path) -> None:
    """A write that finds no space becomes one line that names the folder; /dev/full is always full."""
    with (
        pytest.raises(KitError, match="could not be written: No space left on device"),
        stage.staged(tmp_path / "1"),
    ):
        Path("/dev/full").write_bytes(b"x" * 100_000)
    assert list(tmp_path.iterdir()) == []


def test_another_error_of_the_system_keeps_its_traceback(tmp_path: Path) -> None:
    """Only a full disk and missing permissions are the user's to mend."""
    with pytest.raises(OSError, match="odd") as caught, stage.staged(tmp_path / "1"):
        raise OSError(errno.EIO, "odd")
    assert not isinstance(caught.value, KitError)


def test_of_two_builders_at_once_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that appears between the look and the rename stays, and the later builder ends well."""
    folder = tmp_path / "1"
    with stage.staged(folder) as fresh:
        (fresh / "a.txt").write_text("mine")
        build(folder, "digest", "theirs")
        monkeypatch.setattr(Path, "exists", lambda _: False)
    assert (folder / "a.txt").read_text() == "theirs"


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
    tmp_path: Path, damage: object, current: bool
) -> None:
    """A missing or shortened file makes a folder stale, and so does another recipe."""
    build(tmp_path / "1", "digest")
    damage(tmp_path / "1")  # type: ignore[operator]
    assert stage.is_current(tmp_path / "1", "digest") is current
    assert not stage.is_current(tmp_path / "1", "another")


def test_a_recipe_covers_the_builder_and_its_inputs(tmp_path: Path) -> None:
    """A change of the builder's file or of one input changes the digest, and where an input ends matters."""
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("x = 1")
    two.write_text("x = 2")
    digests = {
        stage.recipe(str(one)),
        stage.recipe(str(two)),
        stage.recipe(str(one), "ab"),
        stage.recipe(str(one), "a", "b"),
    }
    assert len(digests) == 4
    assert stage.recipe(str(one), "ab") in digests
