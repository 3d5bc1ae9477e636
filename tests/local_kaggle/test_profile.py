"""The observed profile: what Kaggle was seen to answer where its documentation promises more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import requests
from kaggle_fixtures import SLUG, TOKEN, USER, StartKaggle
from sdk_client import GO_TO_WORKING, Json, push_behind_another, push_fields, rpc, wait_for_file
from waiting import wait_for

from local_kaggle.profile import OBSERVED
from local_kaggle.server import Server

LITTLE = {"userName": USER, "kernelSlug": "little-kernel"}
QUICK = OBSERVED.without_waiting()
WRITES = GO_TO_WORKING + "open('submission.csv', 'w').write('x' * 5000)\nprint('done')\n"


@pytest.fixture
def start_observed(start_kaggle: StartKaggle) -> StartKaggle:
    """Start a Kaggle as observed, without waiting; named fields of the profile may be changed."""

    def start(settings: Json | None = None, **changes: object) -> Server:
        return start_kaggle(profile=replace(QUICK, **changes), **(settings or {}))

    return start


def run(kaggle: Server, text: str = WRITES, **fields: object) -> str:
    """Push and wait for the end; gives what the script said first."""
    number = rpc(kaggle, "SaveKernel", push_fields(text=text, **fields)).json()["versionNumber"]
    said: str = kaggle.state.log(kaggle.state.wait(USER, "little-kernel", number))[0]["data"]
    return said


def test_defaults_are_left_out(start_observed: StartKaggle, gate: Path) -> None:
    """QUEUED, PENDING, zero and false are missing keys of a 200."""
    kaggle = start_observed({"parallel_sessions": 1, "joined": False, "max_daily_submissions": 0})
    push_behind_another(kaggle, gate)
    assert rpc(kaggle, "GetKernelSessionStatus", LITTLE).json() == {}
    assert "userHasEntered" not in rpc(kaggle, "GetCompetition", {"competitionName": SLUG}).json()
    assert rpc(kaggle, "GetSubmissionLimits", {"competitionName": SLUG}).json() == {}


def test_errors_come_in_an_envelope(start_observed: StartKaggle) -> None:
    """With Kaggle's word for the status beside the code."""
    answer = rpc(start_observed(), "GetKernel", LITTLE)
    assert answer.status_code == 403
    message = "Permission 'kernels.get' was denied"
    assert answer.json() == {"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}}


def test_the_file_list_is_worthless(start_observed: StartKaggle) -> None:
    """Sizes are lengths of links, dates English, and some answers are empty or null."""
    kaggle = start_observed()
    run(kaggle)
    first, empty, _, null = (rpc(kaggle, "ListKernelFiles", LITTLE).json() for _ in range(4))
    assert (first["files"][0]["name"], first["files"][0]["size"]) == ("submission.csv", 780 + 10 * 14)
    assert first["files"][0]["creationDate"].endswith(" UTC")
    assert (empty, null) == ({}, {"files": None})


def test_status_and_log_come_late(start_observed: StartKaggle) -> None:
    """404 after the push, RUNNING after the script's end, an empty log after the session's."""
    kaggle = start_observed(status_after_seconds=0.8, trailing_seconds=0.8, log_after_seconds=0.8)
    rpc(kaggle, "SaveKernel", push_fields(text="print('done')"))
    assert rpc(kaggle, "GetKernelSessionStatus", LITTLE).status_code == 404
    version = kaggle.state.version(USER, "little-kernel")
    assert wait_for(lambda: bool(kaggle.state.log(version)))
    assert version.status == "RUNNING"
    kaggle.state.wait(USER, "little-kernel", 1)
    assert rpc(kaggle, "ListKernelSessionOutput", LITTLE).json().get("log", "") == ""
    assert wait_for(
        lambda: "NbConvertApp" in rpc(kaggle, "ListKernelSessionOutput", LITTLE).json().get("log", "")
    )


@pytest.mark.parametrize("clean", [True, False])
def test_a_refused_first_push_leaves_a_shell(start_observed: StartKaggle, clean: bool) -> None:
    """Its status is 404, looking it up a 500, and the next push fails until it is deleted."""
    kaggle = start_observed({"gpu_quota_seconds": 0})
    refused = rpc(kaggle, "SaveKernel", push_fields(machineShape="NvidiaTeslaT4")).json()
    assert list(refused) == ["error"]
    assert rpc(kaggle, "GetKernelSessionStatus", LITTLE).status_code == 404
    assert rpc(kaggle, "GetKernel", LITTLE).status_code == 500
    if clean:
        assert rpc(kaggle, "DeleteKernel", LITTLE).status_code == 200
        assert rpc(kaggle, "SaveKernel", push_fields()).json()["versionNumber"] == 1
    else:
        assert rpc(kaggle, "SaveKernel", push_fields()).json() == {"error": "Notebook not found"}
        assert rpc(kaggle, "SaveKernel", push_fields(newTitle="Other Title")).json()["versionNumber"] == 1


def test_a_bad_token_is_forbidden_on_kernel_methods(start_observed: StartKaggle) -> None:
    """And unauthenticated elsewhere; a KGAT token is no key of a Basic login."""
    kaggle = start_observed({"token": "KGAT_" + TOKEN})

    def answered(method: str, **login: object) -> int:
        return rpc(kaggle, method, LITTLE | {"competitionName": SLUG}, **login).status_code

    bad, good = {"Authorization": "Bearer old"}, {"Authorization": f"Bearer KGAT_{TOKEN}"}
    assert answered("GetKernelSessionStatus", headers=bad, auth=None) == 403
    assert answered("GetAcceleratorQuotaStatistics", headers=bad, auth=None) == 401
    assert answered("GetCompetition", auth=(USER, f"KGAT_{TOKEN}")) == 401
    assert answered("GetCompetition", headers=good, auth=None) == 200


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [("empty", 200, ""), ("end", 200, "data: END_OF_LOG\n\n"), ("404", 404, None), ("429", 429, None)],
)
def test_the_log_of_a_queued_session_ends_at_once(
    start_observed: StartKaggle, gate: Path, kind: str, status: int, body: str | None
) -> None:
    """In one of four ways, none of which means that the log is whole."""
    kaggle = start_observed({"parallel_sessions": 1}, queued_log=kind)
    push_behind_another(kaggle, gate)
    answer = rpc(kaggle, "GetKernelSessionLogsStream", LITTLE | {"waitForLogsUrlSeconds": 60})
    assert answer.status_code == status
    assert body is None or answer.text == body


def test_a_log_can_be_silent_to_its_end(start_observed: StartKaggle, gate: Path) -> None:
    """Then it is whole."""
    kaggle = start_observed(silent_log=True)
    rpc(kaggle, "SaveKernel", push_fields(text=wait_for_file(gate)))
    version = kaggle.state.version(USER, "little-kernel")
    assert wait_for(lambda: bool(kaggle.state.log(version)))
    address = f"{kaggle.url}/api/v1/kernels/logs/stream/{USER}/little-kernel"
    with (
        requests.get(address, auth=(USER, TOKEN), stream=True, timeout=0.5) as response,
        pytest.raises(requests.ConnectionError),
    ):
        next(response.iter_content(1))
    gate.touch()
    assert "NbConvertApp" in requests.get(address, auth=(USER, TOKEN), timeout=10).text


def test_the_kernel_knows_its_session_and_only_that_number_cancels(start_observed: StartKaggle) -> None:
    """It stands in KAGGLE_CONTAINER_NAME; the kernel's own id is refused."""
    kaggle = start_observed()
    script = "import os, time; print(os.environ['KAGGLE_CONTAINER_NAME'], flush=True); time.sleep(60)"
    kernel_id = rpc(kaggle, "SaveKernel", push_fields(text=script)).json()["kernelId"]
    version = kaggle.state.version(USER, "little-kernel")
    assert wait_for(lambda: bool(kaggle.state.log(version)))
    start, _, rest = kaggle.state.log(version)[0]["data"].partition("_")
    number = int(rest.removesuffix("-webtier\n").rpartition("-")[2])
    assert start == "kaggle"
    assert rpc(kaggle, "CancelKernelSession", {"kernelSessionId": kernel_id}).status_code == 404
    assert rpc(kaggle, "CancelKernelSession", {"kernelSessionId": number}).status_code == 200
    assert kaggle.state.wait(USER, "little-kernel", 1).status == "CANCEL_ACKNOWLEDGED"


def test_quick_calls_are_throttled_on_every_method(start_observed: StartKaggle) -> None:
    """Whoever waits is served again."""
    kaggle = start_observed(quick_calls=5, quick_seconds=5.0, throttle_seconds=0.5)
    codes = [rpc(kaggle, "GetAcceleratorQuotaStatistics", {}).status_code for _ in range(6)]
    assert codes == [200] * 5 + [429]
    assert rpc(kaggle, "GetCompetition", {"competitionName": SLUG}).status_code == 429
    slow = start_observed(quick_calls=5, quick_seconds=0.0)
    assert {rpc(slow, "GetAcceleratorQuotaStatistics", {}).status_code for _ in range(9)} == {200}


def test_attached_outputs_hold_the_files_of_their_page(start_observed: StartKaggle) -> None:
    """Beside what the kernel wrote, or in its place; its own list of outputs does not name them."""
    kaggle = start_observed()
    run(kaggle, WRITES + "os.mkdir('custom.css')", newTitle="Little Kernel")
    look = "import os\nfor parent, _, names in os.walk(os.environ['INPUT']): print(*sorted(names))"
    kaggle.state.settings.child_env["INPUT"] = "{input}"  # type: ignore[index]
    said = run(kaggle, look, kernelDataSources=[f"{USER}/little-kernel"])
    assert {"submission.csv", "__results__.html", "__script__.ipynb", "custom.css"} <= set(said.split())
    listed = rpc(kaggle, "ListKernelSessionOutput", LITTLE | {"versionLabel": "v1"}).json()["files"]
    assert [file["fileName"] for file in listed] == ["submission.csv"]


@pytest.mark.parametrize(("replaces", "status"), [(False, "RUNNING"), (True, "CANCEL_ACKNOWLEDGED")])
def test_a_second_push_leaves_or_replaces_the_first(
    start_observed: StartKaggle, gate: Path, replaces: bool, status: str
) -> None:
    """Sources disagree, so both can be had."""
    kaggle = start_observed(replaces_earlier_session=replaces)
    for _ in range(2):
        rpc(kaggle, "SaveKernel", push_fields(text=wait_for_file(gate)))
        assert wait_for(lambda: kaggle.state.kernels[0].versions[-1].status == "RUNNING")
    assert wait_for(lambda: kaggle.state.kernels[0].versions[0].status == status)


def test_the_status_call_can_refuse_a_label(start_observed: StartKaggle) -> None:
    """One report says so, another not."""
    kaggle = start_observed(labels_on_status=False)
    run(kaggle)
    asked = LITTLE | {"versionLabel": "v1"}
    assert rpc(kaggle, "GetKernelSessionStatus", asked).status_code == 400
    assert rpc(kaggle, "GetKernelSessionStatus", LITTLE).json()["status"] == "COMPLETE"


def test_a_dataset_status_is_for_its_owner(start_observed: StartKaggle) -> None:
    """404 for another's, 403 for a missing one; the list of files answers for both that exist."""
    kaggle = start_observed()
    for owner in (USER, "other"):
        (kaggle.state.root / "datasets" / owner / "words").mkdir(parents=True)
        (kaggle.state.root / "datasets" / owner / "words" / "a.txt").write_text("a")
    seen = []
    for owner, slug in ((USER, "words"), ("other", "words"), (USER, "gone" * 99)):
        asked = {"ownerSlug": owner, "datasetSlug": slug}
        methods = ("GetDatasetStatus", "ListDatasetFiles")
        seen.append(tuple(rpc(kaggle, method, asked).status_code for method in methods))
    assert seen == [(200, 200), (404, 200), (403, 403)]


@pytest.mark.parametrize("starts_in", ["working", "src"])
def test_a_script_starts_where_the_profile_says(start_observed: StartKaggle, starts_in: str) -> None:
    """Kaggle was seen to do both."""
    assert run(start_observed(starts_in=starts_in), "import os; print(os.getcwd())").endswith(
        f"{starts_in}\n"
    )
