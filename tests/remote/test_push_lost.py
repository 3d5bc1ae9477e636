"""A push whose answer is lost is looked up, and never made twice."""

from dataclasses import replace

import pytest
from makers import Files, MakeRun
from pushed_versions import KERNEL, versions

from kit.remote.pushing.objections import PushRefused
from kit.remote.wire.transport import KaggleError, Unsettled
from local_kaggle import faults
from local_kaggle.faults import NAMED, Fault
from local_kaggle.server import Server


@pytest.mark.parametrize(
    ("fault", "sent"),
    [
        (NAMED["lose-answer"], 1),
        (Fault("SaveKernel", drop="before"), 2),
        (faults.status("SaveKernel", 500), 2),
        (faults.status("SaveKernel", 429, retry_after_seconds=3), 2),
        (faults.html("SaveKernel"), 2),
        (faults.status("SaveKernel", 401), 2),
    ],
    ids=["lost answer", "lost request", "500", "429", "page", "401"],
)
@pytest.mark.parametrize("is_pushed_before", [False, True])
def test_one_push_makes_one_version_whatever_happens_to_its_answer(
    kaggle: Server, push: MakeRun, fault: Fault, sent: int, is_pushed_before: bool
) -> None:
    """A push without an answer is looked up before it is sent again, even if the same script ran before."""
    if is_pushed_before:
        push()
    kaggle.requests.clear()
    kaggle.faults.arm(fault)
    pushed = push()
    assert len(versions(kaggle)) == pushed.version == 1 + is_pushed_before
    assert kaggle.requests.count("SaveKernel") == sent


def test_a_lost_push_is_not_mistaken_for_somebody_elses(kaggle: Server, push: MakeRun) -> None:
    """A newer version with another script is no answer to this push."""
    kaggle.faults.arm(
        Fault("SaveKernel", drop="after", edit_request=lambda asked: asked | {"text": "print('other')"})
    )
    with pytest.raises(PushRefused, match="version 1 of tester/little-kernel-tiny holds another script"):
        push()
    assert len(versions(kaggle)) == 1


def test_a_push_that_never_arrives_gives_up(kaggle: Server, push: MakeRun) -> None:
    """The attempts are bounded and leave no record."""
    kaggle.faults.arm(Fault("SaveKernel", 99, drop="before"))
    with pytest.raises(Unsettled, match="broke the connection"):
        push()
    assert versions(kaggle) == []


@pytest.mark.parametrize(
    "refusal",
    [
        faults.status("GetKernel", 403, times=99),
        faults.status("GetKernel", 500, times=99),
        Fault("GetKernel", 99, drop="before"),
    ],
    ids=["403", "500", "reset"],
)
def test_a_lost_answer_and_no_sight_of_the_kernel_never_make_two_versions(
    kaggle: Server, push: MakeRun, files: Files, refusal: Fault
) -> None:
    """The intent stays on disk and keeps the next push back; one that can see finds what the first made."""
    kaggle.faults.arm(NAMED["lose-answer"])
    kaggle.faults.arm(replace(refusal, skip=1))
    for _ in range(2):
        with pytest.raises(KaggleError, match="may have arrived, Kaggle does not say"):
            push()
        assert files() == [f"{KERNEL}/.push/push.json"]
    assert kaggle.requests.count("SaveKernel") == 1
    kaggle.faults.clear()
    assert push().version == 1
    assert len(versions(kaggle)) == 1
    assert files() == [f"{KERNEL}/v1/push.json"]


def test_another_script_is_pushed_beside_the_one_whose_answer_was_lost(
    kaggle: Server, push: MakeRun, files: Files
) -> None:
    """Both versions have their record."""
    kaggle.faults.arm(NAMED["lose-answer"])
    kaggle.faults.arm(faults.status("GetKernel", 500, times=99))
    with pytest.raises(KaggleError):
        push()
    kaggle.faults.clear()
    assert push("print('other')").version == 2
    assert files() == [f"{KERNEL}/v1/push.json", f"{KERNEL}/v2/push.json"]


@pytest.mark.parametrize("code", [403, 500])
def test_a_kernel_that_cannot_be_seen_before_a_push_is_no_hindrance(
    kaggle: Server, push: MakeRun, code: int
) -> None:
    """An empty shell answers so, and so does Kaggle on a bad day."""
    kaggle.faults.arm(faults.status("GetKernel", code, times=99))
    assert push().version == 1
