"""The kernel looks at the cards first, installs while the model downloads, and becomes the pipeline."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import little_hub
import pytest

from kit import config as settings
from kit.bundle.script import bundle_project, write
from kit.config import PROJECT_ROOT, Config
from kit.errors import InputInvalid
from kit.pipeline.machine import inputs

MODEL = "ada/tiny"


@pytest.fixture(scope="module")
def main() -> ModuleType:
    """kernel/main.py as a module."""
    spec = importlib.util.spec_from_file_location("kernel_main", PROJECT_ROOT / "kernel" / "main.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _config(*overrides: str, preset: str = "tiny") -> Config:
    return settings.resolve(preset, overrides)


def test_without_internet_nobody_calls_home(main: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch is kernel.internet; it wins over what the environment says."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    offline = main.environment(_config("kernel.internet=false"))
    assert {offline[name] for name in main.OFFLINE} == {"1"}
    assert main.environment(_config())["HF_HUB_OFFLINE"] == "0"


def test_downloads_go_to_the_temporary_folder_unless_told_otherwise(
    main: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working folder is the kernel's output and holds 20 GB."""
    monkeypatch.delenv("HF_HOME")
    assert not Path(main.environment(_config())["HF_HOME"]).is_relative_to("/kaggle/working")
    monkeypatch.setenv("HF_HOME", "/elsewhere")
    assert main.environment(_config())["HF_HOME"] == "/elsewhere"


def _kernel(tmp_path: Path, config: Config, smi: str = "") -> subprocess.CompletedProcess[str]:
    """Run the bundled script where `smi` is what nvidia-smi prints and every installer leaves a file."""
    tools = tmp_path / "tools"
    tools.mkdir()
    programs = {"uv": f"#!/bin/sh\ntouch {tmp_path}/installed\n"}
    if smi:
        programs["nvidia-smi"] = f"#!/bin/sh\necho '{smi}'\n"
    for name, text in programs.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    for name in ("input", "working"):
        (tmp_path / name).mkdir()
    script = tmp_path / "script.py"
    write(bundle_project(config.model_dump(mode="json")), script)
    environment = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "KIT_INPUT_DIR": str(tmp_path / "input"),
        "KIT_WORKING_DIR": str(tmp_path / "working"),
    }
    return subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("smi", "says"),
    [
        ("", "this preset needs 2 GPU(s), the machine has none"),
        ("Tesla T4, 15360, 7.5", "this preset needs 2 GPU(s), the machine has Tesla T4"),
        ("Tesla P100-PCIE-16GB, 16384, 6.0", "the machine has Tesla P100-PCIE-16GB"),
    ],
)
def test_a_missing_or_retired_card_ends_the_run_before_anything_is_installed(
    tmp_path: Path, smi: str, says: str
) -> None:
    """Within seconds, with the reason in the log and in run.json; CUDA-only packages are missing here."""
    started = time.monotonic()
    ended = _kernel(tmp_path, _config(preset="t4x2"), smi)
    assert time.monotonic() - started < 30
    assert ended.returncode == 1, ended.stderr
    errors = [line for line in ended.stderr.splitlines() if line.strip()]
    assert len(errors) == 1, ended.stderr
    assert says in errors[0]
    assert says in (tmp_path / "working" / "run.json").read_text()
    assert not (tmp_path / "installed").exists()


@pytest.mark.slow
def test_packages_that_are_missing_without_internet_are_one_line(tmp_path: Path) -> None:
    """Two cards are there, Unsloth is not, and nothing is attached: the way out is make prepare."""
    config = _config("kernel.internet=false", preset="t4x2")
    ended = _kernel(tmp_path, config, "Tesla T4, 15360, 7.5\nTesla T4, 15360, 7.5")
    assert ended.returncode == 1
    errors = [line for line in ended.stderr.splitlines() if line.strip()]
    assert len(errors) == 1, ended.stderr
    assert "without internet and without wheels below" in errors[0]
    assert "make prepare" in errors[0]
    assert not (tmp_path / "installed").exists()


def test_a_model_is_fetched_ahead_only_where_it_must_and_may_be(
    main: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
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


def _variables(address: str, home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    return {**kept, "HF_ENDPOINT": address, "HF_HOME": str(home), "PYTHONPATH": str(PROJECT_ROOT / "src")}


@pytest.mark.train
def test_a_model_fetched_ahead_is_found_by_the_pipeline(
    main: ModuleType, tiny_model: Path, tmp_path: Path
) -> None:
    """By huggingface_hub itself: the snapshot stands in HF_HOME, and no request is made for it again."""
    with little_hub.serve(MODEL, tiny_model) as (address, asked):
        variables = _variables(address, tmp_path / "home")
        seconds = main.end_download(main.begin_download(MODEL, variables))
    assert seconds > 0
    assert any("model.safetensors" in path for path in asked)
    code = f"""
from pathlib import Path
from kit.pipeline.machine import inputs
print(inputs.model_folder(Path({str(tmp_path)!r}), {MODEL!r}, offline=True, wait_seconds=0))"""
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**variables, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, timeout=60, check=True,
    ).stdout.strip()  # fmt: skip
    assert found.startswith(str(tmp_path / "home"))
    assert (Path(found) / "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()


@pytest.mark.train
def test_a_download_that_fails_ahead_costs_one_line(
    main: ModuleType, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pipeline tries again and says why if it fails too."""
    with little_hub.serve(MODEL, tiny_model) as (address, _):
        child = main.begin_download("ada/none", _variables(address, tmp_path))
        assert main.end_download(child) == 0.0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert "the pipeline tries again" in lines[0]
    assert "'ada/none' cannot be fetched" in lines[0]


@pytest.mark.train
def test_a_download_that_never_ends_is_given_up(
    main: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its process is gone, so that it cannot disturb the pipeline's own."""
    monkeypatch.setattr(main, "DOWNLOAD_SECONDS", 0.2)
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert main.end_download(child) == 0.0
    assert child.poll() is not None
    assert "not done after 0 s" in capsys.readouterr().out


@pytest.mark.train
def test_an_unreachable_hub_is_one_line_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline and online say different things, and both name make prepare."""
    with pytest.raises(InputInvalid, match="no snapshot of model 'ada/none' is attached") as caught:
        inputs.fetch("ada/none", offline=True)
    assert "make prepare" in caught.value.hint
