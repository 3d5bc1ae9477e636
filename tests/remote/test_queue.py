"""What holds a run up before it starts is said, and can be waited for or got round by naming an image."""

from dataclasses import replace

import pytest
from kaggle_fixtures import USER
from makers import MakeBuilt, MakeRun
from quick_clock import QuickClock

from kit import config as settings
from kit.bundle import metadata
from kit.config import Config
from kit.pipeline.record import RunRecord
from kit.remote import doctor, runs, workflow
from kit.remote.following import watch
from kit.remote.pushing import lookup, push
from kit.remote.pushing.objections import PushRefused
from kit.remote.runs import Run
from kit.remote.wire.client import Client
from local_kaggle import faults
from local_kaggle.server import Server

IMAGE = f"gcr.io/kaggle-images/python@sha256:{'ab' * 32}"
SAYS = 'import os; print(os.environ["KAGGLE_DOCKER_IMAGE"])'
SPENT = {"gpuQuota": {"timeUsed": "108000s", "timeReserved": "0s", "totalTimeAllowed": "108000s"}}


def test_a_long_queue_is_said_with_what_helps(kaggle: Server, client: Client, finished: MakeRun) -> None:
    """Every ten minutes, while the session is QUEUED and no longer."""
    kaggle.faults.arm(faults.amend("GetKernelSessionStatus", {"status": "QUEUED"}, times=30))
    said: list[str] = []
    watch.watch(client, finished("print()"), 1e6, lambda _, line: said.append(line))
    queued = [line for line in said if "is QUEUED, for 1" in line]
    assert len(queued) == 1
    assert "one with an image" in queued[0]
    assert "make stop RUN=little-kernel-tiny/v1" in queued[0]


def test_a_named_image_is_pushed_and_remembered(
    kaggle: Server, client: Client, config: Config, make_built: MakeBuilt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kaggle's word for it stands in push.json, the kernel's in run.json; doctor tells it with its age."""
    asked = settings.override(config, [f"kernel.image={IMAGE}"])
    root = runs.RUNS / "of-a-test"
    built = make_built(config)

    def said() -> str:
        checks = doctor.examine(client, config, built, root=root)
        return next(check.text for check in checks if check.name == "image")

    assert said() == "default"
    run = push.push(client, make_built(asked, SAYS), asked, root=root)
    workflow.watch_to_end(client, run, 600)
    version = kaggle.state.version(USER, run.slug)
    assert runs.read_json(run.folder / "push.json")["image"] == version.push.docker_image == IMAGE
    assert IMAGE in str(kaggle.state.log(version))
    monkeypatch.setenv("KAGGLE_DOCKER_IMAGE", IMAGE)
    assert RunRecord("", {}).image == IMAGE
    assert said() == f"default; {run.folder.parent.name}/v1, 0 days ago, had kernel.image={IMAGE}"
    assert metadata.build(config).docker_image is None


def test_a_push_waits_until_a_session_and_hours_are_free(
    kaggle: Server, client: Client, clock: QuickClock, push: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    """A first push that is refused leaves a kernel that blocks its name; an outage passes as well."""
    kaggle.faults.arm(faults.amend("GetAcceleratorQuotaStatistics", SPENT, times=3))
    kaggle.faults.arm(faults.status("ListKernels", 500, times=6))
    assert lookup.when_free(client, push).version == 1
    said = [line for line in capsys.readouterr().out.splitlines() if "looking again" in line]
    assert len(said) == 3
    assert all("0.0 of 30 GPU hours left, renewed on Sat" in line for line in said[1:])
    assert "answers 500" in said[0]
    assert sum(clock.slept) >= 3 * lookup.PAUSE_SECONDS


def test_two_sessions_that_are_on_are_waited_for(
    kaggle: Server, client: Client, push: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kernel whose push opened no session is not on, and would be waited for without an end."""
    pushed = [{"ref": f"{USER}/{slug}", "enableGpu": True} for slug in "ab"]
    kaggle.faults.arm(faults.amend("ListKernels", {"kernels": pushed}, times=2))
    for skip, state in ((0, "RUNNING"), (2, "NEW_SCRIPT")):
        fault = faults.answer("GetKernelSessionStatus", {"status": state}, times=2)
        kaggle.faults.arm(replace(fault, skip=skip))
    assert lookup.when_free(client, push).version == 1
    said = capsys.readouterr().out
    assert said.count("looking again") == said.count(f"{USER}/a and {USER}/b are on") == 1


def test_only_a_refusal_that_time_heals_is_waited_for(client: Client, push: MakeRun) -> None:
    """The session count may change between the look and the push; a title does not."""
    refusals = ["Maximum batch GPU session count of 2 reached.", "Title must be at least five characters."]

    def refused() -> Run:
        raise PushRefused(refusals.pop(0))

    with pytest.raises(PushRefused, match="Title"):
        lookup.when_free(client, refused)
    assert not refusals
