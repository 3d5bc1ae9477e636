"""The kernels' methods: push, look up, status, outputs, log, quota, delete and cancel.

The wire format is the SDK's own; only durations are written here, because its serialiser drops days.
"""

import time
from dataclasses import asdict, fields
from datetime import UTC, datetime

from kagglesdk.kaggle_object import KaggleObject
from kagglesdk.kernels.types import kernels_api_service as k
from kagglesdk.kernels.types.kernels_enums import KernelWorkerStatus

from local_kaggle.routes.answers import Json, LogOf, Service, fill, moment, payload
from local_kaggle.state import IMAGE, Push, Refused, Version, quota_refresh


class Kernels(Service):
    """Push, look up, status, outputs, log, quota, delete and cancel."""

    def save_kernel(self, request: KaggleObject) -> KaggleObject:
        owner, _, slug = request.slug.rpartition("/")
        is_private = request.is_private or "is_private" not in request
        own = {"owner": owner or self.settings.user, "slug": slug, "title": request.new_title}
        own |= {"is_private": is_private}
        names = {field.name for field in fields(Push)} - own.keys()
        copied = {name: getattr(request, name) for name in names}
        kernel, version, invalid = self.sessions.push(Push(**own, **copied), request.text)
        ref = f"/code/{kernel.owner}/{kernel.slug}"
        made = {"ref": ref, "url": f"{self.state.base_url}{ref}", "kernel_id": kernel.id}
        lost = {f"invalid_{kind}_sources": handles for kind, handles in invalid.items()}
        return fill(k.ApiSaveKernelResponse(), **made, **lost, version_number=version.number)

    def get_kernel(self, request: KaggleObject) -> KaggleObject:
        kernel = self.state.kernel(request.user_name, request.kernel_slug)
        if kernel and not kernel.versions:
            # Kaggle breaks on a kernel that a refused first push left without a version.
            raise Refused(500, "Internal error encountered.")
        version = self._version(request)
        same = {"language": version.push.language, "kernel_type": version.push.kernel_type}
        blob = fill(k.ApiKernelBlob(), source=self.state.source(version), slug=version.slug, **same)
        return fill(k.ApiGetKernelResponse(), metadata=self._metadata(version), blob=blob)

    def list_kernels(self, request: KaggleObject) -> KaggleObject:
        owned = [kernel for kernel in self.state.kernels if request.user in ("", kernel.owner)]
        named = [kernel for kernel in owned if request.search.lower() in kernel.title.lower()]
        shown, token = self._page([kernel for kernel in reversed(named) if kernel.versions], request)
        listed = [self._metadata(kernel.versions[-1]) for kernel in shown]
        return fill(k.ApiListKernelsResponse(), kernels=listed, next_page_token=token)

    def get_kernel_session_status(self, request: KaggleObject) -> KaggleObject:
        profile = self.settings.profile
        if request.version_label and not profile.labels_on_status:
            raise Refused(400, "Unknown name 'versionLabel'.")
        version = self._version(request)
        if time.time() - version.created < profile.status_after_seconds:
            raise Refused(404, "Kernel session was not found")
        response = k.ApiGetKernelSessionStatusResponse()
        status = KernelWorkerStatus[version.status]
        return fill(response, status=status, failure_message=version.failure or None)

    def list_kernel_session_output(self, request: KaggleObject) -> KaggleObject:
        version = self._version(request)
        link = f"/kf/{version.owner}/{version.slug}/{version.number}"
        shown, token = self._page(self.state.outputs(version), request)
        links = [(name, self.state.signed(f"{link}/{name}", path)) for name, path in shown]
        files = [fill(k.ApiKernelSessionOutputFile(), file_name=name, url=url) for name, url in links]
        response = k.ApiListKernelSessionOutputResponse()
        return fill(response, files=files, log=self.state.published_log(version), next_page_token=token)

    def list_kernel_files(self, request: KaggleObject) -> KaggleObject | Json:
        version = self._version(request)
        true_list = self.settings.profile.true_file_list
        self.state.file_lists += 1
        if not true_list and self.state.file_lists % 2 == 0:
            return {"files": None} if self.state.file_lists % 4 == 0 else {}
        shown, token = self._page(self.state.outputs(version), request)
        items = []
        for name, path in shown:
            size, date = 780 + 10 * len(name), _in_english(moment(version.created))
            if true_list:
                stat = path.stat()
                size, date = stat.st_size, moment(stat.st_mtime).isoformat(timespec="milliseconds") + "Z"
            items.append(fill(k.ApiListKernelFilesItem(), name=name, size=size, creation_date=date))
        return fill(k.ApiListKernelFilesResponse(), files=items, next_page_token=token)

    def get_kernel_session_logs_stream(self, request: KaggleObject) -> LogOf:
        return LogOf(self._version(request), max(0, min(request.wait_for_logs_url_seconds or 60, 300)))

    def get_accelerator_quota_statistics(self, _: KaggleObject) -> Json:
        response = k.ApiGetAcceleratorQuotaStatisticsResponse()
        response.quota_refresh_time = quota_refresh(datetime.now(UTC)).replace(tzinfo=None)
        gpu, tpu = (self.state.gpu_seconds_used(), self.settings.gpu_quota_seconds), (0, 20 * 3600)
        quotas: Json = {
            kind: {"timeUsed": f"{int(used)}s", "timeReserved": "0s", "totalTimeAllowed": f"{allowed}s"}
            for kind, (used, allowed) in (("gpuQuota", gpu), ("tpuQuota", tpu))
        }
        return payload(response, self.state) | quotas

    def delete_kernel(self, request: KaggleObject) -> KaggleObject:
        kernel = self.state.kernel(request.user_name, request.kernel_slug)
        if request.user_name != self.settings.user or kernel is None:
            raise Refused(403, "Permission 'kernels.delete' was denied")
        self.sessions.delete(kernel)
        return k.ApiDeleteKernelResponse()

    def cancel_kernel_session(self, request: KaggleObject) -> KaggleObject:
        self.sessions.cancel(request.kernel_session_id)
        return k.ApiCancelKernelSessionResponse()

    def _version(self, request: KaggleObject) -> Version:
        return self.state.version(request.user_name, request.kernel_slug, request.version_label)

    def _metadata(self, version: Version) -> KaggleObject:
        kernel = next(kernel for kernel in self.state.kernels if version in kernel.versions)
        asked = asdict(version.push)
        del asked["owner"], asked["session_timeout_seconds"]
        asked |= {name: getattr(kernel, name) for name in ("id", "title", "slug")}
        asked |= {"author": kernel.owner, "ref": f"{kernel.owner}/{kernel.slug}"}
        asked |= {"docker_image": version.push.docker_image or IMAGE}
        newest, ran = kernel.versions[-1].number, moment(version.created)
        return fill(k.ApiKernelMetadata(), **asked, current_version_number=newest, last_run_time=ran)


def _in_english(when: datetime) -> str:
    half = "am" if when.hour < 12 else "pm"
    return f"{when.hour % 12 or 12}:{when:%M} {half}, {when:%A} {when.day} {when:%B %Y} UTC"


ROUTES = Kernels.routes("kernels.KernelsApiService", k)
