"""Upload a run's submission, wait for its score, keep both beside the run. It judges no file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kit.errors import InputInvalid, KitError
from kit.remote import runs
from kit.remote.runs import Run
from kit.remote.wire.client import Client
from kit.remote.wire.transport import Refused, Unsettled

SCORE_SECONDS = 900.0
POLL_SECONDS = 5.0
LOOKS_AFTER_SECONDS = (1.0, 5.0, 10.0)
"""When to look for a submission whose answer was lost."""
UPLOADED = (200, 201)


class SubmissionRefused(KitError):
    """Kaggle did not take the submission, or could not score it."""


@dataclass(frozen=True)
class Submitted:
    """A submission with its public score; `earlier` if it was made before and only looked up now."""

    ref: int
    score: str
    earlier: bool


def submit(
    client: Client,
    run: Run,
    message: str = "",
    *,
    deadline_seconds: float = SCORE_SECONDS,
    tell: Callable[[str], None] = print,
) -> Submitted:
    """Submit the run's submission.csv and return its score; the same file is never submitted twice.

    `message` is put before the run's name. submission.json is written as soon as Kaggle has the file, and
    again with the verdict. Raises SubmissionRefused.
    """
    path = run.folder / "submission.csv"
    try:
        body = path.read_bytes()
    except OSError as error:
        raise InputInvalid(
            f"{path} cannot be read: {error.strerror}", hint=f"make pull RUN={run.name}"
        ) from None
    slug = run.config["competition"]["slug"]
    sha256 = hashlib.sha256(body).hexdigest()
    record = runs.read_json(run.folder / "submission.json")
    earlier = record.get("sha256") == sha256 and record.get("status") != "ERROR"
    if not earlier:
        _require_whole(run)
        # The hash makes the words unique, so that a lost answer can be looked up by them.
        words = " ".join([*([message] if message else []), run.name, sha256[:8]])
        try:
            tell(_allowance(client, slug))
            ref = _create(client, slug, path, body, words)
        except Refused as refused:
            raise _explained(client, run, slug, refused) from None
        record = {
            "schema": runs.SCHEMA,
            "competition": slug,
            "ref": ref,
            "sha256": sha256,
            "message": words,
            "status": "PENDING",
            "submitted_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        runs.write_json(run.folder / "submission.json", record)
    verdict = _wait(client, slug, record["ref"], deadline_seconds)
    record |= {"status": verdict.status.name, "public_score": verdict.public_score or ""}
    record["error"] = verdict.error_description or ""
    runs.write_json(run.folder / "submission.json", record)
    if verdict.status.name == "ERROR":
        raise SubmissionRefused(
            f"Kaggle cannot score {path}: {record['error']}", hint=f"make validate RUN={run.name}"
        )
    return Submitted(record["ref"], verdict.public_score, earlier)


def _require_whole(run: Run) -> None:
    asked = run.config["data"]["test_rows"]
    if asked:
        raise SubmissionRefused(
            f"{run.name} answered {asked} test rows on purpose", hint="make all PRESET=t4x2"
        )


def _allowance(client: Client, slug: str) -> str:
    """Return how many submissions are left today in words; raises SubmissionRefused for none."""
    left = client.call("GetSubmissionLimits", competition_name=slug)
    if left.num_allowed_now <= 0:
        raise SubmissionRefused(
            f"no submission to {slug} is left today, after {left.num_today}", hint="tomorrow, after 00:00 UTC"
        )
    return f"{left.num_allowed_now} submissions to {slug} are left today"


def _create(client: Client, slug: str, path: Path, body: bytes, words: str) -> int:
    """Upload the bytes, make a submission of them and return its number."""
    started = client.call(
        "StartSubmissionUpload",
        needs="createUrl",
        competition_name=slug,
        file_name=path.name,
        content_length=len(body),
        last_modified_epoch_seconds=int(path.stat().st_mtime),
    )
    _upload(client, started.create_url, body)

    def attempt() -> int:
        fields = {"blob_file_tokens": started.token, "submission_description": words}
        try:
            answer = client.call(
                "CreateSubmission", needs="ref", patient=False, competition_name=slug, **fields
            )
            return int(answer.ref)
        except Unsettled:
            ref = _look_up(client, slug, words)
            if ref is None:
                raise
            return ref

    return client.patiently(attempt)


def _explained(client: Client, run: Run, slug: str, refused: Refused) -> SubmissionRefused:
    """Return the refusal with what to do; a 403 is what notebook-only competitions give to files."""
    by_hand = f"{run.url}, whose version {run.version} can be submitted by hand"
    hint = (
        by_hand if refused.status == 403 and run.version else f"{client.web}/competitions/{slug}/submissions"
    )
    return SubmissionRefused(refused.message, hint=hint)


def _upload(client: Client, url: str, body: bytes) -> None:
    """Send the bytes; where an attempt breaks off, the next one sends what the server has not got."""
    start = 0

    def attempt() -> None:
        headers = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        answer = client.link("PUT", url, data=body[start:], headers=headers, allow_redirects=False)
        if answer.status_code not in UPLOADED:
            raise Unsettled(f"the upload ended with status {answer.status_code}")

    def resume() -> None:
        nonlocal start
        asked = client.link(
            "PUT", url, headers={"Content-Range": f"bytes */{len(body)}"}, allow_redirects=False
        )
        if asked.status_code in UPLOADED:
            return
        last = asked.headers.get("Range", "").rpartition("-")[2]
        start = int(last) + 1 if last.isdecimal() else 0
        attempt()

    try:
        attempt()
    except Unsettled:
        client.patiently(resume)


def _look_up(client: Client, slug: str, words: str) -> int | None:
    """Return the submission of these words, or None if the request that made none was lost on its way."""
    for seconds in LOOKS_AFTER_SECONDS:
        client.clock.sleep(seconds)
        answer = client.call("ListSubmissions", competition_name=slug, page_size=20)
        for submission in answer.submissions or ():
            if submission.description == words:
                return int(submission.ref)
    return None


def _wait(client: Client, slug: str, ref: int, deadline_seconds: float) -> Any:
    """Return the submission once it is no longer pending."""
    started = client.clock.now()
    while True:
        seen = _look(client, slug, ref)
        if seen.status.name != "PENDING":
            return seen
        waited = client.clock.now() - started
        if waited > deadline_seconds:
            raise SubmissionRefused(
                f"submission {ref} is still without a score after {waited:.0f} s",
                hint=f"make submit again, which only looks, or {client.web}/competitions/{slug}/submissions",
            )
        client.clock.sleep(POLL_SECONDS)


def _look(client: Client, slug: str, ref: int) -> Any:
    """Return one submission, from the listing where Kaggle does not give it alone."""
    try:
        return client.call("GetSubmission", needs="status", ref=ref)
    except Refused:
        listed = client.call("ListSubmissions", competition_name=slug, page_size=100)
        found = [submission for submission in listed.submissions or () if submission.ref == ref]
        if not found:
            raise
        return found[0]
