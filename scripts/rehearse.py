"""Run the whole loop against a Kaggle on this machine: push, watch, pull, validate, submit, score."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kit.command import alone, options, run

if TYPE_CHECKING:
    from kit.config import Config

READY = "local Kaggle ready at "
START_SECONDS = 60.0
STOP_SECONDS = 30.0


def main() -> int:
    arguments = options(__doc__, "preset", "set", "timeout", preset="tiny", timeout=3600.0).parse_args()

    from kit import config
    from kit.fetch import inputs

    started = time.monotonic()
    resolved = config.resolve(arguments.preset, arguments.set)
    data = inputs.competition_folder(resolved)
    inputs.model_folder(resolved)
    choice = ["--preset", arguments.preset, *(part for text in arguments.set for part in ("--set", text))]
    token = secrets.token_hex(16)
    with alone("rehearse"), local_kaggle(resolved, data, token) as endpoint:
        # This token wins over every real credential that the environment holds.
        environment = {**os.environ, "KIT_KAGGLE_ENDPOINT": endpoint, "KAGGLE_API_TOKEN": token}
        status = _script("all", [*choice, "--timeout", str(arguments.timeout)], environment)
        if status == 0 and (data / "solution.csv").is_file():
            status = _script("submit", [], environment)
        elif status == 0:
            print(f"{data} holds no solution.csv, so only Kaggle can score this submission")
    how = "passed" if status == 0 else "failed"
    print(f"the rehearsal {how} after {time.monotonic() - started:.0f} s", flush=True)
    return status


def _script(name: str, options: list[str], environment: dict[str, str]) -> int:
    path = Path(__file__).with_name(f"{name}.py")
    return subprocess.run([sys.executable, str(path), *options], env=environment, check=False).returncode


@contextmanager
def local_kaggle(config: Config, data: Path, token: str) -> Iterator[str]:
    """Start a local Kaggle that serves this competition and models/, give its address, stop it at the end."""
    from kit.config import PROJECT_ROOT
    from kit.errors import KitError
    from kit.fetch import inputs

    root = PROJECT_ROOT / "build" / "rehearse"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    inputs.MODELS.mkdir(exist_ok=True)
    log = root / "server.log"
    command = [sys.executable, "-m", "local_kaggle", "--port", "0", "--root", str(root)]
    command += ["--competition", str(data), "--slug", config.competition.slug, "--models", str(inputs.MODELS)]
    command += ["--parent", str(os.getpid())]
    command += ["--child-env", "KIT_INPUT_DIR={input}", "--child-env", "KIT_WORKING_DIR={working}"]
    with log.open("w") as errors:
        # In a session of its own, Ctrl-C reaches the server only through the block below.
        server = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
            env={**os.environ, "LOCAL_KAGGLE_TOKEN": token},
        )
    patience = threading.Timer(START_SECONDS, server.kill)
    patience.start()
    try:
        first = server.stdout.readline() if server.stdout else ""
        patience.cancel()
        if not first.startswith(READY):
            last = (log.read_text(encoding="utf-8").strip().splitlines() or ["it said nothing"])[-1]
            raise KitError(f"the local Kaggle did not start: {last}", hint=f"cat {log}")
        yield first.removeprefix(READY).strip()
    finally:
        patience.cancel()
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


if __name__ == "__main__":
    run(main)
