"""A push makes one version that runs with everything it asked for, or it is an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kaggle_fixtures import SLUG, USER

from kit.bundle.build import Built
from kit.config import Config
from kit.remote import push as pushing
from kit.remote import runs
from kit.remote.push import PushRefused
from kit.remote.runs import Run
from kit.remote.wire.client import Client
from kit.remote.wire.transport import Unsettled
from local_kaggle import faults
from local_kaggle.faults import NAMED, Fault
from local_kaggle.server import Server
from local_kaggle.state import Version

KERNEL = "little-kernel-tiny"
MakeBuilt = Callable[..., Built]


@pytest.fixture
def send(client: Client, config: Config, make_built: MakeBuilt, runs_root: Path) -> Callable[..., Run]:
    """Push a script, with changes to its metadata."""

    def run(script: str = "print('hello')", **changes: Any) -> Run:
        return pushing.push(client, make_built(config, script, **changes), config, root=runs_root)

    return run


def versions(kaggle: Server) -> list[Version]:
    return [version for kernel in kaggle.state.kernels for version in kernel.versions]


def test_a_push_writes_its_record_at_once(
    kaggle: Server, send: Callable[..., Run], runs_root: Path, files: Callable[[], list[str]]
) -> None:
    """push.json stands in the version's folder, latest follows, and Kaggle holds the very text."""
    pushed = send()
    folder = runs_root / KERNEL / "v1"
    told = json.loads((folder / "push.json").read_text())
    assert files() == [f"{KERNEL}/v1/push.json"]
    assert (runs_root / "latest").resolve() == folder
    assert {name: told[name] for name in ("schema", "version", "slug", "owner")} == {
        "schema": 1, "version": 1, "slug": KERNEL, "owner": USER,
    }  # fmt: skip
    assert told["url"] == pushed.url == f"{kaggle.url}/code/{USER}/{KERNEL}"
    assert told["bundle_hash"] == pushed.bundle_hash
    assert told["config"]["competition"]["slug"] == SLUG
    assert {"commit", "dirty", "sha256", "pushed_at", "requirements_sha256"} <= told.keys()
    assert kaggle.state.source(versions(kaggle)[0]) == "print('hello')"
    assert versions(kaggle)[0].push["is_private"] is True
    send("print('again')")
    assert (runs_root / "latest").resolve() == runs_root / KERNEL / "v2"


def test_a_public_kernel_is_only_made_on_request(kaggle: Server, send: Callable[..., Run]) -> None:
    """Private is what Kaggle is told; public only where the settings say so."""
    send(is_private=False)
    assert versions(kaggle)[0].push["is_private"] is False


def test_a_folder_of_a_deleted_kernel_is_moved_aside(
    client: Client, send: Callable[..., Run], runs_root: Path
) -> None:
    """Versions count from one again after a deletion; what an older v1 left is kept under another name."""
    first = send()
    (first.folder / "submission.csv").write_text("kept")
    client.call("DeleteKernel", user_name=USER, kernel_slug=KERNEL)
    send("print('new')")
    aside = [path for path in (runs_root / KERNEL).iterdir() if path.name.startswith("v1-")]
    assert (aside[0] / "submission.csv").read_text() == "kept"
    assert not (runs_root / KERNEL / "v1" / "submission.csv").exists()


@pytest.mark.parametrize(
    ("fault", "message", "hint", "pushed"),
    [
        (NAMED["refuse-push"], "Maximum batch GPU session count of 2", "make stop", 0),
        (NAMED["no-quota"], "Maximum weekly GPU quota", "make doctor", 0),
        (NAMED["drop-competition"], f"competition '{SLUG}' was dropped", "make stop", 1),
        (faults.answer("SaveKernel", {}), "names no version", "/code/tester", 0),
        (
            faults.amend("SaveKernel", {"ref": "/code/tester/elsewhere"}),
            "filed it as tester/elsewhere",
            "make stop",
            1,
        ),
        (Fault("SaveKernel", status=400), "Kaggle refuses SaveKernel with 400", "make doctor", 0),
        (faults.html("SaveKernel", 403), "Kaggle refuses SaveKernel with 403", "make doctor", 0),
    ],
    ids=["cap", "quota", "competition", "nothing", "elsewhere", "bare 400", "page"],
)
def test_a_push_that_cannot_do_its_work_is_refused(
    kaggle: Server,
    send: Callable[..., Run],
    runs_root: Path,
    fault: Fault,
    message: str,
    hint: str,
    pushed: int,
) -> None:
    """The cause and the next command are named, and latest stays where it was."""
    kaggle.faults.arm(fault)
    with pytest.raises(PushRefused, match=message) as caught:
        send()
    assert hint in caught.value.hint
    assert len(versions(kaggle)) == pushed
    assert not (runs_root / "latest").exists()


@pytest.mark.parametrize(
    ("kind", "sources"),
    [
        ("dataset", {"dataset_sources": ["me/absent"]}),
        ("kernel", {"kernel_sources": ["me/absent"]}),
        ("model", {"model_sources": ["me/absent/transformers/default/1"]}),
        ("competition", {"competition_sources": ["absent"]}),
    ],
)
@pytest.mark.parametrize("is_lost", [False, True])
def test_a_source_that_is_dropped_in_silence_is_an_error(
    kaggle: Server,
    send: Callable[..., Run],
    runs_root: Path,
    kind: str,
    sources: dict[str, list[str]],
    is_lost: bool,
) -> None:
    """Each kind of source is looked for in the answer, or in the version where the answer was lost."""
    if is_lost:
        none = {f"{name}DataSources": [] for name in ("dataset", "kernel", "model", "competition")}
        kaggle.faults.arm(Fault("SaveKernel", drop="after", edit_request=lambda asked: asked | none))
    with pytest.raises(PushRefused, match=rf"{kind} '.*absent.*' was dropped") as caught:
        send(**sources)
    run = runs.find(f"{KERNEL}/v1", runs_root)
    assert run.name in caught.value.hint, "what runs needlessly can be stopped by its name"


@pytest.mark.parametrize(
    ("script", "changes", "message"),
    [
        ("#" * (1 << 20), {}, "the script has 1,048,577 bytes"),
        ("print()", {"title": "Other Title"}, "would be filed as 'other-title'"),
        ("print()", {"title": "Ha", "id": "tester/ha"}, "would be filed as"),
        ("print()", {"id": "your-username/little-kernel-tiny"}, "names no owner"),
        (
            "print()",
            {"enable_gpu": True, "machine_shape": "NvidiaTeslaP100"},
            "'NvidiaTeslaP100' is unknown or",
        ),
        ("print()", {"enable_gpu": True}, "accelerator None is unknown"),
    ],
)
def test_what_kaggle_would_refuse_without_a_reason_is_refused_here(
    kaggle: Server, send: Callable[..., Run], script: str, changes: dict[str, Any], message: str
) -> None:
    """Nothing is sent."""
    with pytest.raises(PushRefused, match=message):
        send(f"{script}\n", **changes)
    assert kaggle.requests == []


def test_a_cpu_preset_is_not_pushed_to_kaggle() -> None:
    """It is for rehearsals; on Kaggle it would run for hours on the wrong machine."""
    told = {"id": "me/little-kernel", "title": "Little Kernel", "enable_gpu": False}
    assert "accelerator" in pushing.objections(told, "", is_local=False)
    assert not pushing.objections(told, "", is_local=True)


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
    kaggle: Server, send: Callable[..., Run], fault: Fault, sent: int, is_pushed_before: bool
) -> None:
    """A push without an answer is looked up before it is sent again, even if the same script ran before."""
    if is_pushed_before:
        send()
    kaggle.requests.clear()
    kaggle.faults.arm(fault)
    pushed = send()
    assert len(versions(kaggle)) == pushed.version == 1 + is_pushed_before
    assert kaggle.requests.count("SaveKernel") == sent


def test_a_lost_push_is_not_mistaken_for_somebody_elses(kaggle: Server, send: Callable[..., Run]) -> None:
    """A newer version with another script is no answer to this push."""
    kaggle.faults.arm(
        Fault("SaveKernel", drop="after", edit_request=lambda asked: asked | {"text": "print('other')"})
    )
    with pytest.raises(PushRefused, match="version 1 of tester/little-kernel-tiny holds another script"):
        send()
    assert len(versions(kaggle)) == 1


def test_a_push_that_never_arrives_gives_up(kaggle: Server, send: Callable[..., Run]) -> None:
    """The attempts are bounded and leave no record."""
    kaggle.faults.arm(Fault("SaveKernel", 99, drop="before"))
    with pytest.raises(Unsettled, match="broke the connection"):
        send()
    assert versions(kaggle) == []
