"""Upload a run's submission, wait for its score, keep both beside the run. It judges no file."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kit.errors import InputInvalid, KitError
from kit.files import read_json, sha256_of, write_json
from kit.remote import runs
from kit.remote.runs import Run
from kit.remote.wire.client import Client
from kit.remote.wire.transport import KaggleError, Refused, Unsettled

SCORE_SECONDS = 900.0
POLL_SECONDS = 5.0
LOOKS_AFTER_SECONDS = (1.0, 5.0, 10.0)
"""When to look for a submission whose answer was lost; the list can lag behind."""
LAG_SECONDS = 180.0
"""How long a submission may stay unseen in Kaggle's list."""
UPLOADED = (200, 201)
SCORED = ("COMPLETE", "ERROR")
RECORD = "submission.json"


class SubmissionRefused(KitError):
    """Kaggle did not take the submission, or could not score it."""


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
    deadline_seconds: float = SCORE_SECONDS,
    tell: Callable[[str], None] = print,
) -> Submitted:
    """Submit the run's submission.csv and return its score; the same file is never submitted twice.

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
    slug = run.config["competition"]["slug"]
    sha256 = sha256_of(body)
    record = read_json(run.folder / RECORD)
    if record.get("sha256") != sha256 or record.get("status") == "ERROR":
        record = {}
    earlier = bool(record)
    try:
        if record and not record.get("ref"):
            record["ref"] = _search(client, slug, record, tell)
        if not record.get("ref"):
            _require_whole(run)
            earlier = False
            tell(_allowance(client, slug))
            # The hash comes first and makes the words unique: Kaggle may trim what follows.
            words = " ".join([sha256[:8], *([message] if message else []), run.name])
            record = {"schema": runs.SCHEMA, "competition": slug, "sha256": sha256, "message": words}
            record["ref"] = _create(client, slug, path, body, record)
    except Refused as refused:
        raise _explained(client, run, slug, refused) from None
    write_json(run.folder / RECORD, record | {"status": "PENDING"})
    verdict = _wait(client, slug, record["ref"], deadline_seconds)
    score = (verdict.public_score or "").strip()
    record |= {"status": verdict.status.name, "public_score": score}
    record["error"] = verdict.error_description or ""
    write_json(run.folder / RECORD, record)
    if verdict.status.name == "ERROR":
        raise SubmissionRefused(
            f"Kaggle cannot score {path}: {record['error'] or 'no reason given'}",
            hint=f"make validate RUN={run.name}",
        )
    return Submitted(record["ref"], score, earlier)


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


def _create(client: Client, slug: str, path: Path, body: bytes, record: dict[str, Any]) -> int:
    """Upload the bytes, make one submission of them and return its number; `record` is kept before that.

    Raises SubmissionRefused where the answer got lost and the submission is not seen: it is not made again.
    """
    started = client.call(
        "StartSubmissionUpload",
        needs="createUrl",
        competition_name=slug,
        file_name=path.name,
        content_length=len(body),
        last_modified_epoch_seconds=int(path.stat().st_mtime),
    )
    _upload(client, started.create_url, body)
    now = datetime.fromtimestamp(client.clock.wall(), UTC).isoformat(timespec="seconds")
    write_json(path.with_name(RECORD), record | {"status": "UNKNOWN", "submitted_at": now})
    fields = {"blob_file_tokens": started.token, "submission_description": record["message"]}

    def attempt() -> int:
        try:
            answer = client.call(
                "CreateSubmission", needs="ref", patient=False, competition_name=slug, **fields
            )
            return int(answer.ref)
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


def _explained(client: Client, run: Run, slug: str, refused: Refused) -> SubmissionRefused:
    """Return the refusal with what to do, which is another thing where only notebooks are taken."""
    is_by_hand = run.version and (refused.status == 403 or "notebook" in refused.reason.lower())
    hint = f"{run.url}, whose version {run.version} can be submitted by hand"
    hint = hint if is_by_hand else f"{client.web}/competitions/{slug}/submissions"
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


def _wait(client: Client, slug: str, ref: int, deadline_seconds: float) -> Any:
    """Return the submission once it is scored or in error; any other state, known or not, is waited for."""
    started = client.clock.now()
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
        client.clock.sleep(POLL_SECONDS)


def _look(client: Client, slug: str, ref: int) -> Any | None:
    """Return one submission, from the list where Kaggle does not give it alone; None where it is not seen."""
    try:
        return client.call("GetSubmission", needs="ref", patient=False, ref=ref)
    except (Refused, Unsettled):
        listed = client.call("ListSubmissions", competition_name=slug, page_size=100)
        return next((entry for entry in listed.submissions if entry.ref == ref), None)
