"""Submit a run's file, or its version to a code competition, and wait for the score. It judges no file."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kit.errors import InputInvalid, NotYet
from kit.files import read_json, sha256_of, write_json
from kit.remote import runs
from kit.remote.refusals import SubmissionRefused as SubmissionRefused
from kit.remote.refusals import explained
from kit.remote.runs import Run
from kit.remote.wire import session, transfer
from kit.remote.wire.client import Client
from kit.remote.wire.transfer import LinkStale
from kit.remote.wire.transport import KaggleError, Refused, Unsettled
from kit.remote.wire.upload import upload

SCORE_SECONDS = 900.0
"""How long a score may take; that of a code competition as long as its rerun besides."""
POLL_SECONDS = (5.0, 60.0)
TELL_SECONDS = 600.0
LATE_SECONDS = 600.0
"""How long after its end a version's files may be unseen; one submitted before counts as empty."""
LOOKS_AFTER_SECONDS = (1.0, 5.0, 10.0)
"""When to look for a submission whose answer was lost; the list can lag behind."""
LAG_SECONDS = 180.0
"""How long a submission may stay unseen in Kaggle's list."""
SCORED = ("COMPLETE", "ERROR")
RECORD = "submission.json"

Tell = Callable[[str], None]


class Record(BaseModel):
    """What submission.json keeps of one submission, from before it is made."""

    model_config = ConfigDict(frozen=True)

    version: int = Field(default=runs.SCHEMA, alias="schema")
    competition: str
    sha256: str
    """Of the bytes of a file, or of a version's name, whose answers to the hidden rows nobody knows."""
    message: str
    submitted_at: datetime = datetime.fromtimestamp(0, UTC)
    ref: int = 0
    """Kaggle's number, 0 as long as its answer has not come."""
    status: str = "UNKNOWN"
    public_score: str = ""
    error: str = ""

    def kept(self, folder: Path, **changes: object) -> Record:
        """Write submission.json with these changes, and return it."""
        record = self.model_copy(update=changes)
        write_json(folder / RECORD, record.model_dump(mode="json", by_alias=True))
        return record


@dataclass(frozen=True)
class Submitted:
    """A submission with its public score, which may be empty; `earlier` if it was made before."""

    ref: int
    score: str
    earlier: bool

    @property
    def words(self) -> str:
        """The verdict in words."""
        try:
            is_number = math.isfinite(float(self.score))
        except ValueError:
            is_number = False
        verb = ("scored earlier" if self.earlier else "scored") if is_number else "has no score:"
        return f"{verb} {self.score if is_number else repr(self.score)} (submission {self.ref})"


def submit(
    client: Client, run: Run, message: str = "", *, deadline_seconds: float | None = None, tell: Tell = print
) -> Submitted:
    """Submit the run and return its score; the same file, or the same version, is never submitted twice.

    `message` is put before the run's name. submission.json is written before Kaggle is asked, and again with
    the verdict: what got no answer is looked for by the next submit. Raises SubmissionRefused, and NotYet.
    """
    path, competition = run.folder / "submission.csv", run.config["competition"]
    is_code = competition.get("kind") == "code"
    try:
        body = path.read_bytes()
    except OSError as error:
        hint = f"make pull RUN={run.name}"
        raise InputInvalid(f"{path} cannot be read: {error.strerror}", hint=hint) from None
    record, is_earlier = _made(client, run, path, body, message, tell, is_code=is_code)
    seconds = SCORE_SECONDS + (60 * competition["rerun_minutes"] if is_code else 0)
    if is_code:
        tell(
            f"Kaggle runs {run.name} again on the hidden rows, for {seconds / 60:.0f} min at most; Ctrl-C "
            f"leaves that going, make submit RUN={run.name} comes back to it"
        )
    found = _wait(client, competition["slug"], record.ref, deadline_seconds or seconds, tell)
    record = record.kept(run.folder, **found)
    if record.status == "ERROR":
        before = f"Kaggle cannot score {run.name if is_code else path}: "
        hint = f"make validate RUN={run.name}"
        raise explained(record.error or "no reason given", run, client.web, hint=hint, before=before)
    return Submitted(record.ref, record.public_score, is_earlier)


def _made(
    client: Client, run: Run, path: Path, body: bytes, message: str, tell: Tell, *, is_code: bool
) -> tuple[Record, bool]:
    """Return the record of the run's submission, made now unless it was before, and whether it was."""
    slug = run.config["competition"]["slug"]
    version = f"{run.owner}/{run.slug}/v{run.version} {run.bundle_hash}"
    sha256 = sha256_of(version if is_code else body)
    record = _earlier(run.folder, sha256, is_code=is_code)
    try:
        ref = record.ref or _search(client, record, tell) if record else 0
        if not record or not ref:
            # The hash comes first and makes the words unique: Kaggle may trim what follows.
            words = " ".join(filter(None, [sha256[:8], message, run.name]))
            now = datetime.fromtimestamp(client.clock.wall(), UTC).replace(microsecond=0)
            record = Record(competition=slug, sha256=sha256, message=words, submitted_at=now)
            _require_whole(client, run, body, is_code=is_code)
            ref = _look_up(client, record) if is_code else 0  # by another checkout
        is_earlier = ref > 0
        if not ref:
            tell(_allowance(client, slug))
            ref = _create(client, path, body, record, run if is_code else None)
    except Refused as refused:
        hint = f"{client.web}/competitions/{slug}/submissions"
        raise explained(refused.message, run, client.web, hint=hint) from None
    if record.status == "ERROR":
        return record, is_earlier
    return record.kept(run.folder, ref=ref, status="PENDING"), is_earlier


def _earlier(folder: Path, sha256: str, *, is_code: bool) -> Record | None:
    """Return what was begun or made of the same; a file that Kaggle could not score may be sent again."""
    try:
        record = Record.model_validate(read_json(folder / RECORD))
    except ValidationError:
        return None
    return record if record.sha256 == sha256 and (record.status != "ERROR" or is_code) else None


def _require_whole(client: Client, run: Run, body: bytes, *, is_code: bool) -> None:
    """Hold the run against what is taken; a version's file must be listed by Kaggle as it was pulled."""
    asked = run.config["data"]["test_rows"]
    is_online = run.version and run.config["kernel"]["internet"]  # what is made at home has no kernel
    infer, home = f"make adapters RUN={run.name}, then make infer FROM={run.name}", "make infer FROM=v3"
    for applies, objection, hint in (
        (asked, f"answered {asked} test rows on purpose", "make all PRESET=t4x2"),
        (is_code and not run.version, "was made at home, and a code competition takes kernel versions", home),
        (is_code and is_online, "ran with internet, which a code competition forbids", infer),
    ):
        if applies:
            raise SubmissionRefused(f"{run.name} {objection}", hint=hint)
    for _ in client.clock.rounds(LATE_SECONDS) if is_code else ():
        with suppress(Unsettled, LinkStale):
            link = session.outputs(client, run).links.get("submission.csv", "")
            if link and transfer.read(client, link, "submission.csv") == body:
                return
    if is_code:
        text = f"Kaggle does not list submission.csv of {run.name} as it was pulled"
        raise SubmissionRefused(text, hint=f"make pull RUN={run.name} FORCE=1")


def _allowance(client: Client, slug: str) -> str:
    """Return how many submissions are left today in words; raises SubmissionRefused for none."""
    left = client.call("GetSubmissionLimits", competition_name=slug)
    if left.num_allowed_now <= 0:
        text = f"no submission to {slug} is left today, after {left.num_today}"
        raise SubmissionRefused(text, hint="tomorrow, after 00:00 UTC")
    return f"{left.num_allowed_now} submissions to {slug} are left today"


def _create(client: Client, path: Path, body: bytes, record: Record, version: Run | None) -> int:
    """Make one submission, of the bytes or of a `version`, and return its number; `record` is kept first.

    Raises SubmissionRefused where the answer got lost and the submission is not seen: it is not made again.
    """
    fields: dict[str, str | int]
    if version:
        method = "CreateCodeSubmission"
        fields = {"kernel_owner": version.owner, "kernel_slug": version.slug}
        fields |= {"kernel_version": version.version, "file_name": path.name}
    else:
        method = "CreateSubmission"
        fields = {"blob_file_tokens": _uploaded(client, record.competition, path, body)}
    fields |= {"competition_name": record.competition, "submission_description": record.message}
    record.kept(path.parent)

    def attempt() -> int:
        try:
            return int(client.call(method, needs="ref", patient=False, **fields).ref)
        except Refused:
            path.with_name(RECORD).unlink()
            raise
        except Unsettled as error:
            if error.is_busy:  # nothing was done
                raise
            cause = error.message
        for seconds in LOOKS_AFTER_SECONDS:
            client.clock.sleep(seconds)
            with suppress(KaggleError):
                if ref := _look_up(client, record):
                    return ref
        raise SubmissionRefused(
            f"the submission may have been made, Kaggle does not show it yet: {cause}",
            hint="make submit again in some minutes, which looks first",
        )

    return client.patiently(attempt)


def _uploaded(client: Client, slug: str, path: Path, body: bytes) -> str:
    """Bring the bytes to Kaggle and return the token that stands for them."""
    started = client.call(
        "StartSubmissionUpload",
        needs="createUrl",
        competition_name=slug,
        file_name=path.name,
        content_length=len(body),
        last_modified_epoch_seconds=int(path.stat().st_mtime),
    )
    upload(client, started.create_url, BytesIO(body), len(body))
    return str(started.token)


def _search(client: Client, record: Record, tell: Tell) -> int:
    """Return the submission that an earlier command may have made; 0 once it would have been seen."""
    if ref := _look_up(client, record):
        return ref
    left = LAG_SECONDS - (client.clock.wall() - record.submitted_at.timestamp())
    if left > 0:
        tell(f"an earlier submission may still appear, looking again in {left:.0f} s")
        client.clock.sleep(min(LAG_SECONDS, left))
    return _look_up(client, record)


def _look_up(client: Client, record: Record) -> int:
    """Return the submission whose words begin with this hash, 0 where Kaggle shows none."""
    listed = client.call("ListSubmissions", competition_name=record.competition, page_size=100).submissions
    mark = record.sha256[:8]
    return next((one.ref for one in listed if mark in (one.description or "") and one.ref), 0)


def _wait(client: Client, slug: str, ref: int, deadline_seconds: float, tell: Tell) -> dict[str, str]:
    """Return status, score and error once it is scored; any other state, known or not, is waited for."""
    started = told = client.clock.now()
    shortest, longest = POLL_SECONDS
    while True:
        try:
            entry = client.call("GetSubmission", needs="ref", patient=False, ref=ref)
        except (Refused, Unsettled):
            listed = client.call("ListSubmissions", competition_name=slug, page_size=100).submissions
            entry = next((one for one in listed if one.ref == ref), None)
        if entry is not None and entry.status.name in SCORED:
            score, error = (entry.public_score or "").strip(), entry.error_description or ""
            return {"status": entry.status.name, "public_score": score, "error": error}
        waited = client.clock.now() - started
        if waited > deadline_seconds:
            raise NotYet(
                f"submission {ref} is still without a score after {waited:.0f} s",
                hint=f"make submit again, which only looks, or {client.web}/competitions/{slug}/submissions",
            )
        if client.clock.now() - told > TELL_SECONDS:
            told = client.clock.now()
            tell(f"submission {ref} has no score yet, after {waited / 60:.0f} min")
        client.clock.sleep(min(max(shortest, waited / 20), longest))
