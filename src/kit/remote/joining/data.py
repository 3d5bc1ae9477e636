"""Fetch a competition's train.csv, test.csv and what may be its sample submission into one folder."""

import shutil
import zipfile
import zlib
from functools import partial
from pathlib import Path

from kit.errors import KitError
from kit.files import keep_beside, replace_folder, sha256_of
from kit.remote import runs
from kit.remote.wire import transfer
from kit.remote.wire.client import Client
from kit.remote.wire.transport import KaggleError, LinkStale, Refused, Unsettled
from kit.task import metrics, sample

NEEDED = ("train.csv", "test.csv")
MOST_SAMPLES = 5  # files beside those that are fetched because they may be the sample submission


def fetch(client: Client, slug: str, folder: Path) -> list[Path]:
    """Bring the files to `folder`, all or none, beside what else it holds; raises KaggleError."""
    size_by_name = _wanted(client, slug)
    stage = folder.with_name(f".{folder.name}.part")
    with runs.alone(folder, waits=True):
        transfer.require_space(folder.parent, sum(size_by_name.values()))
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        try:
            for name, size in size_by_name.items():
                _fetch(client, slug, stage / name, size)
            if folder.is_dir():
                keep_beside(folder, stage)
            replace_folder(stage, folder)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return [folder / name for name in size_by_name]


def _wanted(client: Client, slug: str) -> dict[str, int]:
    """Return the sizes of the files to fetch, by name."""
    try:
        pages = client.pages("ListDataFiles", "files", competition_name=slug)
    except Refused as refused:
        raise _explained(client, slug, refused) from None
    sizes = {file.name: file.total_bytes for page in pages for file in page.files or ()}
    if any(name.startswith("kaggle_evaluation/") for name in sizes):
        text = f"competition {slug!r} asks through an inference server, kaggle_evaluation, and not for a csv"
        raise KaggleError(text, hint=f"{client.web}/competitions/{slug}/code; this kit answers a test.csv")
    if missing := [name for name in NEEDED if name not in sizes]:
        there = ", ".join(sorted(sizes)[:20]) or "nothing"
        text = f"competition {slug!r} has no {' and no '.join(missing)}, but {there}"
        raise KaggleError(
            text, hint=f"{client.web}/competitions/{slug}/data; files of these names are needed"
        )
    likely = [name for name in sizes if sample.could_be(name, sizes[name], sizes["test.csv"])]
    likely.sort(key=lambda name: (not sample.NAMED.search(name), name))
    return {name: sizes[name] for name in [*NEEDED, *likely[:MOST_SAMPLES]]}


def _fetch(client: Client, slug: str, path: Path, size: int) -> None:
    """Bring one file; its `size` in the listing is a hint, which the same bytes coming again overrule."""
    earlier: set[str] = set()

    def attempt() -> None:
        try:
            opens = partial(client.stream, "DownloadDataFile", competition_name=slug, file_name=path.name)
            transfer.Transfer(client, lambda _: opens(), path, path.with_name(".part")).fetch()
        except LinkStale as stale:
            raise Unsettled(stale.message) from None  # the next answer has another link
        except Refused as refused:
            raise _explained(client, slug, refused) from None
        with path.open("rb") as file:
            is_packed = file.read(4) == b"PK\x03\x04" and path.suffix != ".zip"
        if is_packed:
            _unzip(path)
        if (came := path.stat().st_size) != size:
            told, sha256 = f"{path.name} came with {came:,} bytes, the listing says {size:,}", sha256_of(path)
            if sha256 not in earlier:
                earlier.add(sha256)
                raise Unsettled(told)
            print(f"{told}; it came so twice and is kept", flush=True)

    client.patiently(attempt)


def _explained(client: Client, slug: str, refused: Refused) -> KaggleError:
    if refused.status == 404:
        return KaggleError(f"Kaggle knows no competition {slug!r}", hint="the last part of its address")
    if refused.status == 403:
        hint = f"accept the rules at {client.web}/competitions/{slug}/rules"
        return KaggleError(f"Kaggle gives no files of {slug!r}: {refused.reason}", hint=hint)
    return refused


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
        text = f"{path.name} came as an archive that cannot be opened: {error}"
        raise KitError(text, hint="its page") from None
    unpacked.replace(path)


def told(client: Client, slug: str) -> tuple[str, str, str]:
    """Return the kit's name of what the competition ranks by, if any, Kaggle's words, and what it takes."""
    answer = client.call("GetCompetition", competition_name=slug)
    words = str(answer.evaluation_metric)
    return metrics.metric_named(words) or "", words, "code" if answer.is_kernels_submissions_only else "csv"
