"""The datasets' methods that tell whether one is there. Nobody uploads here: they are folders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kagglesdk.datasets.types import dataset_api_service as d
from kagglesdk.datasets.types.dataset_enums import DatabundleVersionStatus

from local_kaggle.routes.answers import Handler, moment, page, table
from local_kaggle.sessions import Sessions, below
from local_kaggle.state import Refused, State


def get_dataset_status(state: State, _: Sessions, request: Any) -> Any:
    """Answer for the user's own datasets only, as Kaggle was seen to do."""
    if not below(state.settings.datasets, f"{request.owner_slug}/{request.dataset_slug}", parts=2):
        raise Refused(403, "Permission 'datasets.get' was denied")
    if request.owner_slug != state.settings.user:
        raise Refused(404, "Dataset was not found")
    response = d.ApiGetDatasetStatusResponse()
    response.status = DatabundleVersionStatus.READY
    return response


def list_dataset_files(state: State, _: Sessions, request: Any) -> Any:
    folder = below(state.settings.datasets, f"{request.owner_slug}/{request.dataset_slug}", parts=2)
    if not folder:
        raise Refused(403, "Permission 'datasets.get' was denied")
    response = d.ApiListDatasetFilesResponse()
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    shown, response.next_page_token = page(state, paths, request)
    files = []
    for path in shown:
        file = d.ApiDatasetFile()
        file.ref = file.name = path.relative_to(folder).as_posix()
        file.total_bytes = path.stat().st_size
        file.creation_date = moment(path.stat().st_mtime)
        files.append(file)
    response.dataset_files = files
    return response


ROUTES: Mapping[str, tuple[Any, Handler]] = table(
    "datasets.DatasetApiService", d, get_dataset_status, list_dataset_files
)
