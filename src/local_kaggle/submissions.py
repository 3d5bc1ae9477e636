"""Take a submission as Kaggle does, from a file or from a kernel's version, and judge it.

A version runs again on the hidden test set; who submitted learns no more of that than a verdict of few words.
"""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local_kaggle import following, pushing, scoring
from local_kaggle.sessions import Sessions
from local_kaggle.state import Refused, State, Submission, Version

SUBMISSION = "submission.csv"
_COMPUTE = "Notebook Exceeded Allowed Compute"
_FAILED: Mapping[int | None, str] = {following.TIMED_OUT: "Notebook Timeout", -9: _COMPUTE, 128 + 9: _COMPUTE}
_MALFORMED = {"ERROR": "Submission Format Error", "Evaluation Exception": "Submission Scoring Error"}


def submit_file(state: State, token: str, description: str) -> Submission:
    """Score an uploaded file; raises Refused where Kaggle would not take it."""
    if state.settings.notebooks_only:
        raise _not_allowed(" This competition only accepts Submissions from Notebooks.")
    _check_allowance(state)
    (file_name, total_bytes), path = state.uploads.get(token, ("", -1)), state.upload_path(token)
    if total_bytes < 0 or path.stat().st_size != total_bytes:
        raise Refused(400, "The uploaded file is missing or incomplete.")
    del state.uploads[token]
    submission = _record(state, file_name, description, total_bytes)
    submission.score, submission.error = _scored(state, path)
    path.replace(state.root / "uploads" / f"submission-{submission.ref}.csv")
    state.save()
    return submission


def submit_version(
    state: State, sessions: Sessions, version: Version, file_name: str, description: str
) -> Submission:
    """Start the rerun of a version; raises Refused where Kaggle would not take it."""
    if not file_name:
        raise Refused(400, "")
    if not state.settings.notebooks_only:
        raise _not_allowed(" This competition does not accept Submissions from Notebooks.")
    _check_allowance(state)
    push, output = version.push, state.folder(version) / "output" / file_name
    is_attached = state.settings.slug in push.sources("competition")
    objections = (
        (not version.is_terminal, "The Notebook is still running."),
        (version.status != "COMPLETE", "The Notebook did not complete."),
        (push.enable_internet, "Internet access must be turned off in the Notebook."),
        ("P100" in push.machine_shape, "The P100 accelerator is not allowed."),
        (not is_attached, "The competition must be attached to the Notebook."),
        (file_name != SUBMISSION, f"The output file must be called {SUBMISSION}."),
        (not output.is_file(), "The output file was not found."),
    )
    if words := [words for applies, words in objections if applies]:
        raise _not_allowed(f" {words[0]}")
    submission = _record(state, file_name, description, output.stat().st_size)
    sessions.start(submission.ref, lambda: _rerun(state, sessions, version, submission))
    return submission


def today(state: State) -> int:
    """Count today's submissions (UTC); a file that could not be scored is not charged, a rerun always is."""
    date = datetime.now(UTC).date()
    return sum(
        datetime.fromtimestamp(submission.date, UTC).date() == date
        and (submission.score is not None or state.settings.notebooks_only)
        for submission in state.submissions
    )


def poll(state: State, submission: Submission) -> str:
    """Give the submission's status as this poll sees it; the next poll may see more."""
    status = submission.status
    submission.polls_left = max(0, submission.polls_left - 1)
    state.save()
    return status


def _not_allowed(words: str) -> Refused:
    return Refused(400, f"Submission not allowed: {words}", "FAILED_PRECONDITION")


def _check_allowance(state: State) -> None:
    if not state.settings.joined:
        raise Refused(403, "You must accept this competition's rules before you can submit.")
    most = state.settings.max_daily_submissions
    if today(state) >= most:
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0) + timedelta(days=1)
        hours = (midnight - datetime.now(UTC)).total_seconds() / 3600
        raise _not_allowed(
            f"Your team has used its daily Submission allowance ({most}) today,"
            f" please try again tomorrow UTC ({hours:.1f} hours from now)."
        )


def _record(state: State, file_name: str, description: str, total_bytes: int) -> Submission:
    now, polls = time.time(), state.settings.pending_polls
    submission = Submission(state.next_id(), file_name, description, total_bytes, now, polls)
    state.submissions.append(submission)
    state.save()
    return submission


def _scored(state: State, path: Path) -> tuple[float | None, str]:
    """Give the score, or none and the reason."""
    if not state.solution.exists():
        return None, f"This local competition cannot score: there is no {str(state.solution)!r}."
    try:
        return scoring.score(path, state.solution, state.settings.metric), ""
    except scoring.SubmissionMalformed as malformed:
        return None, str(malformed)


def _rerun(state: State, sessions: Sessions, version: Version, submission: Submission) -> None:
    """Run the version on the hidden test set, and judge the file that it leaves."""
    folder = state.root / "reruns" / str(submission.ref)
    folder.mkdir(parents=True)
    status: int | None = None
    try:
        mounts, _ = pushing.mounts(state, version.push, state.rerun_folder)
        limit, again = state.settings.rerun_limit_seconds, {"KAGGLE_IS_COMPETITION_RERUN": "1"}
        status = sessions.execute(submission.ref, version, folder, mounts, limit, again)
    finally:
        points, error, reason = _verdict(state, status, folder / "machine/kaggle/working" / SUBMISSION)
        log: Sequence[object] = state.live_logs.pop(submission.ref)
        (folder / "log.json").write_text(json.dumps([*log, {"verdict": error, "reason": reason}]))
        shutil.rmtree(folder / "machine", ignore_errors=True)
        # A server that stops has not judged it; the next start says so.
        if not state.closing:
            submission.score, submission.error = points, error
            state.save()


def _verdict(state: State, status: int | None, file: Path) -> tuple[float | None, str, str]:
    """Give the score, Kaggle's words, and what lies behind them."""
    if status != 0:
        return None, _FAILED.get(status, "Notebook Threw Exception"), f"exit status {status}"
    if not file.is_file():
        return None, "Submission CSV Not Found", f"no {SUBMISSION}"
    points, reason = _scored(state, file)
    return points, _MALFORMED.get(reason.partition(":")[0], reason), reason
