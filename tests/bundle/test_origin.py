"""A run keeps the script that ran and what the checkout had beyond its commit."""

from __future__ import annotations

import string
import subprocess
from pathlib import Path

import pytest

from kit.bundle import origin


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one committed file, with a setting under which no patch of git diff applies."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "model.py").write_text("rate = 1\n")
    names = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
    odd = ["config", "diff.noprefix", "true"]
    for arguments in (["init", "-q"], odd, ["add", "."], [*names, "commit", "-qm", "first"]):
        subprocess.run(["git", *arguments], cwd=root, check=True, timeout=30)
    monkeypatch.setattr(origin, "PROJECT_ROOT", root)
    return root


def test_a_patch_makes_the_commit_what_ran(checkout: Path, tmp_path: Path) -> None:
    """It applies, and names the files that git does not know; a clean checkout leaves none."""
    kept = tmp_path / "run"
    origin.keep(kept, "kernel.py", "print()")
    assert [path.name for path in kept.iterdir()] == ["kernel.py"]
    assert origin.commit()[1] is False
    (checkout / "model.py").write_text("rate = 2\n")
    (checkout / "other.py").write_text("")
    origin.keep(kept, "kernel.py", "print()")
    assert "# untracked: other.py" in (kept / "changes.patch").read_text()
    for command in (["checkout", "-q", "."], ["apply", str(kept / "changes.patch")]):
        subprocess.run(["git", *command], cwd=checkout, check=True, timeout=30)
    assert (checkout / "model.py").read_text() == "rate = 2\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n" * 200_000, "at most 1,048,576"),
        (f"t = 'hf_{string.ascii_letters[:34]}'\n", "line 7 of git diff HEAD holds a Hugging Face token"),
    ],
)
def test_a_patch_that_must_not_be_kept_is_said(
    checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    text: str, says: str,
) -> None:  # fmt: skip
    """Too large, or with a credential in it: an older one goes as well, also in another checkout's hook."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    kept = tmp_path / "run"
    (checkout / "model.py").write_text("rate = 2\n")
    origin.keep(kept, "kernel.py", "print()")
    assert (kept / "changes.patch").exists()
    (checkout / "model.py").write_text(text)
    (checkout / "other.py").touch()
    origin.keep(kept, "kernel.py", "print()")
    assert [path.name for path in kept.iterdir()] == ["kernel.py"]
    (said,) = capsys.readouterr().out.splitlines()
    assert says in said


def test_without_git_the_script_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A downloaded archive has no commit."""
    monkeypatch.setattr(origin, "PROJECT_ROOT", tmp_path)
    origin.keep(tmp_path / "run", "kernel.py", "print()")
    assert origin.commit() == ("", None)
    assert (tmp_path / "run" / "kernel.py").read_text() == "print()"
