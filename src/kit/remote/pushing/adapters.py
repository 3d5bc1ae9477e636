"""Keep a run's adapters as a private dataset of one's own, which a run without internet attaches.

Kaggle attaches a kernel's newest output only, and a dataset's newest version: the dataset is named by a hash
of its files, so that it never gets a second one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from kit.errors import InputInvalid, KitError
from kit.files import sha256_of, write_json
from kit.outputs import MANIFEST, Output, read_manifest
from kit.remote.runs import SCHEMA, Run
from kit.remote.wire.client import Client
from kit.remote.wire.transport import Refused, Unsettled
from kit.remote.wire.upload import upload

RECORD = "adapters.json"
LONGEST_SLUG = 50
READY_SECONDS = 1800.0
"""How long Kaggle may take to show a new dataset whole."""


class AdaptersRefused(KitError):
    """Kaggle did not take the dataset, or holds other files under its name."""


def keep(client: Client, run: Run, *, tell: Callable[[str], None] = print) -> str:
    """Upload the adapters of a pulled run, wait until Kaggle lists them whole, and return `owner/slug`.

    Recorded in the run's adapters.json with the version that was seen. What is there already is not sent
    again. Raises InputInvalid where the run's files are not those that it wrote, AdaptersRefused.
    """
    files = _proved(run)
    suffix = f"-v{run.version}-{sha256_of(repr(sorted(files.items())))[:8]}"
    slug = run.slug[: LONGEST_SLUG - len(suffix)] + suffix
    own: dict[str, Any] = {"owner_slug": client.user(), "dataset_slug": slug}
    handle = f"{client.user()}/{slug}"
    sizes = sorted((PurePosixPath(name).name, output.bytes) for name, output in files.items())
    if _listed(client, own) != sizes:
        tokens = {}
        for name, output in files.items():
            tell(f"uploading {name}, {output.bytes:,} bytes")
            tokens[name] = _upload(client, run, name, output.bytes)
        # A second attempt, after an answer that was lost, finds its own name in use.
        answer = client.call(
            "CreateDataset",
            owner_slug=client.user(),
            slug=slug,
            title=slug,
            license_name="other",
            is_private=True,
            **_tree(tokens),
        )
        if answer.error and "already in use" not in answer.error:
            raise AdaptersRefused(f"Kaggle refuses the dataset {handle}: {answer.error}", hint="make doctor")
    _await_whole(client, own, sizes, handle, tell)
    version = client.call("GetDataset", **own).current_version_number
    write_json(
        run.folder / RECORD, {"schema": SCHEMA, "dataset": handle, "version": version, "files": len(files)}
    )
    return handle


def _proved(run: Run) -> dict[str, Output]:
    """Return the run's record and adapters by name; raises InputInvalid for a file that it did not write."""
    hint = f"make pull RUN={run.name} FORCE=1"
    listed = read_manifest(run.folder / MANIFEST)
    files = {name: output for name, output in listed.items() if name.startswith("adapter/")}
    if not files:
        raise InputInvalid(f"{run.name} left no adapter", hint=f"make report RUN={run.name}")
    files["run.json"] = listed["run.json"]
    for name, output in files.items():
        path = run.folder / name
        if not path.is_file() or sha256_of(path) != output.sha256:
            raise InputInvalid(f"{path} is not what the run wrote", hint=hint)
    return files


def _upload(client: Client, run: Run, name: str, size: int) -> str:
    path = run.folder / name
    started = client.call(
        "StartBlobUpload",
        needs="createUrl",
        type="DATASET",
        name=path.name,
        content_length=size,
        last_modified_epoch_seconds=int(path.stat().st_mtime),
    )
    with path.open("rb") as body:
        upload(client, started.create_url, body, size)
    return str(started.token)


def _tree(tokens: dict[str, str]) -> dict[str, Any]:
    """Return the tokens of files by path as the nested folders that Kaggle takes."""
    folders: dict[str, dict[str, str]] = {}
    files = []
    for name, token in tokens.items():
        folder, slash, rest = name.partition("/")
        if slash:
            folders.setdefault(folder, {})[rest] = token
        else:
            files.append({"token": token})
    return {
        "files": files,
        "directories": [{"name": name, **_tree(inside)} for name, inside in folders.items()],
    }


def _listed(client: Client, own: dict[str, Any]) -> list[tuple[str, int]]:
    """Return names and sizes of what Kaggle lists, nothing where it shows no such dataset (yet)."""
    with suppress(Refused, Unsettled):
        pages = client.pages("ListDatasetFiles", "dataset_files", **own)
        found = [file for page in pages for file in page.dataset_files or ()]
        return sorted((PurePosixPath(file.name).name, file.total_bytes) for file in found)
    return []


def _await_whole(
    client: Client,
    own: dict[str, Any],
    sizes: list[tuple[str, int]],
    handle: str,
    tell: Callable[[str], None],
) -> None:
    """Wait until the dataset is ready and lists these names and sizes; before, a kernel would get less."""
    started, pause = client.clock.now(), 2.0
    while True:
        state = "not seen"
        with suppress(Refused, Unsettled):
            state = client.call("GetDatasetStatus", **own).status.name
        if state == "READY" and _listed(client, own) == sizes:
            return
        if state == "FAILED" or client.clock.now() - started > READY_SECONDS:
            raise AdaptersRefused(
                f"dataset {handle} is {state}, and Kaggle does not list the files that were sent",
                hint=f"{client.web}/datasets/{handle}, or make adapters again",
            )
        tell(f"dataset {handle} is {state}; looking again in {pause:.0f} s")
        client.clock.sleep(pause)
        pause = min(pause * 1.5, 60.0)
