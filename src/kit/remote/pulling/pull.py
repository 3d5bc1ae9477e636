"""Bring a version's log and output files home, each proved by the list that its kernel wrote."""

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kit import progress
from kit.errors import NotYet
from kit.files import keep_beside, read_json, replace_folder, sha256_of, write_json, write_whole
from kit.outputs import LOG_NAME, SCHEMA, Output
from kit.remote import runs
from kit.remote.pulling import published
from kit.remote.pulling.published import Published, PullRefused
from kit.remote.wire import session, transfer
from kit.remote.wire.client import Client
from kit.remote.wire.transport import Refused, Unsettled

LISTINGS = 4  # how often fresh links are asked for on behalf of one file
HOPELESS = 3  # files one after the other that did not come, behind which no further one is tried
EXTRA_BYTES = 256 << 20  # bound of a file that Kaggle adds to the kernel's own


class Pulled(BaseModel):
    """What came home of a run, as pull.json keeps it."""

    model_config = ConfigDict(frozen=True)

    version: int = Field(default=SCHEMA, alias="schema")
    folder: Path = Field(exclude=True)
    ended: str = Field(alias="status")
    failure: str
    pulled_at: str
    unproved: tuple[str, ...]  # files of a run that left no list of its outputs
    set_aside: dict[str, str]  # where outputs stand that could not keep their names
    missing: tuple[str, ...]  # what the run promised and Kaggle does not give
    files: dict[str, Output]  # the outputs, by their paths in the folder

    @property
    def status(self) -> session.Status:
        """How the run ended."""
        return session.Status(self.ended, self.failure)

    def __str__(self) -> str:
        size = sum(output.bytes for output in self.files.values())
        return f"{len(self.files)} files, {size:,} bytes, are in {self.folder}"

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


def pull(client: Client, run: runs.Run, *, again: bool = False) -> Pulled:
    """Fill the run's folder with its outputs, kernel.log and pull.json; raises PullRefused, and NotYet."""
    stage = run.folder.with_name(f".{run.folder.name}.pull")
    with runs.alone(run.folder):
        if not again and (here := _already_here(run)):
            shutil.rmtree(stage, ignore_errors=True)  # of a pull that was killed after its last step
            return here
        pulled = _bring(client, run, stage, again=again)
    for note in pulled.notes:
        print(note)
    lost = [name for name in pulled.missing if name != LOG_NAME]
    if lost:
        text = f"{run.name} lacks {', '.join(map(progress.visible, lost[:5]))}, which Kaggle does not give"
        hint = f"make pull RUN={run.name} again later, or {run.url}"
        raise PullRefused(f"{text}; the other {len(pulled.files)} files are in {pulled.folder}", hint=hint)
    if pulled.missing:
        print(f"its log is still empty; make pull RUN={run.name} asks again")
    return pulled


def _bring(client: Client, run: runs.Run, stage: Path, *, again: bool) -> Pulled:
    """Fetch every output into a hidden stage, then put the stage in the place of the run's folder."""
    status = session.status(client, run)
    if not status.has_ended:
        with suppress(Refused, Unsettled):
            status = session.by_outputs(client, run) or status
    if not status.has_ended:
        raise NotYet(f"{run.name} is still {status}", hint=f"make watch RUN={run.name}")
    if again:
        shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(exist_ok=True)
    try:
        found = published.wait(client, run, status, stage)
    except PullRefused:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    paths, manifest = published.places(found.links, found.manifest), found.manifest or {}
    homes = [stage] if again else [stage, run.folder]
    brought = {
        name: expected
        for name, expected in manifest.items()
        if name in paths and _keep(paths[name], expected, homes)
    }
    wanted = {name: path for name, path in paths.items() if name not in brought}
    brought |= _fetch(client, run, found, wanted, stage)
    promised = found.links.keys() if found.manifest is None else manifest.keys()
    lacking = dict.fromkeys([*found.lacking, *sorted(promised - brought.keys())])
    places = {name: paths[name] for name in sorted(brought)}
    pulled = Pulled(
        folder=run.folder,
        status=status.name,
        failure=status.failure,
        pulled_at=datetime.now(UTC).isoformat(timespec="seconds"),
        unproved=tuple(places.values()) if found.manifest is None else (),
        set_aside={
            published.readable(name): path for name, path in places.items() if not path.endswith(name)
        },
        missing=tuple(map(published.readable, lacking)),
        files={path: brought[name] for name, path in places.items()},
    )
    for path in stage.rglob("*"):  # parts, and what a killed pull of another listing left
        if not path.is_dir() and path.relative_to(stage).as_posix() not in pulled.files:
            path.unlink()
    write_json(stage / "pull.json", pulled.model_dump(mode="json", by_alias=True))
    write_whole(stage / LOG_NAME, session.whole(found.log).encode("utf-8", "replace"))
    keep_beside(run.folder, stage)  # push.json, and what a submission scored
    replace_folder(stage, run.folder)
    return pulled


def _keep(path: str, expected: Output, homes: list[Path]) -> bool:
    """Bring to the stage, the first of `homes`, what an earlier pull has fetched, if it proves itself."""
    for home in homes:
        file, staged = home / path, homes[0] / path
        if file.is_file() and file.stat().st_size == expected.bytes and sha256_of(file) == expected.sha256:
            if file != staged:
                staged.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, staged)
            return True
    return False


def _fetch(
    client: Client, run: runs.Run, found: Published, wanted: dict[str, str], stage: Path
) -> dict[str, Output]:
    """Return what the links give of the `wanted`; asks for fresh links where they have expired."""
    manifest, links = found.manifest or {}, dict(found.links)
    transfer.require_space(stage, sum(manifest[name].bytes for name in wanted if name in manifest))
    brought: dict[str, Output] = {}

    def attempt(name: str) -> str:
        """Return why a file does not come, or nothing."""
        for _ in range(LISTINGS):
            try:
                brought[name] = transfer.Transfer(
                    client,
                    lambda headers: client.link("GET", links[name], headers=headers),
                    stage / wanted[name],
                    stage / f".{sha256_of(published.readable(name))[:16]}.part",
                    manifest.get(name),
                    EXTRA_BYTES if manifest else transfer.LARGEST_BYTES,
                ).fetch()
                return ""
            except Unsettled as error:
                return error.message
            except Refused as error:
                cause = error.message
            with suppress(Refused, Unsettled):
                links.update(session.outputs(client, run).links)
        return cause

    lost = 0
    for name in wanted:
        if lost < HOPELESS and (cause := attempt(name)):
            print(progress.visible(f"{wanted[name]} does not come: {cause}"))
            lost += 1
        elif name in brought:
            lost = 0
    return brought


def _already_here(run: runs.Run) -> Pulled | None:
    """Return what an earlier pull brought, if it lacks nothing and all of it still has its size."""
    try:
        pulled = Pulled.model_validate({**read_json(run.folder / "pull.json"), "folder": run.folder})
    except ValidationError:
        return None
    sizes = {run.folder / name: output.bytes for name, output in pulled.files.items()}
    is_whole = all(path.is_file() and path.stat().st_size == size for path, size in sizes.items())
    return pulled if is_whole and not pulled.missing else None
