"""A pull ends whole or not at all, and never with another run's output."""

import json
from typing import Any

import pytest
from makers import Files, MakeRun
from pulled_files import BARE, LISTING, WEIGHTS, WHOLE, is_right
from tiny_kernels import GOOD_SCRIPT

from kit.errors import KitError
from kit.remote.pulling import pull
from kit.remote.pulling.pull import PullRefused
from kit.remote.runs import Run
from kit.remote.wire.client import Client
from local_kaggle.faults import NAMED, Fault
from local_kaggle.server import Server


def test_a_pull_is_whole(client: Client, done: Run, files: Files) -> None:
    """Every output in its folder, the log as text, the sizes and hashes on record, nothing else."""
    pulled = pull.pull(client, done)
    assert files() == WHOLE
    assert is_right(done)
    assert pulled.folder == done.folder
    assert pulled.status.has_succeeded
    assert pulled.files["adapter/weights.bin"].bytes == len(WEIGHTS)
    assert (done.folder / "kernel.log").read_text().startswith("hello\n")


def test_members_that_failed_are_named(
    client: Client, finished: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run answers with the others, so nothing else would show it."""
    failed = GOOD_SCRIPT.replace('"bundle_hash":', '"failed": {"seed-43": "loss is nan"}, "bundle_hash":')
    assert failed != GOOD_SCRIPT
    pull.pull(client, finished(failed))
    assert "member seed-43 failed: loss is nan" in capsys.readouterr().out.splitlines()


def test_a_second_pull_asks_nothing(kaggle: Server, client: Client, done: Run) -> None:
    """What is whole stays unless that is forced; a file that was damaged since is brought with the rest."""
    first = pull.pull(client, done)
    kaggle.requests.clear()
    assert pull.pull(client, done) == first
    assert kaggle.requests == []
    (done.folder / "submission.json").write_text("{}")
    pull.pull(client, done, again=True)
    assert kaggle.requests.count("signed") == 4
    (done.folder / "submission.csv").write_text("damaged")
    pull.pull(client, done)
    assert is_right(done)
    assert (done.folder / "submission.json").exists(), "what stands beside the outputs is kept"


ODD_NAMES = [
    "../../x", "/etc/cron.d/x", "a/../../x", "..\\x", "push.json", "push.json/x", "Pull.json", "kernel.log",
    "Made.json", "kernel.log/x",
    "kaggle/x", "submission.json", "report.html", "a//b", "x" * 5000, "a/" * 1000 + "x",
    "half \ud83d", "NUL\0", "submission.csv/x", "adapter", ".",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES, ids=lambda name: ascii(name[:20]))
def test_an_odd_name_is_set_aside_and_the_rest_comes_home(
    kaggle: Server, client: Client, done: Run, files: Files, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It never leaves the folder nor takes a name of ours; it stands under a safe one, and is said."""

    def add(_: Any, payload: dict[str, Any]) -> dict[str, Any]:
        stranger = {"fileName": name, "url": payload["files"][0]["url"]}
        return payload | {"files": [*payload["files"], stranger]}

    kaggle.faults.arm(Fault(LISTING, 9999, edit_answer=add))
    pulled = pull.pull(client, done)
    assert is_right(done)
    (extra,) = sorted(set(files()) - set(WHOLE))
    assert extra.startswith("little-kernel-tiny/v1/kaggle/")
    assert list(pulled.set_aside.values()) in ([extra.partition("/v1/")[2]], [])
    assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())
    assert json.loads((done.folder / "push.json").read_text())["version"] == 1


def test_what_kaggle_adds_stands_apart(kaggle: Server, client: Client, done: Run, files: Files) -> None:
    """Files beyond the kernel's list get a folder of their own; one that does not come is no error."""

    def add(_: Any, payload: dict[str, Any]) -> dict[str, Any]:
        url = payload["files"][0]["url"]
        more = [{"fileName": "__results__.html", "url": url}, {"fileName": "gone", "url": url + "x"}]
        return payload | {"files": [*payload["files"], *more]}

    kaggle.faults.arm(Fault(LISTING, 9999, edit_answer=add))
    pulled = pull.pull(client, done)
    assert files() == sorted([*WHOLE, "little-kernel-tiny/v1/kaggle/__results__.html"])
    assert (pulled.unproved, pulled.missing, pulled.set_aside) == ((), (), {})


def test_an_older_version_is_pulled_and_not_the_newest(client: Client, finished: MakeRun) -> None:
    """Two versions of one kernel keep their own outputs, in whatever order they are pulled."""
    first, second = finished(), finished(GOOD_SCRIPT.replace("hello", "good evening"))
    for run in (second, first):
        pull.pull(client, run)
    assert (first.folder / "kernel.log").read_text().startswith("hello")
    assert (second.folder / "kernel.log").read_text().startswith("good evening")
    assert is_right(first)
    assert is_right(second)


OTHER_FRESH_LINKS = (
    Fault("output", skip=1, status=404),
    Fault(LISTING, 99, skip=1, edit_request=lambda asked: asked | {"versionLabel": "v2"}),
)


@pytest.mark.parametrize("faults", [(NAMED["stale-version"],), OTHER_FRESH_LINKS], ids=["at once", "later"])
def test_another_versions_output_is_refused_by_its_name(
    kaggle: Server, client: Client, finished: MakeRun, files: Files, faults: tuple[Fault, ...]
) -> None:
    """Where Kaggle forgets the version asked for, when listing first or listing anew, run.json tells."""
    first, _ = finished(), finished(GOOD_SCRIPT.replace("hello", "good evening"))
    for fault in faults:
        kaggle.faults.arm(fault)
    with pytest.raises(
        PullRefused, match="gave the output of little-kernel-tiny/v2 for little-kernel-tiny/v1"
    ):
        pull.pull(client, first)
    assert [name for name in files() if "v1" in name] == BARE


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ('{"bundle_hash": "0000"}', "output of a push that is not recorded here"),
        ("{}", "run.json names no bundle"),
        ("[1]", "run.json names no bundle"),
        ("not JSON", "run.json names no bundle"),
    ],
)
def test_an_output_of_no_known_push_is_refused(
    client: Client, finished: MakeRun, files: Files, found: str, message: str
) -> None:
    """A run.json of another bundle, or of none, proves nothing."""
    run = finished(f"import os\nopen(os.environ['KIT_WORKING_DIR'] + '/run.json', 'w').write({found!r})")
    with pytest.raises(PullRefused, match=message):
        pull.pull(client, run)
    assert files() == BARE


def test_a_failed_run_is_pulled_too(client: Client, finished: MakeRun) -> None:
    """What it left and its log come home, with the status on record and without proof where it left none."""
    run = finished(
        "import os\nopen(os.environ['KIT_WORKING_DIR'] + '/part.txt', 'w').write('x')\nraise KeyError('y')"
    )
    pulled = pull.pull(client, run)
    assert pulled.status.name == "ERROR"
    assert pulled.files["part.txt"].bytes == 1
    assert pulled.unproved == ("part.txt",)
    assert pulled.notes == ["unproved, for the run left no list of its outputs: part.txt"]
    assert "KeyError: 'y'" in (run.folder / "kernel.log").read_text()
    record = json.loads((run.folder / "pull.json").read_text())
    assert (record["status"], record["unproved"]) == ("ERROR", ["part.txt"])
    assert not pull.pull(client, run).status.has_succeeded, "a second pull still knows"


def test_a_run_that_left_nothing_is_pulled_too(client: Client, finished: MakeRun, files: Files) -> None:
    """Its log is worth a folder."""
    run = finished("raise KeyError('y')")
    assert pull.pull(client, run).files == {}
    assert files() == [f"little-kernel-tiny/v1/{name}" for name in ("kernel.log", "pull.json", "push.json")]


def test_a_run_that_is_on_is_not_pulled(kaggle: Server, client: Client, push: MakeRun, files: Files) -> None:
    """Half an output is none."""
    run = push("import time; time.sleep(60)")
    with pytest.raises(KitError, match=r"is still (QUEUED|RUNNING)") as caught:
        pull.pull(client, run)
    assert caught.value.hint == f"make watch RUN={run.name}"
    assert files() == BARE


def test_an_odd_record_or_link_in_the_folder_stops_no_pull(client: Client, done: Run) -> None:
    """A pull.json that is a list and a link to nothing are passed over."""
    (done.folder / "pull.json").write_text('{"files": []}')
    (done.folder / "broken").symlink_to("nowhere")
    pull.pull(client, done)
    assert is_right(done)


def test_two_pulls_of_one_run_do_not_meet(client: Client, done: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second says so and touches nothing."""
    bring = pull._bring
    said: list[str] = []

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        with pytest.raises(KitError, match="another command") as caught:
            pull.pull(client, done)
        said.append(str(caught.value))
        return bring(*arguments, **options)

    monkeypatch.setattr(pull, "_bring", meanwhile)
    pull.pull(client, done)
    assert said
    assert is_right(done)
