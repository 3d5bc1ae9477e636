"""What Kaggle runs to prepare offline runs: it downloads their wheels and their model into its own output.

Runs on the CPU with internet, in the image of the day, whose Python the wheels are for. It installs nothing.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from kit.config import PROJECT_ROOT, Config, load
from kit.environment import session_number, working_dir
from kit.errors import KitError
from kit.outputs import write_manifest
from kit.pipeline.machine import base_model, inputs, install
from kit.pipeline.machine.download import Download


def download_wheels(folder: Path) -> None:
    """Download every pin for this interpreter, the CUDA-only ones too, and mark the folder."""
    wanted = install.pins(install.REQUIREMENTS.read_text(encoding="utf-8"), cuda=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), *wanted]
    if subprocess.run(command, check=False).returncode != 0:
        raise KitError(
            "the wheels could not be downloaded", hint="a phone-verified Kaggle account, then make prepare"
        )
    install.mark(folder, install.PYTHON, wanted)
    print(f"{len(wanted)} wheels for Python {install.PYTHON}, {_megabytes(folder)}", flush=True)


def download_model(config: Config, folder: Path) -> None:
    """Download the snapshot of a model of Hugging Face, check it and mark the folder."""
    if not inputs.is_on_hub(config.model.name):
        print(f"{config.model.name} is attached to a run by Kaggle itself", flush=True)
        return
    variables = {**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}  # a log is no terminal
    download = Download(config.model.name, variables, config.run.stall_seconds, folder)
    try:
        download.finish(time.monotonic() + 60 * config.run.time_limit_minutes)
    finally:
        download.stop()
    inputs.mark_model(folder, config.model.name)
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    base_model.check(folder, config)
    print(f"{config.model.name}, {_megabytes(folder)}", flush=True)


def _megabytes(folder: Path) -> str:
    return f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:,.0f} MB"


def main() -> int:
    """Fill the working folder, or say in one line why that cannot be done."""
    if (number := session_number()) is not None:
        print(json.dumps({"event": "session", "id": number}), flush=True)
    manifest = json.loads((PROJECT_ROOT / "bundle.json").read_text(encoding="utf-8"))
    try:
        config = load(manifest["config"], where="the bundle's config")
        working = working_dir()
        download_wheels(working / "wheels")
        download_model(config, working / "model")
        write_manifest(working)
    except KitError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
