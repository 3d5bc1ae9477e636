"""See what Kaggle has published of a run, by the kernel's own list, and wait for what it publishes late."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kit import progress
from kit.bundle.metadata import CODE_FILES
from kit.bundle.origin import PATCH
from kit.errors import InputInvalid, KitError
from kit.files import read_json, sha256_of, write_whole
from kit.outputs import DRY_RUN, LOG_NAME, MADE, MANIFEST, Output, read_manifest
from kit.remote import runs
from kit.remote.wire import session, transfer
from kit.remote.wire.client import Client
from kit.remote.wire.session import RECORD, Status
from kit.remote.wire.transport import Refused, Unsettled

ASIDE = "kaggle"  # folder of what Kaggle adds to a kernel's outputs, and of outputs with odd names
OURS = (
    *("push.json", "pull.json", LOG_NAME, "submission.json", "report.html", "adapters.json"),
    *(*CODE_FILES.values(), PATCH, ASIDE, MADE, DRY_RUN),
)
KAGGLES = ("__script__.py", "__script__.ipynb", "__results__.html", "__output__.json", "custom.css")
LONGEST_NAME, LONGEST_PATH, DEEPEST = 255, 1000, 100
LATE_SECONDS = 600.0  # how long after a run's end Kaggle may still be publishing its outputs and its log


class PullRefused(KitError):
    """What Kaggle holds for this version is not whole or not its own."""


@dataclass(frozen=True)
class Published(session.Listing):
    """What Kaggle gives of a run, beside what the run itself promised."""

    manifest: dict[str, Output] | None  # None where the run left no list of its outputs
    lacking: tuple[str, ...]
    """What is promised and not there."""


def wait(client: Client, run: runs.Run, status: Status, folder: Path) -> Published:
    """Return what is published once it is whole, or late; run.json and the manifest go to `folder`."""
    found: Published | None = None
    for pause in client.clock.rounds(LATE_SECONDS):
        try:
            found = _look(client, run, status, folder)
            if not found.lacking:
                return found
            reason = f"Kaggle has not published {', '.join(map(progress.visible, found.lacking[:3]))}"
        except (Refused, Unsettled) as error:
            found, reason = None, error.message
        if pause:
            print(f"{run.name}: {reason}; asking again in {pause:.0f} s")
    if found is None:
        raise PullRefused(f"{run.name}: {reason}", hint=f"make pull RUN={run.name}, or {run.url}")
    return found


def _look(client: Client, run: runs.Run, status: Status, folder: Path) -> Published:
    """List the outputs once, and read what proves them."""
    listed = session.outputs(client, run)
    for name in (RECORD, MANIFEST):
        (folder / name).unlink(missing_ok=True)
        if name in listed.links:
            write_whole(folder / name, transfer.read(client, listed.links[name], name))
    manifest = _manifest(folder) if MANIFEST in listed.links else None
    if RECORD in listed.links:
        _check_owner(run, read_json(folder / RECORD))
    lacking = [] if listed.has_log else [LOG_NAME]
    events = map(progress.event, session.whole(listed.log).splitlines())
    if manifest is not None:
        lacking += sorted(manifest.keys() - listed.links.keys())
    elif MANIFEST in listed.links or status.has_succeeded or any(e and e["event"] == "end" for e in events):
        lacking += [name for name in (RECORD, MANIFEST) if name == MANIFEST or name not in listed.links]
    return Published(listed.links, listed.log, manifest, tuple(lacking))


def _manifest(folder: Path) -> dict[str, Output] | None:
    """Return the kernel's list of its outputs, if it can be read; raises Unsettled for another's."""
    own, record = folder / MANIFEST, folder / RECORD
    try:
        manifest = read_manifest(own)
    except InputInvalid:
        return None
    if record.is_file() and RECORD in manifest and manifest[RECORD].sha256 != sha256_of(record):
        raise Unsettled(f"{RECORD} and {MANIFEST} are not of one run")
    return {**manifest, MANIFEST: Output(own.stat().st_size, sha256_of(own))}


def _check_owner(run: runs.Run, record: Mapping[str, object]) -> None:
    """Refuse outputs whose run.json was written by another bundle; raises Unsettled where it names none."""
    found = str(record.get("bundle_hash") or "")
    if not found:
        raise Unsettled(f"{RECORD} names no bundle")
    if found != run.bundle_hash:
        others = runs.newest_first(run.folder.parents[1])
        names = (other.name for other in others if other.bundle_hash == found)
        whose = next(names, "a push that is not recorded here")
        hashes = f"run.json carries bundle_hash {found[:12]!r}, push.json {run.bundle_hash[:12]!r}"
        hint = f"make pull RUN={run.name} again later, or {run.url}"
        raise PullRefused(f"Kaggle gave the output of {whose} for {run.name}: {hashes}", hint=hint)


def places(names: Iterable[str], promised: Collection[str] | None) -> dict[str, str]:
    """Return the path of every output; what the kernel has not `promised` in its list, if any, goes aside."""
    found: dict[str, str] = {}
    files: set[str] = set()
    folders: set[str] = set()
    for name in sorted(names, key=lambda name: (promised is not None and name not in promised, name)):
        ours = name not in KAGGLES if promised is None else name in promised
        path = name if ours else f"{ASIDE}/{name}"
        is_plain = _is_plain(name)
        above = {path[:end] for end, letter in enumerate(path) if letter == "/"} if is_plain else set()
        is_taken = path in folders or above & files
        if not is_plain or is_taken or (ours and name.partition("/")[0].casefold() in OURS):
            # Another name, which tells two odd ones apart and shows what they were.
            plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-60:].lstrip(".")
            path, above = f"{ASIDE}/{plain}-{sha256_of(readable(name))[:8]}", {ASIDE}
        found[name] = path
        files.add(path)
        folders |= above
    return found


def readable(name: str) -> str:
    """Return a name as UTF-8 can hold it."""
    return name.encode("utf-8", "backslashreplace").decode()


def _is_plain(name: str) -> bool:
    parts = name.split("/")
    try:
        longest = max(len(part.encode()) for part in parts)
    except UnicodeEncodeError:
        return False
    is_short = longest <= LONGEST_NAME and len(name.encode()) <= LONGEST_PATH and len(parts) <= DEEPEST
    return is_short and not {"", ".", ".."} & set(parts) and not {"\\", "\0"} & set(name)
