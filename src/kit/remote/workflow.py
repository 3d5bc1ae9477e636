"""Join the verbs as a person uses them: look, then push; watch, and bring a failed run home as well.

Each verb is its own module; nothing here speaks to Kaggle by itself.
"""

from __future__ import annotations

import sys
from contextlib import suppress

from kit import progress
from kit.bundle import build, metadata
from kit.config import Config
from kit.errors import InputInvalid, KitError
from kit.remote import runs
from kit.remote.following import watch
from kit.remote.following.screen import Screen
from kit.remote.following.watch import RunFailed
from kit.remote.looking import doctor
from kit.remote.pulling import pull
from kit.remote.pushing import push
from kit.remote.pushing.objections import Check, PushRefused
from kit.remote.runs import Run
from kit.remote.wire.client import Client
from kit.remote.wire.session import Status
from kit.remote.wire.transport import KaggleError, Unsettled


def look(client: Client, config: Config) -> tuple[build.Built, list[Check]]:
    """Build, print every check of a push as it comes, and return the build and the checks."""
    try:
        owner = client.user()
    except KaggleError:
        owner = metadata.PLACEHOLDER_OWNER  # the table says why
    built = build.build(config, owner=owner)
    checks = []
    for check in doctor.examine(client, config, built, root=runs.RUNS):
        print(check, flush=True)
        checks.append(check)
    return built, checks


def look_and_push(client: Client, config: Config, note: str = "") -> Run:
    """Push unless a check fails; raises PushRefused. `note` says why the run is made."""
    built, checks = look(client, config)
    if failed := [check.name for check in checks if check.verdict == "fail"]:
        raise PushRefused(f"nothing was pushed: {', '.join(failed)} failed above", hint="make doctor")
    root = runs.home(is_local=client.is_local)
    try:
        with runs.alone(root / metadata.slug(config) / runs.INTENT, waits=True):
            run = push.push(client, built, config, root=root, note=note)
    except KeyboardInterrupt:
        print(f"\nthe push may have arrived: {client.web}/code/{client.user()}", file=sys.stderr)
        raise
    print(f"pushed {run.name}: {run.url}", flush=True)
    return run


def find(client: Client, name: str, *, or_made: bool = False) -> Run:
    """Return a run of the Kaggle and the user that this client is of; raises InputInvalid for another's.

    Answers that were made at home are none, unless `or_made`.
    """
    run = runs.find(name, runs.home(is_local=client.is_local))
    if not run.version and not or_made:
        made = f"{run.name} was made at home: nothing of it ran on Kaggle"
        raise InputInvalid(made, hint=f"make report RUN={run.name}, or make submit RUN={run.name}")
    if run.is_rehearsal and not client.is_local:
        text = f"{run.name} was rehearsed on this machine, Kaggle has no such run"
        raise InputInvalid(text, hint="make all PRESET=smoke, or make kaggle, whose runs these are")
    if client.is_local and not run.is_rehearsal:
        text = f"{run.name} is {'a run of Kaggle' if run.version else 'of runs of Kaggle, or of none'}"
        raise InputInvalid(f"{text}, not of the one on this machine", hint=runs.UNSET)
    with suppress(Unsettled):  # who asks is only a precaution here
        if run.owner and client.user().lower() != run.owner.lower():
            raise InputInvalid(
                f"{run.name} belongs to {run.owner}, and {client.credentials.origin} is of {client.user()}",
                hint=f"the credentials of {run.owner}, or make push",
            )
    return run


def next_step(run: Run) -> str:
    """Return what to do with a valid run: submit it, unless that would be refused."""
    if run.is_rehearsal and run.config["competition"].get("kind") != "code":
        return "this was a rehearsal; for real: make doctor, then make all PRESET=smoke"
    if rows := run.config["data"]["test_rows"]:
        return f"it answered {rows} test rows, which is no submission; next: make all PRESET=t4x2"
    if run.config["competition"].get("kind") == "code" and run.config["kernel"]["internet"]:
        return f"next: make adapters RUN={run.name}"
    return f"next: make submit RUN={run.name}"


def watch_to_end(client: Client, run: Run, deadline_seconds: float) -> Status:
    """Show the run to its end; what a failed one died of is printed, and it is pulled, before RunFailed."""
    leaves = "ends the rehearsal" if run.is_rehearsal else "leaves it running"
    print(f"watching {run.name}: {run.url} (Ctrl-C {leaves})", flush=True)
    try:
        with Screen() as screen:
            status = watch.watch(client, run, deadline_seconds, screen.on_line, screen.on_update)
        _keep_image(client, run)
        return status
    except KeyboardInterrupt:
        rehearsed = f"{run.name} is left before its end, which comes with that of its Kaggle on this machine"
        goes_on = f"{run.name} goes on; make watch RUN={run.name} shows it again"
        print(f"\n{rehearsed if run.is_rehearsal else goes_on}", file=sys.stderr)
        raise
    except RunFailed as failed:
        _show_failure(failed)
        _keep_image(client, run)
        try:
            print(f"its log and outputs are in {pull.pull(client, run).folder}", flush=True)
        except KitError as error:
            print(f"its outputs could not be pulled: {error}", file=sys.stderr, flush=True)
        raise


def _keep_image(client: Client, run: Run) -> None:
    """Write the image that Kaggle says it ran this version in into push.json."""
    with suppress(KaggleError):
        image = client.call("GetKernel", patient=False, **run.pinned).metadata.docker_image
        path = run.folder / "push.json"
        runs.write_json(path, runs.read_json(path) | {"image": str(image or "")})


def _show_failure(failed: RunFailed) -> None:
    lines = [""]
    for rank, text in failed.tracebacks.items():
        lines += [f"--- {rank or 'main process'} ---", *text.split("\n")]
    if not failed.tracebacks:
        lines += ["--- the last lines of the log ---", *map(progress.show, failed.last_lines)]
    print("\n".join(map(progress.visible, lines)), file=sys.stderr, flush=True)
