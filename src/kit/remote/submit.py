"""Submit a run's file, or its version to a code competition, and wait for the score. It judges no file."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kit.errors import InputInvalid, NotYet
from kit.files import read_json, sha256_of, write_json
from kit.outputs import SCHEMA
from kit.remote.pulling.published import LATE_SECONDS
from kit.remote.runs import Run
from kit.remote.wire import session, transfer
from kit.remote.wire.client import Client
from kit.remote.wire.transport import KaggleError, LinkStale, Refused, Unsettled

SCORE_SECONDS = 900.0  # how long a score may take; that of a code competition as long as its rerun besides
TELL_SECONDS = 600.0
LOOK_SECONDS = 15.0  # how long to look for a submission whose answer was lost
LAG_SECONDS = 180.0  # how long a submission may stay unseen in Kaggle's list
NAME, RECORD = "submission.csv", "submission.json"
_INFER, _REHEARSE = "make adapters RUN={run}, then make infer FROM={run}", "make rehearse KIND=code"
KNOWN = {
    "only accepts submissions from notebooks": ("", f'competition.kind = "code" in kit.toml, then {_INFER}'),
    "does not accept submissions from notebooks": ("", 'competition.kind = "csv" in kit.toml'),
    "still running": ("", "make watch RUN={run}, then make submit RUN={run}"),
    "did not complete": ("", "make pull RUN={run}, whose log says why"),
    "internet": ("", _INFER),
    "accelerator": ("", "make settings, which names those that kernel.accelerator may be"),
    "must be attached": ("", "the competition in kernel-metadata.json, then make infer again"),
    "file was not found": ("the version holds no submission.csv", "make pull RUN={run} FORCE=1"),
    "must be called": ("", "submission.csv in the working folder, which make infer writes"),
    "daily submission allowance": ("", "tomorrow, after 00:00 UTC"),
    "accept this competition's rules": ("", "{web}/competitions/{slug}/rules"),
    "kernelsessions.get": ("Kaggle shows no such version to this account", "make doctor, and {url}"),
    "submission csv not found": ("the rerun left no submission.csv in its working folder", _REHEARSE),
    "threw exception": (
        "the script failed on the hidden rows, which are others and more, offline",
        _REHEARSE,
    ),
    "exceeded allowed compute": ("memory or disk ran out", "SET=predict.batch_tokens=8192 with make infer"),
    "timeout": (
        "the rerun took longer than the host allows; there may be many more hidden rows",
        "competition.rerun_minutes as the host says, fewer members or templates, then make infer",
    ),
    "scoring error": ("only the ids of the hidden test.csv count, never a fixed number of rows", _REHEARSE),
    "format error": ("it is no submission, or still empty", f"make validate RUN={{run}}, or {_REHEARSE}"),
}
"""By words of Kaggle's text: what it means where that does not say it, and the next command."""


class Submission(BaseModel):
    """A submission as submission.json keeps it, from before it is made."""

    model_config = ConfigDict(frozen=True)

    version: int = Field(default=SCHEMA, alias="schema")
    competition: str
    sha256: str  # of a file's bytes, or of a version's name: nobody knows its answers to the hidden rows
    message: str
    submitted_at: datetime = datetime.fromtimestamp(0, UTC)
    ref: int = 0  # Kaggle's number, 0 as long as its answer has not come
    status: str = "UNKNOWN"
    public_score: str = ""
    error: str = ""
    earlier: bool = Field(default=False, exclude=True)  # whether it was made before this command

    def kept(self, folder: Path, **changes: object) -> Self:
        """Write submission.json with these changes, and return it."""
        made = self.model_copy(update=changes)
        write_json(folder / RECORD, made.model_dump(mode="json", by_alias=True))
        return made

    @property
    def words(self) -> str:
        """The verdict in words."""
        is_number = re.fullmatch(r"[+-]?\d*\.?\d+(e[+-]?\d+)?", self.public_score, re.IGNORECASE)
        verb = ("scored earlier" if self.earlier else "scored") if is_number else "has no score:"
        return f"{verb} {self.public_score if is_number else repr(self.public_score)} (submission {self.ref})"


def submit(
    client: Client, run: Run, message: str = "", *, deadline_seconds: float | None = None
) -> Submission:
    """Submit the run and return its score; the same file, or the same version, is never submitted twice."""
    path, competition = run.folder / NAME, run.config["competition"]
    try:
        body = path.read_bytes()
    except OSError as error:
        hint = f"make pull RUN={run.name}"
        raise InputInvalid(f"{path} cannot be read: {error.strerror}", hint=hint) from None
    try:
        made = _made(client, run, body, message)
    except Refused as refused:
        hint = f"{client.web}/competitions/{competition['slug']}/submissions"
        raise _explained(refused.message, run, client.web, hint=hint) from None
    seconds = SCORE_SECONDS
    if run.is_code:
        seconds += 60 * competition["rerun_minutes"]
        print(f"Kaggle runs {run.name} again on the hidden rows, for {seconds / 60:.0f} min at most")
        print(f"Ctrl-C leaves that going, make submit RUN={run.name} comes back to it")
    made = made.kept(run.folder, **_verdict(client, made, deadline_seconds or seconds))
    if made.status == "ERROR":
        before = f"Kaggle cannot score {run.name if run.is_code else path}: "
        hint = f"make validate RUN={run.name}"
        raise _explained(made.error or "no reason given", run, client.web, hint=hint, before=before)
    return made


def _made(client: Client, run: Run, body: bytes, message: str) -> Submission:
    """Return the run's submission, made now unless it was before."""
    version = f"{run.owner}/{run.slug}/v{run.version} {run.bundle_hash}"
    sha256 = sha256_of(version if run.is_code else body)
    begun: Submission | None = None
    with suppress(ValidationError):
        begun = Submission.model_validate(read_json(run.folder / RECORD))
    # Another file is another submission, and one that Kaggle could not score may be sent again.
    has_failed = bool(begun and begun.status == "ERROR" and not run.is_code)
    if begun and (begun.sha256 != sha256 or has_failed):
        begun = None
    ref = (begun.ref or _search(client, begun)) if begun else 0
    if not begun or not ref:
        # The hash comes first and makes the words unique: Kaggle may trim what follows.
        words = " ".join(filter(None, [sha256[:8], message, run.name]))
        now = datetime.fromtimestamp(client.clock.wall(), UTC).replace(microsecond=0)
        slug = run.config["competition"]["slug"]
        begun = Submission(competition=slug, sha256=sha256, message=words, submitted_at=now)
        _require_whole(client, run, body)
        with suppress(*() if run.is_code else (KaggleError,)):
            ref = 0 if has_failed else _look_up(client, begun)  # by another checkout, or the record is lost
    is_earlier = ref > 0
    if not ref:
        left = client.call("GetSubmissionLimits", competition_name=begun.competition)
        if left.num_allowed_now <= 0:
            text = f"no submission to {begun.competition} is left today, after {left.num_today}"
            raise KaggleError(text, hint="tomorrow, after 00:00 UTC")
        print(f"{left.num_allowed_now} submissions to {begun.competition} are left today")
        ref = _create(client, run, body, begun)
    status = begun.status if begun.status == "ERROR" else "PENDING"
    return begun.kept(run.folder, ref=ref, status=status, earlier=is_earlier)


def _require_whole(client: Client, run: Run, body: bytes) -> None:
    """Hold the run against what is taken; a version's file must be listed by Kaggle as it was pulled."""
    asked, is_code = run.config["data"]["test_rows"], run.is_code
    is_online = run.version and run.config["kernel"]["internet"]  # what is made at home has no kernel
    infer, home = f"make adapters RUN={run.name}, then make infer FROM={run.name}", "make infer FROM=v3"
    for applies, objection, hint in (
        (asked, f"answered {asked} test rows on purpose", "make all PRESET=t4x2"),
        (is_code and not run.version, "was made at home, and a code competition takes kernel versions", home),
        (is_code and is_online, "ran with internet, which a code competition forbids", infer),
    ):
        if applies:
            raise KaggleError(f"{run.name} {objection}", hint=hint)
    for _ in client.clock.rounds(LATE_SECONDS) if is_code else ():
        with suppress(Unsettled, LinkStale):
            link = session.outputs(client, run).links.get(NAME, "")
            if link and transfer.read(client, link, NAME) == body:
                return
    if is_code:
        text = f"Kaggle does not list {NAME} of {run.name} as it was pulled"
        raise KaggleError(text, hint=f"make pull RUN={run.name} FORCE=1")


def _create(client: Client, run: Run, body: bytes, begun: Submission) -> int:
    """Record one submission, make it and return its number; one that got lost is not made again."""
    fields: dict[str, str | int]
    if run.is_code:
        method = "CreateCodeSubmission"
        fields = {"kernel_owner": run.owner, "kernel_slug": run.slug}
        fields |= {"kernel_version": run.version, "file_name": NAME}
    else:
        method, asked = "CreateSubmission", {"competition_name": begun.competition, "file_name": NAME}
        token = transfer.upload(client, "StartSubmissionUpload", run.folder / NAME, BytesIO(body), **asked)
        fields = {"blob_file_tokens": token}
    fields |= {"competition_name": begun.competition, "submission_description": begun.message}
    begun.kept(run.folder)

    def attempt() -> int:
        try:
            return int(client.call(method, needs="ref", patient=False, **fields).ref)
        except Refused:
            (run.folder / RECORD).unlink()
            raise
        except Unsettled as error:
            if error.is_busy:  # nothing was done
                raise
            cause = error.message
        for _ in client.clock.rounds(LOOK_SECONDS, first=1.0):
            with suppress(KaggleError):
                if ref := _look_up(client, begun):
                    return ref
        text = f"the submission may have been made, Kaggle does not show it yet: {cause}"
        raise KaggleError(text, hint="make submit again in some minutes, which looks first")

    return client.patiently(attempt)


def _search(client: Client, begun: Submission) -> int:
    """Return the submission that an earlier command may have made; 0 once it would have been seen."""
    if ref := _look_up(client, begun):
        return ref
    left = LAG_SECONDS - (client.clock.wall() - begun.submitted_at.timestamp())
    if left > 0:
        print(f"an earlier submission may still appear, looking again in {left:.0f} s")
        client.clock.sleep(min(LAG_SECONDS, left))
    return _look_up(client, begun)


def _look_up(client: Client, begun: Submission) -> int:
    """Return the submission whose words begin with this hash, 0 where Kaggle shows none."""
    listed = client.call("ListSubmissions", competition_name=begun.competition, page_size=100).submissions
    mark = begun.sha256[:8]
    return next((one.ref for one in listed if mark in (one.description or "") and one.ref), 0)


def _verdict(client: Client, made: Submission, deadline_seconds: float) -> dict[str, str]:
    """Return status, score and error once it is scored; any other state, known or not, is waited for."""
    started = told = client.clock.now()
    slug = made.competition
    for _ in client.clock.rounds(deadline_seconds):
        try:
            entry = client.call("GetSubmission", needs="ref", patient=False, ref=made.ref)
        except (Refused, Unsettled):
            entry = None
            with suppress(Refused, Unsettled):  # a rerun takes hours, and this is no verdict either
                listed = client.call("ListSubmissions", competition_name=slug, page_size=100).submissions
                entry = next((one for one in listed if one.ref == made.ref), None)
        if entry is not None and entry.status.name in ("COMPLETE", "ERROR"):
            score, error = (entry.public_score or "").strip(), entry.error_description or ""
            return {"status": entry.status.name, "public_score": score, "error": error}
        if client.clock.now() - told > TELL_SECONDS:
            told = client.clock.now()
            print(f"submission {made.ref} has no score yet, after {(told - started) / 60:.0f} min")
    text = f"submission {made.ref} is still without a score after {client.clock.now() - started:.0f} s"
    page = f"{client.web}/competitions/{slug}/submissions"
    raise NotYet(text, hint=f"make submit again, which only looks, or {page}")


def _explained(said: str, run: Run, web: str, *, hint: str, before: str = "") -> KaggleError:
    """Return a refusal in Kaggle's words with what is known of it; `hint` is for what is not."""
    known = next((known for words, known in KNOWN.items() if words in said.lower()), ("", hint))
    places = {"run": run.name, "url": run.url, "web": web, "slug": run.config["competition"]["slug"]}
    meaning, command = (text.format(**places) for text in known)
    return KaggleError(f"{before}{said}{f': {meaning}' if meaning else ''}", hint=command)
