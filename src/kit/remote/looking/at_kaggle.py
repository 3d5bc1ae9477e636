"""Check what only Kaggle knows before a push, and ask what its API does not tell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kit.config import Config
from kit.remote import runs
from kit.remote.looking.check import Check, Verdict
from kit.remote.pushing import lookup
from kit.remote.runs import Run
from kit.remote.wire import session
from kit.remote.wire.client import WEB, Client
from kit.remote.wire.transport import Refused


def expected_minutes(config: Config, root: Path = runs.RUNS) -> tuple[float, str]:
    """Return how long a run takes and how that is known: from an earlier one, or its time limit."""
    for path in sorted(runs.known_pushes(root), key=lambda path: path.stat().st_mtime, reverse=True):
        record = runs.read_json(path.parent / "run.json")
        if record.get("ended") == "complete" and record["config"]["preset"] == config.preset:
            return sum(record["timings"].values()) / 60, f"as {runs.load(path.parent).name} did"
    return config.run.time_limit_minutes, "its time limit"


def credentials(client: Client) -> Iterator[Check]:
    user = client.user()
    client.call("GetAcceleratorQuotaStatistics")  # a key is only tried by a question
    yield Check("credentials", "pass", f"{user}, by {client.credentials.origin}")


def quota(client: Client, config: Config, root: Path) -> Iterator[Check]:
    if config.kernel.accelerator == "none":
        yield Check("quota", "pass", "no GPU is asked for")
        return
    hours = lookup.gpu_hours(client)
    if hours is None:
        yield Check("quota", "warn", "Kaggle does not say how many GPU hours are left", f"{WEB}/settings")
        return
    minutes, source = expected_minutes(config, root)
    text = f"{hours.left:.1f} of {hours.whole:.0f} GPU hours left{hours.renewed}"
    text += f"; this run: {minutes:.0f} min ({source})"
    if hours.left <= 0:
        yield Check("quota", "fail", text, "make push WHEN=free, which waits, or make rehearse")
    elif hours.left * 60 < minutes:
        yield Check("quota", "warn", text, 'SET="run.time_limit_minutes=…"')
    else:
        yield Check("quota", "pass", text)


def sessions(client: Client, owner: str, slug: str) -> Iterator[Check]:
    """Look at the newest version of this slug: another push would start a second session beside it."""
    newest = lookup.seen(client, f"{owner}/{slug}")
    if newest is None:
        yield Check("sessions", "pass", f"{slug} has no version yet")
        return
    run = Run(Path(), owner, slug, newest.metadata.current_version_number or 1, "", "", {})
    try:
        name = client.call("GetKernelSessionStatus", **run.pinned).status.name
    except Refused as refused:
        is_idle = refused.status == 404
        text = f"v{run.version} of {slug} never ran" if is_idle else f"{slug}: {refused.reason}"
        yield Check("sessions", "pass" if is_idle else "warn", text)
        return
    if name in session.ENDED:
        yield Check("sessions", "pass", f"none of {slug} is on; its newest, v{run.version}, ended as {name}")
    else:
        text = f"v{run.version} of {slug} is {name}; a push may start a second session beside it"
        yield Check(
            "sessions",
            "warn",
            text,
            f"make watch RUN={slug}/v{run.version}, or make stop RUN={slug}/v{run.version}",
        )


def competition(client: Client, config: Config) -> Iterator[Check]:
    slug = config.competition.slug
    page = f"{client.web}/competitions/{slug}"
    try:
        answer = client.call("GetCompetition", needs="id", competition_name=slug)
    except Refused as refused:
        text = f"{slug}: {refused.reason or refused.message}"
        yield Check("competition", "fail", text, f"{page}, and kit.toml")
        return
    deadline = answer.deadline
    if deadline and (deadline if deadline.tzinfo else deadline.replace(tzinfo=UTC)) < datetime.now(UTC):
        yield Check("competition", "warn", f"{slug} ended on {deadline:%d %b %Y}", page)
    elif not answer.user_has_entered:
        yield Check("competition", "fail", f"{slug} is not joined", f"accept the rules at {page}/rules")
    elif answer.submissions_disabled:
        yield Check("competition", "warn", f"{slug} takes no submissions any more", page)
    else:
        kind = "code" if answer.is_kernels_submissions_only else "csv"
        takes = f"{slug} is joined, {answer.max_daily_submissions} submissions a day"
        takes += ", of kernel versions without internet" if kind == "code" else ""
        limit, own = config.competition.rerun_minutes, config.run.time_limit_minutes
        if kind != config.competition.kind:
            hint = f'competition.kind = "{kind}" in kit.toml'
            yield Check("competition", "warn", f"{takes}; kit.toml says {config.competition.kind}", hint)
        elif kind == "code" and not config.kernel.internet and own > limit:
            text = f"{takes}; this run may take {own:.0f} min, a rerun {limit:.0f}"
            yield Check("competition", "warn", text, f'SET="run.time_limit_minutes={0.9 * limit:.0f}"')
        else:
            yield Check("competition", "pass", takes)


def sources(client: Client, facts: dict[str, Any]) -> Iterator[Check]:
    """Check that kernels and datasets to attach exist and are ready; a rehearsal's push tells at no cost."""
    user = client.user().lower()
    for ref in facts["kernel_sources"]:
        is_there = lookup.seen(client, ref) is not None
        verdict: Verdict = "pass" if is_there else "fail" if ref.lower().startswith(f"{user}/") else "warn"
        yield Check("source", verdict, f"kernel {ref}" + ("" if is_there else " is not seen"))
    for ref in () if client.is_local else facts["dataset_sources"]:
        owner, _, slug = ref.partition("/")
        fields = {"owner_slug": owner, "dataset_slug": slug}
        state, verdict = "READY", "pass"
        try:
            if owner.lower() == user:
                state = client.call("GetDatasetStatus", **fields).status.name
                verdict = "pass" if state == "READY" else "fail"
            else:  # the state is given to owners only
                client.call("ListDatasetFiles", **fields)
        except Refused as refused:
            state, verdict = f"not seen: {refused.reason or refused.status}", "warn"
        late = "; a kernel would get an older version" if verdict == "fail" else ""
        yield Check(
            "source",
            verdict,
            f"dataset {ref} is {state}{late}",
            f"{client.web}/datasets/{ref}" if verdict != "pass" else "",
        )


def unseen(config: Config, facts: dict[str, Any]) -> Iterator[Check]:
    """Ask what the API does not tell."""
    if config.kernel.accelerator != "none" or config.kernel.internet:
        yield Check(
            "phone", "ask", "is your phone number verified? Else no GPU and no internet", f"{WEB}/settings"
        )
    for handle in facts["model_sources"]:
        page = f"{WEB}/models/{'/'.join(handle.split('/')[:2])}"
        yield Check("model", "ask", f"is the licence of {handle} accepted, and its version there?", page)
