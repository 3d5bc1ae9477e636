"""The kernels' methods: push, look up, status, outputs, log, quota, delete and cancel.

The wire format is the SDK's own; only durations are written here, because its serialiser drops days.
"""

from __future__ import annotations

import time
from dataclasses import fields
from datetime import UTC, datetime

from kagglesdk.kaggle_object import KaggleObject
from kagglesdk.kernels.types import kernels_api_service as k
from kagglesdk.kernels.types.kernels_enums import KernelWorkerStatus

from local_kaggle.routes.answers import Answer, Json, LogOf, fill, moment, page, table
from local_kaggle.sessions import Sessions
from local_kaggle.state import IMAGE, Kernel, Push, Refused, State, Version, quota_refresh

_NOT_IN_METADATA = ("owner", "session_timeout_seconds")


def save_kernel(state: State, sessions: Sessions, request: KaggleObject) -> KaggleObject:
    owner, _, slug = request.slug.rpartition("/")
    own = {
        "owner": owner or state.settings.user,
        "slug": slug,
        "title": request.new_title,
        "is_private": request.is_private or "is_private" not in request,
    }
    copied = {field.name: getattr(request, field.name) for field in fields(Push) if field.name not in own}
    kernel, version, invalid = sessions.push(Push(**own, **copied), request.text)
    ref = f"/code/{kernel.owner}/{kernel.slug}"
    return fill(
        k.ApiSaveKernelResponse(),
        ref=ref,
        url=f"{state.base_url}{ref}",
        version_number=version.number,
        kernel_id=kernel.id,
        **{f"invalid_{kind}_sources": handles for kind, handles in invalid.items()},
    )


def get_kernel(state: State, _: Sessions, request: KaggleObject) -> KaggleObject:
    kernel = state.kernel(request.user_name, request.kernel_slug)
    if kernel and not kernel.versions:
        # Kaggle breaks on a kernel that a refused first push left without a version.
        raise Refused(500, "Internal error encountered.")
    version = _version(state, request)
    same = {"language": version.push.language, "kernel_type": version.push.kernel_type}
    blob = fill(k.ApiKernelBlob(), source=state.source(version), slug=version.slug, **same)
    return fill(k.ApiGetKernelResponse(), metadata=_metadata(state, version), blob=blob)


def list_kernels(state: State, _: Sessions, request: KaggleObject) -> KaggleObject:
    def is_wanted(kernel: Kernel) -> bool:
        found = request.search.lower() in kernel.title.lower()
        return found and bool(kernel.versions) and request.user in ("", kernel.owner)

    kernels = [kernel for kernel in reversed(state.kernels) if is_wanted(kernel)]
    shown, token = page(state, kernels, request)
    listed = [_metadata(state, kernel.versions[-1]) for kernel in shown]
    return fill(k.ApiListKernelsResponse(), kernels=listed, next_page_token=token)


def get_kernel_session_status(state: State, _: Sessions, request: KaggleObject) -> KaggleObject:
    profile = state.settings.profile
    if request.version_label and not profile.labels_on_status:
        raise Refused(400, "Unknown name 'versionLabel'.")
    version = _version(state, request)
    if time.time() - version.created < profile.status_after_seconds:
        raise Refused(404, "Kernel session was not found")
    response = k.ApiGetKernelSessionStatusResponse()
    status = KernelWorkerStatus[version.status]
    return fill(response, status=status, failure_message=version.failure or None)


def list_kernel_session_output(state: State, _: Sessions, request: KaggleObject) -> KaggleObject:
    version = _version(state, request)
    folder, link = state.folder(version) / "output", f"/kf/{version.owner}/{version.slug}/{version.number}"
    shown, token = page(state, state.outputs(version), request)
    names = [path.relative_to(folder).as_posix() for path in shown]
    files = [
        fill(k.ApiKernelSessionOutputFile(), file_name=name, url=state.signed(f"{link}/{name}"))
        for name in names
    ]
    response = k.ApiListKernelSessionOutputResponse()
    return fill(response, files=files, log=state.published_log(version), next_page_token=token)


def list_kernel_files(state: State, _: Sessions, request: KaggleObject) -> KaggleObject:
    version = _version(state, request)
    response = k.ApiListKernelFilesResponse()
    true_list = state.settings.profile.true_file_list
    state.file_lists += 1
    if not true_list and state.file_lists % 2 == 0:
        return Answer(response, {"files": None} if state.file_lists % 4 == 0 else {})
    shown, token = page(state, state.outputs(version), request)
    items = []
    for path in shown:
        name, stat = path.relative_to(state.folder(version) / "output").as_posix(), path.stat()
        size, date = 780 + 10 * len(name), _in_english(moment(version.created))
        if true_list:
            size, date = stat.st_size, moment(stat.st_mtime).isoformat(timespec="milliseconds") + "Z"
        items.append(fill(k.ApiListKernelFilesItem(), name=name, size=size, creation_date=date))
    return fill(response, files=items, next_page_token=token)


def get_kernel_session_logs_stream(state: State, _: Sessions, request: KaggleObject) -> LogOf:
    return LogOf(_version(state, request), max(0, min(request.wait_for_logs_url_seconds or 60, 300)))


def get_accelerator_quota_statistics(state: State, *_: object) -> Answer:
    response = k.ApiGetAcceleratorQuotaStatisticsResponse()
    response.quota_refresh_time = quota_refresh(datetime.now(UTC)).replace(tzinfo=None)
    used = {
        "gpuQuota": (state.gpu_seconds_used(), state.settings.gpu_quota_seconds),
        "tpuQuota": (0, 20 * 3600),
    }
    quotas: Json = {
        kind: {"timeUsed": f"{int(seconds)}s", "timeReserved": "0s", "totalTimeAllowed": f"{allowed}s"}
        for kind, (seconds, allowed) in used.items()
    }
    return Answer(response, quotas)


def delete_kernel(state: State, sessions: Sessions, request: KaggleObject) -> KaggleObject:
    kernel = state.kernel(request.user_name, request.kernel_slug)
    if request.user_name != state.settings.user or kernel is None:
        raise Refused(403, "Permission 'kernels.delete' was denied")
    sessions.delete(kernel)
    return k.ApiDeleteKernelResponse()


def cancel_kernel_session(_: State, sessions: Sessions, request: KaggleObject) -> KaggleObject:
    sessions.cancel(request.kernel_session_id)
    return k.ApiCancelKernelSessionResponse()


def _version(state: State, request: KaggleObject) -> Version:
    return state.version(state.settings.user, request.user_name, request.kernel_slug, request.version_label)


def _metadata(state: State, version: Version) -> KaggleObject:
    kernel = next(kernel for kernel in state.kernels if version in kernel.versions)
    same = [field.name for field in fields(Push) if field.name not in _NOT_IN_METADATA]
    asked = {name: getattr(version.push, name) for name in same}
    own = {
        "id": kernel.id,
        "ref": f"{kernel.owner}/{kernel.slug}",
        "title": kernel.title,
        "author": kernel.owner,
        "slug": kernel.slug,
        "last_run_time": moment(version.created),
        "current_version_number": kernel.versions[-1].number,
        "docker_image": version.push.docker_image or IMAGE,
    }
    return fill(k.ApiKernelMetadata(), **asked | own)


def _in_english(when: datetime) -> str:
    half = "am" if when.hour < 12 else "pm"
    return f"{when.hour % 12 or 12}:{when:%M} {half}, {when:%A} {when.day} {when:%B %Y} UTC"


ROUTES = table(
    "kernels.KernelsApiService", k, save_kernel, get_kernel, list_kernels, get_kernel_session_status,
    list_kernel_session_output, list_kernel_files, get_kernel_session_logs_stream,
    get_accelerator_quota_statistics, delete_kernel, cancel_kernel_session,
)  # fmt: skip
