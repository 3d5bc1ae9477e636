"""The datasets' methods that tell whether one is there. Nobody uploads here: they are folders."""

from __future__ import annotations

from typing import Any

from kagglesdk.datasets.types import dataset_api_service as d
from kagglesdk.datasets.types.dataset_enums import DatabundleVersionStatus

from local_kaggle.routes.answers import fill, moment, page, table
from local_kaggle.sessions import Sessions, below
from local_kaggle.state import Refused, State


def get_dataset_status(state: State, _: Sessions, request: Any) -> Any:
    """Answer for the user's own datasets only, as Kaggle was seen to do."""
    if not below(state.settings.datasets, f"{request.owner_slug}/{request.dataset_slug}", parts=2):
        raise Refused(403, "Permission 'datasets.get' was denied")
    if request.owner_slug != state.settings.user:
        raise Refused(404, "Dataset was not found")
    return fill(d.ApiGetDatasetStatusResponse(), status=DatabundleVersionStatus.READY)


def list_dataset_files(state: State, _: Sessions, request: Any) -> Any:
    folder = below(state.settings.datasets, f"{request.owner_slug}/{request.dataset_slug}", parts=2)
    if not folder:
        raise Refused(403, "Permission 'datasets.get' was denied")
    shown, token = page(state, sorted(path for path in folder.rglob("*") if path.is_file()), request)
    files = [
        fill(
            d.ApiDatasetFile(),
            ref=path.relative_to(folder).as_posix(),
            name=path.relative_to(folder).as_posix(),
            total_bytes=path.stat().st_size,
            creation_date=moment(path.stat().st_mtime),
        )
        for path in shown
    ]
    return fill(d.ApiListDatasetFilesResponse(), dataset_files=files, next_page_token=token)


ROUTES = table("datasets.DatasetApiService", d, get_dataset_status, list_dataset_files)
