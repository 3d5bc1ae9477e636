"""The datasets' methods: whether one is there, what it holds, and a private one made of uploads."""

import re
import shutil
import time
from pathlib import Path

from kagglesdk.blobs.types import blob_api_service as b
from kagglesdk.datasets.types import dataset_api_service as d
from kagglesdk.datasets.types.dataset_enums import DatabundleVersionStatus
from kagglesdk.kaggle_object import KaggleObject

from local_kaggle.pushing import NAME, dataset_folder
from local_kaggle.routes.answers import Service, fill, listed
from local_kaggle.state import Refused


class Blobs(Service):
    """Uploads of files."""

    def start_blob_upload(self, request: KaggleObject) -> KaggleObject:
        return self._upload(b.ApiStartBlobUploadResponse, request.name, request.content_length)


class Datasets(Service):
    """Whether one is there, what it holds, and a new one."""

    def create_dataset(self, request: KaggleObject) -> KaggleObject:
        """Make a dataset of uploads; like Kaggle, say what is wrong in the body of a successful answer."""
        handle = f"{request.owner_slug}/{request.slug}"
        if request.owner_slug != self.settings.user or not re.fullmatch(r"[a-z0-9-]{6,50}", request.slug):
            raise Refused(403, "Permission 'datasets.create' was denied")
        stage, folder = self.state.root / "datasets" / ".part", self.state.root / "datasets" / handle
        answer = d.ApiCreateDatasetResponse()
        if dataset_folder(self.state, handle) or self.state.kernel(request.owner_slug, request.slug):
            error = f"The requested title {request.title!r} is already in use by a dataset."
            return fill(answer, status="error", error=error)
        shutil.rmtree(stage, ignore_errors=True)
        if not self._place(stage, request):
            return fill(answer, status="error", error="An uploaded file is missing or incomplete.")
        folder.parent.mkdir(exist_ok=True)
        stage.rename(folder)
        return fill(answer, status="ok", ref=f"/{handle}", url=f"{self.state.base_url}/datasets/{handle}")

    def get_dataset(self, request: KaggleObject) -> KaggleObject:
        self._folder(request)
        ref = f"{request.owner_slug}/{request.dataset_slug}"
        return fill(d.ApiDataset(), ref=ref, is_private=True, current_version_number=1)

    def get_dataset_status(self, request: KaggleObject) -> KaggleObject:
        """Answer for the user's own datasets only, as Kaggle was seen to do."""
        self._folder(request)
        if request.owner_slug != self.settings.user:
            raise Refused(404, "Dataset was not found")
        return fill(d.ApiGetDatasetStatusResponse(), status=DatabundleVersionStatus.READY)

    def list_dataset_files(self, request: KaggleObject) -> KaggleObject:
        folder = self._folder(request)
        shown, token = self._page(sorted(path for path in folder.rglob("*") if path.is_file()), request)
        files = listed(d.ApiDatasetFile, folder, shown)
        return fill(d.ApiListDatasetFilesResponse(), dataset_files=files, next_page_token=token)

    def _place(self, folder: Path, listed: KaggleObject) -> bool:
        """Put the uploads of a folder and of those in it in their places; False where one is not whole."""
        folder.mkdir(parents=True)
        for file in listed.files:
            name, size = self.state.uploads.get(file.token, ("", -1))
            if not NAME.fullmatch(name) or self.state.upload_path(file.token).stat().st_size != size:
                return False
            shutil.copy(self.state.upload_path(file.token), folder / name)
        return all(
            NAME.fullmatch(inner.name) and self._place(folder / inner.name, inner)
            for inner in listed.directories
        )

    def _folder(self, request: KaggleObject) -> Path:
        """Give a dataset's folder; raises Refused where there is none, or it was made a moment ago."""
        folder = dataset_folder(self.state, f"{request.owner_slug}/{request.dataset_slug}")
        if not folder or time.time() - folder.stat().st_ctime < self.settings.profile.dataset_after_seconds:
            raise Refused(403, "Permission 'datasets.get' was denied")
        return folder


ROUTES = Blobs.routes("blobs.BlobApiService", b) | Datasets.routes("datasets.DatasetApiService", d)
