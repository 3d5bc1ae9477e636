"""Join the verbs as a person uses them: look, then push; watch, and bring a failed run home as well."""

import sys
from contextlib import suppress

from kit import progress
from kit.bundle import build, metadata
from kit.config import Config
from kit.errors import InputInvalid, KitError
from kit.remote import doctor, runs
from kit.remote.following import watch
from kit.remote.following.screen import RunFailed, Screen
from kit.remote.pulling import pull
from kit.remote.pushing import push
from kit.remote.pushing.objections import Check, PushRefused
from kit.remote.wire.client import Client, connect
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


def look_and_push(client: Client, config: Config, note: str = "") -> runs.Run:
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


def find(client: Client, name: str, *, or_made: bool = False) -> runs.Run:
    """Return a run of this client's Kaggle and user, one that was made at home only if `or_made`."""
    run = runs.find(name, runs.home(is_local=client.is_local))
    if not run.version and not or_made:
        hint = f"make report RUN={run.name}, or make submit RUN={run.name}"
        raise InputInvalid(f"{run.name} was made at home: nothing of it ran on Kaggle", hint=hint)
    if run.is_rehearsal and not client.is_local:
        text = f"{run.name} was rehearsed on this machine, Kaggle has no such run"
        raise InputInvalid(text, hint="make all PRESET=smoke, or make kaggle, whose runs these are")
    if client.is_local and not run.is_rehearsal:
        text = f"{run.name} is {'a run of Kaggle' if run.version else 'of runs of Kaggle, or of none'}"
        raise InputInvalid(f"{text}, not of the one on this machine", hint=runs.UNSET)
    with suppress(Unsettled):  # who asks is only a precaution here
        if run.owner and client.user().lower() != run.owner.lower():
            text = f"{run.name} belongs to {run.owner}, and {client.credentials.origin} is of {client.user()}"
            raise InputInvalid(text, hint=f"the credentials of {run.owner}, or make push")
    return run


def reach(name: str, *, or_made: bool = False) -> tuple[Client, runs.Run]:
    """Return a client of the Kaggle that the environment names, and what it finds under this name."""
    client = connect()
    return client, find(client, name, or_made=or_made)


def next_step(run: runs.Run) -> str:
    """Return what to do with a valid run: submit it, unless that would be refused."""
    if run.is_rehearsal and not run.is_code:
        return "this was a rehearsal; for real: make doctor, then make all PRESET=smoke"
    if rows := run.config["data"]["test_rows"]:
        return f"it answered {rows} test rows, which is no submission; next: make all PRESET=t4x2"
    step = "adapters" if run.is_code and run.config["kernel"]["internet"] else "submit"
    return f"next: make {step} RUN={run.name}"


def watch_to_end(client: Client, run: runs.Run, deadline_seconds: float) -> Status:
    """Show the run to its end; what a failed one died of is printed, and it is pulled, before RunFailed."""
    if client.is_local and not run.url.startswith(client.web):
        text = f"{run.name} was rehearsed by a Kaggle on this machine that is gone"
        raise InputInvalid(text, hint=f"make report RUN={run.name}, or make push")
    leaves = "ends the rehearsal" if run.is_rehearsal else "leaves it running"
    print(f"watching {run.name}: {run.url} (Ctrl-C {leaves})", flush=True)
    failed: RunFailed | None = None
    try:
        with Screen() as screen:
            status = watch.watch(client, run, deadline_seconds, screen.on_line, screen.on_update)
    except KeyboardInterrupt:
        rehearsed = f"{run.name} is left before its end, which comes with that of its Kaggle on this machine"
        goes_on = f"{run.name} goes on; make watch RUN={run.name} shows it again"
        print(f"\n{rehearsed if run.is_rehearsal else goes_on}", file=sys.stderr)
        raise
    except RunFailed as error:
        failed = error
        print("\n".join(map(progress.visible, ["", *failed.last_words])), file=sys.stderr, flush=True)
    with suppress(KaggleError):  # the image that Kaggle says it ran this version in
        image = client.call("GetKernel", needs="metadata", patient=False, **run.pinned).metadata.docker_image
        path = run.folder / "push.json"
        runs.write_json(path, runs.read_json(path) | {"image": str(image or "")})
    if failed is None:
        return status
    try:
        print(f"its log and outputs are in {pull.pull(client, run).folder}", flush=True)
    except KitError as error:
        print(f"its outputs could not be pulled: {error}", file=sys.stderr, flush=True)
    raise failed
