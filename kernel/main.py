"""What Kaggle runs: look at the cards, install while the model downloads, then become the pipeline.

Become, and not call: packages that were just upgraded must not meet half-imported old ones, and a signal must
reach the pipeline itself. Its exit status is the kernel's.
"""

import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from kit.config import PROJECT_ROOT, Config, load
from kit.environment import input_dir, is_offline, session_number, working_dir
from kit.errors import HardwareUnfit, KitError
from kit.pipeline import events
from kit.pipeline.machine import hardware, inputs, install
from kit.pipeline.machine.download import Download
from kit.pipeline.record import RunRecord

DOWNLOAD_SECONDS = 1200.0
"""The most that a download may take however steadily it grows: 5.7 GB at 5 MB/s."""

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "UNSLOTH_DISABLE_STATISTICS": "1",
}
"""Nobody calls home, and nobody waits for an answer that cannot come."""


def environment(config: Config, started: float) -> dict[str, str]:
    """Return the variables of everything that is started here."""
    usual = {
        # Downloads go where there is room: /kaggle/working is the kernel's output and holds 20 GB.
        "HF_HOME": str(Path(tempfile.gettempdir()) / "huggingface"),
        # A log is no terminal: there a progress bar is thousands of lines.
        "TQDM_DISABLE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    offline = {} if config.kernel.internet else OFFLINE
    return {**usual, **os.environ, **offline, "KIT_STARTED": str(started)}


def bring_packages(config: Config, *, cuda: bool, until: float) -> None:
    """Install the pins that this interpreter does not meet, without internet from attached wheels."""
    pins = install.missing(install.pins(install.REQUIREMENTS.read_text(encoding="utf-8"), cuda=cuda))
    if pins:
        wheels = None if config.kernel.internet else install.attached_wheels(input_dir(), pins)
        install.install(pins, wheels, until=until)


def must_download(config: Config) -> bool:
    """Tell whether the model is one of Hugging Face that is not attached and may be fetched."""
    name = config.model.name
    if not config.kernel.internet or is_offline() or not inputs.is_on_hub(name):
        return False
    return inputs.attached_snapshot(input_dir(), name) is None


def start(config: Config, started: float) -> NoReturn:
    """Make everything ready for the pipeline and become it."""
    variables = environment(config, started)
    until = started + 60 * config.run.time_limit_minutes
    cards = hardware.cards()
    try:
        hardware.choose(cards, config.run.cards, config.kernel.accelerator)
    except HardwareUnfit:
        become_pipeline(variables)  # which says why; nothing is installed for that
    with contextlib.ExitStack() as ending:
        download = None
        if must_download(config):
            download = Download(config.model.name, variables, config.run.stall_seconds)
            ending.callback(download.stop)
        before = time.monotonic()
        bring_packages(config, cuda=bool(cards), until=until)
        variables["KIT_INSTALL_SECONDS"] = f"{time.monotonic() - before:.2f}"
        if download is not None:
            seconds = download.finish(min(until, time.monotonic() + DOWNLOAD_SECONDS), _report)
            variables["KIT_DOWNLOAD_SECONDS"] = f"{seconds:.2f}"
    become_pipeline(variables)


def become_pipeline(variables: dict[str, str]) -> NoReturn:
    """Replace this process by the pipeline; SIGTERM waits until that can answer it."""
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    os.execve(sys.executable, [sys.executable, "-m", "kit.pipeline.run"], variables)  # noqa: S606


def main() -> int:
    """Run what the bundle's manifest says; return only where it cannot begin, with run.json saying why."""
    started = time.monotonic()
    if (number := session_number()) is not None:
        print(json.dumps({"event": "session", "id": number}), flush=True)
    manifest = json.loads((PROJECT_ROOT / "bundle.json").read_text(encoding="utf-8"))
    signal.signal(signal.SIGTERM, _leave)
    record = RunRecord(manifest["bundle_hash"], manifest["config"])
    try:
        start(load(manifest["config"], where="the bundle's config"), started)
    except KitError as error:
        record.ended = f"failed: {error}"
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    except SystemExit:
        record.ended = "failed: stopped by SIGTERM"
        raise
    finally:
        with contextlib.suppress(KitError):  # the log has said why already
            record.close(working_dir())


def _report(size: int, speed: float) -> None:
    events.emit("download", bytes=size, bytes_per_second=round(speed))


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
