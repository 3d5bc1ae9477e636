"""Bring a version's log and output files home, whole or not at all, and prove that they are its own.

It waits for nothing; a run that failed is pulled as well. What the files say is judged elsewhere.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kit.errors import KitError
from kit.remote import runs
from kit.remote.runs import Run
from kit.remote.wire import session, transfer
from kit.remote.wire.client import Client
from kit.remote.wire.session import Status
from kit.remote.wire.transfer import Fetched, LinkStale
from kit.remote.wire.transport import KaggleError, Refused, Unsettled

LOG_NAME = "kernel.log"
LISTINGS = 4
"""How often fresh links are asked for without any of them bringing a file."""
OURS = frozenset({"push.json", "pull.json", LOG_NAME})


class PullRefused(KitError):
    """What Kaggle holds for this version is not whole or not its own; nothing was kept."""


@dataclass(frozen=True)
class Pulled:
    """A run's folder that holds all its outputs; `files` gives their sizes by name."""

    folder: Path
    status: Status
    files: dict[str, int]


@dataclass(frozen=True)
class _Stage:
    """The hidden folder of an unfinished pull; what it holds is of one listing."""

    folder: Path

    @property
    def files(self) -> Path:
        return self.folder / "files"

    @property
    def part(self) -> Path:
        return self.folder / "part"

    def open(self, listing: dict[str, Any]) -> None:
        """Make the folder; what an earlier pull of the very same listing left there stays."""
        path = self.folder / "listing.json"
        if not self.files.is_dir() or runs.read_json(path) != listing:
            self.clear()
            self.files.mkdir(parents=True)
            runs.write_json(path, listing)

    def clear(self) -> None:
        """Forget everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class _Output:
    url: str
    size: int | None
    """None where Kaggle lists a link and no size."""
    created: str


def pull(client: Client, run: Run) -> Pulled:
    """Fill the run's folder with its outputs, kernel.log and pull.json; a second pull finds them there.

    Raises PullRefused where files are missing, odd, or of another version, KitError before the end.
    A kill leaves what was finished in a hidden folder beside it, from which the next pull goes on.
    """
    with _alone(run):
        here = _already_here(run)
        if here is not None:
            return here
        stands = session.status(client, run)
        if not stands.has_ended:
            raise KitError(f"{run.name} is still {stands}", hint=f"make watch RUN={run.name}")
        stage = _Stage(run.folder.with_name(f".{run.folder.name}.pull"))
        files = _fetch_all(client, run, stands, stage)
        told = {
            "schema": runs.SCHEMA,
            "status": stands.name,
            "failure": stands.failure,
            "pulled_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": {name: asdict(fetched) for name, fetched in files.items()},
        }
        runs.write_json(stage.files / "pull.json", told)
        _keep_ours(run.folder, stage.files)
        runs.replace(run.folder, stage.files)
        stage.clear()
    return Pulled(run.folder, stands, {name: fetched.size for name, fetched in files.items()})


def _fetch_all(client: Client, run: Run, stands: Status, stage: _Stage) -> dict[str, Fetched]:
    """Bring every output into the stage, listing them again where links have expired, and the log."""
    outputs, log = _list(client, run)
    if stands.has_succeeded and "run.json" not in outputs:
        raise PullRefused(f"{run.name} holds no run.json, so nothing proves whose output it is", hint=run.url)
    facts = _facts(outputs)
    stage.open(facts)
    missing = _missing(outputs, stage)
    transfer.require_space(stage.folder, sum(outputs[name].size or 0 for name in missing))
    vain = 0
    while True:
        try:
            fetched = _fetch_listed(client, run, outputs, stage)
            break
        except (Refused, LinkStale) as error:
            before, missing = len(missing), _missing(outputs, stage)
            vain = vain + 1 if len(missing) == before else 0
            if vain == LISTINGS:
                raise _given_up(run, error) from None
        outputs, log = _list(client, run)
        if _facts(outputs) != facts:
            raise PullRefused(
                f"the outputs of {run.name} changed during the pull", hint=f"make pull RUN={run.name}"
            )
    _write_log(log, stage.files)
    return fetched


def _fetch_listed(client: Client, run: Run, outputs: dict[str, _Output], stage: _Stage) -> dict[str, Fetched]:
    """Bring what the stage lacks by the links of one listing.

    run.json comes first, and again for every listing: it is small and proves whose links these are.
    """
    fetched: dict[str, Fetched] = {}
    for name in sorted(outputs, key=lambda name: (name != "run.json", name)):
        path = transfer.inside(stage.files, name)
        if name != "run.json" and path.is_file():
            fetched[name] = Fetched(path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
            continue
        fetch = functools.partial(_fetch, client, outputs[name], path, stage.part)
        try:
            fetched[name] = client.patiently(fetch)
        except Unsettled as error:
            raise _given_up(run, error) from None
        if name == "run.json":
            _prove(run, stage)
    return fetched


def _fetch(client: Client, output: _Output, path: Path, part: Path) -> Fetched:
    # Packed on the way, a body would have another length than its header and the listing say.
    answer = client.link("GET", output.url, headers={"Accept-Encoding": "identity"})
    return transfer.save(client, answer, path, part=part, size=output.size)


def _missing(outputs: dict[str, _Output], stage: _Stage) -> list[str]:
    return [name for name in outputs if not transfer.inside(stage.files, name).is_file()]


def _given_up(run: Run, error: KaggleError) -> PullRefused:
    return PullRefused(f"{run.name}: {error.message}", hint=f"make pull RUN={run.name}, or {run.url}")


def _list(client: Client, run: Run) -> tuple[dict[str, _Output], str]:
    """Return every output with a fresh link and its size, and the log as Kaggle stores it."""

    def attempt() -> tuple[dict[str, _Output], str]:
        pages = client.pages("ListKernelSessionOutput", "files", **run.pinned)
        links = [(file.file_name, file.url) for page in pages for file in page.files or ()]
        listed = client.pages("ListKernelFiles", "files", **run.pinned)
        facts = {item.name: (item.size, item.creation_date) for page in listed for item in page.files or ()}
        names = [name for name, _ in links]
        for name in names:
            transfer.inside(run.folder, name)
        odd = facts.keys() - set(names) or {name for name in names if names.count(name) > 1}
        if odd:
            raise Unsettled(f"Kaggle's two listings of {run.name} differ in {min(odd)!r}")
        return {name: _Output(url, *facts.get(name, (None, ""))) for name, url in links}, pages[0].log or ""

    outputs, log = client.patiently(attempt)
    for name in OURS & outputs.keys():
        raise PullRefused(
            f"{run.name} has an output {name!r}, a name that the run's own record needs", hint=run.url
        )
    return outputs, log


def _facts(outputs: dict[str, _Output]) -> dict[str, Any]:
    """Return what must not change while the outputs are fetched: everything but the links."""
    return {name: [output.size, output.created] for name, output in outputs.items()}


def _prove(run: Run, stage: _Stage) -> None:
    """Refuse, and forget, outputs whose run.json was written by another bundle."""
    try:
        found = json.loads((stage.files / "run.json").read_text(encoding="utf-8"))["bundle_hash"]
    except (ValueError, KeyError, TypeError):
        found = None
    if found == run.bundle_hash:
        return
    stage.clear()
    others = [runs.load(path.parent) for path in runs.known_pushes(run.folder.parent.parent)]
    owner = next(
        (other.name for other in others if other.bundle_hash == found), "a push that is not recorded here"
    )
    raise PullRefused(
        f"Kaggle gave the output of {owner} for {run.name}: run.json carries bundle_hash "
        f"{str(found)[:12]!r}, push.json {run.bundle_hash[:12]!r}",
        hint=f"make pull RUN={run.name} again later, or {run.url}",
    )


def _already_here(run: Run) -> Pulled | None:
    """Return what an earlier pull brought, if all of it still has its size."""
    told = runs.read_json(run.folder / "pull.json")
    if not told:
        return None
    sizes = {name: int(facts["size"]) for name, facts in told["files"].items()}
    paths = {name: transfer.inside(run.folder, name) for name in sizes}
    if any(not path.is_file() or path.stat().st_size != sizes[name] for name, path in paths.items()):
        return None
    return Pulled(run.folder, Status(told["status"], told["failure"]), sizes)


def _keep_ours(folder: Path, staged: Path) -> None:
    """Copy what stands beside the outputs (push.json, what a submission scored) into the stage."""
    for path in folder.iterdir():
        beside = staged / path.name
        if beside.exists():
            continue
        if path.is_dir():
            shutil.copytree(path, beside)
        else:
            shutil.copy2(path, beside)


def _write_log(log: str, folder: Path) -> None:
    """Write the chunks of a stored log as text; what is no JSON array stays as it is."""
    try:
        text = "".join(str(chunk["data"]) for chunk in json.loads(log))
    except (ValueError, KeyError, TypeError):
        text = log
    (folder / LOG_NAME).write_text(text, encoding="utf-8")


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
