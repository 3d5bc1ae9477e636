"""Keep beside a run's record the script that ran, and how the checkout differed from its commit."""

import os
import subprocess
from pathlib import Path

from kit.bundle import secrets
from kit.files import PROJECT_ROOT, write_whole

PATCH = "changes.patch"
MOST_BYTES = 1 << 20


def commit() -> tuple[str, bool | None]:
    """Return the checkout's commit and whether files differ from it; nothing where there is no git."""
    head, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    return ("", None) if head is None or changes is None else (head.decode().strip(), bool(changes))


def keep(folder: Path, name: str, script: str) -> None:
    """Write what ran to `folder`, and changes.patch where the checkout is not as its commit."""
    write_whole(folder / name, script)
    (folder / PATCH).unlink(missing_ok=True)
    # As git apply reads it, whatever the user has set for the screen.
    plain = ("--no-ext-diff", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")
    listed, changes = _git("status", "--porcelain"), _git("diff", *plain, "HEAD")
    if not listed or changes is None:
        return
    untracked = [line[3:] for line in listed.splitlines() if line.startswith(b"??")]
    patch = changes + b"".join(b"# untracked: %s\n" % name for name in untracked)
    if len(patch) > MOST_BYTES:
        print(f"{PATCH} is not kept: {len(patch):,} bytes, at most {MOST_BYTES:,} are")
    elif credential := next(secrets.found(PATCH, patch), None):
        print(f"{PATCH} is not kept: line {credential[0]} of git diff HEAD holds {credential[1]}")
    else:
        write_whole(folder / PATCH, patch)


def git(folder: Path, *arguments: str) -> bytes:
    """Return what git says in `folder`, whatever repository its variables name, as those of a hook do."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, env=bare, capture_output=True, check=True, timeout=60).stdout


def _git(*arguments: str) -> bytes | None:
    try:
        return git(PROJECT_ROOT, *arguments)
    except (OSError, subprocess.SubprocessError):
        return None
