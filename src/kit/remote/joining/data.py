"""Fetch a competition's train.csv, test.csv and what may be its sample submission into one folder.

It reads none of them but to say, for `make doctor`, whether a run could.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NoReturn

from kit.config import Competition
from kit.errors import InputInvalid, KitError
from kit.files import replace_folder, restore
from kit.remote.wire import transfer
from kit.remote.wire.client import Client
from kit.remote.wire.transfer import LinkStale
from kit.remote.wire.transport import Refused, Unsettled
from kit.task import competition_files, metrics, sample

NEEDED = ("train.csv", "test.csv")
MOST_SAMPLES = 5
"""Files beside those that are fetched because they may be the sample submission."""


class DataRefused(KitError):
    """Kaggle does not give the competition's files."""


def fetch(client: Client, slug: str, folder: Path) -> list[Path]:
    """Bring the files to `folder`, all of them or none, over older ones, and return their paths.

    What else the folder holds stays. Raises DataRefused for an unknown competition, rules that are not
    accepted, or files of other names.
    """
    size_by_name = _wanted(client, slug)
    stage = folder.with_name(f".{folder.name}.part")
    with _alone(folder):
        transfer.require_space(folder.parent, sum(size_by_name.values()))
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        try:
            for name, size in size_by_name.items():
                _fetch(client, slug, stage / name, size)
            for path in folder.iterdir() if folder.is_dir() else ():
                if path.name not in size_by_name and path.is_file():
                    shutil.copy2(path, stage)
            replace_folder(stage, folder)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return [folder / name for name in size_by_name]


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process fetches the folder, and mend what a killed one left."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        restore(folder)
        yield


def _wanted(client: Client, slug: str) -> dict[str, int]:
    """Return the sizes of the files to fetch, by name."""
    try:
        pages = client.pages("ListDataFiles", "files", competition_name=slug)
    except Refused as refused:
        _refuse(client, slug, refused)
    sizes = {file.name: file.total_bytes for page in pages for file in page.files or ()}
    if any(name.startswith("kaggle_evaluation/") for name in sizes):
        raise DataRefused(
            f"competition {slug!r} asks through an inference server, kaggle_evaluation, and not for a csv",
            hint=f"{client.web}/competitions/{slug}/code; this kit answers a test.csv",
        )
    missing = [name for name in NEEDED if name not in sizes]
    if missing:
        there = ", ".join(sorted(sizes)[:20]) or "nothing"
        raise DataRefused(
            f"competition {slug!r} has no {' and no '.join(missing)}, but {there}",
            hint=f"{client.web}/competitions/{slug}/data; this kit needs files of these names",
        )
    likely = [name for name in sizes if sample.could_be(name, sizes[name], sizes["test.csv"])]
    likely.sort(key=lambda name: (not sample.NAMED.search(name), name))
    return {name: sizes[name] for name in [*NEEDED, *likely[:MOST_SAMPLES]]}


def _fetch(client: Client, slug: str, path: Path, size: int) -> None:
    part = path.with_name(".download")

    def attempt() -> None:
        try:
            transfer.fetch(
                client,
                lambda _: client.stream("DownloadDataFile", competition_name=slug, file_name=path.name),
                path,
                part=part,
            )
        except Refused as refused:
            if refused.by_api:
                _refuse(client, slug, refused)
            raise Unsettled(refused.message) from None  # the link has expired, the next answer has another
        except LinkStale as stale:
            raise Unsettled(stale.message) from None
        if _is_zip(path) and path.suffix != ".zip":
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
        with zipfile.ZipFile(path) as archive:
            # No more than this comes out, whatever the archive holds.
            transfer.require_space(path.parent, archive.getinfo(path.name).file_size)
            with archive.open(path.name) as source, unpacked.open("wb") as target:
                shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, KeyError, EOFError, zlib.error) as error:
        raise Unsettled(f"{path.name} came as an archive without it: {error}") from None
    except (RuntimeError, NotImplementedError) as error:
        raise KitError(
            f"{path.name} came as an archive that cannot be opened: {error}", hint="its page"
        ) from None
    unpacked.replace(path)


def told(client: Client, slug: str) -> tuple[str, str, str]:
    """Return the kit's name of what the competition ranks by, if any, Kaggle's words, and what it takes."""
    answer = client.call("GetCompetition", competition_name=slug)
    words = str(answer.evaluation_metric)
    kind = "code" if answer.is_kernels_submissions_only else "csv"
    return metrics.metric_named(words) or "", words, kind


def readable(folder: Path, competition: Competition) -> tuple[Literal["pass", "warn", "fail"], str, str]:
    """Return a doctor's verdict, sentence and hint on the files at home, read as the kernel reads them."""
    if not (folder / "train.csv").is_file():
        return "warn", f"{folder} holds no train.csv, so nothing says whether a run can read it", "make data"
    try:
        files = competition_files.read(folder, competition)
    except InputInvalid as error:
        return "fail", error.message, error.hint
    objection = files.sample and sample.disagreement(files.sample, competition)
    if objection:
        return "warn" if objection[0] == "sample_unknown" else "fail", objection[1], objection[2]
    lacking = set(competition.labels) - set(files.train["label"])
    if lacking:
        return "fail", f"train.csv has no row of label {sorted(lacking)[0]!r}", "labels in kit.toml"
    lefts = [
        f"{name}: {left}" for name, left in (("train", files.train_left), ("test", files.test_left)) if left
    ]
    header = ",".join(files.columns.header)
    text = f"{len(files.train):,} training and {len(files.test):,} test rows, header {header}"
    if files.sample is None:
        return "warn", f"{text}, which no sample submission confirms", "make data"
    return "warn" if files.train_left.out else "pass", "; ".join([text, *lefts]), ""
