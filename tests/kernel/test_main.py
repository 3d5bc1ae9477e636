"""The kernel looks at the cards first, installs while the model downloads, and becomes the pipeline."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import little_hub
import pytest
from waiting import has_ended, wait_for

from kit import config as settings
from kit.bundle.script import bundle
from kit.bundle.tree import collect_project
from kit.config import PROJECT_ROOT, Config
from kit.errors import InputInvalid
from kit.pipeline.machine import download, inputs

MODEL = "ada/tiny"


@pytest.fixture(scope="module")
def main() -> SimpleNamespace:
    """What kernel/main.py defines."""
    return SimpleNamespace(**runpy.run_path(str(PROJECT_ROOT / "kernel" / "main.py")))


def _config(*overrides: str, preset: str = "tiny") -> Config:
    return settings.resolve(preset, overrides)


def test_without_internet_nobody_calls_home(main: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch is kernel.internet; it wins over what the environment says."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    offline = main.environment(_config("kernel.internet=false"), 0.0)
    assert {offline[name] for name in main.OFFLINE} == {"1"}
    assert main.environment(_config(), 0.0)["HF_HUB_OFFLINE"] == "0"


def test_downloads_go_to_the_temporary_folder_unless_told_otherwise(
    main: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working folder is the kernel's output and holds 20 GB."""
    monkeypatch.delenv("HF_HOME")
    assert not Path(main.environment(_config(), 0.0)["HF_HOME"]).is_relative_to("/kaggle/working")
    monkeypatch.setenv("HF_HOME", "/elsewhere")
    assert main.environment(_config(), 0.0)["HF_HOME"] == "/elsewhere"


def _start(
    tmp_path: Path, config: Config, smi: str = "", uv: str = "", **variables: str
) -> subprocess.Popen[str]:
    """Start the bundled script where `smi` is what nvidia-smi prints and every installer leaves a file."""
    tools = tmp_path / "tools"
    tools.mkdir()
    programs = {"uv": f"#!/bin/sh\n{uv or f'touch {tmp_path}/installed'}\n"}
    if smi:
        programs["nvidia-smi"] = f"#!/bin/sh\necho '{smi}'\n"
    for name, text in programs.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    for name in ("input", "working"):
        (tmp_path / name).mkdir()
    script = tmp_path / "script.py"
    made = bundle(collect_project(PROJECT_ROOT), config.model_dump(mode="json"))
    script.write_text(made.text, encoding="utf-8")
    environment = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "KIT_INPUT_DIR": str(tmp_path / "input"),
        "KIT_WORKING_DIR": str(tmp_path / "working"),
        **variables,
    }
    return subprocess.Popen(
        [sys.executable, str(script)],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


T4 = "Tesla T4, 15360, 7.5"
NO_WHEELS = r"without internet and without wheels below .*make prepare"


@pytest.mark.parametrize(
    ("smi", "overrides", "says"),
    [
        ("", (), r"this preset needs 2 GPU\(s\), the machine has none"),
        (T4, (), r"this preset needs 2 GPU\(s\), the machine has Tesla T4"),
        ("Tesla P100-PCIE-16GB, 16384, 6.0", (), "the machine has Tesla P100-PCIE-16GB"),
        pytest.param(f"{T4}\n{T4}", ("kernel.internet=false",), NO_WHEELS, marks=pytest.mark.slow),
    ],
)
def test_what_the_machine_lacks_ends_the_run_before_anything_is_installed(
    tmp_path: Path, smi: str, overrides: tuple[str, ...], says: str
) -> None:
    """A missing or retired card, or Unsloth without internet, in one line of the log and in run.json."""
    kernel = _start(tmp_path, _config(*overrides, preset="t4x2"), smi)
    _, err = kernel.communicate(timeout=120)
    assert kernel.returncode == 1, err
    errors = [line for line in err.splitlines() if line.strip()]
    assert len(errors) == 1, err
    assert re.search(says, errors[0])
    assert re.search(says.partition(" .*")[0], (tmp_path / "working" / "run.json").read_text())
    assert not (tmp_path / "installed").exists()


def test_a_model_is_fetched_ahead_only_where_it_must_and_may_be(
    main: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not a Kaggle Model, not without internet, and not one whose snapshot is attached."""
    monkeypatch.setenv("KIT_INPUT_DIR", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    named = f"model.name={MODEL}"
    assert main.must_download(_config(named))
    assert not main.must_download(_config())
    assert not main.must_download(_config(named, "kernel.internet=false"))
    inputs.mark_model(tmp_path, MODEL)
    assert not main.must_download(_config(named))


def _download(name: str, address: str, home: Path, stall_seconds: float = 60.0) -> download.Download:
    kept = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    variables = {"HF_ENDPOINT": address, "HF_HOME": str(home), "PYTHONPATH": str(PROJECT_ROOT / "src")}
    return download.Download(name, {**kept, **variables}, stall_seconds)


@pytest.mark.train
def test_a_model_fetched_ahead_is_found_by_the_pipeline(tiny_model: Path, tmp_path: Path) -> None:
    """By huggingface_hub itself: the snapshot stands in HF_HOME, and no request is made for it again."""
    with little_hub.serve(MODEL, tiny_model) as (address, asked):
        begun = _download(MODEL, address, tmp_path / "home")
        assert begun.finish(time.monotonic() + 200) > 0
    assert any("model.safetensors" in path for path in asked)
    code = f"""
from pathlib import Path
from kit.pipeline.machine import download, inputs
folder = inputs.model_folder(Path({str(tmp_path)!r}), {MODEL!r}, wait_seconds=0)
print(folder, inputs.revision(folder))"""
    found, revision = subprocess.run(
        [sys.executable, "-c", code],
        env={**begun.variables, "HF_ENDPOINT": "http://127.0.0.1:9"},
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout.split()  # fmt: skip
    assert found.startswith(str(tmp_path / "home"))
    assert revision == little_hub.COMMIT
    assert (Path(found) / "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()


@pytest.mark.train
def test_a_download_that_stands_still_is_begun_again_once(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that stops in the middle of a file costs the stall time; the second try goes on from there."""
    with little_hub.serve(MODEL, tiny_model, hangs=1) as (address, _):
        _download(MODEL, address, tmp_path / "home", stall_seconds=4.0).finish(time.monotonic() + 200)
    said = capsys.readouterr().out.splitlines()
    assert said == [f"the download of {MODEL} is begun again: no byte in 4 s"]


@pytest.mark.train
@pytest.mark.parametrize(
    ("name", "hangs", "stall_seconds", "says"),
    [(MODEL, 99, 2.0, "no byte in 2 s"), ("ada/none", 0, 60.0, "on the Hub")],
)
def test_a_download_that_cannot_succeed_ends_in_one_line_and_in_time(
    tiny_model: Path, tmp_path: Path, name: str, hangs: int, stall_seconds: float, says: str
) -> None:
    """Two tries of the stall time, and nothing is left running."""
    with little_hub.serve(MODEL, tiny_model, hangs=hangs) as (address, _):
        begun = _download(name, address, tmp_path / "home", stall_seconds=stall_seconds)
        expected = f"{name!r} cannot be fetched from Hugging Face: .*{says}"
        with pytest.raises(InputInvalid, match=expected) as caught:
            begun.finish(time.monotonic() + 200)
    assert "make prepare" in caught.value.hint
    assert begun.child.poll() is not None


@pytest.mark.train
def test_a_download_ends_with_the_time_of_the_run(tiny_model: Path, tmp_path: Path) -> None:
    """However patiently it would wait."""
    with little_hub.serve(MODEL, tiny_model, hangs=99) as (address, _):
        begun = _download(MODEL, address, tmp_path / "home")
        with pytest.raises(InputInvalid, match="the time is over"):
            begun.finish(time.monotonic() + 1)


@pytest.mark.parametrize(("release", "is_plain"), [("1.5.0", True), ("1.5.1", True), ("1.8.0", False)])
def test_an_image_whose_hf_xet_may_freeze_downloads_over_plain_http(
    monkeypatch: pytest.MonkeyPatch, release: str, is_plain: bool
) -> None:
    """Releases up to 1.5.1 do; a newer one is left its way."""
    monkeypatch.setattr("importlib.metadata.version", lambda _name: release)
    assert bool(download.transport()) is is_plain


def test_sigterm_before_the_pipeline_leaves_the_record_and_the_list_of_outputs(tmp_path: Path) -> None:
    """While an installer hangs; it ends too."""
    hangs = f"echo $$ > {tmp_path}/installed; exec sleep 60"
    kernel = _start(tmp_path, _config(preset="t4x2"), f"{T4}\n{T4}", uv=hangs, HF_HUB_OFFLINE="1")
    assert wait_for((tmp_path / "installed").exists)
    kernel.terminate()
    assert kernel.wait(100) == 143
    working = tmp_path / "working"
    assert json.loads((working / "run.json").read_text())["ended"] == "failed: stopped by SIGTERM"
    assert set(json.loads((working / "outputs.json").read_text())["files"]) == {"run.json"}
    installer = int((tmp_path / "installed").read_text())
    assert wait_for(lambda: has_ended(installer))
