"""The kernels' methods: push, look up, status, outputs, log, quota, delete and cancel.

The wire format is the SDK's own; only durations are written here, because its serialiser drops days.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from kagglesdk.kernels.types import kernels_api_service as k
from kagglesdk.kernels.types.kernels_enums import KernelsListViewType, KernelWorkerStatus

from local_kaggle.routes.answers import Answer, Handler, LogOf, moment, page, table
from local_kaggle.sessions import Sessions
from local_kaggle.state import Push, Refused, State, Version, quota_refresh

_IMAGE = "gcr.io/kaggle-gpu-images/python"


def save_kernel(state: State, sessions: Sessions, request: Any) -> Any:
    owner, _, slug = request.slug.rpartition("/")
    own = {
        "owner": owner or state.settings.user,
        "slug": slug,
        "title": request.new_title,
        "is_private": request.is_private or "is_private" not in request,
    }
    copied = {field.name: getattr(request, field.name) for field in fields(Push) if field.name not in own}
    pushed = sessions.push(Push(**own, **copied), request.text)
    response = k.ApiSaveKernelResponse()
    if pushed.kernel is None or pushed.version is None:
        response.error = pushed.error
        return response
    response.ref = f"/code/{pushed.kernel.owner}/{pushed.kernel.slug}"
    response.url = f"{state.base_url}{response.ref}"
    response.version_number = pushed.version.number
    response.kernel_id = pushed.kernel.id
    for kind, handles in pushed.invalid.items():
        setattr(response, f"invalid_{kind}_sources", handles)
    return response


def get_kernel(state: State, _: Sessions, request: Any) -> Any:
    kernel = state.kernel(request.user_name, request.kernel_slug)
    if kernel and not kernel.versions:
        # Kaggle breaks on a kernel that a refused first push left without a version.
        raise Refused(500, "Internal error encountered.")
    version = _version(state, request)
    response = k.ApiGetKernelResponse()
    response.metadata = _metadata(state, version)
    response.blob = k.ApiKernelBlob()
    response.blob.source = state.source(version)
    response.blob.language = version.push.language
    response.blob.kernel_type = version.push.kernel_type
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
            and kernel.versions
        ]
    response = k.ApiListKernelsResponse()
    shown, response.next_page_token = page(state, kernels, request)
    response.kernels = [_metadata(state, kernel.versions[-1]) for kernel in shown]
    return response


def get_kernel_session_status(state: State, _: Sessions, request: Any) -> Any:
    profile = state.settings.profile
    if request.version_label and not profile.labels_on_status:
        raise Refused(400, "Unknown name 'versionLabel'.")
    version = _version(state, request)
    if time.time() - version.created < profile.status_after_seconds:
        raise Refused(404, "Kernel session was not found")
    response = k.ApiGetKernelSessionStatusResponse()
    response.status = KernelWorkerStatus[version.status]
    if version.failure:
        response.failure_message = version.failure
    return Answer(response, {}, {"status": version.status})


def list_kernel_session_output(state: State, _: Sessions, request: Any) -> Any:
    version = _version(state, request)
    folder = state.folder(version) / "output"
    response = k.ApiListKernelSessionOutputResponse()
    shown, response.next_page_token = page(state, state.outputs(version), request)
    files = []
    for path in shown:
        file = k.ApiKernelSessionOutputFile()
        file.file_name = path.relative_to(folder).as_posix()
        file.url = state.signed(f"/kf/{version.owner}/{version.slug}/{version.number}/{file.file_name}")
        files.append(file)
    response.files = files
    response.log = state.published_log(version)
    return response


def list_kernel_files(state: State, _: Sessions, request: Any) -> Any:
    version = _version(state, request)
    folder = state.folder(version) / "output"
    true_list = state.settings.profile.true_file_list
    state.file_lists += 1
    if not true_list and state.file_lists % 2 == 0:
        return Answer(k.ApiListKernelFilesResponse(), {"files": None} if state.file_lists % 4 == 0 else {})
    response = k.ApiListKernelFilesResponse()
    shown, response.next_page_token = page(state, state.outputs(version), request)
    items = []
    for path in shown:
        item = k.ApiListKernelFilesItem()
        item.name = path.relative_to(folder).as_posix()
        item.size = path.stat().st_size if true_list else 780 + 10 * len(item.name)
        changed = moment(path.stat().st_mtime if true_list else version.created)
        written = changed.isoformat(timespec="milliseconds") + "Z"
        item.creation_date = written if true_list else _in_english(changed)
        items.append(item)
    response.files = items
    return response


def get_kernel_session_logs_stream(state: State, _: Sessions, request: Any) -> LogOf:
    return LogOf(_version(state, request), max(0, min(request.wait_for_logs_url_seconds or 60, 300)))


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
    kernel = state.kernel(request.user_name, request.kernel_slug)
    if request.user_name != state.settings.user or kernel is None:
        raise Refused(403, "Permission 'kernels.delete' was denied")
    sessions.delete(kernel)
    return k.ApiDeleteKernelResponse()


def cancel_kernel_session(_: State, sessions: Sessions, request: Any) -> Any:
    sessions.cancel(request.kernel_session_id)
    return k.ApiCancelKernelSessionResponse()


def _version(state: State, request: Any) -> Version:
    return state.version(state.settings.user, request.user_name, request.kernel_slug, request.version_label)


def _metadata(state: State, version: Version) -> Any:
    kernel = next(kernel for kernel in state.kernels if version in kernel.versions)
    metadata = k.ApiKernelMetadata()
    metadata.id = kernel.id
    metadata.ref = f"{kernel.owner}/{kernel.slug}"
    metadata.title = kernel.title
    metadata.author = kernel.owner
    metadata.slug = kernel.slug
    metadata.last_run_time = moment(version.created)
    metadata.current_version_number = kernel.versions[-1].number
    for field in fields(Push):
        if field.name not in ("id", "owner", "slug", "title", "session_timeout_seconds"):
            setattr(metadata, field.name, getattr(version.push, field.name))
    metadata.docker_image = version.push.docker_image or _IMAGE
    return metadata


def _in_english(when: datetime) -> str:
    half = "am" if when.hour < 12 else "pm"
    return f"{when.hour % 12 or 12}:{when:%M} {half}, {when:%A} {when.day} {when:%B %Y} UTC"


ROUTES: Mapping[str, tuple[Any, Handler]] = table(
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
)
