"""Ask how the session of one version stands and what it left, with fresh links. It saves nothing."""

from contextlib import suppress
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from kit.outputs import MANIFEST
from kit.remote.runs import Run
from kit.remote.wire import transfer
from kit.remote.wire.client import Client
from kit.remote.wire.transport import CredentialsInvalid, KaggleError, Refused

ENDED = frozenset({"COMPLETE", "ERROR", "CANCEL_ACKNOWLEDGED"})  # states that never change again
_ON = frozenset({"QUEUED", "RUNNING", "CANCEL_REQUESTED", "NEW_SCRIPT"})
UNKNOWN = "UNKNOWN"
RECORD = "run.json"


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


@dataclass(frozen=True)
class Listing:
    """What Kaggle holds of a version now: links by name, and the log as it is stored."""

    links: dict[str, str]
    log: str

    @property
    def has_log(self) -> bool:
        return self.log.strip() not in ("", "[]")


class Record(BaseModel):
    """What a run.json says of its run, as far as the way home needs it."""

    bundle_hash: str = ""
    ended: str = ""


def status(client: Client, run: Run, *, patient: bool = True) -> Status:
    """Return how this version stands: UNKNOWN, with the reason, where Kaggle does not say."""

    def ask(*, patient: bool, **fields: str) -> Status:
        answer = client.call("GetKernelSessionStatus", patient=patient, **fields)
        name = str(answer.status.name)
        if name not in ENDED | _ON:
            return Status(UNKNOWN, f"its state is {name!r}")
        return Status(name, answer.failure_message or "")

    try:
        try:
            return ask(patient=patient, **run.pinned)
        except Refused as refused:
            if refused.status not in (400, 404):
                raise
            # Some say that this call takes no version: then its answer is about the newest one.
            newest = {name: value for name, value in run.pinned.items() if name != "version_label"}
            found = ask(patient=False, **newest)
            kernel = client.call("GetKernel", needs="metadata", patient=False, **newest)
            is_meant = kernel.metadata.current_version_number == run.version
            return found if is_meant else Status(UNKNOWN, refused.message)
    except CredentialsInvalid:
        raise
    except KaggleError as error:
        return Status(UNKNOWN, error.message)


def outputs(client: Client, run: Run) -> Listing:
    """Return every output's newest link and the log; raises Refused and Unsettled."""
    pages = client.pages("ListKernelSessionOutput", "files", **run.pinned)
    files = [file for page in pages for file in page.files or () if file.file_name]
    return Listing({str(file.file_name): str(file.url) for file in files}, str(pages[0].log or ""))


def record_of(body: bytes) -> Record:
    """Return what the bytes of a run.json say; nothing where they are none."""
    with suppress(ValidationError):
        return Record.model_validate_json(body)
    return Record()


def by_outputs(client: Client, run: Run) -> Status | None:
    """Return the end that the kernel wrote into its own outputs, None where they are not there."""
    links = outputs(client, run).links
    if RECORD not in links or MANIFEST not in links:
        return None
    record = record_of(transfer.read(client, links[RECORD], RECORD))
    if record.bundle_hash != run.bundle_hash or not record.ended:
        return None
    return Status("COMPLETE") if record.ended == "complete" else Status("ERROR", record.ended)
