"""Look up what already runs of a kernel, also where the answer to its push was lost. It sends no push."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kit.files import sha256_of
from kit.remote import runs
from kit.remote.pushing.objections import PushRefused
from kit.remote.runs import Run
from kit.remote.wire.client import Client
from kit.remote.wire.transport import KaggleError, Refused, Unsettled

LOOKS_AFTER_SECONDS = (2.0, 5.0, 13.0, 30.0, 40.0)
"""When to look for a push whose answer was lost: a new version may stay unseen for a minute."""
SESSION_LOOKS_SECONDS = (5.0, 10.0, 15.0, 30.0, 30.0)
"""When to look whether a session has opened."""
_PREFIXES = re.compile(r"^/*(?:competitions|datasets|code|kernels|models)/|/+$")


@dataclass(frozen=True)
class Saved:
    """What is known of a version after the push: from its answer, or from looking it up."""

    version: int
    owner: str
    slug: str
    dropped: dict[str, list[str]]


@dataclass(frozen=True)
class GpuHours:
    """What is left of a week's GPU hours, and when they are renewed, as the end of a sentence."""

    left: float
    whole: float
    renewed: str


def gpu_hours(client: Client) -> GpuHours | None:
    """Return how many GPU hours are left, None where Kaggle does not say."""
    answer = client.call("GetAcceleratorQuotaStatistics")
    quota = answer.gpu_quota
    if quota is None or quota.total_time_allowed is None:
        return None
    spent = [part.total_seconds() for part in (quota.time_used, quota.time_reserved) if part is not None]
    whole = quota.total_time_allowed.total_seconds() / 3600
    renewal = answer.quota_refresh_time
    return GpuHours(
        whole - sum(spent) / 3600, whole, f", renewed on {renewal:%a %d %b %H:%M} UTC" if renewal else ""
    )


def newest(client: Client, ref: str) -> Any | None:
    """Return the newest version's GetKernel answer, or None where there is no such kernel yet."""
    owner, _, slug = ref.partition("/")
    try:
        return client.call("GetKernel", needs="metadata", patient=False, user_name=owner, kernel_slug=slug)
    except Refused as refused:
        if refused.status == 404:
            return None
        raise


def seen(client: Client, ref: str) -> Any | None:
    """Return the newest version, None where there is none; raises KaggleError where that cannot be known."""
    try:
        return newest(client, ref)
    except Refused as refused:
        # Kaggle denies what is not there as it denies what is not yours, and sometimes what is.
        pages = client.pages("ListKernels", "kernels", user=ref.partition("/")[0])
        if any(kernel.ref.lower() == ref.lower() for page in pages for kernel in page.kernels):
            raise refused from None
        return None


def newest_or_none(client: Client, ref: str) -> Any | None:
    """Return the newest version, None also where Kaggle does not say: before a push that is no hindrance."""
    try:
        return newest(client, ref)
    except (Refused, Unsettled):
        return None


def has_opened(client: Client, run: Run) -> bool:
    """Tell whether a session of this version opens soon; some pushes succeed and never run."""
    for seconds in SESSION_LOOKS_SECONDS:
        try:
            status = client.call("GetKernelSessionStatus", patient=False, **run.pinned).status
            if status.name != "NEW_SCRIPT":
                return True
        except Unsettled:
            return True  # nobody knows, and nothing says that it has not
        except Refused:
            pass  # Kaggle answers 403 and 404 for a while before a session opens
        client.clock.sleep(seconds)
    return False


def look_up(client: Client, ref: str, intent: Run, asked: dict[str, list[str]]) -> Saved | None:
    """Return the version that a push without an answer made, None if Kaggle says that it made none.

    Raises KaggleError where Kaggle does not say: what cannot be seen may be there.
    """
    unknown: KaggleError | None = None
    for seconds in LOOKS_AFTER_SECONDS:
        client.clock.sleep(seconds)
        try:
            kernel, unknown = seen(client, ref), None
        except KaggleError as error:
            unknown = error
            continue
        version = version_of(kernel)
        if kernel is None or version <= intent.known:
            continue
        if not _is_of(intent, kernel):
            raise PushRefused(
                f"the answer was lost, and version {version} of {ref} holds another script", hint="make push"
            )
        held = {
            kind: {_bare(name) for name in getattr(kernel.metadata, f"{kind}_data_sources")} for kind in asked
        }
        dropped = {
            kind: [name for name in names if _bare(name) not in held[kind]] for kind, names in asked.items()
        }
        return Saved(version, intent.owner, intent.slug, named(dropped, asked))
    if unknown:
        raise KaggleError(
            f"the push of {ref} may have arrived, Kaggle does not say: {unknown.message}",
            hint=f"{intent.url}, or make push again, which looks first",
        )
    return None


def earlier(client: Client, folder: Path) -> tuple[Run, int] | None:
    """Return an earlier push from here whose answer was lost, and its version, if it made one."""
    if not (folder / "push.json").is_file():
        return None
    intent = runs.load(folder)
    try:
        age = (datetime.now(UTC) - datetime.fromisoformat(intent.pushed_at)).total_seconds()
        client.clock.sleep(min(max(0.0, sum(LOOKS_AFTER_SECONDS) - age), sum(LOOKS_AFTER_SECONDS)))
        kernel = client.patiently(lambda: seen(client, f"{intent.owner}/{intent.slug}"))
    except KaggleError as error:
        raise PushRefused(
            f"an earlier push of {intent.slug} may have arrived, Kaggle does not say: {error.message}",
            hint=f"{intent.url}; where it is not there, rm -r {folder}",
        ) from None
    return (
        (intent, version_of(kernel)) if version_of(kernel) > intent.known and _is_of(intent, kernel) else None
    )


def version_of(kernel: Any | None) -> int:
    return 0 if kernel is None else kernel.metadata.current_version_number or 0


def _is_of(intent: Run, kernel: Any) -> bool:
    return kernel.blob is not None and by_lines(kernel.blob.source) == intent.source_sha256


def by_lines(text: str) -> str:
    return sha256_of("\n".join(text.splitlines()))


def _bare(name: str) -> str:
    """Return a source as it is asked for, from the other ways in which Kaggle writes it."""
    return _PREFIXES.sub("", name).lower()


def named(dropped: dict[str, list[str]], asked: dict[str, list[str]]) -> dict[str, list[str]]:
    """Leave out what was never asked for."""
    names = {
        kind: [_bare(name) for name in listed if name.strip()]
        for kind, listed in dropped.items()
        if asked[kind]
    }
    return {kind: listed for kind, listed in names.items() if listed}
