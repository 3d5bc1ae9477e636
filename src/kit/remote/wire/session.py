"""Ask how the session of one version stands. It neither waits nor reads logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kit.remote.runs import Run
from kit.remote.wire import listing, transfer
from kit.remote.wire.client import Client
from kit.remote.wire.transport import CredentialsInvalid, KaggleError, Refused

ENDED = frozenset({"COMPLETE", "ERROR", "CANCEL_ACKNOWLEDGED"})
"""States that never change again."""
_ON = frozenset({"QUEUED", "RUNNING", "CANCEL_REQUESTED", "NEW_SCRIPT"})
UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Status:
    """A session's state by the SDK's name, and why it failed, or is unknown, where Kaggle says so."""

    name: str
    failure: str = ""

    @property
    def has_ended(self) -> bool:
        return self.name in ENDED

    @property
    def has_succeeded(self) -> bool:
        return self.name == "COMPLETE"

    @property
    def is_known(self) -> bool:
        return self.name != UNKNOWN

    def __str__(self) -> str:
        word = "CANCELLED" if self.name == "CANCEL_ACKNOWLEDGED" else self.name
        return f"{word}: {self.failure}" if self.failure else word


def status(client: Client, run: Run, *, patient: bool = True) -> Status:
    """Return how this version stands: UNKNOWN, with the reason, where Kaggle does not say.

    Raises CredentialsInvalid only.
    """
    try:
        try:
            return _ask(client, run.pinned, patient=patient)
        except Refused as refused:
            if refused.status not in (400, 404):
                raise
            # Some say that this call takes no version: then its answer is about the newest one.
            newest = {name: value for name, value in run.pinned.items() if name != "version_label"}
            found = _ask_newest(client, run, newest)
            if found is None:
                raise
            return found
    except CredentialsInvalid:
        raise
    except KaggleError as error:
        return Status(UNKNOWN, error.message)


def by_outputs(client: Client, run: Run) -> Status | None:
    """Return the end that the kernel wrote into its own outputs, None where they are not there.

    Raises Refused, Unsettled and LinkStale.
    """
    found = listing.outputs(client, run)
    if not found.is_proved:
        return None
    record = listing.parsed(transfer.read(client, found.links[listing.RECORD], listing.RECORD))
    if record.get("bundle_hash") != run.bundle_hash or not (ended := str(record.get("ended", ""))):
        return None
    return Status("COMPLETE") if ended == "complete" else Status("ERROR", ended)


def _ask(client: Client, fields: dict[str, Any], *, patient: bool) -> Status:
    answer = client.call("GetKernelSessionStatus", patient=patient, **fields)
    name = str(getattr(answer.status, "name", ""))
    if name not in ENDED | _ON:
        return Status(UNKNOWN, f"its state is {name!r}")
    return Status(name, str(answer.failure_message or ""))


def _ask_newest(client: Client, run: Run, newest: dict[str, Any]) -> Status | None:
    """Return how the newest version stands, None where that is not `run` or cannot be known."""
    try:
        found = _ask(client, newest, patient=False)
        kernel = client.call("GetKernel", patient=False, **newest)
        return found if kernel.metadata.current_version_number == run.version else None
    except CredentialsInvalid:
        raise
    except (KaggleError, AttributeError):
        return None
