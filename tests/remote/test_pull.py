"""A pull ends whole or not at all, and never with another run's output."""

from __future__ import annotations

import json
import random
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kaggle_fixtures import StartKaggle
from tiny_kernels import GOOD_SCRIPT

from kit.errors import KitError
from kit.remote import pull, runs
from kit.remote.pull import PullRefused
from kit.remote.runs import Run
from kit.remote.wire import transfer
from kit.remote.wire.client import Client
from local_kaggle import faults
from local_kaggle.faults import NAMED, Fault
from local_kaggle.server import Server

BARE = ["little-kernel-tiny/v1/push.json"]
"""What stands there before a pull, and after one that was refused."""
WHOLE = [
    f"little-kernel-tiny/v1/{name}"
    for name in ("adapter/weights.bin", "kernel.log", "pull.json", "push.json", "run.json", "submission.csv")
]
WEIGHTS = bytes(range(256)) * 40
LISTING = "ListKernelSessionOutput"


def is_right(run: Run) -> bool:
    """Tell whether the outputs are byte for byte what the kernel wrote."""
    return (
        (run.folder / "adapter" / "weights.bin").read_bytes() == WEIGHTS
        and json.loads((run.folder / "run.json").read_text())["bundle_hash"] == run.bundle_hash
        and len((run.folder / "submission.csv").read_text().splitlines()) == 5
    )


def test_a_pull_is_whole(
    client: Client, finished: Callable[..., Run], files: Callable[[], list[str]]
) -> None:
    """Every output in its folder, the log as text, the sizes and hashes on record, nothing else."""
    run = finished()
    pulled = pull.pull(client, run)
    assert files() == WHOLE
    assert is_right(run)
    assert pulled.folder == run.folder
    assert pulled.status.has_succeeded
    assert pulled.files["adapter/weights.bin"] == len(WEIGHTS)
    assert (run.folder / "kernel.log").read_text().startswith("hello\n")


def test_a_second_pull_asks_nothing(kaggle: Server, client: Client, finished: Callable[..., Run]) -> None:
    """What is whole stays; a file that was damaged since is brought again with the rest."""
    run = finished()
    first = pull.pull(client, run)
    kaggle.requests.clear()
    assert pull.pull(client, run) == first
    assert kaggle.requests == []
    (run.folder / "submission.csv").write_text("damaged")
    (run.folder / "submission.json").write_text("{}")
    pull.pull(client, run)
    assert is_right(run)
    assert (run.folder / "submission.json").exists(), "what stands beside the outputs is kept"


@pytest.mark.parametrize(
    "fault",
    [
        NAMED["expire-output-links"],
        NAMED["expire-signed-links"],
        NAMED["truncate"],
        NAMED["wrong-length"],
        NAMED["repeat-page"],
        faults.html("signed"),
        faults.html(LISTING),
        faults.status("output", 503),
        faults.status("signed", 429, retry_after_seconds=2),
        Fault("signed", 2, drop="before"),
        Fault("ListKernelFiles", drop="before"),
        Fault("signed", 2, skip=1, keep_bytes=100),
    ],
    ids=lambda fault: f"{fault.route} {fault.status or fault.drop or 'body'}",
)
def test_a_passing_trouble_costs_another_request(
    start_kaggle: StartKaggle,
    kaggle: Server,
    client: Client,
    finished: Callable[..., Run],
    files: Callable[[], list[str]],
    fault: Fault,
) -> None:
    """Expired links are listed again, broken bodies are fetched again, and the result is the same."""
    run = finished()
    kaggle.faults.arm(fault)
    pull.pull(client, run)
    assert kaggle.faults.struck(fault)
    assert files() == WHOLE
    assert is_right(run)


def _rename(name: str) -> Fault:
    def edit(_: Any, payload: dict[str, Any]) -> dict[str, Any]:
        entries = [entry | {"fileName": name, "name": name} for entry in payload.get("files", [])[:1]]
        return payload | {"files": entries, "nextPageToken": ""}

    return Fault(f"{LISTING},ListKernelFiles", 99, edit_answer=edit)


def _drop_first(_: Any, payload: dict[str, Any]) -> dict[str, Any]:
    return payload | {"files": payload["files"][1:]}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (faults.html("output", 404, times=99), "sends a web page|refuses a file's link with 404"),
        (faults.html("signed", times=999), "sends a web page in its place"),
        (Fault("signed", 999, keep_bytes=10), "broke the connection"),
        (Fault("signed", 999, edit_body=lambda body: body[:-1]), r"came with [\d,]+ bytes, the listing says"),
        (NAMED["traversal"], "'../../adapter/weights.bin', which would leave the run's folder"),
        (_rename("/etc/cron.d/x"), "would leave the run's folder"),
        (_rename("a/../../x"), "would leave the run's folder"),
        (_rename("..\\x"), "would leave the run's folder"),
        (_rename("push.json"), "a name that the run's own record needs"),
        (Fault(LISTING, 999, edit_answer=_drop_first), "two listings of .* differ in 'adapter/weights.bin'"),
        (faults.status(LISTING, 500, times=999), "answers 500 to ListKernelSessionOutput"),
        (faults.answer("ListKernelSessionOutput,ListKernelFiles", {}, times=99), "holds no run.json"),
    ],
    ids=[
        "links gone", "pages", "truncated", "too short", "traversal", "absolute", "climbing", "backslash",
        "our name", "lost file", "no listing", "empty",
    ],
)  # fmt: skip
def test_a_lasting_trouble_leaves_nothing(
    kaggle: Server,
    client: Client,
    finished: Callable[..., Run],
    files: Callable[[], list[str]],
    tmp_path: Path,
    fault: Fault,
    message: str,
) -> None:
    """Refused in one line; in the run's folder stands what stood there before, and nothing outside it."""
    run = finished()
    outside = sorted(path.name for path in tmp_path.iterdir())
    kaggle.faults.arm(fault)
    with pytest.raises(KitError, match=message) as caught:
        pull.pull(client, run)
    assert "\n" not in str(caught.value)
    assert [name for name in files() if "/." not in name] == BARE
    assert sorted(path.name for path in tmp_path.iterdir()) == outside
    kaggle.faults.clear()
    pull.pull(client, run)
    assert files() == WHOLE
    assert is_right(run)


def test_an_older_version_is_pulled_and_not_the_newest(client: Client, finished: Callable[..., Run]) -> None:
    """Two versions of one kernel keep their own outputs, in whatever order they are pulled."""
    first, second = finished(), finished(GOOD_SCRIPT.replace("hello", "good evening"))
    for run in (second, first):
        pull.pull(client, run)
    assert (first.folder / "kernel.log").read_text().startswith("hello")
    assert (second.folder / "kernel.log").read_text().startswith("good evening")
    assert is_right(first)
    assert is_right(second)


def test_another_versions_output_is_refused_by_its_name(
    kaggle: Server, client: Client, finished: Callable[..., Run], files: Callable[[], list[str]]
) -> None:
    """Where Kaggle forgets the version asked for, run.json gives it away."""
    first, _ = finished(), finished(GOOD_SCRIPT.replace("hello", "good evening"))
    kaggle.faults.arm(NAMED["stale-version"])
    with pytest.raises(
        PullRefused, match="gave the output of little-kernel-tiny/v2 for little-kernel-tiny/v1"
    ):
        pull.pull(client, first)
    assert [name for name in files() if "v1" in name] == BARE


def test_fresh_links_prove_themselves(
    kaggle: Server, client: Client, finished: Callable[..., Run], files: Callable[[], list[str]]
) -> None:
    """A second listing of the same names and sizes, but of another version, is found out as well."""
    first, _ = finished(), finished(GOOD_SCRIPT.replace("hello", "good evening"))
    kaggle.faults.arm(Fault("output", skip=1, status=404))
    kaggle.faults.arm(Fault(LISTING, 99, skip=1, edit_request=lambda asked: asked | {"versionLabel": "v2"}))
    with pytest.raises(PullRefused, match="gave the output of little-kernel-tiny/v2"):
        pull.pull(client, first)
    assert [name for name in files() if "v1" in name] == BARE


@pytest.mark.parametrize("found", ['{"bundle_hash": "0000"}', "{}", "[1]", "not JSON"])
def test_an_output_of_no_known_push_is_refused(
    client: Client, finished: Callable[..., Run], files: Callable[[], list[str]], found: str
) -> None:
    """A run.json of another bundle, or of none, proves nothing."""
    run = finished(f"import os\nopen(os.environ['KIT_WORKING_DIR'] + '/run.json', 'w').write({found!r})")
    with pytest.raises(PullRefused, match="output of a push that is not recorded here"):
        pull.pull(client, run)
    assert files() == BARE


def test_outputs_that_change_under_the_pull_are_refused(
    kaggle: Server, client: Client, finished: Callable[..., Run], files: Callable[[], list[str]]
) -> None:
    """Sizes and dates of a fresh listing are those of the first, or it is another run's."""
    run = finished()
    kaggle.faults.arm(Fault("output", skip=1, status=404))
    later = "2030-01-01T00:00:00.000Z"
    kaggle.faults.arm(
        Fault(
            "ListKernelFiles",
            99,
            skip=1,
            edit_answer=lambda _, payload: (
                payload | {"files": [file | {"creationDate": later} for file in payload["files"]]}
            ),
        )
    )
    with pytest.raises(PullRefused, match="changed during the pull"):
        pull.pull(client, run)
    assert [name for name in files() if "/." not in name] == BARE


def test_three_pages_are_one_run(
    start_kaggle: StartKaggle,
    make_client: Callable[..., Client],
    kaggle: Server,
    finished: Callable[..., Run],
    tmp_path: Path,
) -> None:
    """The listing is read to its last page."""
    script = GOOD_SCRIPT + 'for n in range(4): (working / f"part-{n}.txt").write_text(str(n))\n'
    run = finished(script)
    kaggle.close()
    paged = start_kaggle(page_size=3)
    pulled = pull.pull(make_client(paged), run)
    assert len(pulled.files) == 7
    assert paged.requests.count(LISTING) == 3


def test_a_failed_run_is_pulled_too(client: Client, finished: Callable[..., Run]) -> None:
    """What it left and its log come home, with the status on record and without proof where it left none."""
    run = finished(
        "import os\nopen(os.environ['KIT_WORKING_DIR'] + '/part.txt', 'w').write('x')\nraise KeyError('y')"
    )
    pulled = pull.pull(client, run)
    assert pulled.status.name == "ERROR"
    assert pulled.files == {"part.txt": 1}
    assert "KeyError: 'y'" in (run.folder / "kernel.log").read_text()
    assert json.loads((run.folder / "pull.json").read_text())["status"] == "ERROR"
    assert not pull.pull(client, run).status.has_succeeded, "a second pull still knows"


def test_a_run_that_left_nothing_is_pulled_too(
    client: Client, finished: Callable[..., Run], files: Callable[[], list[str]]
) -> None:
    """Its log is worth a folder."""
    run = finished("raise KeyError('y')")
    assert pull.pull(client, run).files == {}
    assert files() == [f"little-kernel-tiny/v1/{name}" for name in ("kernel.log", "pull.json", "push.json")]


def test_a_run_that_is_on_is_not_pulled(
    kaggle: Server, client: Client, push: Callable[..., Run], files: Callable[[], list[str]]
) -> None:
    """Half an output is none."""
    run = push("import time; time.sleep(60)")
    with pytest.raises(KitError, match=r"is still (QUEUED|RUNNING)") as caught:
        pull.pull(client, run)
    assert caught.value.hint == f"make watch RUN={run.name}"
    assert files() == BARE


class _Killed(BaseException):
    """Stands for a kill: nothing of ours may catch it."""


@pytest.mark.parametrize("at", range(1, 4))
def test_a_killed_pull_goes_on_where_it_was(
    kaggle: Server,
    client: Client,
    finished: Callable[..., Run],
    files: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    at: int,
) -> None:
    """Finished files are not fetched again, the unfinished one is, and the folder was bare in between."""
    run = finished()
    save, calls = transfer.save, []

    def dying(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == at:
            options["part"].write_bytes(b"half a fi")
            raise _Killed
        return save(*arguments, **options)

    monkeypatch.setattr(transfer, "save", dying)
    with pytest.raises(_Killed):
        pull.pull(client, run)
    assert [name for name in files() if "/." not in name] == BARE
    kaggle.requests.clear()
    pull.pull(client, run)
    assert files() == WHOLE
    assert is_right(run)
    assert kaggle.requests.count("signed") == 3 - (at - 1) + (at > 1), "run.json proves every listing anew"


@pytest.mark.parametrize("step", ["aside", "gone"])
def test_a_kill_between_the_renames_is_mended(
    client: Client, finished: Callable[..., Run], runs_root: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The folder is put in place by two renames; dying after either leaves a run that can be found."""
    run = finished()

    def dying(folder: Path, staged: Path) -> None:
        folder.rename(runs._aside(folder))
        if step == "gone":
            staged.rename(folder)
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(runs, "replace", dying)
        with pytest.raises(_Killed):
            pull.pull(client, run)
    found = runs.find("latest", runs_root)
    pull.pull(client, found)
    assert is_right(found)
    assert not runs._aside(run.folder).exists()


def test_a_killed_pull_of_a_changed_listing_starts_anew(client: Client, finished: Callable[..., Run]) -> None:
    """What was staged from one listing is not mixed with another one's files."""
    run = finished()
    stage = pull._Stage(run.folder.with_name(".v1.pull"))
    stage.open({"submission.csv": [10, "an older moment"]})
    (stage.files / "submission.csv").write_text("ten bytes.")
    (stage.files / "stranger.txt").write_text("from another listing")
    pull.pull(client, run)
    assert is_right(run)
    assert not (run.folder / "stranger.txt").exists()


def test_a_full_disk_is_seen_before_the_first_byte(
    kaggle: Server, client: Client, finished: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing's sizes are compared with the room there is."""
    run = finished()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 5_000))
    with pytest.raises(KitError, match="bytes are to come, 5,000 are free"):
        pull.pull(client, run)
    assert "signed" not in kaggle.requests


def test_two_pulls_of_one_run_do_not_meet(
    client: Client, finished: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second says so and touches nothing."""
    run = finished()
    fetch_all = pull._fetch_all
    said: list[str] = []

    def meanwhile(*arguments: Any) -> Any:
        with pytest.raises(KitError, match="another pull") as caught:
            pull.pull(client, run)
        said.append(str(caught.value))
        return fetch_all(*arguments)

    monkeypatch.setattr(pull, "_fetch_all", meanwhile)
    pull.pull(client, run)
    assert said
    assert is_right(run)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_hundred_pulls_under_random_faults_end_whole_or_refused(
    kaggle: Server, client: Client, finished: Callable[..., Run], files: Callable[[], list[str]]
) -> None:
    """Never wrong: after each pull the folder is whole and right, or as bare as before."""
    run, _ = finished(), finished(GOOD_SCRIPT.replace("hello", "good evening"))
    seed = random.Random(20261123)
    whole = 0
    for number in range(200):
        for fault in _random_faults(seed):
            kaggle.faults.arm(fault)
        try:
            pull.pull(client, run)
        except KitError:
            assert [name for name in files() if "v1" in name and "/." not in name] == BARE, number
        else:
            whole += 1
            assert [name for name in files() if "v1" in name] == WHOLE, number
            assert is_right(run), number
            for path in run.folder.iterdir():
                if path.name != "push.json":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        kaggle.faults.clear()
    assert 40 < whole < 190


def _random_faults(seed: random.Random) -> list[Fault]:
    names = [
        "reset", "http-500", "http-429", "html", "unauthorized", "expire-output-links", "expire-signed-links",
        "truncate", "wrong-length", "traversal", "repeat-page", "stale-version", "empty-json",
    ]  # fmt: skip
    chosen = [NAMED[name] for name in seed.sample(names, seed.randint(1, 4))]
    cut = seed.randint(0, 12_000)
    chosen.append(Fault("signed", seed.randint(1, 12), skip=seed.randint(0, 3), keep_bytes=cut))
    return chosen
