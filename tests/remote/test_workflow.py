"""The verbs joined: looks before a push, a home for each Kaggle's runs, the next step that is true."""

from dataclasses import replace
from unittest.mock import Mock

import pytest
from kaggle_fixtures import USER, StartKaggle
from makers import MakeBuilt, MakeClient

from kit.config import Config
from kit.errors import InputInvalid
from kit.remote import runs, workflow
from kit.remote.following import watch
from kit.remote.pushing.push import PushRefused
from kit.remote.wire.client import Client
from local_kaggle import faults
from local_kaggle.server import Server


@pytest.fixture(autouse=True)
def own_runs(
    own_home: None, runs_root: object, make_built: MakeBuilt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test's runs folder, and builds that bundle nothing."""
    monkeypatch.setattr(runs, "RUNS", runs_root)
    monkeypatch.setattr(workflow.build, "build", lambda config, **_: make_built(config))


def test_a_failed_check_keeps_the_push_back(
    start_kaggle: StartKaggle, make_client: MakeClient, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is sent, and the line says which checks failed."""
    kaggle = start_kaggle(joined=False)
    with pytest.raises(PushRefused, match="nothing was pushed: competition failed above"):
        workflow.look_and_push(make_client(kaggle), config)
    assert "SaveKernel" not in kaggle.requests
    assert "fail  competition" in capsys.readouterr().out


def test_a_rehearsal_has_a_home_and_a_latest_of_its_own(client: Client, config: Config) -> None:
    """What it pushed is found by its names there, and never by `latest` outside."""
    run = workflow.look_and_push(client, config)
    assert run.folder == runs.RUNS / "rehearsal" / run.slug / "v1"
    assert run.name == f"rehearsal/{run.slug}/v1"
    assert not (runs.RUNS / "latest").exists()
    assert (runs.RUNS / "rehearsal" / "latest").resolve() == run.folder
    for name in ("latest", "v1", run.name, f"runs/{run.name}"):
        assert workflow.find(client, name) == run
    assert runs.find(run.name, runs.RUNS) == run


def test_a_run_is_only_found_by_its_own_kaggle_and_owner(
    client: Client, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rehearsed run is not asked of Kaggle, nor another account's of anyone."""
    run = workflow.look_and_push(client, config)
    path = run.folder / "push.json"
    runs.write_json(path, runs.read_json(path) | {"owner": "other"})
    with pytest.raises(
        InputInvalid, match=f"belongs to other, and KAGGLE_USERNAME and KAGGLE_KEY is of {USER}"
    ):
        workflow.find(client, "latest")
    runs.write_json(path, runs.read_json(path) | {"url": "https://www.kaggle.com/code/x/y"})
    with pytest.raises(InputInvalid, match="is a run of Kaggle, not of the one on this machine"):
        workflow.find(client, "latest")
    runs.write_json(path, runs.read_json(path) | {"url": run.url})
    monkeypatch.setattr(Client, "is_local", False)
    with pytest.raises(InputInvalid, match="was rehearsed on this machine"):
        workflow.find(client, run.name)


def test_who_asks_is_no_condition_where_kaggle_does_not_say(
    kaggle: Server, client: Client, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A precaution decides nothing."""
    run = workflow.look_and_push(client, config)
    kaggle.faults.arm(faults.status("IntrospectToken", 500, times=99))
    monkeypatch.setattr(client, "_user", "")
    monkeypatch.setattr(client, "_credentials", replace(client.credentials, user="", token="0" * 32))
    assert workflow.find(client, "latest") == run


def test_the_next_step_is_a_true_one(client: Client, config: Config) -> None:
    """A rehearsal and a run of some rows are not submitted."""
    run = workflow.look_and_push(client, config)
    assert "for real" in workflow.next_step(run)
    real = replace(run, url="https://www.kaggle.com/code/x/y")
    assert workflow.next_step(real) == f"next: make submit RUN={run.name}"
    some = replace(real, config=run.config | {"data": run.config["data"] | {"test_rows": 16}})
    assert "make submit" not in workflow.next_step(some)


def test_a_rehearsal_that_is_left_is_not_said_to_go_on(
    client: Client, config: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its Kaggle ends with it."""
    run = workflow.look_and_push(client, config)
    monkeypatch.setattr(watch, "watch", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        workflow.watch_to_end(client, run, 1)
    said = str(capsys.readouterr())
    assert "comes with that of its Kaggle on this machine" in said
    assert "goes on" not in said


def test_an_answer_that_names_no_image_ends_nothing(kaggle: Server, client: Client, config: Config) -> None:
    """The image is only a hint for the next push."""
    run = workflow.look_and_push(client, config)
    kaggle.faults.arm(faults.answer("GetKernel", {}, times=99))
    assert workflow.watch_to_end(client, run, 600).has_succeeded


def test_a_rehearsal_whose_kaggle_is_gone_is_not_waited_for(client: Client, config: Config) -> None:
    """Another server on this machine knows nothing of it."""
    run = replace(workflow.look_and_push(client, config), url="http://127.0.0.1:1/code/me/x")
    with pytest.raises(InputInvalid, match="rehearsed by a Kaggle on this machine that is gone"):
        workflow.watch_to_end(client, run, 1)


def test_what_was_made_at_home_is_only_submitted(client: Client) -> None:
    """A baseline or a blend has no version to watch; the next command is named."""
    folder = runs.RUNS / "rehearsal" / "baseline-x"
    told = {"slug": "baseline-x", "owner": "", "version": 0, "url": "http://x"}
    runs.write_json(folder / "made.json", told | {"bundle_hash": "", "config": {}})
    with pytest.raises(InputInvalid, match="made at home: nothing of it ran on Kaggle") as caught:
        workflow.find(client, "baseline-x")
    assert "make submit RUN=" in caught.value.hint
    assert workflow.find(client, "baseline-x", or_made=True).version == 0
    folder.rename(runs.RUNS / "baseline-y")
    with pytest.raises(InputInvalid, match="no run 'baseline-y'") as caught:
        workflow.find(client, "baseline-y")
    assert caught.value.hint == runs.UNSET
