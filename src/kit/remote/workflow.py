"""Join the verbs as a person uses them: look, then push; watch, and bring a failed run home as well.

Each verb is its own module; nothing here speaks to Kaggle by itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

from kit import progress
from kit.bundle import build
from kit.config import Config
from kit.errors import InputInvalid, KitError
from kit.remote import doctor, pull, push, runs, watch
from kit.remote.push import PushRefused
from kit.remote.runs import Run
from kit.remote.screen import Screen
from kit.remote.watch import Finished, RunFailed
from kit.remote.wire.client import Client


def look(client: Client, config: Config, *, root: Path = runs.RUNS) -> tuple[build.Built, list[str]]:
    """Build, print every check of a push, and return the build and the names of the checks that failed."""
    built = build.build(config, owner=client.user())
    failed = []
    for check in doctor.examine(client, config, built, root=root):
        print(check, flush=True)
        if check.verdict == "fail":
            failed.append(check.name)
    return built, failed


def look_and_push(client: Client, config: Config, *, root: Path = runs.RUNS) -> Run:
    """Push unless a check fails; raises PushRefused."""
    built, failed = look(client, config, root=root)
    if failed:
        raise PushRefused(f"nothing was pushed: {', '.join(failed)} failed above", hint="make doctor")
    try:
        run = push.push(client, built, config, root=root)
    except KeyboardInterrupt:
        print(f"\nthe push may have arrived: {client.web}/code/{client.user()}", file=sys.stderr)
        raise
    print(f"pushed {run.name}: {run.url}", flush=True)
    return run


def find(client: Client, name: str, *, root: Path = runs.RUNS) -> Run:
    """Return a run that this side knows: Kaggle has no rehearsed one, a rehearsal none of Kaggle's."""
    run = runs.find(name, root)
    if run.is_rehearsal and not client.is_local:
        raise InputInvalid(
            f"{run.name} was rehearsed on this machine, Kaggle has no such run", hint="make push"
        )
    if client.is_local and not run.is_rehearsal:
        raise InputInvalid(f"{run.name} was pushed to Kaggle", hint="unset KIT_KAGGLE_ENDPOINT")
    return run


def watch_to_end(client: Client, run: Run, deadline_seconds: float) -> Finished:
    """Show the run to its end; what a failed one died of is printed, and it is pulled, before RunFailed."""
    print(f"watching {run.name}: {run.url} (Ctrl-C leaves it running)", flush=True)
    try:
        with Screen() as screen:
            return watch.watch(client, run, deadline_seconds, screen.on_line, screen.on_update)
    except KeyboardInterrupt:
        print(f"\n{run.name} goes on; make watch RUN={run.name} shows it again", file=sys.stderr)
        raise
    except RunFailed as failed:
        _show_failure(failed)
        try:
            print(f"its log and outputs are in {pull.pull(client, run).folder}", flush=True)
        except KitError as error:
            print(f"its outputs could not be pulled: {error}", file=sys.stderr, flush=True)
        raise


def _show_failure(failed: RunFailed) -> None:
    lines = [""]
    for rank, text in failed.tracebacks.items():
        lines += [f"--- {rank or 'main process'} ---", *text.split("\n")]
    if not failed.tracebacks:
        lines += ["--- the last lines of the log ---", *failed.last_lines]
    print("\n".join(map(progress.visible, lines)), file=sys.stderr, flush=True)
