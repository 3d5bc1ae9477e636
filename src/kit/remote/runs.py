"""Keep one folder a pushed version, `runs/<slug>/v<N>/`, with push.json in it, and find it again."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kit import environment
from kit.bundle import origin
from kit.config import PROJECT_ROOT
from kit.errors import InputInvalid, KitError
from kit.files import locked, restore, sha256_of
from kit.files import read_json as read_json
from kit.files import write_json as write_json
from kit.outputs import DRY_RUN, MADE, SCHEMA

RUNS = PROJECT_ROOT / "runs"
REHEARSALS = "rehearsal"  # the folder below runs/, with a `latest` of its own, of a Kaggle on this machine
PUSHES = "*/v*/push.json"
INTENT = ".push"  # the folder beside a kernel's versions of a push whose answer has not come
MOST_NAMED = 12  # of the runs that there are, where one is not
UNSET = "unset KIT_KAGGLE_ENDPOINT KAGGLE_API_TOKEN, then the same command"
REQUIREMENTS = PROJECT_ROOT / "kernel" / "requirements.txt"


@dataclass(frozen=True)
class Run:
    """One pushed version, as push.json tells it, or answers made at home: version 0."""

    folder: Path
    owner: str
    slug: str
    version: int
    url: str
    bundle_hash: str
    config: dict[str, Any]
    requirements_sha256: str = ""
    source_sha256: str = ""  # of the script's lines: a server may change how they end
    known: int = 0  # the newest version that Kaggle had before the push
    pushed_at: str = ""
    note: str = ""  # why it was made, in the user's words

    @property
    def name(self) -> str:
        """`<slug>/v<N>`, which every verb takes as RUN; a rehearsal's has its folder in front."""
        above = self.folder.parents[1 if self.version else 0].name
        name = f"{self.slug}/{self.folder.name}" if self.version else self.folder.name
        return f"{REHEARSALS}/{name}" if above == REHEARSALS else name

    @property
    def is_rehearsal(self) -> bool:
        """Whether it was pushed to a server on this machine, which alone has no https."""
        return self.url.startswith("http://")

    @property
    def is_code(self) -> bool:
        """Whether its competition takes kernel versions."""
        return bool(self.config["competition"].get("kind") == "code")

    @property
    def pinned(self) -> dict[str, str]:
        """The fields by which a request means this version and not the newest; a bare number is refused."""
        return {"user_name": self.owner, "kernel_slug": self.slug, "version_label": f"v{self.version}"}


def home(*, is_local: bool) -> Path:
    """Return the folder of the runs of Kaggle, or of those that were rehearsed on this machine."""
    return RUNS / REHEARSALS if is_local else RUNS


def intend(root: Path, run: Run, *, sha256: str) -> Run:
    """Write what is about to be pushed below `root`; raises KitError where it could not be kept."""
    link = root / "latest"
    if link.exists() and not link.is_symlink():
        raise KitError(f"{link} is no link to a run", hint=f"mv {link} {link}-kept")
    head, dirty = origin.commit()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    run = replace(run, pushed_at=now)
    facts = {field.name: getattr(run, field.name) for field in fields(Run) if field.name != "folder"}
    folder = root / run.slug / INTENT
    facts |= {"schema": SCHEMA, "sha256": sha256, "commit": head, "dirty": dirty}
    write_json(folder / "push.json", facts)
    return load(folder)


def settle(root: Path, intent: Run, version: int, *, slug: str, is_latest: bool) -> Run:
    """Turn an intent into the record of the version that it became; a deleted kernel's folder moves aside."""
    folder = root / slug / f"v{version}"
    try:
        path = intent.folder / "push.json"
        write_json(path, read_json(path) | {"version": version, "slug": slug})
        folder.parent.mkdir(exist_ok=True)
        if folder.exists():
            folder.rename(folder.with_name(f"{folder.name}-{time.time_ns()}"))
        intent.folder.rename(folder)
        if is_latest:
            beside = root / ".latest.part"
            beside.unlink(missing_ok=True)
            beside.symlink_to(folder.relative_to(root), target_is_directory=True)
            beside.replace(root / "latest")
    except (OSError, KitError) as error:
        runs_at = f"version {version} of {intent.owner}/{slug} runs at {intent.url}"
        hint = f"df -h, then make push, which finds it by {intent.folder}"
        raise KitError(f"{runs_at}, but cannot be recorded: {error}", hint=hint) from None
    return load(folder)


def load(folder: Path) -> Run:
    """Return the run of a folder, or a blend or baseline; raises InputInvalid where its record is none."""
    path = folder / "push.json"
    if not path.is_file() and (folder / MADE).is_file():
        path = folder / MADE
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name: facts[field.name] for field in fields(Run) if field.name in facts}
        return Run(**known | {"folder": folder, "version": int(facts["version"])})
    except (FileNotFoundError, NotADirectoryError):
        raise InputInvalid(f"{path} is missing", hint="make push") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = f"mv {folder} {folder.with_name(f'damaged-{folder.name}')}, then make push"
        raise InputInvalid(f"{path} cannot be read: {error!r}", hint=hint) from None


def find(name: str, root: Path = RUNS, *, dry: bool = False) -> Run:
    """Return the run that `latest`, `v3`, `<slug>/v3` or a folder names.

    Raises InputInvalid for none, and names those that there are, dry runs too where they are `dry`.
    """
    is_rehearsed = root.name == REHEARSALS
    name = name.removeprefix("runs/").rstrip("/").removeprefix(f"{REHEARSALS}/" if is_rehearsed else "")
    pushed = [path.parent for path in sorted(root.glob(PUSHES))]
    if re.fullmatch(r"v\d+", name):
        folders = [folder for folder in pushed if folder.name == name]
        latest = (root / "latest").resolve().parent
        chosen = [folder for folder in folders if folder.parent == latest] or folders
        if len(chosen) > 1:
            raise InputInvalid(f"which {name}? There is {_named(chosen)}", hint=f"RUN=<slug>/{name}")
        name = str(chosen[0]) if chosen else name
    folder = (root / name).resolve()  # an absolute name is itself
    restore(folder)
    if not folder.is_dir():
        other = root.parent if is_rehearsed else root / REHEARSALS
        there = UNSET if is_rehearsed else f"RUN={REHEARSALS}/{name}"
        pushed += [path.parent for path in root.glob(f"*/{MADE}")]
        at_home = root.parent if is_rehearsed else root
        pushed += [path.parent for path in at_home.glob(f"dry-run/*/{DRY_RUN}") if dry]
        hint = there if (other / name).is_dir() else "make runs" if pushed else "make push"
        raise InputInvalid(f"no run {name!r} in {root}; there is {_named(pushed)}", hint=hint)
    return load(folder)


def folder_of(name: str) -> Path:
    """Return the folder of any run, a dry run or a blend too, a rehearsal first where one is asked."""
    own, short = home(is_local=environment.kaggle_endpoint() is not None), name.removeprefix("runs/")
    there = [folder for folder in (own / short, RUNS / short, Path(name)) if folder.is_dir()]
    return there[0].resolve() if there else find(name, own, dry=True).folder


def newest_first(root: Path = RUNS) -> Iterator[Run]:
    """Yield every pushed run below `root`, the one that was recorded last at the front."""
    paths = sorted(root.glob(PUSHES), key=lambda path: path.stat().st_mtime, reverse=True)
    return (load(path.parent) for path in paths)


def requirements_sha256() -> str:
    """Return the hash by which two pushes are known to install the same packages."""
    return sha256_of(REQUIREMENTS)


@contextmanager
def alone(folder: Path, *, waits: bool = False) -> Iterator[None]:
    """Keep other processes out of `folder`, or wait for them, and mend what a killed one left."""
    lock = folder.with_name(f".{folder.name}.lock")
    with locked(lock, f"another command is at work in {folder}", waits=waits):
        restore(folder)
        yield


def _named(folders: list[Path]) -> str:
    newest = sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True)[:MOST_NAMED]
    named = ", ".join(f"{folder.parent.name}/{folder.name}" for folder in sorted(newest)) or "none"
    return f"{named} and {len(folders) - MOST_NAMED} older" if len(folders) > MOST_NAMED else named
