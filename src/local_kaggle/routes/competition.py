"""The competition's methods: rules, data, uploads, submissions and their limits."""

from __future__ import annotations

from kagglesdk.competitions.types import competition_api_service as c
from kagglesdk.competitions.types.submission_status import SubmissionStatus
from kagglesdk.kaggle_object import KaggleObject

from local_kaggle import submissions
from local_kaggle.routes.answers import Answer, Redirect, fill, listed, moment, page, table
from local_kaggle.scoring import METRICS
from local_kaggle.sessions import Sessions
from local_kaggle.state import Refused, State, Submission

UPLOAD_LIMIT_BYTES = 1 << 28


def get_competition(state: State, *_: object) -> KaggleObject:
    settings = state.settings
    address = f"{state.base_url}/competitions/{settings.slug}"
    return fill(
        c.ApiCompetition(),
        id=1,
        ref=address,
        url=address,
        title=_title(state),
        category="Community",
        evaluation_metric=METRICS[settings.metric].title,
        max_daily_submissions=settings.max_daily_submissions,
        is_kernels_submissions_only=settings.notebooks_only,
        user_has_entered=settings.joined,
    )


def list_data_files(state: State, _: Sessions, request: KaggleObject) -> KaggleObject:
    folder = state.competition_folder
    shown, token = page(state, sorted(folder.iterdir()), request)
    files = listed(c.ApiDataFile, folder, shown)
    return fill(c.ApiListDataFilesResponse(), files=files, next_page_token=token)


def download_data_file(state: State, _: Sessions, request: KaggleObject) -> Redirect:
    if request.file_name not in {path.name for path in state.competition_folder.iterdir()}:
        raise Refused(404, f"File {request.file_name!r} was not found")
    return _download(state, f"/signed/competitions/{state.settings.slug}/{request.file_name}")


def download_data_files(state: State, *_: object) -> Redirect:
    return _download(state, f"/signed/bundles/{state.settings.slug}.zip")


def _download(state: State, path: str) -> Redirect:
    if not state.settings.joined:
        raise Refused(
            403, "You must accept this competition's rules before you'll be able to download files."
        )
    return Redirect(state.signed(path))


def start_submission_upload(state: State, _: Sessions, request: KaggleObject) -> KaggleObject:
    if not 0 <= request.content_length <= UPLOAD_LIMIT_BYTES:
        raise Refused(400, f"The upload must have at most {UPLOAD_LIMIT_BYTES} bytes.")
    token = state.start_upload(request.file_name, request.content_length)
    return fill(
        c.ApiStartSubmissionUploadResponse(), token=token, create_url=f"{state.base_url}/upload/{token}"
    )


def create_submission(state: State, _: Sessions, request: KaggleObject) -> KaggleObject:
    submission = submissions.submit_file(state, request.blob_file_tokens, request.submission_description)
    message = f"Successfully submitted to {_title(state)}"
    return fill(c.ApiCreateSubmissionResponse(), message=message, ref=submission.ref)


def create_code_submission(state: State, sessions: Sessions, request: KaggleObject) -> KaggleObject:
    owner, slug, number = request.kernel_owner, request.kernel_slug, request.kernel_version
    try:
        version = state.version(state.settings.user, owner, slug, f"v{number}")
    except Refused as refused:
        raise Refused(403, "Permission 'kernelSessions.get' was denied") from refused
    submission = submissions.submit_version(
        state, sessions, version, request.file_name, request.submission_description
    )
    message = f"Successfully submitted to {_title(state)}"
    return fill(c.ApiCreateCodeSubmissionResponse(), message=message, ref=submission.ref)


def get_submission(state: State, _: Sessions, request: KaggleObject) -> Answer:
    submission = next((one for one in state.submissions if one.ref == request.ref), None)
    if submission is None:
        raise Refused(404, f"Submission {request.ref} was not found")
    return _submission(state, submission)


def list_submissions(state: State, _: Sessions, request: KaggleObject) -> Answer:
    shown, token = page(state, list(reversed(state.submissions)), request)
    response = fill(c.ApiListSubmissionsResponse(), next_page_token=token)
    return Answer(response, {"submissions": [_submission(state, entry).payload(state) for entry in shown]})


def get_submission_limits(state: State, *_: object) -> KaggleObject:
    today, total = submissions.today(state), len(state.submissions)
    left = max(0, state.settings.max_daily_submissions - today)
    return fill(c.ApiSubmissionLimits(), num_today=today, num_total=total, num_allowed_now=left)


def _title(state: State) -> str:
    return state.settings.slug.replace("-", " ").title()


def _submission(state: State, submission: Submission) -> Answer:
    seen, user = submissions.poll(state, submission), state.settings.user
    same = {name: getattr(seen, name) for name in ("ref", "file_name", "description", "total_bytes")}
    entry = fill(c.ApiSubmission(), **same, submitted_by=user, submitted_by_ref=user, team_name=user)
    fill(entry, date=moment(seen.date), status=SubmissionStatus[seen.status])
    if seen.status == "COMPLETE":
        entry.public_score = f"{seen.score:.5f}"
    if seen.status == "ERROR":
        entry.error_description = seen.error
    return Answer(entry)


ROUTES = table(
    "competitions.CompetitionApiService", c, get_competition, list_data_files, download_data_file,
    download_data_files, start_submission_upload, create_submission, create_code_submission,
    get_submission, list_submissions, get_submission_limits,
)  # fmt: skip
