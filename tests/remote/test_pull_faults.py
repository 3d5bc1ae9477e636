"""Whatever a server or a disk does, a pull ends whole or refused."""

import os
import random
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kaggle_fixtures import StartKaggle
from makers import Files, MakeRun
from pulled_files import BARE, LISTING, WEIGHTS, WHOLE, is_right
from quick_clock import QuickClock
from tiny_kernels import GOOD_SCRIPT

from kit.errors import KitError
from kit.files import sha256_of
from kit.remote.pulling import pull
from kit.remote.pulling.pull import PullRefused
from kit.remote.runs import Run
from kit.remote.wire import session, transfer
from kit.remote.wire.client import Client
from local_kaggle import faults
from local_kaggle.faults import NAMED, Fault
from local_kaggle.profile import PROFILES, Profile
from local_kaggle.server import Server


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
        faults.status(LISTING, 403, times=3),
        faults.answer(LISTING, {"files": None}, times=3),
        Fault(LISTING, 4, edit_answer=lambda _, payload: payload | {"log": ""}),
        Fault("signed", 2, skip=1, keep_bytes=100),
    ],
    ids=lambda fault: f"{fault.route} {fault.status or fault.drop or 'body'}",
)
def test_a_passing_trouble_costs_another_request(
    start_kaggle: StartKaggle, kaggle: Server, client: Client, done: Run, files: Files, fault: Fault
) -> None:
    """Expired links are listed again, broken bodies are fetched again, and the result is the same."""
    kaggle.faults.arm(fault)
    pull.pull(client, done)
    assert kaggle.faults.struck(fault)
    assert files() == WHOLE
    assert is_right(done)


def _drop_first(_: Any, payload: dict[str, Any]) -> dict[str, Any]:
    return payload | {"files": payload["files"][1:]}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (faults.html("output", 404, times=9999), "a file's link with 404"),
        (faults.html("signed", times=9999), "sends a web page in its place"),
        (Fault("signed", 9999, keep_bytes=10), "broke the connection"),
        (faults.status(LISTING, 500, times=9999), "answers 500 to ListKernelSessionOutput"),
    ],
    ids=["links gone", "pages", "truncated", "no listing"],
)
def test_a_lasting_trouble_leaves_nothing(
    kaggle: Server, client: Client, done: Run, files: Files, tmp_path: Path, fault: Fault, message: str
) -> None:
    """Refused in one line; in the run's folder stands what stood there before, and nothing outside it."""
    outside = sorted(path.name for path in tmp_path.iterdir())
    kaggle.faults.arm(fault)
    with pytest.raises(KitError, match=message) as caught:
        pull.pull(client, done)
    assert "\n" not in str(caught.value)
    assert [name for name in files() if "/." not in name] == BARE
    assert sorted(path.name for path in tmp_path.iterdir()) == outside
    kaggle.faults.clear()
    pull.pull(client, done)
    assert files() == WHOLE
    assert is_right(done)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(LISTING, 9999, edit_answer=_drop_first),
        Fault("signed", 9999, edit_body=lambda body: body.replace(WEIGHTS, WEIGHTS[:-1])),
        Fault("signed", 9999, edit_body=lambda body: body.replace(WEIGHTS, WEIGHTS[::-1])),
        Fault("signed", 9999, edit_body=lambda body: body.replace(WEIGHTS, WEIGHTS + b"x")),
    ],
    ids=["not listed", "too short", "other bytes", "too long"],
)
def test_the_files_beside_a_lost_one_come_home(
    kaggle: Server, client: Client, done: Run, files: Files, fault: Fault
) -> None:
    """What the kernel promised and Kaggle does not give is named, never final, and no wrong file is kept."""
    kaggle.faults.arm(fault)
    with pytest.raises(PullRefused, match=r"lacks adapter/weights\.bin, which Kaggle does not give"):
        pull.pull(client, done)
    assert files() == [name for name in WHOLE if "weights" not in name]
    kaggle.faults.clear()
    kaggle.requests.clear()
    pull.pull(client, done)
    assert kaggle.requests.count("signed") == 3, "run.json, the manifest, and what was missing"
    assert files() == WHOLE
    assert is_right(done)


class _Killed(BaseException):
    """Stands for a kill: nothing of ours may catch it."""


@pytest.mark.parametrize("at", [1, 2])
def test_a_killed_pull_goes_on_where_it_was(
    kaggle: Server, client: Client, done: Run, files: Files, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Finished files are not fetched again, the unfinished one goes on; the folder was bare in between."""
    proved, calls = transfer.Transfer._proved, []

    def dying(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == at:
            os.truncate(arguments[0].part, 20)
            raise _Killed
        return proved(*arguments)

    monkeypatch.setattr(transfer.Transfer, "_proved", dying)
    with pytest.raises(_Killed):
        pull.pull(client, done)
    assert [name for name in files() if "/." not in name] == BARE
    kaggle.requests.clear()
    pull.pull(client, done)
    assert files() == WHOLE
    assert is_right(done)
    assert kaggle.requests.count("signed") == 5 - at, "run.json and the manifest prove every listing anew"


def test_a_stage_of_another_pull_is_not_mixed_in(client: Client, done: Run) -> None:
    """What was staged counts only where the kernel's list proves it."""
    stage = done.folder.with_name(".v1.pull")
    stage.mkdir(parents=True)
    (stage / "submission.csv").write_bytes(b"x" * (24 + 4 * 9))
    (stage / "stranger.txt").write_text("from another listing")
    pull.pull(client, done)
    assert is_right(done)
    assert not (done.folder / "stranger.txt").exists()


def test_a_full_disk_is_seen_before_the_first_byte(
    client: Client, done: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sizes that the kernel wrote are compared with the room there is."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 5_000))
    with pytest.raises(KitError, match="bytes are to come, 5,000 are free"):
        pull.pull(client, done)


@pytest.mark.parametrize(
    "fault",
    [
        faults.status("GetKernelSessionStatus", 500, times=9999),
        faults.status("GetKernelSessionStatus", 403, times=9999),
        faults.status("GetKernelSessionStatus", 404, times=9999),
        faults.answer("GetKernelSessionStatus", {}, times=9999),
        faults.answer("GetKernelSessionStatus", {"status": "PERHAPS"}, times=9999),
        faults.html("GetKernelSessionStatus", times=9999),
    ],
    ids=["500", "403", "404", "{}", "unknown state", "page"],
)
def test_a_dead_status_keeps_no_outputs_back(
    kaggle: Server, client: Client, done: Run, files: Files, fault: Fault
) -> None:
    """What the kernel wrote says that the run has ended, and how."""
    kaggle.faults.arm(fault)
    assert pull.pull(client, done).status.has_succeeded
    assert files() == WHOLE
    kaggle.faults.clear()


def test_a_status_that_takes_no_version_is_asked_without(
    kaggle: Server, client: Client, finished: MakeRun
) -> None:
    """The answer counts only where the newest version is the one that is meant."""
    first = finished("raise SystemExit(1)")
    refuse = Fault(
        "GetKernelSessionStatus",
        9999,
        edit_request=lambda asked: asked | {"versionLabel": asked.get("versionLabel") and "1"},
    )
    kaggle.faults.arm(refuse)
    assert session.status(client, first).name == "ERROR"
    second = finished()
    assert session.status(client, second).name == "COMPLETE"
    assert not session.status(client, first).is_known


def test_an_empty_log_is_never_final(kaggle: Server, client: Client, done: Run, clock: QuickClock) -> None:
    """It is waited for ten minutes, the outputs come home without it, and the next pull asks again."""
    late = kaggle.faults.arm(Fault(LISTING, 9999, edit_answer=lambda _, payload: payload | {"log": "[]"}))
    clock.slept.clear()
    assert pull.pull(client, done).missing == ("kernel.log",)
    assert 600 < sum(clock.slept) < 700
    assert kaggle.faults.struck(late)
    kaggle.faults.clear()
    assert pull.pull(client, done).missing == ()
    assert (done.folder / "kernel.log").read_text().startswith("hello\n")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_five_hundred_pulls_under_random_faults_end_whole_or_refused(
    kaggle: Server, client: Client, finished: MakeRun, files: Files, profile: Profile
) -> None:
    """Never wrong: after each pull every file at home is right, and all are there unless it was refused."""
    kaggle.state.settings = replace(kaggle.state.settings, profile=profile.without_waiting())
    run, _ = finished(), finished(GOOD_SCRIPT.replace("hello", "good evening"))
    seed = random.Random(profile.name)
    hashes = {}
    whole = 0
    for number in range(250):
        for fault in _random_faults(seed):
            kaggle.faults.arm(fault)
        try:
            pull.pull(client, run)
        except KitError:
            pass
        else:
            whole += 1
            assert set(WHOLE) <= {name for name in files() if "v1" in name}, number
            assert is_right(run), number
        kaggle.faults.clear()
        there = {path: sha256_of(path) for path in run.folder.rglob("*") if path.is_file()}
        hashes.update({path: sha256 for path, sha256 in there.items() if path not in hashes})
        for path, sha256 in there.items():
            if path.name not in ("pull.json", "kernel.log") and "kaggle" not in path.parts:
                assert sha256 == hashes[path], (number, path)
        for path in run.folder.iterdir():
            if path.name != "push.json":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert 50 < whole < 245


def _random_faults(seed: random.Random) -> list[Fault]:
    names = [
        "reset", "http-500", "http-429", "html", "unauthorized", "expire-output-links", "expire-signed-links",
        "truncate", "wrong-length", "traversal", "repeat-page", "stale-version", "empty-json",
    ]  # fmt: skip
    chosen = [NAMED[name] for name in seed.sample(names, seed.randint(1, 4))]
    cut = seed.randint(0, 12_000)
    chosen.append(Fault("signed", seed.randint(1, 12), skip=seed.randint(0, 3), keep_bytes=cut))
    if seed.random() < 0.3:
        chosen.append(faults.status("GetKernelSessionStatus", seed.choice([403, 404, 500]), times=9999))
    if seed.random() < 0.3:
        chosen.append(Fault(LISTING, seed.randint(1, 5), edit_answer=_drop_first))
    return chosen
