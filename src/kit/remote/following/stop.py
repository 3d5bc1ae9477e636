"""End a session without losing what it made: cancel it by its number, and bring home what it left."""

from collections.abc import Callable
from typing import Literal

from kit import progress
from kit.errors import KitError
from kit.files import write_whole
from kit.outputs import LOG_NAME
from kit.remote import runs
from kit.remote.following import watch
from kit.remote.pulling import pull
from kit.remote.runs import Run
from kit.remote.wire import session
from kit.remote.wire.client import Client
from kit.remote.wire.transport import CredentialsInvalid, Refused

CANCEL_SECONDS = 300.0  # how long a cancelled session may take to end

Stopped = Literal["cancelled", "deleted", "kept"]


def stop(client: Client, run: Run, *, confirm: Callable[[str], bool], discard: bool = False) -> Stopped:
    """Cancel the session and pull its outputs; where that is impossible, save, ask, and delete the kernel."""
    status = session.status(client, run)
    if not status.has_ended:
        lines = watch.log_so_far(client, run)
        write_whole(run.folder / LOG_NAME, "".join(f"{line}\n" for line in lines))
        print(f"its log so far is in {run.folder / LOG_NAME}")
        events = [event for event in map(progress.event, lines) if event and event["event"] == "session"]
        numbers = [number for event in events if isinstance(number := event.get("id"), int)]
        if numbers and 0 < numbers[0] < 2**63 and _cancel(client, run, numbers[0]):
            pulled = pull.pull(client, run)
            print(f"{len(pulled.files)} files that it had written are in {pulled.folder}")
            return "cancelled"
    # Deleting takes every version along.
    pushed = runs.newest_first(run.folder.parents[1])
    # A folder that was moved aside is of a kernel that was deleted before.
    versions = [one for one in pushed if one.folder == run.folder.with_name(f"v{one.version}")]
    lost = [version.name for version in versions if not _is_saved(client, version)]
    kernel = f"{run.owner}/{run.slug}"
    if lost and not discard:
        text = f"deleting {kernel} would lose the outputs of {', '.join(lost)}, which could not be saved"
        hint = f"make pull RUN={lost[0]}, or make stop RUN={run.name} DISCARD=1, which loses them"
        raise KitError(f"{text}; nothing was deleted", hint=hint)
    question = (
        f"{run.name} is {status}. Deleting {kernel} ends it and removes all versions, "
        f"{len(versions)} pushed from here, with the outputs that Kaggle holds. Delete?"
    )
    if not confirm(progress.visible(question)):
        return "kept"
    answer = client.call("DeleteKernel", user_name=run.owner, kernel_slug=run.slug)
    if answer.error_message:
        raise KitError(f"Kaggle does not delete {kernel}: {answer.error_message}", hint=run.url)
    return "deleted"


def _cancel(client: Client, run: Run, number: int) -> bool:
    """Cancel a session and wait for its end; False where Kaggle does not cancel it."""
    try:
        objection = client.call("CancelKernelSession", kernel_session_id=number).error_message
    except Refused as refused:
        objection = refused.reason or str(refused.status)
    if objection:
        print(f"Kaggle does not cancel session {number}: {objection}")
        return False
    for _ in client.clock.rounds(CANCEL_SECONDS, first=2.0, longest=15.0):
        status = session.status(client, run)
        if status.has_ended:
            print(f"{run.name} ended as {status}")
            return True
    text = f"{run.name} was cancelled {CANCEL_SECONDS:.0f} s ago and is still {status}"
    raise KitError(text, hint=f"make stop RUN={run.name} again, or {run.url}")


def _is_saved(client: Client, run: Run) -> bool:
    """Bring home what a version has left; False where it may have left something that did not come."""
    status = session.status(client, run)
    if status.is_known and not status.has_ended:
        return True  # a session that is on has no outputs yet
    try:
        print(f"the outputs of {run.name} are in {pull.pull(client, run).folder}")
    except KitError as error:
        if isinstance(error, CredentialsInvalid):
            raise
        print(progress.visible(f"{run.name} could not be saved: {error}"))
        return False
    return True
