"""Submit a run's file, or its version to a code competition, and wait for the score. It judges no file."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from kit.errors import InputInvalid
from kit.files import read_json, sha256_of, write_json
from kit.remote import runs
from kit.remote.refusals import SubmissionRefused as SubmissionRefused
from kit.remote.refusals import explained
from kit.remote.runs import Run
from kit.remote.wire import listing, transfer
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
    client: Client,
    run: Run,
    message: str = "",
    *,
    deadline_seconds: float | None = None,
    tell: Callable[[str], None] = print,
) -> Submitted:
    """Submit the run and return its score; the same file, or the same version, is never submitted twice.

    `message` is put before the run's name. submission.json is written before Kaggle is asked, and again with
    the verdict: what got no answer is looked for by the next submit. Raises SubmissionRefused.
    """
    path = run.folder / "submission.csv"
    try:
        body = path.read_bytes()
    except OSError as error:
        raise InputInvalid(
            f"{path} cannot be read: {error.strerror}", hint=f"make pull RUN={run.name}"
        ) from None
    rules = run.config["competition"]
    is_code = rules.get("kind") == "code"
    record, earlier = _made(client, run, path, body, message, tell, is_code=is_code)
    seconds = SCORE_SECONDS
    if is_code:
        seconds += 60 * rules["rerun_minutes"]
        tell(
            f"Kaggle runs {run.name} again on the hidden rows, for {seconds / 60:.0f} min at most; Ctrl-C "
            f"leaves that going, make submit RUN={run.name} comes back to it"
        )
    verdict = _wait(client, rules["slug"], record["ref"], deadline_seconds or seconds, tell)
    score = (verdict.public_score or "").strip()
    record |= {"status": verdict.status.name, "public_score": score}
    record["error"] = verdict.error_description or ""
    write_json(run.folder / RECORD, record)
    if verdict.status.name == "ERROR":
        said, hint = record["error"] or "no reason given", f"make validate RUN={run.name}"
        before = f"Kaggle cannot score {run.name if is_code else path}: "
        raise explained(said, run, client.web, hint=hint, before=before)
    return Submitted(record["ref"], score, earlier)


def _made(
    client: Client,
    run: Run,
    path: Path,
    body: bytes,
    message: str,
    tell: Callable[[str], None],
    *,
    is_code: bool,
) -> tuple[dict[str, Any], bool]:
    """Return the record of the run's submission, made now unless it was before, and whether it was."""
    slug = run.config["competition"]["slug"]
    # What is submitted: the bytes of a file, or a version, whose bytes on the hidden rows nobody knows.
    version = f"{run.owner}/{run.slug}/v{run.version} {run.bundle_hash}"
    sha256 = sha256_of(version if is_code else body)
    record = read_json(run.folder / RECORD)
    if record.get("sha256") != sha256 or (record.get("status") == "ERROR" and not is_code):
        record = {}
    try:
        if record and not record.get("ref"):
            record["ref"] = _search(client, slug, record, tell)
        if not record.get("ref"):
            _require_whole(run)
            # The hash comes first and makes the words unique: Kaggle may trim what follows.
            words = " ".join([sha256[:8], *([message] if message else []), run.name])
            record = {"schema": runs.SCHEMA, "competition": slug, "sha256": sha256, "message": words}
            if is_code:
                _require_version(client, run, body)
                record["ref"] = _look_up(client, slug, sha256[:8])  # by another checkout
        is_earlier = bool(record.get("ref"))
        if not is_earlier:
            tell(_allowance(client, slug))
            record["ref"] = _create(client, slug, path, body, record, run if is_code else None)
    except Refused as refused:
        hint = f"{client.web}/competitions/{slug}/submissions"
        raise explained(refused.message, run, client.web, hint=hint) from None
    if record.get("status") != "ERROR":
        write_json(run.folder / RECORD, record | {"status": "PENDING"})
    return record, is_earlier


def _require_whole(run: Run) -> None:
    asked = run.config["data"]["test_rows"]
    if asked:
        raise SubmissionRefused(
            f"{run.name} answered {asked} test rows on purpose", hint="make all PRESET=t4x2"
        )


def _require_version(client: Client, run: Run, body: bytes) -> None:
    """Hold the run against what a code competition takes, and wait until Kaggle lists its file as pulled."""
    if not run.version:
        raise SubmissionRefused(
            f"{run.name} was made at home, and a code competition takes kernel versions",
            hint="make infer FROM=v3",
        )
    if run.config["kernel"]["internet"]:
        raise SubmissionRefused(
            f"{run.name} ran with internet, which a code competition forbids",
            hint=f"make adapters RUN={run.name}, then make infer FROM={run.name}",
        )
    started = client.clock.now()
    while client.clock.now() - started < LATE_SECONDS:
        with suppress(Unsettled, LinkStale):
            link = listing.outputs(client, run).links.get("submission.csv", "")
            if link and transfer.read(client, link, "submission.csv") == body:
                return
        client.clock.sleep(POLL_SECONDS[0])
    raise SubmissionRefused(
        f"Kaggle does not list submission.csv of {run.name} as it was pulled",
        hint=f"make pull RUN={run.name} FORCE=1",
    )


def _allowance(client: Client, slug: str) -> str:
    """Return how many submissions are left today in words; raises SubmissionRefused for none."""
    left = client.call("GetSubmissionLimits", competition_name=slug)
    if left.num_allowed_now <= 0:
        raise SubmissionRefused(
            f"no submission to {slug} is left today, after {left.num_today}", hint="tomorrow, after 00:00 UTC"
        )
    return f"{left.num_allowed_now} submissions to {slug} are left today"


def _create(
    client: Client, slug: str, path: Path, body: bytes, record: dict[str, Any], version: Run | None
) -> int:
    """Make one submission, of the bytes or of a `version`, and return its number; `record` is kept first.

    Raises SubmissionRefused where the answer got lost and the submission is not seen: it is not made again.
    """
    fields: dict[str, Any] = {"competition_name": slug, "submission_description": record["message"]}
    if version:
        method = "CreateCodeSubmission"
        fields |= {"kernel_owner": version.owner, "kernel_slug": version.slug}
        fields |= {"kernel_version": version.version, "file_name": path.name}
    else:
        method = "CreateSubmission"
        fields |= {"blob_file_tokens": _uploaded(client, slug, path, body)}
    now = datetime.fromtimestamp(client.clock.wall(), UTC).isoformat(timespec="seconds")
    write_json(path.with_name(RECORD), record | {"status": "UNKNOWN", "submitted_at": now})

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
                if ref := _look_up(client, slug, record["sha256"][:8]):
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


def _search(client: Client, slug: str, record: dict[str, Any], tell: Callable[[str], None]) -> int | None:
    """Return the submission that an earlier command may have made; None once it would have been seen."""
    try:
        age = client.clock.wall() - datetime.fromisoformat(record["submitted_at"]).timestamp()
    except (KeyError, TypeError, ValueError):
        age = 0.0
    if ref := _look_up(client, slug, record["sha256"][:8]):
        return ref
    if age < LAG_SECONDS:
        tell(f"an earlier submission may still appear, looking again in {LAG_SECONDS - age:.0f} s")
        client.clock.sleep(min(LAG_SECONDS, LAG_SECONDS - age))
    return _look_up(client, slug, record["sha256"][:8])


def _look_up(client: Client, slug: str, mark: str) -> int | None:
    """Return the submission whose words hold this hash, None where Kaggle shows none."""
    listed = client.call("ListSubmissions", competition_name=slug, page_size=100).submissions
    return next((entry.ref for entry in listed if mark in (entry.description or "") and entry.ref), None)


def _wait(client: Client, slug: str, ref: int, deadline_seconds: float, tell: Callable[[str], None]) -> Any:
    """Return the submission once it is scored or in error; any other state, known or not, is waited for."""
    started = told = client.clock.now()
    shortest, longest = POLL_SECONDS
    while True:
        entry = _look(client, slug, ref)
        if entry is not None and entry.status.name in SCORED:
            return entry
        waited = client.clock.now() - started
        if waited > deadline_seconds:
            raise SubmissionRefused(
                f"submission {ref} is still without a score after {waited:.0f} s",
                hint=f"make submit again, which only looks, or {client.web}/competitions/{slug}/submissions",
            )
        if client.clock.now() - told > TELL_SECONDS:
            told = client.clock.now()
            tell(f"submission {ref} has no score yet, after {waited / 60:.0f} min")
        client.clock.sleep(min(max(shortest, waited / 20), longest))


def _look(client: Client, slug: str, ref: int) -> Any | None:
    """Return one submission, from the list where Kaggle does not give it alone; None where it is not seen."""
    try:
        return client.call("GetSubmission", needs="ref", patient=False, ref=ref)
    except (Refused, Unsettled):
        listed = client.call("ListSubmissions", competition_name=slug, page_size=100)
        return next((entry for entry in listed.submissions if entry.ref == ref), None)
