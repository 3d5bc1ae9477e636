"""A run's list of its own outputs proves each file by size and hash."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit import outputs
from kit.errors import InputInvalid
from kit.files import sha256_of


def test_the_list_names_every_file_but_itself_and_links(tmp_path: Path) -> None:
    """What is listed is what a pull must find, byte for byte."""
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "weights").write_bytes(b"\0\1")
    (tmp_path / "submission.csv").write_text("id,label\n")
    (tmp_path / "link").symlink_to("submission.csv")
    outputs.write_manifest(tmp_path)
    outputs.write_manifest(tmp_path)
    assert outputs.read_manifest(tmp_path / outputs.MANIFEST) == {
        "adapter/weights": outputs.Output(2, sha256_of(b"\0\1")),
        "submission.csv": outputs.Output(9, sha256_of("id,label\n")),
    }


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": []}', '{"files": {"a": {"bytes": "x"}}}'])
def test_a_damaged_list_is_named(tmp_path: Path, text: str) -> None:
    """Nothing is proved by half a list."""
    (tmp_path / outputs.MANIFEST).write_text(text)
    with pytest.raises(InputInvalid, match="no list of outputs"):
        outputs.read_manifest(tmp_path / outputs.MANIFEST)
