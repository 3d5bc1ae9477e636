"""Run the whole loop against a Kaggle on this machine: push, watch, pull, validate, submit, score."""

import os
import subprocess
import sys
import time
from pathlib import Path

from kit.command import Arguments, alone, verb
from kit.pipeline.machine.children import end_with_parent


def script(name: str, options: list[str], environment: dict[str, str] | None = None) -> int:
    """Run another verb in a process that ends with this one, and return its status."""
    command = [sys.executable, str(Path(__file__).with_name(f"{name}.py")), *options]
    return subprocess.run(command, env=environment, check=False, preexec_fn=end_with_parent()).returncode


@verb("preset", "set", "timeout", "kind", preset="tiny", timeout=3600.0)
def main(arguments: Arguments) -> int:
    from kit import config
    from kit.fetch import inputs
    from kit.fetch.kaggle_here import kaggle_here

    started = time.monotonic()
    settings = [*arguments.set, *([f"competition.kind={arguments.kind}"] if arguments.kind else [])]
    resolved = config.resolve(arguments.preset, settings)
    data = inputs.competition_folder(resolved)
    choice = [f"--preset={arguments.preset}", *(f"--set={text}" for text in settings)]
    with alone("rehearse"), kaggle_here("rehearse", resolved) as variables:
        environment = {**os.environ, **variables}
        patience = ["--timeout", str(arguments.timeout)]
        steps = [("all", [*choice, *patience])]
        if resolved.competition.kind == "code":
            steps += [("adapters", []), ("infer", ["--from", "latest", *patience])]
        is_scored = (data / "solution.csv").is_file()
        steps += [("submit", patience)] if is_scored else []
        status = next((bad for step in steps if (bad := script(*step, environment))), 0)
        if status == 0 and not is_scored:
            print(f"{data} holds no solution.csv, so only Kaggle can score this submission")
    how = "failed" if status else "passed"
    print(f"the rehearsal {how} after {time.monotonic() - started:.0f} s", flush=True)
    return status
