"""Pushing through the real SDK: where a kernel is filed, what it gets, and the ways Kaggle says no."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from kaggle_fixtures import SLUG, TOKEN, USER, StartKaggle
from kagglesdk.kernels.types.kernels_enums import KernelsListViewType, KernelWorkerStatus
from sdk_client import (
    GO_TO_WORKING,
    LITTLE,
    Json,
    Kernels,
    Push,
    ask,
    connect,
    push_fields,
    rpc,
    status,
    wait_for_file,
)

from local_kaggle.pushing import slug_of
from local_kaggle.server import Server
from local_kaggle.state import quota_refresh


def test_a_push_is_filed_run_and_completed(kaggle: Server, kernels: Kernels, push: Push) -> None:
    """The answer names version, ids and address; the status ends at COMPLETE without a failure."""
    answer = push()
    assert (answer.ref, answer.version_number, answer.error) == (f"/code/{USER}/little-kernel", 1, "")
    assert answer.url == f"{kaggle.url}/code/{USER}/little-kernel"
    assert answer.kernel_id > 0
    kaggle.state.wait(USER, "little-kernel", 1)
    assert status(kernels).status == KernelWorkerStatus.COMPLETE
    assert status(kernels).failure_message == ""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"versionLabel": "1"}, 404),
        ({"versionLabel": "v9"}, 404),
        ({"kernelSlug": "never-pushed"}, 403),
        ({"userName": "somebody-else"}, 403),
    ],
)
def test_what_cannot_be_seen_is_refused_as_kaggle_does(
    kaggle: Server, run: Push, fields: dict[str, str], expected: int
) -> None:
    """A bare number is no label, and a wrong slug looks like a forbidden one."""
    run()
    for method in ("GetKernelSessionStatus", "ListKernelSessionOutput", "ListKernelFiles", "GetKernel"):
        answer = rpc(kaggle, method, {"userName": USER, "kernelSlug": "little-kernel"} | fields)
        assert (answer.status_code, answer.json()["code"]) == (expected, expected)


def test_a_lost_push_can_be_looked_up(kernels: Kernels, push: Push) -> None:
    """The kernel tells its newest version and the text of any."""
    push("print(1)")
    push("print('é')\r\n", enable_internet=True, competition_data_sources=[SLUG])
    found = ask(kernels.get_kernel, **LITTLE)
    assert found.metadata.current_version_number == 2
    assert found.metadata.competition_data_sources == [SLUG]
    assert (found.blob.source, found.blob.kernel_type) == ("print('é')\r\n", "script")
    first = ask(kernels.get_kernel, **LITTLE, version_label="v1")
    assert first.blob.source == "print(1)"


def test_a_title_decides_where_a_kernel_is_filed(kernels: Kernels, push: Push) -> None:
    """When title and slug disagree the wanted slug stays empty, and asking for it is forbidden.

    So is a push to another account.
    """
    answer = push(slug=f"{USER}/wanted", new_title="Given Title!")
    assert answer.ref == f"/code/{USER}/given-title"
    with pytest.raises(requests.HTTPError, match="denied"):
        status(kernels, kernel_slug="wanted")
    with pytest.raises(requests.HTTPError, match="denied"):
        push(slug="somebody-else/little-kernel")


@given(st.text())
def test_a_slug_is_a_fixed_point(title: str) -> None:
    """A slug used as title gives itself, and holds nothing but letters, digits and single dashes."""
    slug = slug_of(title)
    assert slug_of(slug) == slug
    assert "--" not in slug
    assert not set(slug) - set("abcdefghijklmnopqrstuvwxyz0123456789-")  # pragma: allowlist secret


def test_a_kernel_beyond_one_mebibyte_is_a_bare_400(kaggle: Server, run: Push) -> None:
    """Exactly 1 MiB passes; one byte more gets no word of explanation."""
    refused = rpc(kaggle, "SaveKernel", push_fields(text="#" * (1 << 20) + "\n"))
    assert (refused.status_code, refused.content) == (400, b"")
    assert run("#" * ((1 << 20) - 1) + "\n").status == "COMPLETE"


@pytest.mark.parametrize(
    ("fields", "error"),
    [({"new_title": "Four"}, "at least five characters"), ({"language": "r"}, "no r script")],
)
def test_a_refused_push_is_a_success_with_an_error_inside(
    kaggle: Server, push: Push, fields: Json, error: str
) -> None:
    """HTTP 200, an error text, no version, no ref: a client that does not look sees success."""
    answer = push(**fields)
    assert error in answer.error
    assert (answer.version_number, answer.ref, answer.kernel_id) == (0, "", 0)
    assert kaggle.state.kernels == []


def test_a_notebook_names_its_kernel_and_no_script_becomes_one(kaggle: Server, push: Push) -> None:
    """A bare 400 for JSON without a kernel's name or with lists as sources; a slug keeps its type."""
    kernel = {"name": "python3", "language": "python"}
    made = {"cells": [{"cell_type": "markdown", "source": "words"}], "metadata": {"kernelspec": kernel}}
    listed = {**made, "cells": [{"cell_type": "markdown", "source": ["words"]}]}
    for text in ("print()", "{}", json.dumps(listed)):
        refused = rpc(kaggle, "SaveKernel", push_fields(kernelType="notebook", text=text))
        assert (refused.status_code, refused.content) == (400, b"")
    assert push().version_number == 1
    assert "cannot be changed" in push(kernel_type="notebook", text=json.dumps(made)).error


def test_at_most_two_gpu_sessions_run(kaggle: Server, push: Push, gate: Path) -> None:
    """The third is refused with Kaggle's words; a CPU session and, later, a GPU session are not."""
    gpu = {"machine_shape": "NvidiaTeslaT4"}
    for _ in range(2):
        assert push(wait_for_file(gate), **gpu).version_number
    assert push(**gpu).error == "Maximum batch GPU session count of 2 reached."
    assert push().version_number == 3
    gate.touch()
    for number in (1, 2, 3):
        kaggle.state.wait(USER, "little-kernel", number)
    assert push(**gpu).version_number == 4


@pytest.mark.parametrize(
    ("fields", "uses_gpu"),
    [
        ({}, False),
        ({"machine_shape": "None", "enable_gpu": True}, False),
        ({"machine_shape": "NvidiaTeslaT4"}, True),
        ({"enable_gpu": True}, True),
        ({"machine_shape": "NvidiaTeslaP100"}, True),
    ],
)
def test_every_wish_for_a_gpu_is_two_t4(run: Push, fields: Json, uses_gpu: bool) -> None:
    """The push succeeds; the quota alone tells whether Kaggle would have given cards."""
    assert run(**fields).push.uses_gpu == uses_gpu


def test_gpu_time_is_charged_to_the_weekly_quota(start_kaggle: StartKaggle) -> None:
    """Thirty hours are written as seconds; when they are used up a GPU push is refused, a CPU push is not."""
    kaggle = start_kaggle(gpu_seconds_used=30 * 3600)
    kernels = connect(kaggle).kernels.kernels_api_client
    raw = rpc(kaggle, "GetAcceleratorQuotaStatistics", {}).json()
    assert raw["gpuQuota"] == {"timeUsed": "108000s", "timeReserved": "0s", "totalTimeAllowed": "108000s"}
    quota = ask(kernels.get_accelerator_quota_statistics)
    assert quota.gpu_quota.total_time_allowed.total_seconds() == 108000
    assert quota.quota_refresh_time > datetime.now(UTC).replace(tzinfo=None)
    refused = rpc(kaggle, "SaveKernel", push_fields(machineShape="NvidiaTeslaT4")).json()
    assert refused == {"error": "Maximum weekly GPU quota of 30.00 hours reached."}
    assert rpc(kaggle, "SaveKernel", push_fields()).json()["versionNumber"] == 1


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))
def test_the_quota_refreshes_on_the_next_saturday(now: datetime) -> None:
    """Always ahead, never more than a week, at midnight UTC."""
    refresh = quota_refresh(now)
    assert (refresh.weekday(), refresh.hour, refresh.minute, refresh.second) == (5, 0, 0, 0)
    assert 0 < (refresh - now).total_seconds() <= 7 * 86400


def test_sources_that_exist_are_mounted_and_others_are_dropped_in_silence(
    tmp_path: Path, start_kaggle: StartKaggle
) -> None:
    """The run goes on without the missing ones; the answer lists them by kind."""
    model = tmp_path / "models/meta/llama/transformers/tiny"
    for version in ("1", "12"):
        (model / version).mkdir(parents=True)
        (model / version / "config.json").write_text(version)
    kaggle = start_kaggle(models=tmp_path / "models")
    (kaggle.state.root / "datasets/me/words").mkdir(parents=True)
    (kaggle.state.root / "datasets/me/words/words.txt").touch()
    earlier = push_fields(newTitle="Earlier", text=GO_TO_WORKING + "open('made.txt', 'w')")
    rpc(kaggle, "SaveKernel", earlier)
    kaggle.state.wait(USER, "earlier", 1)
    llama = "meta/llama/transformers/tiny"
    sources = {
        "competitionDataSources": [SLUG, "titanic"],
        "datasetDataSources": ["me/words", "me/gone"],
        "kernelDataSources": [f"{USER}/earlier", f"{USER}/never"],
        "modelDataSources": [f"{llama}/1", f"{llama}/2", llama],
    }
    text = (
        "import pathlib; root = pathlib.Path(__file__).parents[1] / 'input'\n"
        "for path in sorted(root.rglob('*.*')):\n    if path.is_file(): print(path.relative_to(root))"
    )
    answer = rpc(kaggle, "SaveKernel", push_fields(text=text) | sources).json()
    assert answer["invalidCompetitionSources"] == ["titanic"]
    assert answer["invalidDatasetSources"] == ["me/gone"]
    assert answer["invalidKernelSources"] == [f"{USER}/never"]
    assert answer["invalidModelSources"] == [f"{llama}/2"]
    version = kaggle.state.wait(USER, "little-kernel", 1)
    assert version.status == "COMPLETE"
    assert "".join(chunk["data"] for chunk in kaggle.state.log(version)).split() == [
        f"competitions/{SLUG}/sample_submission.csv",
        f"competitions/{SLUG}/test.csv",
        f"competitions/{SLUG}/train.csv",
        "datasets/me/words/words.txt",
        "models/meta/llama/transformers/tiny/1/config.json",
        "models/meta/llama/transformers/tiny/12/config.json",
        f"notebooks/{USER}/earlier/made.txt",
    ]


def test_kernels_can_be_listed_and_searched(kernels: Kernels, run: Push) -> None:
    """The newest comes first; a search looks at titles."""
    run()
    run(slug=f"{USER}/other-kernel", new_title="Other Kernel")
    for search, found in (("", ["other-kernel", "little-kernel"]), ("little", ["little-kernel"])):
        mine = ask(kernels.list_kernels, group=KernelsListViewType.PROFILE, search=search)
        assert [kernel.ref for kernel in mine.kernels] == [f"{USER}/{slug}" for slug in found]


def test_the_login_is_checked(kaggle: Server) -> None:
    """User and key, or the token alone; anything else is 401, also for the log stream."""
    wrong = ("Bearer wrong", "Basic d3Jvbmc6d3Jvbmc=", f"Basic {TOKEN}", "")
    for value in wrong:
        headers = {"Authorization": value, "Content-Type": "application/json"}
        answer = rpc(kaggle, "GetAcceleratorQuotaStatistics", {}, headers=headers, auth=None)
        assert (answer.status_code, answer.json()["code"]) == (401, 401)
    stream = f"{kaggle.url}/api/v1/kernels/logs/stream/{USER}/little-kernel"
    assert requests.get(stream, headers={"Authorization": wrong[0]}, timeout=10).status_code == 401
    by_token = connect(kaggle, token=TOKEN).kernels.kernels_api_client
    ask(by_token.get_accelerator_quota_statistics)
