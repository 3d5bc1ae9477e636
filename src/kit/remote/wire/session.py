"""Ask how the session of one version stands. It neither waits nor reads logs."""

from __future__ import annotations

from dataclasses import dataclass

from kit.remote.runs import Run
from kit.remote.wire.client import Client
from kit.remote.wire.transport import KaggleError, Refused

ENDED = frozenset({"COMPLETE", "ERROR", "CANCEL_ACKNOWLEDGED"})
"""States that never change again; the others are QUEUED, RUNNING, CANCEL_REQUESTED and NEW_SCRIPT."""


@dataclass(frozen=True)
class Status:
    """A session's state by the SDK's name, and why it failed where Kaggle says so."""

    name: str
    failure: str = ""

    @property
    def has_ended(self) -> bool:
        return self.name in ENDED

    @property
    def has_succeeded(self) -> bool:
        return self.name == "COMPLETE"

    def __str__(self) -> str:
        word = "CANCELLED" if self.name == "CANCEL_ACKNOWLEDGED" else self.name
        return f"{word}: {self.failure}" if self.failure else word


def status(client: Client, run: Run) -> Status:
    """Return how this version stands; an answer without a state reads as QUEUED and is not taken."""
    try:
        answer = client.call("GetKernelSessionStatus", needs="status", **run.pinned)
    except Refused as refused:
        raise KaggleError(
            f"Kaggle has no {run.name} of {run.owner}: {refused.reason or refused.status}", hint=run.url
        ) from None
    return Status(answer.status.name, answer.failure_message or "")
