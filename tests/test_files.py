"""Files are written whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kit import files
from kit.errors import KitError


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    """Line ends and letters stay as they are, folders are made, and nothing else is left."""
    path = tmp_path / "new" / "file"
    files.write_whole(path, "a\r\nक\n")
    assert path.read_bytes() == "a\r\nक\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_a_refused_write_leaves_what_stood_there(tmp_path: Path) -> None:
    """One line for the user; the folder in the way is still there, and no part of the file."""
    target = tmp_path / "taken"
    (target / "inside").mkdir(parents=True)
    with pytest.raises(KitError, match="taken cannot be written") as caught:
        files.write_whole(target, "text")
    assert caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    assert (target / "inside").is_dir()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two folders in one step")
def test_a_folder_is_never_missing_while_it_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two are exchanged: no rename, which would leave a moment without the folder, is needed."""
    folder, staged = tmp_path / "made", tmp_path / ".part"
    for place in (folder, staged):
        place.mkdir()
        (place / place.name).touch()
    monkeypatch.setattr(Path, "rename", None)
    files.replace_folder(staged, folder)
    assert [path.name for path in folder.iterdir()] == [".part"]
    assert list(tmp_path.iterdir()) == [folder]
