"""Look at everything that can be seen before a push: one check a line, each with a verdict and a next step.

It changes nothing and pushes nothing. What the API cannot see is asked, with the page to look at.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from kit.bundle import metadata, pins
from kit.bundle.build import Built
from kit.config import PROJECT_ROOT, Config
from kit.remote import data, push, runs
from kit.remote.runs import Run
from kit.remote.wire import session
from kit.remote.wire.client import WEB, Client
from kit.remote.wire.transport import CredentialsInvalid, KaggleError, Refused

SMOKE = "smoke"
FREE_BYTES = 2_000_000_000
"""Room for two adapters of an 8B model with their tokenizers, pulled beside an older run."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. Only `fail` keeps a push back."""

    name: str
    verdict: Literal["pass", "warn", "fail", "ask"]
    text: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.verdict}  {self.name:<12}  {self.text}" + (f" (try: {self.hint})" if self.hint else "")


def examine(client: Client, config: Config, built: Built, *, root: Path = runs.RUNS) -> Iterator[Check]:
    """Yield the checks of a push; those that ask Kaggle come last and only with good credentials."""
    told = json.loads(built.metadata.read_text(encoding="utf-8"))
    yield from _script(client, config, built, told)
    yield from _offline(config)
    yield _data(config)
    yield _requirements(client)
    yield _disk(root)
    try:
        user = client.user()
        client.call("GetAcceleratorQuotaStatistics")  # a key is only tried by a question
    except KaggleError as error:
        name = "credentials" if isinstance(error, CredentialsInvalid) else "kaggle"
        yield Check(name, "fail", error.message, error.hint)
        return
    yield Check("credentials", "pass", f"{user}, by {client.credentials.origin}")
    owner, _, slug = told["id"].partition("/")
    looks: list[Callable[[], Iterator[Check]]] = [
        lambda: _quota(client, config, root),
        lambda: _sessions(client, owner, slug),
        lambda: _competition(client, config.competition.slug),
        lambda: _sources(client, told),
    ]
    for look in looks:
        try:
            yield from look()
        except KaggleError as error:
            yield Check("kaggle", "fail", error.message, error.hint)
    if not client.is_local:
        yield from _unseen(config, told)
    if is_full(config) and not runs.passed_with(runs.requirements_sha256(), SMOKE, root):
        yield Check(
            "smoke",
            "warn",
            "no smoke run with these requirements has passed",
            f"make all PRESET={SMOKE}, minutes",
        )


def is_full(config: Config) -> bool:
    """Tell whether a push of this costs hours: all the rows, on GPUs."""
    return config.kernel.accelerator != "none" and not config.data.train_rows


def expected_minutes(config: Config, root: Path = runs.RUNS) -> tuple[float, str]:
    """Return how long a run takes and how that is known: from an earlier one, or its time limit."""
    for path in sorted(runs.known_pushes(root), key=lambda path: path.stat().st_mtime, reverse=True):
        record = runs.read_json(path.parent / "run.json")
        if record.get("ended") == "complete" and record["config"]["preset"] == config.preset:
            return sum(record["timings"].values()) / 60, f"as {runs.load(path.parent).name} did"
    return config.run.time_limit_minutes, "its time limit"


def _script(client: Client, config: Config, built: Built, told: dict[str, Any]) -> Iterator[Check]:
    """Check what stands in the build: the name to file it under, its size, the machine it asks for."""
    facts = {"is_local": client.is_local, "is_preparation": metadata.is_preparation(config)}
    objections = push.objections(told, built.bundle.text, **facts)
    size = len(built.bundle.text.encode())
    good = {
        "slug": told["id"],
        "size": f"{size:,} of {push.SOURCE_LIMIT_BYTES:,} bytes",
        "accelerator": f"{told['machine_shape']}, two cards" if told["enable_gpu"] else "none, the CPU",
    }
    for name, text in good.items():
        objection = objections.get("owner" if name == "slug" and "owner" in objections else name)
        if objection is None:
            yield Check(name, "pass", text)
        else:
            yield Check(name, "fail", objection.message, objection.hint)


def _offline(config: Config) -> Iterator[Check]:
    """Check that a GPU run without internet has something attached that can hold its wheels and its model."""
    kernel = config.kernel
    if kernel.internet or kernel.accelerator == "none":
        return
    attached = [*kernel.kernel_sources, *kernel.dataset_sources]
    if attached:
        yield Check("offline", "pass", f"packages are to come from {', '.join(attached)}")
    else:
        yield Check("offline", "fail", "no internet, and nothing attached holds the packages", "make prepare")


def _data(config: Config) -> Check:
    competition = config.competition
    folder = PROJECT_ROOT / "data" / competition.slug
    return Check("data", *data.readable(folder, competition))


def _requirements(client: Client) -> Check:
    found, loose = pins.read(runs.REQUIREMENTS)
    where = f"{runs.REQUIREMENTS.parent.name}/{runs.REQUIREMENTS.name}"
    if loose:
        return Check(
            "requirements", "fail", f"{where} pins no exact version in {loose[0]!r}", "name==version"
        )
    if client.is_local:
        return Check("requirements", "pass", f"{len(found)} exact pins in {where}")
    missing, unknown = pins.unresolved(found)
    if missing:
        lacking = f"{where}: there is no wheel of {', '.join(missing)} for Python {pins.IMAGE_PYTHON}"
        return Check("requirements", "fail", lacking, "another version there")
    if unknown:
        return Check(
            "requirements", "warn", f"{where} could not be looked up: {unknown}", "make doctor again"
        )
    return Check("requirements", "pass", f"{len(found)} pins have a wheel for Python {pins.IMAGE_PYTHON}")


def _disk(root: Path) -> Check:
    existing = next(folder for folder in (root, *root.parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free
    verdict: Literal["pass", "warn"] = "pass" if free >= FREE_BYTES else "warn"
    return Check(
        "disk", verdict, f"{free / 1e9:.1f} GB free for outputs", "" if verdict == "pass" else "df -h"
    )


def _quota(client: Client, config: Config, root: Path) -> Iterator[Check]:
    if config.kernel.accelerator == "none":
        yield Check("quota", "pass", "no GPU is asked for")
        return
    answer = client.call("GetAcceleratorQuotaStatistics", needs="gpuQuota")
    quota = answer.gpu_quota
    spent = [part.total_seconds() for part in (quota.time_used, quota.time_reserved) if part is not None]
    whole = quota.total_time_allowed.total_seconds() / 3600
    left = whole - sum(spent) / 3600
    minutes, source = expected_minutes(config, root)
    renewed = (
        f", renewed on {answer.quota_refresh_time:%a %d %b %H:%M} UTC" if answer.quota_refresh_time else ""
    )
    text = f"{left:.1f} of {whole:.0f} GPU hours left{renewed}; this run: {minutes:.0f} min ({source})"
    if left <= 0:
        yield Check("quota", "fail", text, "that day, or make rehearse")
    elif left * 60 < minutes:
        yield Check("quota", "warn", text, 'SET="run.time_limit_minutes=…"')
    else:
        yield Check("quota", "pass", text)


def _sessions(client: Client, owner: str, slug: str) -> Iterator[Check]:
    """Look at the newest version of this slug: another push would start a second session beside it."""
    newest = push.newest(client, f"{owner}/{slug}")
    if newest is None:
        yield Check("sessions", "pass", f"{slug} has no version yet")
        return
    run = Run(Path(), owner, slug, newest.metadata.current_version_number, "", "", {})
    stands = session.status(client, run)
    if stands.has_ended:
        yield Check(
            "sessions", "pass", f"none of {slug} is on; its newest, v{run.version}, ended as {stands}"
        )
    else:
        text = f"v{run.version} of {slug} is {stands}; a push starts a second session and leaves it running"
        yield Check("sessions", "warn", text, f"make watch RUN={run.name}, or make stop RUN={run.name}")


def _competition(client: Client, slug: str) -> Iterator[Check]:
    page = f"{client.web}/competitions/{slug}"
    try:
        answer = client.call("GetCompetition", needs="id", competition_name=slug)
    except Refused as refused:
        yield Check(
            "competition", "fail", f"{slug}: {refused.reason or refused.message}", f"{page}, and kit.toml"
        )
        return
    if not answer.user_has_entered:
        yield Check("competition", "fail", f"{slug} is not joined", f"accept the rules at {page}/rules")
    elif answer.submissions_disabled:
        yield Check("competition", "warn", f"{slug} takes no submissions any more", page)
    elif answer.deadline is not None and answer.deadline < datetime.now(UTC).replace(tzinfo=None):
        yield Check("competition", "warn", f"{slug} ended on {answer.deadline:%d %b %Y}", page)
    else:
        yield Check(
            "competition", "pass", f"{slug} is joined, {answer.max_daily_submissions} submissions a day"
        )


def _sources(client: Client, told: dict[str, Any]) -> Iterator[Check]:
    """Check that kernels and datasets to attach exist and are ready; a rehearsal's push tells at no cost."""
    for ref in told["kernel_sources"]:
        found = push.newest(client, ref)
        verdict: Literal["pass", "fail"] = "fail" if found is None else "pass"
        yield Check("source", verdict, f"kernel {ref}" + (" is not there" if found is None else ""), "")
    for ref in () if client.is_local else told["dataset_sources"]:
        owner, _, slug = ref.partition("/")
        page = f"{client.web}/datasets/{ref}"
        try:
            state = client.call(
                "GetDatasetStatus", needs="status", owner_slug=owner, dataset_slug=slug
            ).status.name
        except Refused as refused:
            yield Check("source", "fail", f"dataset {ref}: {refused.reason or refused.message}", page)
            continue
        if state == "READY":
            yield Check("source", "pass", f"dataset {ref} is ready")
        else:
            yield Check(
                "source", "fail", f"dataset {ref} is {state}; a kernel would get an older version", page
            )


def _unseen(config: Config, told: dict[str, Any]) -> Iterator[Check]:
    """Ask what the API does not tell."""
    if config.kernel.accelerator != "none" or config.kernel.internet:
        yield Check(
            "phone", "ask", "is your phone number verified? Else no GPU and no internet", f"{WEB}/settings"
        )
    for handle in told["model_sources"]:
        page = f"{WEB}/models/{'/'.join(handle.split('/')[:2])}"
        yield Check("model", "ask", f"is the licence of {handle} accepted, and its version there?", page)
