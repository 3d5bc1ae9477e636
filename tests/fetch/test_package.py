"""Reading files out of pinned packages: through pip, from a folder of made-up archives, with no network."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from toy_wheels import find_only, make_wheel

from kit.errors import KitError
from kit.fetch import package

MEMBER = "words-1.0.dist-info/METADATA"
PYPROJECT = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of archives, the only place that pip looks at."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    return find_only(monkeypatch, folder)


def put_wheel(shelf: Path) -> package.Package:
    return pin("words", "wheel", make_wheel(shelf, "words", "1.0"))


def put_sdist(shelf: Path, files: dict[str, str]) -> package.Package:
    path = shelf / "two-words-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"two-words-1.0/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return pin("two-words", "sdist", path)


def pin(name: str, kind: str, path: Path) -> package.Package:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return package.Package(name=name, version="1.0", kind=kind, sha256=digest, licence="MIT")  # type: ignore[arg-type]


def test_a_wheels_members_are_read(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The named members of a wheel come back as bytes, and only those, by a Python in any folder."""
    python = shelf / "my python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    told = b"Metadata-Version: 2.1\nName: words\nVersion: 1.0\n"
    assert package.read(put_wheel(shelf), [MEMBER]) == {MEMBER: told}


@pytest.mark.parametrize("pyproject", [False, True])
def test_a_source_archive_is_read_and_none_of_its_code_runs(shelf: Path, pyproject: bool) -> None:
    """Neither an old archive's setup.py nor a newer one's build back-end is started."""
    ran = shelf / "ran"
    files = {
        "data/list.txt": "drei\n",
        "PKG-INFO": "Metadata-Version: 2.1\nName: two-words\nVersion: 1.0\n",
        "setup.py": f"open({str(ran)!r}, 'w').close()\nimport setuptools\nsetuptools.setup()\n",
    }
    found = package.read(
        put_sdist(shelf, files | ({"pyproject.toml": PYPROJECT} if pyproject else {})),
        ["two-words-1.0/data/list.txt"],
    )
    assert found == {"two-words-1.0/data/list.txt": b"drei\n"}
    assert not ran.exists()


def test_an_archive_with_other_bytes_is_refused(shelf: Path) -> None:
    """A file that is not the pinned one is named with both digests, and nothing is read from it."""
    pinned = put_wheel(shelf)
    other = replace(pinned, sha256="0" * 64)
    with pytest.raises(KitError, match=f"words-1.0-py3-none-any.whl .*{pinned.sha256}.*'0000") as caught:
        package.read(other, [MEMBER])
    assert "pip config list" in caught.value.hint


def test_a_missing_package_is_the_users_to_mend(shelf: Path) -> None:
    """What pip does not find is told in one line that names the package and the command to try."""
    pinned = put_wheel(shelf)
    (shelf / "words-1.0-py3-none-any.whl").unlink()
    with pytest.raises(KitError, match=r"words==1\.0: ERROR: No matching distribution") as caught:
        package.read(pinned, [MEMBER])
    assert "pip download --no-deps words==1.0" in caught.value.hint


def test_an_unreachable_index_is_told_as_such(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection is the reason given, not the 'no matching distribution' that follows from it."""
    pinned = put_wheel(shelf)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(KitError, match="connection"):
        package.read(pinned, [MEMBER])


def test_a_stalled_download_ends(shelf: Path) -> None:
    """pip gets a time limit, and its end is told in seconds."""
    with pytest.raises(KitError, match="within 0 s"):
        package.read(put_wheel(shelf), [MEMBER], timeout_seconds=0.01)


def test_a_full_temporary_folder_is_told_as_such(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip reports a full disk as a broken connection; the room that is left tells them apart."""
    pinned = put_wheel(shelf)
    (shelf / "words-1.0-py3-none-any.whl").unlink()
    full = package.shutil.disk_usage(shelf)._replace(free=3_000_000)
    monkeypatch.setattr(package.shutil, "disk_usage", lambda _: full)
    with pytest.raises(KitError, match="has 3 MB free"):
        package.read(pinned, [MEMBER])
