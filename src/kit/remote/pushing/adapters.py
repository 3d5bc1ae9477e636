"""Keep a run's adapters, or what a failed one left, as a private dataset whose name holds their hash."""

from contextlib import suppress
from pathlib import PurePosixPath

from kit.errors import InputInvalid
from kit.files import read_json, sha256_of, write_json
from kit.outputs import MANIFEST, SCHEMA, Output, files_of, read_manifest
from kit.remote.runs import Run
from kit.remote.wire import transfer
from kit.remote.wire.client import Client, Fields
from kit.remote.wire.transport import KaggleError, Refused, Unsettled

RECORD = "adapters.json"
LONGEST_SLUG = 50
READY_SECONDS = 1800.0  # how long Kaggle may take to show a new dataset whole; seconds were seen


def keep(client: Client, run: Run) -> str:
    """Upload a pulled run's adapters once, record them, and return `owner/slug`; raises KaggleError."""
    files = _proved(run)
    suffix = f"-v{run.version}-{sha256_of(repr(sorted(files.items())))[:8]}"
    slug, owner = run.slug[: LONGEST_SLUG - len(suffix)].rstrip("-") + suffix, client.user()
    own: Fields = {"owner_slug": owner, "dataset_slug": slug}
    handle = f"{owner}/{slug}"
    sizes = sorted((PurePosixPath(name).name, output.bytes) for name, output in files.items())
    if _listed(client, own) != sizes:
        tokens = {}
        for path in (run.folder / name for name in files):
            print(f"uploading {path.name}, {path.stat().st_size:,} bytes")
            with path.open("rb") as body:
                token = transfer.upload(client, "StartBlobUpload", path, body, name=path.name, type="DATASET")
            tokens[path.relative_to(run.folder).as_posix()] = token
        described = {"title": slug, "license_name": "other", "is_private": True, **_tree(tokens)}
        # A second attempt, after an answer that was lost, finds its own name in use.
        answer = client.call("CreateDataset", owner_slug=owner, slug=slug, **described)
        if answer.error and "already in use" not in answer.error:
            raise KaggleError(f"Kaggle refuses the dataset {slug}: {answer.error}", hint="make doctor")
    for pause in client.clock.rounds(READY_SECONDS, first=2.0):
        if _listed(client, own) == sizes:
            version = client.call("GetDataset", **own).current_version_number
            write_json(run.folder / RECORD, {"schema": SCHEMA, "dataset": handle, "version": version})
            return handle
        print(f"dataset {handle} is not whole yet; looking again in {pause:.0f} s")
    text = f"Kaggle does not list the files that were sent in dataset {handle}"
    raise KaggleError(text, hint=f"{client.web}/datasets/{handle}, or make adapters again")


def kept(run: Run, why: str) -> str:
    """Return the dataset that `keep` made of a run; raises InputInvalid, which says `why` one is needed."""
    if dataset := read_json(run.folder / RECORD).get("dataset", ""):
        return str(dataset)
    raise InputInvalid(f"{run.name} {why}", hint=f"make adapters RUN={run.name}")


def has_failed(run: Run) -> bool:
    """Tell whether a pulled run ended otherwise than well."""
    return str(read_json(run.folder / "pull.json").get("status", "COMPLETE")) != "COMPLETE"


def _proved(run: Run) -> dict[str, Output]:
    """Return the record and the adapters of a run by name, of a failed one all that its members left."""
    manifest = run.folder / MANIFEST
    there = read_manifest(manifest) if manifest.is_file() else files_of(run.folder)  # it was killed
    folder = "members/" if has_failed(run) else "adapter/"
    files = {name: output for name, output in there.items() if name.startswith(folder)}
    if not files:
        raise InputInvalid(f"{run.name} left no {folder} here", hint=f"make pull RUN={run.name}")
    if "run.json" not in there:  # it was killed before its last step
        raise InputInvalid(f"{run.name} left no run.json, without which no run goes on", hint="make push")
    files["run.json"] = there["run.json"]
    for name, output in files.items():
        path = run.folder / name
        if not path.is_file() or sha256_of(path) != output.sha256:
            raise InputInvalid(f"{path} is not what the run wrote", hint=f"make pull RUN={run.name} FORCE=1")
    return files


def _tree(tokens: dict[str, str]) -> Fields:
    """Return the tokens of files by path as the nested folders that Kaggle takes."""
    folders: dict[str, dict[str, str]] = {}
    for name in tokens:
        folder, slash, rest = name.partition("/")
        if slash:
            folders.setdefault(folder, {})[rest] = tokens[name]
    return {
        "files": [{"token": token} for name, token in tokens.items() if "/" not in name],
        "directories": [{"name": name, **_tree(inside)} for name, inside in folders.items()],
    }


def _listed(client: Client, own: Fields) -> list[tuple[str, int]]:
    """Return names and sizes of what a dataset holds; nothing until it is ready and Kaggle shows it."""
    with suppress(Refused, Unsettled):
        if client.call("GetDatasetStatus", **own).status.name == "READY":
            pages = client.pages("ListDatasetFiles", "dataset_files", **own)
            found = [file for page in pages for file in page.dataset_files or ()]
            return sorted((PurePosixPath(file.name).name, file.total_bytes) for file in found)
    return []
