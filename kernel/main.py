"""What Kaggle runs: look at the cards, install while the model downloads, then become the pipeline.

Become, and not call: packages that were just upgraded must not meet half-imported old ones, and a signal must
reach the pipeline itself. Its exit status is the kernel's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from kit.config import PROJECT_ROOT, Config, load
from kit.environment import input_dir, is_offline
from kit.errors import HardwareUnfit, KitError
from kit.pipeline.machine import hardware, inputs, install

DOWNLOAD_SECONDS = 900.0
"""A download that runs ahead is given up after this; the pipeline begins another."""

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "UNSLOTH_DISABLE_STATISTICS": "1",
}
"""Nobody calls home, and nobody waits for an answer that cannot come."""


def environment(config: Config) -> dict[str, str]:
    """Return the variables of everything that is started here."""
    usual = {
        # Downloads go where there is room: /kaggle/working is the kernel's output and holds 20 GB.
        "HF_HOME": str(Path(tempfile.gettempdir()) / "huggingface"),
        # A log is no terminal: there a progress bar is thousands of lines.
        "TQDM_DISABLE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    return {**usual, **os.environ, **({} if config.kernel.internet else OFFLINE)}


def bring_packages(config: Config, *, cuda: bool) -> None:
    """Install the pins that this interpreter does not meet, without internet from attached wheels."""
    pins = install.missing(install.pins(install.REQUIREMENTS.read_text(encoding="utf-8"), cuda=cuda))
    if pins:
        wheels = None if config.kernel.internet else install.attached_wheels(input_dir(), pins)
        install.install(pins, wheels)


def must_download(config: Config) -> bool:
    """Tell whether the model is one of Hugging Face that is not attached and may be fetched."""
    name = config.model.name
    if not config.kernel.internet or is_offline() or not inputs.is_on_hub(name):
        return False
    return inputs.attached_snapshot(input_dir(), name) is None


def begin_download(name: str, variables: dict[str, str]) -> subprocess.Popen[str]:
    """Start to fetch a model of Hugging Face and return once packages may change under the download."""
    child = subprocess.Popen(
        [sys.executable, "-m", "kit.pipeline.machine.inputs", name],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if child.stdout:
        child.stdout.readline()
    return child


def end_download(child: subprocess.Popen[str]) -> float:
    """Return the seconds that the download took, 0 for one that failed: the pipeline tries again."""
    try:
        told, complaint = child.communicate(timeout=DOWNLOAD_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        told, complaint = "", f"not done after {DOWNLOAD_SECONDS:.0f} s"
        child.communicate()
    if child.returncode == 0:
        return float(told)
    reason = (complaint.strip().splitlines() or ["it said nothing"])[-1]
    print(f"the model could not be fetched ahead, the pipeline tries again: {reason}", flush=True)
    return 0.0


def start(config: Config) -> NoReturn:
    """Make everything ready for the pipeline and become it."""
    variables = environment(config)
    cards = hardware.cards()
    try:
        hardware.choose(cards, config.run.cards)
    except HardwareUnfit:
        become_pipeline(variables)  # which says why and keeps the record; nothing is installed for that
    download = begin_download(config.model.name, variables) if must_download(config) else None
    try:
        started = time.monotonic()
        bring_packages(config, cuda=bool(cards))
        variables["KIT_INSTALL_SECONDS"] = f"{time.monotonic() - started:.2f}"
        if download is not None:
            variables["KIT_DOWNLOAD_SECONDS"] = f"{end_download(download):.2f}"
    finally:
        if download is not None and download.poll() is None:
            download.kill()
    become_pipeline(variables)


def become_pipeline(variables: dict[str, str]) -> NoReturn:
    """Replace this process by the pipeline."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", "kit.pipeline.run"], variables)  # noqa: S606


def main() -> int:
    """Run what the bundle's manifest says; return only where it cannot begin."""
    manifest = json.loads((PROJECT_ROOT / "bundle.json").read_text(encoding="utf-8"))
    try:
        start(load(manifest["config"], where="the bundle's config"))
    except KitError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
