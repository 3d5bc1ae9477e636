"""The competition's methods: rules, data, uploads, submissions and their limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kagglesdk.competitions.types import competition_api_service as c
from kagglesdk.competitions.types.submission_status import SubmissionStatus

from local_kaggle import submissions
from local_kaggle.routes.answers import Answer, Handler, Redirect, moment, page, table
from local_kaggle.scoring import METRICS
from local_kaggle.sessions import Sessions
from local_kaggle.state import Refused, State, Submission

UPLOAD_LIMIT_BYTES = 1 << 28


def get_competition(state: State, _: Sessions, request: Any) -> Any:
    _check_competition(state, request)
    settings = state.settings
    response = c.ApiCompetition()
    response.id = 1
    response.ref = f"{state.base_url}/competitions/{settings.slug}"
    response.url = response.ref
    response.title = settings.slug.replace("-", " ").title()
    response.category = "Community"
    response.evaluation_metric = METRICS[settings.metric].title
    response.max_daily_submissions = settings.max_daily_submissions
    response.is_kernels_submissions_only = settings.notebooks_only
    response.user_has_entered = settings.joined
    return Answer(response, {}, {"userHasEntered": settings.joined, "submissionsDisabled": False})


def list_data_files(state: State, _: Sessions, request: Any) -> Any:
    _check_competition(state, request)
    response = c.ApiListDataFilesResponse()
    shown, response.next_page_token = page(state, sorted(state.competition_folder.iterdir()), request)
    files = []
    for path in shown:
        file = c.ApiDataFile()
        file.ref = file.name = path.name
        file.total_bytes = path.stat().st_size
        file.creation_date = moment(path.stat().st_mtime)
        files.append(file)
    response.files = files
    return response


def download_data_file(state: State, _: Sessions, request: Any) -> Redirect:
    _check_competition(state, request, joined=True)
    if not any(path.name == request.file_name for path in state.competition_folder.iterdir()):
        raise Refused(404, f"File {request.file_name!r} was not found")
    return Redirect(state.signed(f"/signed/competitions/{state.settings.slug}/{request.file_name}"))


def download_data_files(state: State, _: Sessions, request: Any) -> Redirect:
    _check_competition(state, request, joined=True)
    return Redirect(state.signed(f"/signed/bundles/{state.settings.slug}.zip"))


def start_submission_upload(state: State, _: Sessions, request: Any) -> Any:
    _check_competition(state, request)
    if not 0 <= request.content_length <= UPLOAD_LIMIT_BYTES:
        raise Refused(400, f"The upload must have at most {UPLOAD_LIMIT_BYTES} bytes.")
    response = c.ApiStartSubmissionUploadResponse()
    response.token = state.start_upload(request.file_name, request.content_length)
    response.create_url = f"{state.base_url}/upload/{response.token}"
    return response


def create_submission(state: State, _: Sessions, request: Any) -> Any:
    _check_competition(state, request)
    submission = submissions.submit_file(state, request.blob_file_tokens, request.submission_description)
    return _submitted(state, c.ApiCreateSubmissionResponse(), submission)


def create_code_submission(state: State, sessions: Sessions, request: Any) -> Any:
    owner, slug, number = request.kernel_owner, request.kernel_slug, request.kernel_version
    try:
        version = state.version(state.settings.user, owner, slug, f"v{number}")
    except Refused as refused:
        raise Refused(403, "Permission 'kernelSessions.get' was denied") from refused
    _check_competition(state, request)
    submission = submissions.submit_version(
        state, sessions, version, request.file_name, request.submission_description
    )
    return _submitted(state, c.ApiCreateCodeSubmissionResponse(), submission)


def get_submission(state: State, _: Sessions, request: Any) -> Any:
    for submission in state.submissions:
        if submission.ref == request.ref:
            return _submission(state, submission)
    raise Refused(404, f"Submission {request.ref} was not found")


def list_submissions(state: State, _: Sessions, request: Any) -> Any:
    _check_competition(state, request)
    response = c.ApiListSubmissionsResponse()
    shown, token = page(state, list(reversed(state.submissions)), request)
    response.next_page_token = token
    return Answer(response, {"submissions": [_submission(state, entry).payload(state) for entry in shown]})


def get_submission_limits(state: State, _: Sessions, request: Any) -> Any:
    _check_competition(state, request)
    today = submissions.today(state)
    response = c.ApiSubmissionLimits()
    response.num_today = today
    response.num_total = len(state.submissions)
    response.num_allowed_now = max(0, state.settings.max_daily_submissions - today)
    return Answer(response, {}, {"numAllowedNow": response.num_allowed_now, "numToday": today})


def _check_competition(state: State, request: Any, *, joined: bool = False) -> None:
    if request.competition_name != state.settings.slug:
        raise Refused(404, f"Competition {request.competition_name!r} was not found")
    if joined and not state.settings.joined:
        raise Refused(
            403, "You must accept this competition's rules before you'll be able to download files."
        )


def _submitted(state: State, response: Any, submission: Submission) -> Any:
    response.message = f"Successfully submitted to {state.settings.slug.replace('-', ' ').title()}"
    response.ref = submission.ref
    return response


def _submission(state: State, submission: Submission) -> Answer:
    seen = submissions.poll(state, submission)
    entry = c.ApiSubmission()
    entry.ref = seen.ref
    entry.file_name = seen.file_name
    entry.description = seen.description
    entry.total_bytes = seen.total_bytes
    entry.date = moment(seen.date)
    entry.submitted_by = entry.submitted_by_ref = entry.team_name = state.settings.user
    entry.status = SubmissionStatus[seen.status]
    if seen.status == "COMPLETE":
        entry.public_score = f"{seen.score:.5f}"
    if seen.status == "ERROR":
        entry.error_description = seen.error
    return Answer(entry, {}, {"status": seen.status})


ROUTES: Mapping[str, tuple[Any, Handler]] = table(
    "competitions.CompetitionApiService",
    c,
    get_competition,
    list_data_files,
    download_data_file,
    download_data_files,
    start_submission_upload,
    create_submission,
    create_code_submission,
    get_submission,
    list_submissions,
    get_submission_limits,
)
