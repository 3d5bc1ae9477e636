"""The real SDK client, pointed at the local Kaggle, and requests without it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import get_type_hints

import requests
from kaggle_fixtures import TOKEN, USER
from kagglesdk import KaggleClient, KaggleEnv
from kagglesdk.competitions.services.competition_api_service import CompetitionApiClient as Competitions  # noqa: F401
from kagglesdk.kaggle_object import KaggleObject
from kagglesdk.kernels.services.kernels_api_service import KernelsApiClient as Kernels
from waiting import wait_for

from local_kaggle.routes import ROUTES
from local_kaggle.server import Server

Json = dict[str, object]
Push = Callable[..., KaggleObject]

GO_TO_WORKING = "import os, pathlib; os.chdir(pathlib.Path(__file__).parents[1] / 'working')\n"
LITTLE = {"user_name": USER, "kernel_slug": "little-kernel"}


def connect(
    kaggle: Server, *, user: str = USER, key: str | None = TOKEN, token: str | None = None
) -> KaggleClient:
    """Make an SDK client whose requests go to `kaggle`."""
    client = KaggleClient(env=KaggleEnv.LOCAL, username=user, password=key, api_token=token)
    client.http_client()._endpoint = kaggle.url
    return client


def ask(method: Callable[[KaggleObject], KaggleObject], **fields: object) -> KaggleObject:
    """Call a method of the SDK with these fields of its request."""
    request = get_type_hints(method)["request"]()
    for name, value in fields.items():
        setattr(request, name, value)
    return method(request)


def rpc(kaggle: Server, method: str, payload: Json, **options: object) -> requests.Response:
    """Call an API method without the SDK, to see status, headers and raw body."""
    key = next(key for key in ROUTES if key.endswith(f"/{method}"))
    return requests.post(
        f"{kaggle.url}/api/v1/{key}",
        data=json.dumps(payload),
        headers=options.pop("headers", {"Content-Type": "application/json"}),
        auth=options.pop("auth", (USER, TOKEN)),
        timeout=30,
        allow_redirects=False,
        **options,
    )


def push_fields(**changes: object) -> Json:
    """Give the raw fields of a push, for use without the SDK."""
    fields = {"slug": f"{USER}/little-kernel", "newTitle": "Little Kernel", "text": "print('hello')"}
    return fields | {"language": "python", "kernelType": "script"} | changes


def wait_for_file(path: Path) -> str:
    """Make a script that announces itself and waits for a file to appear."""
    return (
        "import os, time; print('waiting', flush=True)\n"
        f"while not os.path.exists({str(path)!r}): time.sleep(0.02)\n"
        "print('done', flush=True)\n"
    )


def push_behind_another(kaggle: Server, gate: Path) -> None:
    """Fill a server's one slot with a kernel that waits for the gate, and push the little one behind it."""
    for title in ("First One", "Little Kernel"):
        rpc(kaggle, "SaveKernel", push_fields(newTitle=title, text=wait_for_file(gate)))
        assert wait_for(lambda: kaggle.state.kernels[0].versions[0].status == "RUNNING")


def status(kernels: Kernels, label: str = "", **fields: str) -> KaggleObject:
    """Ask for the status of the little kernel."""
    return ask(kernels.get_kernel_session_status, **(LITTLE | {"version_label": label or None} | fields))


def output(kernels: Kernels, label: str = "", **fields: object) -> KaggleObject:
    """List the outputs of the little kernel."""
    return ask(kernels.list_kernel_session_output, **(LITTLE | {"version_label": label or None} | fields))


def left(mark: str) -> list[str]:
    """List the processes of this machine whose command line holds `mark`; numbers differ inside."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (entry / "cmdline").read_bytes():
                found.append(entry.name)
    return found
