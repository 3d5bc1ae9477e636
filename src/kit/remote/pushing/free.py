"""Push once Kaggle has GPU hours and a session to spare; a first push that it refuses leaves its shell."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from kit.remote.pushing import lookup
from kit.remote.pushing.objections import PushRefused
from kit.remote.runs import Run
from kit.remote.wire import session
from kit.remote.wire.client import Client
from kit.remote.wire.transport import Refused, Unsettled

SESSIONS = 2
"""GPU sessions that one account may have on at once."""
PAUSE_SECONDS = 300.0
_PASSING = ("session count", "quota")
"""Words of the refusals that time heals."""


def push(client: Client, attempt: Callable[[], Run], *, tell: Callable[[str], None] = print) -> Run:
    """Return what `attempt` pushes once nothing is in its way; raises PushRefused where time is no help."""
    while True:
        hours = lookup.gpu_hours(client)
        on = _on(client)
        busy = f"{' and '.join(on)} are on" if len(on) >= SESSIONS else ""
        busy = f"no GPU hour is left{hours.renewed}" if hours and hours.left <= 0 else busy
        if not busy:
            try:
                return attempt()
            except PushRefused as refused:
                if not any(words in refused.message for words in _PASSING):
                    raise
                busy = refused.message
        tell(f"{busy}; looking again in {PAUSE_SECONDS / 60:.0f} min")
        client.clock.sleep(PAUSE_SECONDS)


def _on(client: Client) -> list[str]:
    """Return the names of this account's kernels whose newest version is at work on a GPU."""
    on = []
    for kernel in client.call("ListKernels", user=client.user(), page_size=20, sort_by="DATE_RUN").kernels:
        owner, _, slug = kernel.ref.partition("/")
        with suppress(Refused, Unsettled):
            status = client.call("GetKernelSessionStatus", patient=False, user_name=owner, kernel_slug=slug)
            if kernel.enable_gpu and status.status.name not in session.ENDED:
                on.append(kernel.ref)
    return on
