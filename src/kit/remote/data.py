"""Fetch a competition's train.csv, test.csv and sample submission into one folder, without reading them."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import NoReturn

from kit.errors import KitError
from kit.remote.wire import transfer
from kit.remote.wire.client import Client
from kit.remote.wire.transfer import LinkStale
from kit.remote.wire.transport import Refused, Unsettled

NEEDED = ("train.csv", "test.csv")


class DataRefused(KitError):
    """Kaggle does not give the competition's files."""


def fetch(client: Client, slug: str, folder: Path) -> list[Path]:
    """Bring the files to `folder`, all of them or none, over older ones, and return their paths.

    Raises DataRefused for an unknown competition, rules that are not accepted, or files of other names.
    """
    size_by_name = _wanted(client, slug)
    folder.mkdir(parents=True, exist_ok=True)
    transfer.require_space(folder, sum(size_by_name.values()))
    stage = folder / ".part"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    try:
        for name, size in size_by_name.items():
            _fetch(client, slug, stage / name, size)
        return [(stage / name).replace(folder / name) for name in size_by_name]
    finally:
        shutil.rmtree(stage)


def _wanted(client: Client, slug: str) -> dict[str, int]:
    """Return the sizes of the files to fetch, by name."""
    try:
        pages = client.pages("ListDataFiles", "files", competition_name=slug)
    except Refused as refused:
        _refuse(client, slug, refused)
    sizes = {file.name: file.total_bytes for page in pages for file in page.files or ()}
    missing = [name for name in NEEDED if name not in sizes]
    if missing:
        there = ", ".join(sorted(sizes)[:20]) or "nothing"
        raise DataRefused(
            f"competition {slug!r} has no {' and no '.join(missing)}, but {there}",
            hint=f"{client.web}/competitions/{slug}/data; this kit needs files of these names",
        )
    samples = [
        name for name in sizes if "/" not in name and "sample" in name.lower() and name.endswith(".csv")
    ]
    return {name: sizes[name] for name in [*NEEDED, *samples[:1]]}


def _fetch(client: Client, slug: str, path: Path, size: int) -> None:
    part = path.with_name(".download")

    def attempt() -> None:
        try:
            answer = client.stream("DownloadDataFile", competition_name=slug, file_name=path.name)
            transfer.save(client, answer, path, part=part, size=None)
        except Refused as refused:
            if refused.by_api:
                _refuse(client, slug, refused)
            raise Unsettled(refused.message) from None  # the link has expired, the next answer has another
        except LinkStale as stale:
            raise Unsettled(stale.message) from None
        if _is_zip(path):
            _unzip(path)
        if path.stat().st_size != size:
            raise Unsettled(f"{path.name} came with {path.stat().st_size:,} bytes, the listing says {size:,}")

    client.patiently(attempt)


def _refuse(client: Client, slug: str, refused: Refused) -> NoReturn:
    page = f"{client.web}/competitions/{slug}"
    if refused.status == 404:
        raise DataRefused(
            f"Kaggle knows no competition {slug!r}", hint="the last part of its address"
        ) from None
    if refused.status == 403:
        raise DataRefused(
            f"Kaggle gives no files of {slug!r}: {refused.reason}", hint=f"accept the rules at {page}/rules"
        ) from None
    raise refused


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _unzip(path: Path) -> None:
    """Put the file of the same name in an archive, as Kaggle sends large ones, in the archive's place."""
    unpacked = path.with_name(".unpacked")
    try:
        with (
            zipfile.ZipFile(path) as archive,
            archive.open(path.name) as source,
            unpacked.open("wb") as target,
        ):
            shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, KeyError) as error:
        raise Unsettled(f"{path.name} came as an archive without it: {error}") from None
    unpacked.replace(path)


def metric(client: Client, slug: str) -> str:
    """Return the kit's name of what the competition ranks by, empty where the kit does not compute it."""
    words = str(client.call("GetCompetition", competition_name=slug).evaluation_metric).lower()
    return "accuracy" if "accuracy" in words else "macro_f1" if "f1" in words else ""
