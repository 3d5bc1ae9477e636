"""End a session by deleting its kernel, after saving what can be saved. The API knows no gentler way."""

from __future__ import annotations

from collections.abc import Callable

from kit.errors import KitError
from kit.remote import pull, runs, watch
from kit.remote.runs import Run
from kit.remote.wire import session
from kit.remote.wire.client import Client
from kit.remote.wire.transport import KaggleError


def stop(
    client: Client, run: Run, *, confirm: Callable[[str], bool], tell: Callable[[str], None] = print
) -> bool:
    """Save the run's log and, if it has ended, its outputs; ask; delete the kernel. False where it was kept.

    Deleting takes every version of the kernel with its outputs, and stops the clock of its GPU quota.
    """
    stands = session.status(client, run)
    try:
        if stands.has_ended:
            tell(f"its outputs are in {pull.pull(client, run).folder}")
        else:
            path = run.folder / pull.LOG_NAME
            path.write_text("".join(f"{line}\n" for line in watch.log_so_far(client, run)), encoding="utf-8")
            tell(f"its log so far is in {path}; a session that is on gives no outputs")
    except (pull.PullRefused, KaggleError) as error:
        tell(f"nothing could be saved: {error}")
    earlier = [
        path
        for path in runs.known_pushes(run.folder.parent.parent)
        if path.parent.parent == run.folder.parent
    ]
    question = (
        f"{run.name} is {stands}. Deleting {run.owner}/{run.slug} ends it and removes all versions, "
        f"{len(earlier)} pushed from here, with the outputs that Kaggle holds. Delete?"
    )
    if not confirm(question):
        return False
    answer = client.call("DeleteKernel", user_name=run.owner, kernel_slug=run.slug)
    if answer.error_message:
        raise KitError(f"Kaggle does not delete {run.owner}/{run.slug}: {answer.error_message}", hint=run.url)
    return True
