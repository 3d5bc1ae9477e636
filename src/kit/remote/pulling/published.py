"""See what Kaggle has published of a run, by the kernel's own list, and wait for what it publishes late.

It saves no output; pull.py does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kit import progress
from kit.errors import InputInvalid, KitError
from kit.files import sha256_of, write_whole
from kit.outputs import LOG_NAME, MANIFEST, Output, read_manifest
from kit.remote import runs
from kit.remote.runs import Run
from kit.remote.wire import log, session, transfer
from kit.remote.wire.client import Client
from kit.remote.wire.session import RECORD, Status
from kit.remote.wire.transfer import LinkStale
from kit.remote.wire.transport import Refused, Unsettled

LATE_SECONDS = 600.0
"""How long after a run's end Kaggle may still be publishing its outputs and its log."""


class PullRefused(KitError):
    """What Kaggle holds for this version is not whole or not its own."""


@dataclass(frozen=True)
class Published:
    """What Kaggle gives of a run, beside what the run itself promised."""

    links: dict[str, str]
    log: str
    manifest: dict[str, Output] | None
    """None where the run left no list of its outputs."""
    lacking: tuple[str, ...]
    """What is promised and not there."""


def wait(client: Client, run: Run, status: Status, folder: Path, tell: Callable[[str], None]) -> Published:
    """Return what is published once it is all that was promised, or after ten minutes.

    run.json and the manifest are written to `folder`. Raises PullRefused for another run's.
    """
    found: Published | None = None
    for pause in client.clock.rounds(LATE_SECONDS):
        try:
            found = _look(client, run, status, folder)
            if not found.lacking:
                return found
            reason = f"Kaggle has not published {', '.join(map(progress.visible, found.lacking[:3]))}"
        except (Refused, Unsettled, LinkStale) as error:
            found, reason = None, error.message
        if pause:
            tell(f"{run.name}: {reason}; asking again in {pause:.0f} s")
    if found is None:
        raise PullRefused(f"{run.name}: {reason}", hint=f"make pull RUN={run.name}, or {run.url}")
    return found


def _look(client: Client, run: Run, status: Status, folder: Path) -> Published:
    """List the outputs once, and read what proves them."""
    listed = session.outputs(client, run)
    for name in (RECORD, MANIFEST):
        (folder / name).unlink(missing_ok=True)
        if name in listed.links:
            write_whole(folder / name, transfer.read(client, listed.links[name], name))
    manifest = _manifest(folder) if MANIFEST in listed.links else None
    if RECORD in listed.links:
        _check_owner(run, (folder / RECORD).read_bytes())
    lacking = [] if listed.has_log else [LOG_NAME]
    if manifest is not None:
        lacking += sorted(manifest.keys() - listed.links.keys())
    elif MANIFEST in listed.links or status.has_succeeded or _said_end(listed.log):
        lacking += [name for name in (RECORD, MANIFEST) if name == MANIFEST or name not in listed.links]
    return Published(listed.links, listed.log, manifest, tuple(lacking))


def _manifest(folder: Path) -> dict[str, Output] | None:
    """Return the kernel's list of its outputs, None where it cannot be read.

    Raises Unsettled where it is of another run than run.json.
    """
    own, record = folder / MANIFEST, folder / RECORD
    try:
        manifest = read_manifest(own)
    except InputInvalid:
        return None
    if record.is_file() and RECORD in manifest and manifest[RECORD].sha256 != sha256_of(record):
        raise Unsettled(f"{RECORD} and {MANIFEST} are not of one run")
    return {**manifest, MANIFEST: Output(own.stat().st_size, sha256_of(own))}


def _said_end(stored: str) -> bool:
    """Tell whether the kernel said that it had written its outputs."""
    events = map(progress.event, log.text(stored).splitlines())
    return any(event is not None and event["event"] == "end" for event in events)


def _check_owner(run: Run, record: bytes) -> None:
    """Refuse outputs whose run.json was written by another bundle; raises Unsettled where it names none."""
    found = session.record_of(record).bundle_hash
    if not found:
        raise Unsettled(f"{RECORD} names no bundle")
    if found != run.bundle_hash:
        others = [runs.load(path.parent) for path in runs.known_pushes(run.folder.parent.parent)]
        names = [other.name for other in others if other.bundle_hash == found]
        raise PullRefused(
            f"Kaggle gave the output of {(names or ['a push that is not recorded here'])[0]} for {run.name}: "
            f"run.json carries bundle_hash {found[:12]!r}, push.json {run.bundle_hash[:12]!r}",
            hint=f"make pull RUN={run.name} again later, or {run.url}",
        )
