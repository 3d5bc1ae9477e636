"""A run without internet lives on what a prepared kernel downloaded, through the local Kaggle."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import little_hub
import pytest
from kaggle_fixtures import USER, StartKaggle
from toy_wheels import make_python, make_wheel

from kit import config as settings
from kit.bundle import build, metadata
from kit.bundle.build import Built
from kit.bundle.script import bundle
from kit.bundle.tree import collect_project
from kit.config import PROJECT_ROOT, Config
from kit.fetch.inputs import SAMPLE, SAMPLE_SLUG
from kit.pipeline.machine import inputs, install
from kit.remote.pushing import push as pushing
from kit.remote.runs import Run
from kit.remote.wire import client
from local_kaggle.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.train, pytest.mark.loop, pytest.mark.timeout(300)]

Push = Callable[[Config], tuple[Run, Path, str]]
Hub = tuple[str, list[str]]
MODEL = "ada/tiny"
PINS = 'kit-toy==1.0\nkit-toy-cuda==1.0 ; extra == "cuda"\n'
LITTLE = ("data.train_rows=32", "data.test_rows=8", "train.max_steps=2", f"model.name={MODEL}")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What is bundled, with pins that nothing on this machine meets."""
    folder = tmp_path / "project"
    for name in ("src", "kernel"):
        shutil.copytree(PROJECT_ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT_ROOT / "pyproject.toml", folder)
    (folder / "kernel" / "requirements.txt").write_text(PINS)
    return folder


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The kernels' interpreter: this one's packages stand for the image's."""
    return make_python(tmp_path / "python")


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """The folder that stands for the package index."""
    for name in ("kit_toy", "kit_toy_cuda"):
        make_wheel(tmp_path / "index", name, "1.0", requires=["torch==0.0.1"])
    return tmp_path / "index"


@pytest.fixture
def hub(tiny_model: Path) -> Iterator[Hub]:
    """The address of a Hugging Face of this machine, and what it was asked for."""
    with little_hub.serve(MODEL, tiny_model) as served:
        yield served


@pytest.fixture
def kaggle(start_kaggle: StartKaggle, index: Path, hub: Hub, python: Path, tmp_path: Path) -> Server:
    """A local Kaggle whose kernels with internet reach the index and the hub."""
    variables = {
        "KIT_INPUT_DIR": "{input}",
        "KIT_WORKING_DIR": "{working}",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
        "HF_ENDPOINT": hub[0],
    }
    return start_kaggle(
        slug=SAMPLE_SLUG,
        competition=SAMPLE,
        network=True,
        python=python,
        child_env=variables,
        visible=[tmp_path, Path(sys.prefix)],  # the packages of this interpreter stand for the image's
    )


@pytest.fixture
def run(kaggle: Server, project: Path, tmp_path: Path) -> Push:
    """Push these settings, wait, and return the run with its status, output folder and log."""

    def push(config: Config) -> tuple[Run, Path, str]:
        entry = build.PREPARE_ENTRY if metadata.is_preparation(config) else None
        made = bundle(collect_project(project, entry), config.model_dump(mode="json"))
        folder = tmp_path / "build" / config.preset
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kernel.py").write_text(made.text, encoding="utf-8")
        built = Built(folder, folder / "kernel.py", metadata.build(config, owner=USER), made)
        pushed = pushing.push(client.Client(kaggle.url), built, config, root=tmp_path / "runs")
        version = kaggle.state.wait(USER, pushed.slug, pushed.version, 200.0)
        log = "".join(chunk["data"] for chunk in kaggle.state.log(version))
        return pushed, kaggle.state.folder(version) / "output", f"{version.status}\n{log}"

    return push


def test_what_a_prepared_kernel_downloads_carries_a_run_without_internet(
    run: Push, python: Path, index: Path, hub: Hub
) -> None:
    """Wheels and model by the real clients; then a run that reaches neither index nor hub ends well."""
    config = settings.resolve("tiny", LITTLE)
    prepared, output, log = run(build.preparation(config))
    assert log.startswith("COMPLETE"), log
    marker = json.loads((output / "wheels" / install.MARKER).read_text())
    assert marker["pins"] == ["kit-toy==1.0", "kit-toy-cuda==1.0"]
    assert len(list((output / "wheels").glob("*.whl"))) == 2
    assert json.loads((output / "model" / inputs.MODEL_MARKER).read_text())["name"] == MODEL
    assert not (output / "model" / ".cache").exists()
    assert not list(python.parents[1].rglob("kit_toy.py")), "preparing installs nothing"

    shutil.rmtree(index)
    asked = list(hub[1])
    offline = ["kernel.internet=false", f'kernel.kernel_sources=["{prepared.owner}/{prepared.slug}"]']
    _, output, log = run(settings.resolve("tiny", [*LITTLE, *offline]))
    assert log.startswith("COMPLETE"), log
    assert "installing kit-toy==1.0\n" in log, "the CUDA-only one is left out on a CPU"
    assert list(python.parents[1].rglob("kit_toy.py"))
    record = json.loads((output / "run.json").read_text())
    assert record["ended"] == "complete"
    assert record["timings"]["install"] > 0
    assert len((output / "submission.csv").read_text().splitlines()) == 9
    assert any("model.safetensors" in path for path in asked)
    assert hub[1] == asked, "the run without internet called home"


def test_without_what_was_prepared_the_run_ends_with_the_way_out(run: Push) -> None:
    """One line, and nothing is left that looks like a result."""
    _, output, log = run(settings.resolve("tiny", [*LITTLE, "kernel.internet=false"]))
    assert log.startswith("ERROR")
    assert "error: 1 package(s) are missing, without internet and without wheels below " in log
    assert "make prepare" in log
    assert "Traceback" not in log
    assert not (output / "submission.csv").exists()
