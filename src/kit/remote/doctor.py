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
from kit.bundle.tree import LIMIT_BYTES
from kit.config import PROJECT_ROOT, Config
from kit.errors import InputInvalid
from kit.remote import data, push, runs
from kit.remote.runs import Run
from kit.remote.wire import session
from kit.remote.wire.client import WEB, Client
from kit.remote.wire.transport import KaggleError, Refused, Unsettled
from kit.task import competition_files, effort, rows

SMOKE = "smoke"
FREE_BYTES = 2_000_000_000
"""Room for two adapters of an 8B model with their tokenizers, pulled beside an older run."""


Verdict = Literal["pass", "warn", "fail", "ask"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. Only `fail` keeps a push back."""

    name: str
    verdict: Verdict
    text: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.verdict}  {self.name:<12}  {self.text}" + (f" (try: {self.hint})" if self.hint else "")


def examine(client: Client, config: Config, built: Built, *, root: Path = runs.RUNS) -> Iterator[Check]:
    """Yield the checks of a push; the whole table, whatever Kaggle answers."""
    facts = json.loads(built.metadata.read_text(encoding="utf-8"))
    yield from _script(client, config, built, facts)
    yield from _offline(config)
    yield from _data(client, config)
    yield from _plan(config)
    yield _requirements(client)
    yield _disk(root)
    owner, _, slug = facts["id"].partition("/")
    looks: dict[str, Callable[[], Iterator[Check]]] = {
        "credentials": lambda: _credentials(client),
        "quota": lambda: _quota(client, config, root),
        "sessions": lambda: _sessions(client, owner, slug),
        "competition": lambda: _competition(client, config),
        "source": lambda: _sources(client, facts),
    }
    for name, look in looks.items():
        try:
            yield from look()
        except KaggleError as error:
            # What was not seen keeps nothing back.
            verdict: Verdict = "warn" if isinstance(error, Unsettled) else "fail"
            yield Check(name, verdict, error.message, error.hint)
    if not client.is_local:
        yield from _unseen(config, facts)
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


def _script(client: Client, config: Config, built: Built, facts: dict[str, Any]) -> Iterator[Check]:
    """Check what stands in the build: the name to file it under, its size, the machine it asks for."""
    is_preparation = metadata.is_preparation(config)
    objections = push.objections(
        facts, built.bundle.text, is_local=client.is_local, is_preparation=is_preparation
    )
    if facts["title"][:1].isdigit():
        hint = f"kernel.title=Kernel {config.kernel.title}"
        yield Check("title", "warn", "Kaggle has refused titles that begin with a digit", hint)
    if not facts["is_private"]:
        yield Check("private", "warn", "everybody will see this kernel", "kernel.private=true")
    if "sources" in objections:
        yield Check("source", "fail", objections["sources"].message, objections["sources"].hint)
    size = len(built.bundle.text.encode())
    good = {
        "slug": facts["id"],
        "size": f"{size:,} of {LIMIT_BYTES:,} bytes",
        "accelerator": f"{facts['machine_shape']}, two cards" if facts["enable_gpu"] else "none, the CPU",
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


def _data(client: Client, config: Config) -> Iterator[Check]:
    """Read the competition's files as the kernel will; a rehearsal may have them elsewhere."""
    folder = PROJECT_ROOT / "data" / config.competition.slug
    if folder.is_dir() or not client.is_local:
        yield Check("data", *data.readable(folder, config.competition))


def _plan(config: Config) -> Iterator[Check]:
    """Say what a training on the data at home comes to, by estimated tokens."""
    folder = PROJECT_ROOT / "data" / config.competition.slug
    if config.kernel.accelerator == "none" or not (folder / "train.csv").is_file():
        return
    try:
        brought = competition_files.read(folder, config.competition)
    except InputInvalid:
        return  # the check of the data says why
    train = rows.sample(brought.train, config.data.train_rows, config.evaluate.seed)
    planned = effort.of_run(config, train["text"].tolist(), brought.test["text"].tolist())
    if planned.minutes <= config.run.time_limit_minutes:
        yield Check("plan", "pass", str(planned))
    else:
        hint = "fewer train.epochs, or fewer data.train_rows"
        yield Check("plan", "warn", f"{planned}, its limit is {config.run.time_limit_minutes:.0f}", hint)


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


def _credentials(client: Client) -> Iterator[Check]:
    user = client.user()
    client.call("GetAcceleratorQuotaStatistics")  # a key is only tried by a question
    yield Check("credentials", "pass", f"{user}, by {client.credentials.origin}")


def _quota(client: Client, config: Config, root: Path) -> Iterator[Check]:
    if config.kernel.accelerator == "none":
        yield Check("quota", "pass", "no GPU is asked for")
        return
    answer = client.call("GetAcceleratorQuotaStatistics")
    quota = answer.gpu_quota
    if quota is None or quota.total_time_allowed is None:
        yield Check("quota", "warn", "Kaggle does not say how many GPU hours are left", f"{WEB}/settings")
        return
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
    newest = push.seen(client, f"{owner}/{slug}")
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


def _competition(client: Client, config: Config) -> Iterator[Check]:
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
    elif answer.is_kernels_submissions_only:
        offline = " and has internet, which it forbids" if config.kernel.internet else ""
        text = (
            f"{slug} takes notebooks only: make submit cannot upload the file, this kernel can run{offline}"
        )
        yield Check("competition", "warn", text, f"{page}/code, to submit a version by hand")
    else:
        daily = answer.max_daily_submissions
        yield Check("competition", "pass", f"{slug} is joined, {daily} submissions a day")


def _sources(client: Client, facts: dict[str, Any]) -> Iterator[Check]:
    """Check that kernels and datasets to attach exist and are ready; a rehearsal's push tells at no cost."""
    user = client.user().lower()
    for ref in facts["kernel_sources"]:
        is_there = push.seen(client, ref) is not None
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


def _unseen(config: Config, facts: dict[str, Any]) -> Iterator[Check]:
    """Ask what the API does not tell."""
    if config.kernel.accelerator != "none" or config.kernel.internet:
        yield Check(
            "phone", "ask", "is your phone number verified? Else no GPU and no internet", f"{WEB}/settings"
        )
    for handle in facts["model_sources"]:
        page = f"{WEB}/models/{'/'.join(handle.split('/')[:2])}"
        yield Check("model", "ask", f"is the licence of {handle} accepted, and its version there?", page)
