"""Start a Kaggle on this machine in a process of its own, and stop it with every kernel that it runs.

What it serves is `inputs`' business, what is asked of it the caller's.
"""

import os
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kit.config import PROJECT_ROOT, Config
from kit.errors import KitError
from kit.fetch import inputs

READY = "local Kaggle ready at "
START_SECONDS = 60.0
STOP_SECONDS = 30.0


@contextmanager
def kaggle_here(name: str, config: Config) -> Iterator[dict[str, str]]:
    """Serve this competition and models/ from build/<name>, and stop the server at the end.

    Gives the variables by which a verb finds it; their token wins over every real credential.
    """
    data, token = inputs.competition_folder(config), secrets.token_hex(16)
    inputs.model_folder(config)
    root = PROJECT_ROOT / "build" / name
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    inputs.MODELS.mkdir(exist_ok=True)
    log = root / "server.log"
    command = [sys.executable, "-m", "local_kaggle", "--port", "0", "--root", str(root)]
    if config.competition.kind == "code":
        command += ["--kind", "code", "--hidden", str(data)]
        command += ["--rerun-limit", str(60 * config.competition.rerun_minutes)]
        data = inputs.public_part(data, root / "public", config.competition)
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
        yield {"KIT_KAGGLE_ENDPOINT": first.removeprefix(READY).strip(), "KAGGLE_API_TOKEN": token}
    finally:
        patience.cancel()
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
