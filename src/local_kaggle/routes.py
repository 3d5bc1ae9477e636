"""Kaggle's API methods, each a function from the SDK's request type to the SDK's answer type.

The wire format is the SDK's own; only durations are written here, because its serialiser drops days. HTTP,
authentication, links' bytes and streams are server.py's business.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from kagglesdk.competitions.types import competition_api_service as c
from kagglesdk.competitions.types.submission_status import SubmissionStatus
from kagglesdk.kernels.types import kernels_api_service as k
from kagglesdk.kernels.types.kernels_enums import KernelsListViewType, KernelWorkerStatus
from kagglesdk.security.types.oauth_service import IntrospectTokenRequest, IntrospectTokenResponse

from local_kaggle.sessions import Push, Sessions
from local_kaggle.state import Refused, State, Submission, Version, quota_refresh

Item = TypeVar("Item")


@dataclass(frozen=True)
class Redirect:
    """Answer with a 302 to this link."""

    url: str


@dataclass(frozen=True)
class LogOf:
    """Answer with the log of this version, as a stream while it runs."""

    version: Version
    wait_seconds: int


@dataclass(frozen=True)
class Answer:
    """Answer with this object, whose named fields are written even where the SDK would leave them out."""

    body: Any
    always: Mapping[str, Any]


Handler = Callable[[State, Sessions, Any], Any]


def save_kernel(state: State, sessions: Sessions, request: Any) -> Any:
    owner, _, slug = request.slug.rpartition("/")
    pushed = sessions.push(
        Push(
            id=request.id,
            owner=owner or state.settings.user,
            slug=slug,
            title=request.new_title,
            text=request.text,
            language=request.language,
            kernel_type=request.kernel_type,
            is_private=request.is_private or "is_private" not in request,
            enable_gpu=request.enable_gpu,
            enable_internet=request.enable_internet,
            machine_shape=request.machine_shape,
            session_timeout_seconds=request.session_timeout_seconds,
            competitions=request.competition_data_sources,
            datasets=request.dataset_data_sources,
            kernels=request.kernel_data_sources,
            models=request.model_data_sources,
            tags=request.category_ids,
        )
    )
    response = k.ApiSaveKernelResponse()
    if pushed.kernel is None or pushed.version is None:
        response.error = pushed.error
        return response
    response.ref = f"/code/{pushed.kernel.owner}/{pushed.kernel.slug}"
    response.url = f"{state.base_url}{response.ref}"
    response.version_number = pushed.version.number
    response.kernel_id = pushed.kernel.id
    response.invalid_competition_sources = pushed.invalid["competitions"]
    response.invalid_dataset_sources = pushed.invalid["datasets"]
    response.invalid_kernel_sources = pushed.invalid["kernels"]
    response.invalid_model_sources = pushed.invalid["models"]
    return response


def get_kernel(state: State, _: Sessions, request: Any) -> Any:
    version = _version(state, request)
    response = k.ApiGetKernelResponse()
    response.metadata = _metadata(state, version)
    response.blob = k.ApiKernelBlob()
    response.blob.source = state.source(version)
    response.blob.language = version.push["language"]
    response.blob.kernel_type = version.push["kernel_type"]
    response.blob.slug = version.slug
    return response


def list_kernels(state: State, _: Sessions, request: Any) -> Any:
    wanted_user = request.user or state.settings.user
    mine_only = request.group == KernelsListViewType.PROFILE or request.user
    with state.changed:
        kernels = [
            kernel
            for kernel in reversed(state.kernels)
            if (kernel.owner == wanted_user or not mine_only)
            and request.search.lower() in kernel.title.lower()
        ]
    response = k.ApiListKernelsResponse()
    page, response.next_page_token = _page(state, kernels, request)
    response.kernels = [_metadata(state, kernel.versions[-1]) for kernel in page]
    return response


def get_kernel_session_status(state: State, _: Sessions, request: Any) -> Any:
    version = _version(state, request)
    response = k.ApiGetKernelSessionStatusResponse()
    response.status = KernelWorkerStatus[version.status]
    if version.failure:
        response.failure_message = version.failure
    # QUEUED is the SDK's default, which it would leave out.
    return Answer(response, {"status": version.status})


def list_kernel_session_output(state: State, _: Sessions, request: Any) -> Any:
    version = _version(state, request)
    folder = state.folder(version) / "output"
    response = k.ApiListKernelSessionOutputResponse()
    page, response.next_page_token = _page(state, state.outputs(version), request)
    files = []
    for path in page:
        file = k.ApiKernelSessionOutputFile()
        file.file_name = path.relative_to(folder).as_posix()
        file.url = state.signed(f"/kf/{version.owner}/{version.slug}/{version.number}/{file.file_name}")
        files.append(file)
    response.files = files
    response.log = json.dumps(state.log(version)) if version.is_terminal else ""
    return response


def list_kernel_files(state: State, _: Sessions, request: Any) -> Any:
    version = _version(state, request)
    folder = state.folder(version) / "output"
    response = k.ApiListKernelFilesResponse()
    page, response.next_page_token = _page(state, state.outputs(version), request)
    items = []
    for path in page:
        item = k.ApiListKernelFilesItem()
        item.name = path.relative_to(folder).as_posix()
        item.size = path.stat().st_size
        item.creation_date = _moment(path.stat().st_mtime).isoformat(timespec="milliseconds") + "Z"
        items.append(item)
    response.files = items
    return response


def get_kernel_session_logs_stream(state: State, _: Sessions, request: Any) -> LogOf:
    return LogOf(_version(state, request), min(request.wait_for_logs_url_seconds or 60, 300))


def get_accelerator_quota_statistics(state: State, _: Sessions, _request: Any) -> Any:
    response = k.ApiGetAcceleratorQuotaStatisticsResponse()
    response.quota_refresh_time = quota_refresh(datetime.now(UTC)).replace(tzinfo=None)
    gpu = {
        "timeUsed": f"{int(state.gpu_seconds_used())}s",
        "timeReserved": "0s",
        "totalTimeAllowed": f"{state.settings.gpu_quota_seconds}s",
    }
    tpu = {"timeUsed": "0s", "timeReserved": "0s", "totalTimeAllowed": f"{20 * 3600}s"}
    return Answer(response, {"gpuQuota": gpu, "tpuQuota": tpu})


def delete_kernel(state: State, sessions: Sessions, request: Any) -> Any:
    newest = state.version(state.settings.user, request.user_name, request.kernel_slug)
    sessions.delete(newest.owner, newest.slug)
    return k.ApiDeleteKernelResponse()


def cancel_kernel_session(_: State, sessions: Sessions, request: Any) -> Any:
    sessions.cancel(request.kernel_session_id)
    return k.ApiCancelKernelSessionResponse()


def get_competition(state: State, _: Sessions, request: Any) -> Any:
    _check_competition(state, request)
    settings = state.settings
    response = c.ApiCompetition()
    response.id = 1
    response.ref = f"{state.base_url}/competitions/{settings.slug}"
    response.url = response.ref
    response.title = settings.slug.replace("-", " ").title()
    response.category = "Community"
    response.evaluation_metric = "Macro F1 Score"
    response.max_daily_submissions = settings.max_daily_submissions
    return Answer(response, {"userHasEntered": settings.joined, "submissionsDisabled": False})


def list_data_files(state: State, _: Sessions, request: Any) -> Any:
    _check_competition(state, request)
    response = c.ApiListDataFilesResponse()
    page, response.next_page_token = _page(state, sorted(state.competition_folder.iterdir()), request)
    files = []
    for path in page:
        file = c.ApiDataFile()
        file.ref = file.name = path.name
        file.total_bytes = path.stat().st_size
        file.creation_date = _moment(path.stat().st_mtime)
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
    response = c.ApiStartSubmissionUploadResponse()
    response.token = state.start_upload(request.file_name, request.content_length)
    response.create_url = f"{state.base_url}/upload/{response.token}"
    return response


def create_submission(state: State, _: Sessions, request: Any) -> Any:
    _check_competition(state, request)
    submission = state.submit(request.blob_file_tokens, request.submission_description)
    response = c.ApiCreateSubmissionResponse()
    response.message = f"Successfully submitted to {state.settings.slug.replace('-', ' ').title()}"
    response.ref = submission.ref
    return response


def get_submission(state: State, _: Sessions, request: Any) -> Any:
    for submission in state.submissions:
        if submission.ref == request.ref:
            return _submission(state, submission)
    raise Refused(404, f"Submission {request.ref} was not found")


def list_submissions(state: State, _: Sessions, request: Any) -> Any:
    _check_competition(state, request)
    response = c.ApiListSubmissionsResponse()
    page, token = _page(state, list(reversed(state.submissions)), request)
    submissions = [answer.body.to_dict() | answer.always for answer in (_submission(state, s) for s in page)]
    return Answer(response, {"submissions": submissions, "nextPageToken": token})


def get_submission_limits(state: State, _: Sessions, request: Any) -> Any:
    _check_competition(state, request)
    today = state.submissions_today()
    response = c.ApiSubmissionLimits()
    response.num_today = today
    response.num_total = len(state.submissions)
    response.num_allowed_now = max(0, state.settings.max_daily_submissions - today)
    return Answer(response, {"numAllowedNow": response.num_allowed_now, "numToday": today})


def introspect_token(state: State, _: Sessions, request: Any) -> Any:
    response = IntrospectTokenResponse()
    response.active = request.token == state.settings.token
    if response.active:
        response.username = state.settings.user
    return response


def _version(state: State, request: Any) -> Version:
    return state.version(state.settings.user, request.user_name, request.kernel_slug, request.version_label)


def _check_competition(state: State, request: Any, *, joined: bool = False) -> None:
    if request.competition_name != state.settings.slug:
        raise Refused(404, f"Competition {request.competition_name!r} was not found")
    if joined and not state.settings.joined:
        raise Refused(
            403, "You must accept this competition's rules before you'll be able to download files."
        )


def _metadata(state: State, version: Version) -> Any:
    kernel = next(kernel for kernel in state.kernels if version in kernel.versions)
    metadata = k.ApiKernelMetadata()
    metadata.id = kernel.id
    metadata.ref = f"{kernel.owner}/{kernel.slug}"
    metadata.title = kernel.title
    metadata.author = kernel.owner
    metadata.slug = kernel.slug
    metadata.last_run_time = _moment(version.created)
    metadata.current_version_number = kernel.versions[-1].number
    for name in ("language", "kernel_type", "is_private", "enable_gpu", "enable_internet", "machine_shape"):
        setattr(metadata, name, version.push[name])
    metadata.category_ids = version.push["tags"]
    metadata.competition_data_sources = version.push["competitions"]
    metadata.dataset_data_sources = version.push["datasets"]
    metadata.kernel_data_sources = version.push["kernels"]
    metadata.model_data_sources = version.push["models"]
    return metadata


def _submission(state: State, submission: Submission) -> Answer:
    seen = state.poll(submission)
    entry = c.ApiSubmission()
    entry.ref = seen.ref
    entry.file_name = seen.file_name
    entry.description = seen.description
    entry.total_bytes = seen.total_bytes
    entry.date = _moment(seen.date)
    entry.submitted_by = entry.submitted_by_ref = entry.team_name = state.settings.user
    entry.status = SubmissionStatus[seen.status]
    if seen.status == "COMPLETE":
        entry.public_score = f"{seen.score:.5f}"
    if seen.status == "ERROR":
        entry.error_description = seen.error
    # PENDING is the SDK's default, which it would leave out.
    return Answer(entry, {"status": seen.status})


def _page(state: State, items: Sequence[Item], request: Any) -> tuple[Sequence[Item], str]:
    """Cut one page out of `items` and give the token of the next, which is empty on the last."""
    size = min(request.page_size or 20, state.settings.page_size)
    token = request.page_token or "0"
    if not token.isdecimal():
        raise Refused(400, f"The page token {token!r} is not one of ours")
    start = int(token) or (max(1, getattr(request, "page", 0) or 1) - 1) * size
    return items[start : start + size], str(start + size) if start + size < len(items) else ""


def _moment(seconds: float) -> datetime:
    """Give a time as the SDK writes it: UTC without saying so."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def _routes(service: str, types: Any, *handlers: Handler) -> dict[str, tuple[Any, Handler]]:
    """Name each handler's method and request type after the function."""
    routes = {}
    for handler in handlers:
        method = handler.__name__.title().replace("_", "")
        routes[f"{service}/{method}"] = (getattr(types, f"Api{method}Request"), handler)
    return routes


ROUTES: Mapping[str, tuple[Any, Handler]] = {
    **_routes(
        "kernels.KernelsApiService",
        k,
        save_kernel,
        get_kernel,
        list_kernels,
        get_kernel_session_status,
        list_kernel_session_output,
        list_kernel_files,
        get_kernel_session_logs_stream,
        get_accelerator_quota_statistics,
        delete_kernel,
        cancel_kernel_session,
    ),
    **_routes(
        "competitions.CompetitionApiService",
        c,
        get_competition,
        list_data_files,
        download_data_file,
        download_data_files,
        start_submission_upload,
        create_submission,
        get_submission,
        list_submissions,
        get_submission_limits,
    ),
    "security.OAuthService/IntrospectToken": (IntrospectTokenRequest, introspect_token),
}
"""Every API method that is answered, by service and name, with its request type."""
