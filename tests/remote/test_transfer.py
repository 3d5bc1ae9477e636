"""A transfer brings exactly the bytes that it should, however the line behaves, or nothing."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from makers import MakeRun

from kit.errors import KitError
from kit.files import sha256_of
from kit.outputs import Output
from kit.remote.wire import session, transfer
from kit.remote.wire.client import Client
from kit.remote.wire.transport import KaggleError, Unsettled
from local_kaggle import faults
from local_kaggle.faults import Fault
from local_kaggle.server import Server

SIZE = 1_000_000
BYTES = random.Random(1).randbytes(SIZE)
SCRIPT = f"""
import os, random
open(os.environ["KIT_WORKING_DIR"] + "/big.bin", "wb").write(random.Random(1).randbytes({SIZE}))
"""
PROOF = Output(SIZE, sha256_of(BYTES))
Fetch = Callable[..., Path]


@pytest.fixture
def fetch(client: Client, finished: MakeRun, tmp_path: Path) -> Fetch:
    """Fetch a file of a megabyte, proved by its hash unless `expected` is None."""
    url = session.outputs(client, finished(SCRIPT)).links["big.bin"]

    def run(expected: Output | None = PROOF, limit: int = transfer.LARGEST_BYTES) -> Path:
        path = tmp_path / "here" / "big.bin"
        part = tmp_path / "part"
        opened = partial(client.link, "GET", url)
        transfer.Transfer(
            client, lambda headers: opened(headers=headers), path, part, expected, limit
        ).fetch()
        return path

    return run


@pytest.mark.parametrize("expected", [PROOF, None], ids=["proved", "unproved"])
@pytest.mark.parametrize(
    ("fault", "most"),
    [
        (Fault("signed", faults.ALWAYS, keep_bytes=300_000), 4),
        (Fault("signed", faults.ALWAYS, keep_bytes=70_000), 15),
        (Fault("signed", 3, keep_bytes=300_000, ignore_range=True), 4),
        (faults.NAMED["gzip"], 1),
        (faults.NAMED["middle-part"], 4),
        (Fault("signed", 9, headers={"Content-Length": "abc"}), 1),
        (Fault("signed", 9, headers={"Content-Length": ""}), 1),
        (Fault("signed", 2, drop="before"), 3),
    ],
    ids=["cut", "cut often", "no ranges", "gzip", "another part", "length abc", "no length", "reset"],
)
def test_a_rough_line_brings_the_same_bytes(
    kaggle: Server, fetch: Fetch, expected: Output | None, fault: Fault, most: int
) -> None:
    """A broken transfer goes on where it stopped; what came from elsewhere is not kept."""
    kaggle.faults.arm(fault)
    kaggle.requests.clear()
    assert fetch(expected).read_bytes() == BYTES
    assert kaggle.requests.count("signed") <= most


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("signed", 99, endless=True), "has more than 2,000,000 bytes"),
        (Fault("signed", faults.ALWAYS, keep_bytes=9), "broke the connection"),
        (faults.html("signed", times=99), "web page in its place"),
    ],
    ids=["endless", "no progress", "page"],
)
@pytest.mark.parametrize("expected", [PROOF, None], ids=["proved", "unproved"])
def test_a_hopeless_line_is_given_up(
    kaggle: Server, fetch: Fetch, tmp_path: Path, expected: Output | None, fault: Fault, message: str
) -> None:
    """No more bytes are taken than the file may have, and no file is left."""
    kaggle.faults.arm(fault)
    message = "not with what the kernel wrote" if expected and "has more" in message else message
    with pytest.raises(KaggleError, match=message):
        fetch(expected, 2 * SIZE)
    assert not (tmp_path / "here" / "big.bin").exists()
    part = tmp_path / "part"
    assert not part.exists() or part.stat().st_size <= SIZE


def test_a_line_that_drips_is_given_up(kaggle: Server, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bytes a second have an end."""
    monkeypatch.setattr(transfer, "WINDOW_SECONDS", 0.3)
    kaggle.faults.arm(Fault("signed", 99, seconds_per_byte=0.05))
    with pytest.raises(Unsettled, match=r"big\.bin comes with [\d,]+ bytes in"):
        fetch()


def test_a_full_disk_is_one_line_and_leaves_nothing(
    fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room is looked at while writing, and the part does not stay in the way."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5_000))
    monkeypatch.setattr(transfer, "TELL_SECONDS", 0.0)
    with pytest.raises(KitError, match=r"big\.bin cannot be written: No space left") as caught:
        fetch()
    assert caught.value.hint == "df -h"
    assert not (tmp_path / "part").exists()
