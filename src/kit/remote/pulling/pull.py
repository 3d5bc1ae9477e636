"""Bring a version's log and output files home, each proved by the list that its kernel wrote.

It waits for what Kaggle publishes late, not for the run's end; a run that failed is pulled as well. What the
files say is judged elsewhere.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from kit import progress
from kit.errors import KitError
from kit.files import read_json, replace_folder, sha256_of, write_json, write_whole
from kit.outputs import LOG_NAME, Output
from kit.remote import runs
from kit.remote.pulling import naming, published
from kit.remote.pulling.published import Published, PullRefused
from kit.remote.runs import Run
from kit.remote.wire import listing, log, session, transfer
from kit.remote.wire.client import Client
from kit.remote.wire.session import Status
from kit.remote.wire.transfer import LinkStale
from kit.remote.wire.transport import Refused, Unsettled

LISTINGS = 4
"""How often fresh links are asked for on behalf of one file."""
EXTRA_BYTES = 256 << 20
"""Bound of a file that Kaggle adds to the kernel's own."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Pulled:
    """A run's folder with its outputs; `files` gives their sizes by their paths in it."""

    folder: Path
    status: Status
    files: dict[str, int]
    unproved: tuple[str, ...] = ()
    """Files of a run that left no list of its outputs: nothing shows whether they are whole."""
    set_aside: dict[str, str] = field(default_factory=dict)
    """Where outputs stand that could not keep their names."""
    missing: tuple[str, ...] = ()
    """What the run promised and Kaggle does not give."""

    @property
    def notes(self) -> list[str]:
        """Say what a person should know about these files."""
        failed = read_json(self.folder / "run.json").get("failed")
        reasons = failed.items() if isinstance(failed, dict) else ()
        return [
            *(progress.visible(f"member {name} failed: {reason}") for name, reason in reasons),
            *(f"unproved, for the run left no list of its outputs: {name}" for name in self.unproved),
            *(f"set aside as {path}: {progress.visible(name)}" for name, path in self.set_aside.items()),
        ]


def pull(client: Client, run: Run, *, again: bool = False, tell: Tell = print) -> Pulled:
    """Fill the run's folder with its outputs, kernel.log and pull.json; a second pull finds them there.

    Raises PullRefused where files are of another version, or are missing after all others came home; KitError
    before the end. A kill leaves what was finished in a hidden folder, from which the next pull goes on.
    """
    with _alone(run):
        here = None if again else _already_here(run)
        if here is not None:
            shutil.rmtree(_stage(run), ignore_errors=True)  # of a pull that was killed after its last step
            return here
        pulled = _bring(client, run, again=again, tell=tell)
    for note in pulled.notes:
        tell(note)
    lost = [name for name in pulled.missing if name != LOG_NAME]
    if lost:
        raise PullRefused(
            f"{run.name} lacks {', '.join(map(progress.visible, lost[:5]))}, which Kaggle does not give; "
            f"the other {len(pulled.files)} files are in {pulled.folder}",
            hint=f"make pull RUN={run.name} again later, or {run.url}",
        )
    if pulled.missing:
        tell(f"its log is still empty; make pull RUN={run.name} asks again")
    return pulled


def _bring(client: Client, run: Run, *, again: bool, tell: Tell) -> Pulled:
    """Fetch every output into a hidden stage, then put the stage in the place of the run's folder."""
    status = _end(client, run)
    stage = _stage(run)
    if again:
        shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(exist_ok=True)
    try:
        found = published.wait(client, run, status, stage, tell)
    except PullRefused:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    files = stage / "files"
    files.mkdir(exist_ok=True)
    paths = naming.places(found.links, found.manifest)
    homes = [stage, files] if again else [stage, files, run.folder]
    brought = {
        name: expected
        for name, expected in (found.manifest or {}).items()
        if name in paths and _keep(name, paths[name], expected, files, homes)
    }
    _fetch_all(client, run, found, paths, brought, stage, tell)
    given = {paths[name]: brought[name] for name in sorted(brought)}
    promised = found.links.keys() if found.manifest is None else found.manifest.keys()
    pulled = Pulled(
        run.folder,
        status,
        {path: output.bytes for path, output in given.items()},
        unproved=tuple(given) if found.manifest is None else (),
        set_aside={
            naming.readable(name): paths[name] for name in sorted(brought) if not paths[name].endswith(name)
        },
        missing=tuple(dict.fromkeys([*found.lacking, *sorted(promised - brought.keys())])),
    )
    _write_record(files / "pull.json", pulled, given)
    write_whole(files / LOG_NAME, log.text(found.log).encode("utf-8", "replace"))
    _sweep(files, {*given, "pull.json", LOG_NAME})
    _keep_ours(run.folder, files)
    replace_folder(files, run.folder)
    shutil.rmtree(stage, ignore_errors=True)
    return pulled


def _stage(run: Run) -> Path:
    return run.folder.with_name(f".{run.folder.name}.pull")


def _end(client: Client, run: Run) -> Status:
    """Return how the run ended, by Kaggle's status or else by its outputs; raises KitError before its end."""
    status = session.status(client, run)
    if status.has_ended:
        return status
    with suppress(Refused, Unsettled, LinkStale):
        found = session.by_outputs(client, run)
        if found is not None:
            return found
    raise KitError(f"{run.name} is still {status}", hint=f"make watch RUN={run.name}")


def _keep(name: str, path: str, expected: Output, files: Path, homes: list[Path]) -> bool:
    """Bring to its place what this pull or an earlier one has fetched, if it proves itself."""
    for home in homes:
        file = home / (name if home == files.parent else path)
        if file.is_file() and file.stat().st_size == expected.bytes and sha256_of(file) == expected.sha256:
            if home != files:
                (files / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, files / path)
            return True
    return False


def _fetch_all(
    client: Client,
    run: Run,
    found: Published,
    paths: dict[str, str],
    brought: dict[str, Output],
    stage: Path,
    tell: Tell,
) -> None:
    """Add to `brought` what the links give; asks for fresh links where they have expired."""
    manifest, links = found.manifest or {}, dict(found.links)
    wanted = [name for name in paths if name not in brought]
    transfer.require_space(stage, sum(manifest[name].bytes for name in wanted if name in manifest))
    in_a_row = 0
    for name in wanted:
        tries = 0
        while name not in brought and tries < LISTINGS and in_a_row < 3 * LISTINGS:
            try:
                brought[name] = transfer.fetch(
                    client,
                    lambda headers, url=links[name]: client.link("GET", url, headers=headers),  # type: ignore[misc]
                    stage / "files" / paths[name],
                    part=stage / f"{sha256_of(naming.readable(name))[:16]}.part",
                    expected=manifest.get(name),
                    limit=EXTRA_BYTES if manifest else transfer.LARGEST_BYTES,
                    tell=tell,
                )
                in_a_row = 0
            except (Refused, LinkStale, Unsettled) as error:
                spent = LISTINGS if isinstance(error, Unsettled) else 1
                tries, in_a_row = tries + spent, in_a_row + spent
                if tries < LISTINGS:
                    links |= _fresh_links(client, run)
                else:
                    tell(progress.visible(f"{paths[name]} does not come: {error.message}"))


def _fresh_links(client: Client, run: Run) -> dict[str, str]:
    try:
        return listing.outputs(client, run).links
    except (Refused, Unsettled):
        return {}


def _write_record(path: Path, pulled: Pulled, outputs: dict[str, Output]) -> None:
    """Write pull.json."""
    record = {
        "schema": runs.SCHEMA,
        "status": pulled.status.name,
        "failure": pulled.status.failure,
        "pulled_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "unproved": pulled.unproved,
        "set_aside": pulled.set_aside,
        "missing": [naming.readable(name) for name in pulled.missing],
        "files": {name: asdict(output) for name, output in outputs.items()},
    }
    write_json(path, record)


def _already_here(run: Run) -> Pulled | None:
    """Return what an earlier pull brought, if it lacks nothing and all of it still has its size."""
    record = read_json(run.folder / "pull.json")
    try:
        sizes = {str(name): int(output["bytes"]) for name, output in record["files"].items()}
        status = Status(str(record["status"]), str(record["failure"]))
        pulled = Pulled(run.folder, status, sizes, tuple(record["unproved"]), dict(record["set_aside"]))
        is_whole = not record["missing"]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return pulled if is_whole and all(_has_size(run.folder / name, sizes[name]) for name in sizes) else None


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _sweep(folder: Path, kept: set[str]) -> None:
    """Remove what an earlier, killed pull of another listing left in the stage."""
    for path in folder.rglob("*"):
        if not path.is_dir() and path.relative_to(folder).as_posix() not in kept:
            path.unlink()


def _keep_ours(folder: Path, staged: Path) -> None:
    """Copy what stands beside the outputs (push.json, what a submission scored) into the stage."""
    for path in folder.rglob("*"):
        beside = staged / path.relative_to(folder)
        if path.is_dir() or beside.exists():
            continue
        try:
            beside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, beside, follow_symlinks=False)
        except (FileExistsError, NotADirectoryError):
            continue


@contextmanager
def _alone(run: Run) -> Iterator[None]:
    """Keep a second pull of the same run out."""
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    with run.folder.with_name(f".{run.folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise KitError(f"another pull of {run.name} is at work", hint="wait for it") from None
        yield
