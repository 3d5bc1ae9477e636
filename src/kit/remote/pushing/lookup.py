"""Look up what already runs of a kernel, also of a lost push, and what hours are left."""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from kit.files import sha256_of
from kit.remote import runs
from kit.remote.pushing.objections import SOURCES, PushRefused
from kit.remote.wire import session
from kit.remote.wire.client import Client
from kit.remote.wire.transport import KaggleError, Refused, Unsettled

SESSIONS = 2  # GPU sessions that one account may have on at once
PAUSE_SECONDS = 300.0
_PASSING = ("session count", "quota")  # words of the refusals that time heals
LOOK_SECONDS = 90.0  # how long a new version, or its session, may stay unseen
_PREFIXES = re.compile(r"^/*(?:competitions|datasets|code|kernels|models)/|/+$")


class Newest(NamedTuple):
    """The newest version of a kernel as Kaggle keeps it."""

    version: int  # 0 where Kaggle gives no number
    source_sha256: str
    sources: dict[str, list[str]]  # what it has attached, by kind


def gpu_hours(client: Client) -> tuple[float, str] | None:
    """Return how many of a week's GPU hours are left, and that in words; None where Kaggle does not say."""
    answer = client.call("GetAcceleratorQuotaStatistics")
    quota, renewal = answer.gpu_quota, answer.quota_refresh_time
    if quota is None or quota.total_time_allowed is None:
        return None
    spent = [part.total_seconds() / 3600 for part in (quota.time_used, quota.time_reserved) if part]
    whole = quota.total_time_allowed.total_seconds() / 3600
    renewed = f", renewed on {renewal:%a %d %b %H:%M} UTC" if renewal else ""
    left = whole - sum(spent)
    return left, f"{left:.1f} of {whole:.0f} GPU hours left{renewed}"


def when_free(client: Client, attempt: Callable[[], runs.Run]) -> runs.Run:
    """Return what `attempt` pushes once nothing is in its way; raises PushRefused where time is no help."""
    while True:
        try:
            hours, on = gpu_hours(client), _on(client)
            busy = f"{' and '.join(on)} are on" if len(on) >= SESSIONS else ""
            busy = hours[1] if hours and hours[0] <= 0 else busy
        except Unsettled as error:  # time heals that as well
            busy = error.message
        if not busy:
            try:
                return attempt()
            except PushRefused as refused:
                if not any(words in refused.message for words in _PASSING):
                    raise
                busy = refused.message
        print(f"{busy}; looking again in {PAUSE_SECONDS / 60:.0f} min")
        client.clock.sleep(PAUSE_SECONDS)


def _on(client: Client) -> list[str]:
    """Return the names of this account's kernels whose newest version is at work on a GPU."""
    on = []
    for kernel in client.call("ListKernels", user=client.user(), page_size=20, sort_by="DATE_RUN").kernels:
        owner, _, slug = kernel.ref.partition("/")
        with suppress(Refused, Unsettled):
            status = client.call("GetKernelSessionStatus", patient=False, user_name=owner, kernel_slug=slug)
            # A push that opened no session stays a NEW_SCRIPT.
            if kernel.enable_gpu and status.status.name not in session.ENDED | {"NEW_SCRIPT"}:
                on.append(kernel.ref)
    return on


def seen(client: Client, ref: str) -> Newest | None:
    """Return the newest version, None where there is none; raises KaggleError where that cannot be known."""
    owner, _, slug = ref.partition("/")
    try:
        kernel = client.call("GetKernel", needs="metadata", patient=False, user_name=owner, kernel_slug=slug)
    except Refused as refused:
        # Kaggle denies what is not there as it denies what is not yours, and sometimes what is.
        pages = client.pages("ListKernels", "kernels", user=owner) if refused.status != 404 else []
        if any(kernel.ref.lower() == ref.lower() for page in pages for kernel in page.kernels):
            raise
        return None
    source = by_lines(kernel.blob.source) if kernel.blob is not None else ""
    sources = {kind: getattr(kernel.metadata, f"{kind}_data_sources") for kind in SOURCES}
    return Newest(kernel.metadata.current_version_number or 0, source, sources)


def has_opened(client: Client, run: runs.Run) -> bool:
    """Tell whether a session of this version opens soon; some pushes succeed and never run."""
    for _ in client.clock.rounds(LOOK_SECONDS):
        with suppress(Refused):  # Kaggle answers 403 and 404 for a while before a session opens
            try:
                status = client.call("GetKernelSessionStatus", patient=False, **run.pinned).status
            except Unsettled:
                return True  # nobody knows, and nothing says that it has not
            if status.name != "NEW_SCRIPT":
                return True
    return False


def made(client: Client, intent: runs.Run) -> Newest | None:
    """Return what a push without an answer made, if anything; raises KaggleError where nobody knows."""
    ref, unknown = f"{intent.owner}/{intent.slug}", None
    age = (datetime.now(UTC) - datetime.fromisoformat(intent.pushed_at)).total_seconds()
    for _ in client.clock.rounds(LOOK_SECONDS - max(0.0, age), first=2.0):
        try:
            found, unknown = seen(client, ref), None
        except KaggleError as error:
            found, unknown = None, error
        if found and found.version > intent.known:
            return found
    if unknown:
        text = f"the push of {ref} may have arrived, Kaggle does not say: {unknown.message}"
        hint = f"make push again, which looks first; where {intent.url} shows none, rm -r {intent.folder}"
        raise KaggleError(text, hint=hint)
    return None


def by_lines(text: str) -> str:
    """Return the hash of a script by its lines: a server may change how they end."""
    return sha256_of("\n".join(text.splitlines()))


def bare(names: Iterable[str]) -> list[str]:
    """Return sources as they are asked for, from the other ways in which Kaggle writes them."""
    return [_PREFIXES.sub("", name).lower() for name in names if name.strip()]
