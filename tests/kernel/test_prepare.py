"""make prepare is an ordinary push of a CPU kernel, and its end says how to attach what it downloaded."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pytest
from kaggle_fixtures import TOKEN, USER, StartKaggle
from loop_project import SLUG, Project
from toy_wheels import make_wheel

from kit import config as settings
from kit.bundle import build, metadata
from kit.bundle.build import Built
from kit.bundle.script import Bundle
from kit.config import PROJECT_ROOT
from kit.remote import doctor
from kit.remote.pushing import objections
from kit.remote.wire import client

pytestmark = pytest.mark.loop

FULL = settings.resolve("t4x2")


def test_preparing_asks_for_internet_and_for_no_gpu() -> None:
    """Under a slug of its own, whatever the later runs ask for."""
    offline = settings.resolve("t4x2", ["kernel.internet=false", 'kernel.kernel_sources=["a/b"]'])
    told = metadata.build(build.preparation(offline), owner="ada")
    assert told.id == f"ada/{metadata.slug(FULL).removesuffix('t4x2')}prepare"
    assert (told.enable_internet, told.enable_gpu) == (True, False)
    assert told.kernel_sources == []
    assert told.machine_shape is None


def test_preparing_is_the_one_cpu_kernel_that_is_pushed_to_kaggle() -> None:
    """Any other is for rehearsals, and would train for hours on the wrong machine."""
    told = metadata.build(build.preparation(FULL), owner="ada")
    for is_local, is_preparation, verdict in (
        (False, True, "pass"),
        (False, False, "fail"),
        (True, False, "pass"),
    ):
        checks = objections.checks(told, "", is_local=is_local, is_preparation=is_preparation)
        assert checks["accelerator"].verdict == verdict


def _offline_checks(folder: Path, *overrides: str) -> list[str]:
    config = settings.resolve("t4x2", overrides)
    facts = metadata.build(config, owner="ada")
    built = Built(folder, folder / "kernel.py", facts, Bundle("", "", "", (), False))
    checks = doctor.examine(client.Client("http://127.0.0.1:9"), config, built, root=folder)
    looked = itertools.takewhile(lambda check: check.name != "requirements", checks)
    return [str(check) for check in looked if check.name == "offline"]


def test_a_push_without_internet_needs_something_attached(tmp_path: Path) -> None:
    """Found at home, and not after a quarter of an hour in a queue."""
    assert _offline_checks(tmp_path) == []
    failed = _offline_checks(tmp_path, "kernel.internet=false")
    assert len(failed) == 1
    assert failed[0].startswith("fail")
    assert failed[0].endswith("(try: make prepare)")
    passed = _offline_checks(tmp_path, "kernel.internet=false", 'kernel.kernel_sources=["ada/prepare"]')
    assert passed[0].startswith("pass")
    assert "ada/prepare" in passed[0]


@pytest.mark.slow
def test_the_verb_ends_with_the_settings_of_later_runs(
    start_kaggle: StartKaggle, competition_folder: Path, tmp_path: Path
) -> None:
    """With a Kaggle Model there is no snapshot to fetch; the latest run stays what it was."""
    project = Project(tmp_path / "project", competition_folder)
    shutil.copy(PROJECT_ROOT / "kernel" / "prepare.py", project.root / "kernel")
    (project.root / "kernel" / "requirements.txt").write_text("kit-toy==1.0\n")
    said = project.run("init", "--competition", SLUG, **project.environment())
    assert said.status == 0, said.err
    make_wheel(tmp_path / "index", "kit_toy", "1.0")
    kaggle = start_kaggle(
        models=project.root / "models",
        network=True,
        child_env={
            "KIT_INPUT_DIR": "{input}",
            "KIT_WORKING_DIR": "{working}",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(tmp_path / "index"),
        },
    )
    environment = project.environment(kaggle.url, KAGGLE_API_TOKEN=TOKEN)
    said = project.run("prepare", "--preset", "tiny", **environment)
    assert said.status == 0, said.err
    sources = f'kernel.kernel_sources=["{USER}/{SLUG}-prepare"]'
    assert said.error == f"next: make push PRESET=tiny SET='kernel.internet=false {sources}'"
    assert "1 wheels for Python" in said.out
    assert "is attached to a run by Kaggle itself" in said.out
    assert project.files() == [f"{SLUG}-prepare/v1/push.json"]
    told = json.loads((project.runs / f"{SLUG}-prepare" / "v1" / "push.json").read_text())
    assert told["config"]["kernel"]["accelerator"] == "none"

    (tmp_path / "index" / "kit_toy-1.0-py3-none-any.whl").unlink()
    said = project.run("prepare", "--preset", "tiny", **environment)
    assert said.status == 1
    assert "the wheels could not be downloaded" in said.err
