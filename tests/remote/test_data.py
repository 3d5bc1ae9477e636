"""The competition's files come whole or not at all, and a refusal names the page to look at."""

import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from kaggle_fixtures import SLUG, StartKaggle
from makers import MakeClient

from kit.errors import KitError
from kit.remote.joining import data
from kit.remote.wire.client import Client
from kit.remote.wire.transport import KaggleError
from local_kaggle import faults
from local_kaggle.faults import NAMED, Fault
from local_kaggle.server import Server

NAMES = ["train.csv", "test.csv", "sample_submission.csv"]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_files_are_fetched(client: Client, competition_folder: Path, tmp_path: Path) -> None:
    """Train, test and the sample, byte for byte, over what stood there before."""
    folder = tmp_path / "data" / SLUG
    folder.mkdir(parents=True)
    (folder / "test.csv").write_text("older")
    assert [path.name for path in data.fetch(client, SLUG, folder)] == NAMES
    assert content(folder) == {name: (competition_folder / name).read_bytes() for name in NAMES}


def _zipped(body: bytes) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("test.csv", "sample_submission.csv", "train.csv"):
            archive.writestr(name, body)
    return packed.getvalue()


@pytest.mark.parametrize(
    "fault",
    [
        NAMED["reset"],
        NAMED["http-503"],
        NAMED["html"],
        NAMED["expire-signed-links"],
        NAMED["truncate"],
        NAMED["wrong-length"],
        faults.html("signed"),
        faults.html("DownloadDataFile"),
        Fault("signed", 3, edit_body=_zipped),  # large files come as an archive under the file's own name
    ],
    ids=lambda fault: f"{fault.route} {fault.status or fault.drop or 'body'}",
)
def test_a_passing_trouble_costs_another_request(
    kaggle: Server, client: Client, competition_folder: Path, tmp_path: Path, fault: Fault
) -> None:
    """A page, half a file or an archive never becomes test.csv."""
    kaggle.faults.arm(fault)
    data.fetch(client, SLUG, tmp_path / "data")
    assert kaggle.faults.struck(fault) == fault.times
    assert content(tmp_path / "data") == {name: (competition_folder / name).read_bytes() for name in NAMES}


def test_a_listing_of_other_sizes_is_a_hint(
    kaggle: Server,
    client: Client,
    competition_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What comes alike a second time is what Kaggle has."""
    sizes = [{"name": name, "totalBytes": 900} for name in NAMES]
    kaggle.faults.arm(faults.amend("ListDataFiles", {"files": sizes}))
    data.fetch(client, SLUG, tmp_path / "data")
    assert content(tmp_path / "data") == {name: (competition_folder / name).read_bytes() for name in NAMES}
    assert capsys.readouterr().out.count("the listing says 900; it came so twice and is kept") == len(NAMES)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("signed", 99, skip=1, keep_bytes=5), "broke the connection"),
        (faults.html("signed", times=99), "sends a web page"),
        (
            faults.status("DownloadDataFile", 403, "accept the rules", times=9),
            "gives no files of 'little-reviews'",
        ),
        (faults.status("ListDataFiles", 500, times=99), "answers 500"),
        (faults.amend("ListDataFiles", {"files": [{"name": "train.csv"}]}), r"no test\.csv, but train\.csv"),
        (faults.answer("ListDataFiles", {}), r"has no train\.csv and no test\.csv, but nothing"),
    ],
)
def test_a_lasting_trouble_leaves_the_folder_as_it_was(
    kaggle: Server, client: Client, tmp_path: Path, fault: Fault, message: str
) -> None:
    """No file is replaced unless all have come."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "test.csv").write_text("older")
    kaggle.faults.arm(fault)
    with pytest.raises(KitError, match=message):
        data.fetch(client, SLUG, folder)
    assert content(folder) == {"test.csv": b"older"}


def test_rules_that_are_not_accepted_are_named_with_their_page(
    start_kaggle: StartKaggle, make_client: MakeClient, tmp_path: Path
) -> None:
    """A 403 says where to accept them, a 404 is about the name."""
    client = make_client(start_kaggle(joined=False))
    with pytest.raises(KaggleError, match="Kaggle knows no competition 'no-such'"):
        data.fetch(client, "no-such", tmp_path / "data")
    with pytest.raises(KaggleError, match="accept this competition's rules") as caught:
        data.fetch(client, SLUG, tmp_path / "data")
    assert caught.value.hint.endswith(f"/competitions/{SLUG}/rules")
    assert content(tmp_path / "data") == {}


def _encrypted(packed: bytes) -> bytes:
    """Set the mark of an encrypted member in both of an archive's headers."""
    changed = bytearray(packed)
    changed[6] |= 1
    changed[packed.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def _claims_much(packed: bytes) -> bytes:
    """Let the directory of an archive say that its member has nearly 4 GiB, 61 or not."""
    changed = bytearray(packed)
    place = packed.rindex(b"PK\x01\x02") + 24
    changed[place : place + 4] = b"\xfe\xff\xff\xff"
    return bytes(changed)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_encrypted, "cannot be opened"),
        (_claims_much, "are to come"),
        (lambda packed: packed[:-40], "archive"),
    ],
)
def test_an_archive_that_cannot_be_trusted_is_one_line(
    kaggle: Server,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[bytes], bytes],
    message: str,
) -> None:
    """Encrypted, larger than the disk, or torn: nothing is left behind."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 30))
    kaggle.faults.arm(Fault("signed", 99, edit_body=lambda body: spoil(_zipped(body))))
    with pytest.raises(KitError, match=message):
        data.fetch(client, SLUG, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_what_may_be_the_sample_is_fetched(kaggle: Server, client: Client, tmp_path: Path) -> None:
    """Whatever its name, zipped too; large files beside it are left, and one's own files and folders stay."""
    served = kaggle.state.competition_folder
    (served / "sample_submission.csv").rename(served / "gender.csv")
    (served / "images.zip").write_bytes(b"PK\x03\x04" + bytes(2 << 20))
    folder = tmp_path / "data"
    (folder / "extra").mkdir(parents=True)
    for own in ("solution.csv", "extra/more.csv"):
        (folder / own).write_text("mine")
    data.fetch(client, SLUG, folder)
    assert sorted(content(folder)) == ["gender.csv", "more.csv", "solution.csv", "test.csv", "train.csv"]


def test_two_at_once_and_a_kill_leave_whole_files(
    client: Client, competition_folder: Path, tmp_path: Path
) -> None:
    """The second waits for the first; what a killed one staged is not taken."""
    folder = tmp_path / "data"
    with ThreadPoolExecutor(3) as pool:
        fetched = [pool.submit(data.fetch, client, SLUG, folder) for _ in range(6)]
        assert [len(one.result(60)) for one in fetched] == [3] * 6
    (tmp_path / ".data.part").mkdir()
    (tmp_path / ".data.part" / "train.csv").write_text("half")
    data.fetch(client, SLUG, folder)
    assert content(folder) == {name: (competition_folder / name).read_bytes() for name in NAMES}
    assert not (tmp_path / ".data.part").exists()


def test_the_metric_is_known_or_left_open(kaggle: Server, client: Client) -> None:
    """What Kaggle ranks by is translated where the kit computes it."""
    assert data.told(client, SLUG) == ("macro_f1", "Macro F1 Score", "csv")
    known = {"Categorization Accuracy": "accuracy", "F1 score (macro)": "macro_f1"}
    for words, name in {**known, "Balanced Accuracy": "", "Dice": "", "Map": ""}.items():
        kaggle.faults.arm(faults.amend("GetCompetition", {"evaluationMetric": words}))
        assert data.told(client, SLUG)[:2] == (name, words)
