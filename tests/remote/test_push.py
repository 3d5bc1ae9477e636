"""A push makes one version that runs with everything it asked for, or it is an error."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kaggle_fixtures import SLUG, USER
from makers import Files, MakeRun
from pushed_versions import KERNEL, versions

from kit.errors import KitError
from kit.remote import runs
from kit.remote.pushing import lookup
from kit.remote.pushing.objections import PushRefused
from kit.remote.wire.client import Client
from local_kaggle import faults
from local_kaggle.faults import NAMED, Fault
from local_kaggle.server import Server


def test_a_push_writes_its_record_at_once(
    kaggle: Server, push: MakeRun, runs_root: Path, files: Files
) -> None:
    """push.json stands in the version's folder, latest follows, and Kaggle holds the very text."""
    pushed = push("print('hello')")
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
    assert (told["note"], (folder / "kernel.py").read_text()) == ("why", "print('hello')")
    assert kaggle.state.source(versions(kaggle)[0]) == "print('hello')"
    assert versions(kaggle)[0].push.is_private is True
    push("print('again')")
    assert (runs_root / "latest").resolve() == runs_root / KERNEL / "v2"


def test_a_folder_of_a_deleted_kernel_is_moved_aside(client: Client, push: MakeRun, runs_root: Path) -> None:
    """Versions count from one again after a deletion; what an older v1 left is kept under another name."""
    first = push()
    (first.folder / "submission.csv").write_text("kept")
    client.call("DeleteKernel", user_name=USER, kernel_slug=KERNEL)
    push("print('new')")
    aside = [path for path in (runs_root / KERNEL).iterdir() if path.name.startswith("v1-")]
    assert (aside[0] / "submission.csv").read_text() == "kept"
    assert not (runs_root / KERNEL / "v1" / "submission.csv").exists()


@pytest.mark.parametrize(
    ("fault", "message", "hint", "pushed"),
    [
        (NAMED["drop-competition"], f"competition '{SLUG}' was dropped", "make stop", 1),
        (faults.answer("SaveKernel", {}), "names no version", "/code/tester", 0),
        (faults.amend("SaveKernel", {"ref": "/code/te_ster/x"}), "filed it as te_ster/x", "make stop", 1),
        (Fault("SaveKernel", status=400), "Kaggle refuses SaveKernel with 400", "make doctor", 0),
        (faults.html("SaveKernel", 403), "Kaggle refuses SaveKernel with 403", "make doctor", 0),
    ],
    ids=["competition", "nothing", "elsewhere", "bare 400", "page"],
)
def test_a_push_that_cannot_do_its_work_is_refused(
    kaggle: Server, push: MakeRun, runs_root: Path, fault: Fault, message: str, hint: str, pushed: int
) -> None:
    """The cause and the next command are named, and latest stays where it was."""
    kaggle.faults.arm(fault)
    with pytest.raises(PushRefused, match=message) as caught:
        push()
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
    kaggle: Server, push: MakeRun, runs_root: Path, kind: str, sources: dict[str, list[str]], is_lost: bool
) -> None:
    """Each kind of source is looked for in the answer, or in the version where the answer was lost."""
    if is_lost:
        none = {f"{name}DataSources": [] for name in ("dataset", "kernel", "model", "competition")}
        kaggle.faults.arm(Fault("SaveKernel", drop="after", edit_request=lambda asked: asked | none))
    with pytest.raises(PushRefused, match=rf"{kind} '.*absent.*' was dropped") as caught:
        push(**sources)
    run = runs.find(f"{KERNEL}/v1", runs_root)
    assert run.name in caught.value.hint, "what runs needlessly can be stopped by its name"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda root: root.symlink_to("nowhere"),
        lambda root: root.write_text(""),
        lambda root: (root / "latest").mkdir(parents=True),
    ],
    ids=["dead link", "file", "folder as latest"],
)
def test_what_cannot_be_recorded_is_not_pushed(
    kaggle: Server, push: MakeRun, runs_root: Path, spoil: Callable[[Path], object]
) -> None:
    """One line, before anything starts."""
    spoil(runs_root)
    with pytest.raises(KitError, match=r"cannot be written|is no link"):
        push()
    assert versions(kaggle) == []


def test_a_full_disk_before_and_after_a_push(
    kaggle: Server, push: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, nothing starts; after, the version is named, and the next push records it."""
    write, room = runs.write_json, [0]

    def full(path: Path, value: object) -> None:
        room[0] -= 1
        if room[0] < 0:
            raise KitError(f"{path} cannot be written: No space left on device", hint="df -h")
        write(path, value)

    monkeypatch.setattr(runs, "write_json", full)
    with pytest.raises(KitError, match="No space left"):
        push()
    assert versions(kaggle) == []
    room[0] = 1
    with pytest.raises(KitError, match=rf"version 1 of tester/{KERNEL} runs at .*No space left") as caught:
        push()
    assert "make push" in caught.value.hint
    room[0] = 99
    assert push().version == 1
    assert len(versions(kaggle)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"invalidCompetitionSources": [""], "invalidDatasetSources": ["", "  "]},
        {"invalidModelSources": ["never/asked/for/any/1"], "invalidTags": ["odd"]},
        {"ref": "/code/Tester/Little-Kernel-Tiny"},
        {"ref": "/code/tester/.."},
        {"ref": ""},
        {"url": "https://evil.example/x"},
        {"versionNumber": 0},
        {"versionNumber": None},
        {"versionNumber": -3},
        {"versionNumber": "1/../../../evil"},
        {"versionNumber": True},
    ],
    ids=str,
)
def test_a_good_push_is_recorded_whatever_stands_beside_it(
    kaggle: Server, push: MakeRun, runs_root: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Empty names, other capitals, a missing number; no value of the answer leads out of runs/."""
    kaggle.faults.arm(faults.amend("SaveKernel", changes))
    run = push()
    assert (run.version, run.folder) == (1, runs_root / KERNEL / "v1")
    assert run.url == f"{kaggle.url}/code/{USER}/{KERNEL}"
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("written", ["datasets/Me/Rows", "/datasets/me/rows/", "me/rows"])
def test_a_source_is_the_same_however_kaggle_writes_it(written: str) -> None:
    """With its section in front, with slashes, in other capitals."""
    assert lookup.bare([written, " "]) == ["me/rows"]


REASONS = {
    "Maximum batch GPU session count of 2 reached.": "make stop",
    "Notebook not found": "kaggle kernels delete tester/little-kernel-tiny",
    "The requested title is already in use by another of your notebooks": "another kernel.title",
    "conflict ALREADY_EXISTS": "another kernel.title",
    "A dataset with this slug already exists": "kernels and datasets share their names",
    "The new slug does not match": "another kernel.title",
    "An earlier version is still running": "make watch",
    "Maximum weekly GPU quota of 30.00 hours reached.": "make doctor",
    "You must verify your phone number": "kaggle.com/settings",
}


@pytest.mark.parametrize("is_status", [False, True])
@pytest.mark.parametrize(("reason", "hint"), REASONS.items(), ids=list(REASONS))
def test_each_kind_of_refusal_has_its_hint_and_leaves_nothing(
    kaggle: Server, push: MakeRun, files: Files, reason: str, hint: str, is_status: bool
) -> None:
    """As an error in a good answer, or as a bad answer in an envelope."""
    envelope = {"error": {"code": 409, "message": reason, "status": ""}}
    refusal = faults.answer("SaveKernel", {"error": reason})
    body = json.dumps(envelope).encode()
    kaggle.faults.arm(replace(refusal, status=409, body=body) if is_status else refusal)
    with pytest.raises(PushRefused) as caught:
        push()
    assert hint in caught.value.hint
    assert files() == []


@pytest.mark.parametrize(
    ("fault", "has_opened"),
    [
        (None, True),
        (faults.status("GetKernelSessionStatus", 404, times=99), False),
        (faults.status("GetKernelSessionStatus", 404, times=3), True),
        (faults.amend("GetKernelSessionStatus", {"status": "NEW_SCRIPT"}, times=99), False),
        (faults.status("GetKernelSessionStatus", 500, times=99), True),
    ],
)
def test_a_push_without_a_session_is_noticed(
    kaggle: Server, client: Client, push: MakeRun, fault: Fault | None, has_opened: bool
) -> None:
    """Some versions are taken and never run; what cannot be seen is not said."""
    run = push()
    if fault:
        kaggle.faults.arm(fault)
    assert lookup.has_opened(client, run) == has_opened


def test_what_the_template_asks_for_is_pushed(kaggle: Server, push: MakeRun) -> None:
    """An image of one's own and its pinning reach Kaggle; a kernel is public only where that is asked."""
    seen: list[dict[str, Any]] = []
    kaggle.faults.arm(Fault("SaveKernel", edit_request=lambda asked: seen.append(asked) or asked))
    image = "gcr.io/kaggle-gpu-images/python@sha256:1"
    push(docker_image=image, docker_image_pinning_type="original", is_private=False)
    assert (seen[0]["dockerImage"], seen[0]["dockerImagePinningType"]) == (image, "original")
    assert versions(kaggle)[0].push.is_private is False
