"""Keep one folder a pushed version, `runs/<slug>/v<N>/`, with push.json in it, and find it again.

It writes what was pushed; what came back is written by pull.py. Talks to nobody.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kit.config import PROJECT_ROOT
from kit.errors import InputInvalid
from kit.files import write_whole

SCHEMA = 1
RUNS = PROJECT_ROOT / "runs"
REQUIREMENTS = PROJECT_ROOT / "kernel" / "requirements.txt"


@dataclass(frozen=True)
class Run:
    """One pushed version, as push.json tells it."""

    folder: Path
    owner: str
    slug: str
    version: int
    url: str
    bundle_hash: str
    config: dict[str, Any]
    requirements_sha256: str = ""

    @property
    def name(self) -> str:
        """`<slug>/v<N>`, which every verb takes as RUN."""
        return f"{self.slug}/v{self.version}"

    @property
    def is_rehearsal(self) -> bool:
        """Whether it was pushed to a server on this machine, which knows nothing of it any more."""
        return self.url.startswith("http://")

    @property
    def pinned(self) -> dict[str, Any]:
        """The fields by which a request means this version and not the newest; a bare number is refused."""
        return {"user_name": self.owner, "kernel_slug": self.slug, "version_label": f"v{self.version}"}


def record(root: Path, run: Run, *, sha256: str, is_latest: bool = True) -> Run:
    """Write push.json of a new run below `root` and return the run with its folder.

    A folder of that name is another kernel's, deleted since: it is moved aside, not overwritten.
    """
    folder = root / run.slug / f"v{run.version}"
    if folder.exists():
        folder.rename(_unused(folder))
    folder.mkdir(parents=True)
    head, dirty = commit()
    told = {
        "schema": SCHEMA,
        "version": run.version,
        "url": run.url,
        "slug": run.slug,
        "owner": run.owner,
        "bundle_hash": run.bundle_hash,
        "sha256": sha256,
        "requirements_sha256": run.requirements_sha256,
        "commit": head,
        "dirty": dirty,
        "config": run.config,
        "pushed_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(folder / "push.json", told)
    if is_latest:
        _point_latest(root, folder)
    return load(folder)


def load(folder: Path) -> Run:
    """Return the run of a folder; raises InputInvalid where its push.json is missing or broken."""
    path = folder / "push.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Run(
            folder=folder,
            owner=told["owner"],
            slug=told["slug"],
            version=int(told["version"]),
            url=told["url"],
            bundle_hash=told["bundle_hash"],
            config=told["config"],
            requirements_sha256=told.get("requirements_sha256", ""),
        )
    except (FileNotFoundError, NotADirectoryError):
        raise InputInvalid(f"{path} is missing", hint="make push") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputInvalid(
            f"{path} cannot be read: {error!r}", hint=f"rm -r {folder}, then make push"
        ) from None


def find(name: str = "latest", root: Path = RUNS) -> Run:
    """Return the run that `latest`, `v3`, `<slug>/v3` or a folder names; raises InputInvalid for none.

    `v3` is the third version of the slug that `latest` stands on, or of the only slug that has three.
    """
    name = name.removeprefix("runs/").rstrip("/")
    if re.fullmatch(r"v\d+", name):
        folders = sorted(root.glob(f"*/{name}/push.json"))
        latest = (root / "latest").resolve().parent
        chosen = [path for path in folders if path.parent.parent == latest] or folders
        if len(chosen) != 1:
            found = ", ".join(f"{path.parent.parent.name}/{name}" for path in chosen) or "none"
            raise InputInvalid(f"which {name}? There is {found}", hint=f"RUN=<slug>/{name}")
        return load(chosen[0].parent)
    folder = Path(name) if Path(name).is_absolute() else root / name
    folder = folder.resolve()
    restore(folder)
    if not folder.is_dir():
        known = (
            ", ".join(f"{path.parent.parent.name}/{path.parent.name}" for path in known_pushes(root))
            or "none"
        )
        raise InputInvalid(f"no run {name!r} in {root}; there is {known}", hint="make push")
    return load(folder)


def folder_of(name: str, root: Path = RUNS) -> Path:
    """Return the folder of any run, a dry run or a blend too, by the names that `find` takes."""
    for folder in (root / name.removeprefix("runs/"), Path(name)):
        if folder.is_dir():
            return folder.resolve()
    return find(name, root).folder


def known_pushes(root: Path = RUNS) -> list[Path]:
    """Return every push.json below `root`, sorted by path."""
    return sorted(root.glob("*/v*/push.json"))


def passed_with(requirements_sha256: str, preset: str, root: Path = RUNS) -> bool:
    """Tell whether a run of `preset` with these requirements was pulled whole and had succeeded."""
    for path in known_pushes(root):
        run = load(path.parent)
        if run.config.get("preset") == preset and run.requirements_sha256 == requirements_sha256:
            pulled = read_json(run.folder / "pull.json")
            if pulled.get("status") == "COMPLETE":
                return True
    return False


def requirements_sha256(path: Path = REQUIREMENTS) -> str:
    """Return the hash by which two pushes are known to install the same packages."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def replace(folder: Path, staged: Path) -> None:
    """Put the folder `staged` in the place of `folder`; `restore` mends what a kill in between leaves."""
    aside = _aside(folder)
    folder.rename(aside)
    staged.rename(folder)
    _remove(aside)


def restore(folder: Path) -> None:
    """Finish or undo a `replace` that was killed half-way."""
    aside = _aside(folder)
    if aside.is_dir():
        if folder.exists():
            _remove(aside)
        else:
            aside.rename(folder)


def commit() -> tuple[str, bool | None]:
    """Return the checkout's commit and whether files differ from it; nothing where there is no git."""
    commands = (["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain"])
    try:
        head, changes = (
            subprocess.run(
                command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=30
            ).stdout.strip()
            for command in commands
        )
    except (OSError, subprocess.SubprocessError):
        return "", None
    return head, bool(changes)


def write_json(path: Path, value: object) -> None:
    """Write whole or not at all; raises KitError where the disk refuses."""
    write_whole(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file; empty where there is none or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)


def _unused(folder: Path) -> Path:
    """Return a name for an older folder, of the time it was pushed."""
    pushed = str(read_json(folder / "push.json").get("pushed_at", "unknown"))
    stem = f"{folder.name}-{re.sub(r'[^0-9T]', '', pushed.partition('+')[0]) or 'unknown'}"
    names = (folder.with_name(stem if count == 0 else f"{stem}-{count}") for count in range(1_000_000))
    return next(path for path in names if not path.exists())


def _point_latest(root: Path, folder: Path) -> None:
    link = root / "latest"
    beside = root / ".latest.part"
    beside.unlink(missing_ok=True)
    beside.symlink_to(folder.relative_to(root), target_is_directory=True)
    beside.replace(link)
