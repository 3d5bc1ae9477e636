"""Look at everything that can be seen before a push, and ask what the API does not tell."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from kit.bundle import metadata, pins
from kit.bundle.build import Built
from kit.bundle.metadata import Metadata
from kit.config import PROJECT_ROOT, Competition, Config
from kit.errors import InputInvalid
from kit.remote import runs
from kit.remote.pushing import lookup, objections
from kit.remote.pushing.objections import Check
from kit.remote.wire import session
from kit.remote.wire.client import WEB, Client
from kit.remote.wire.transport import CredentialsInvalid, KaggleError, Refused, Unsettled
from kit.task import competition_files, effort, folds, rows, sample
from kit.task.competition_files import CompetitionFiles

FREE_BYTES = 2_000_000_000  # two adapters of an 8B model with tokenizers, beside an older run
FEW_ALIKE = 0.02  # the share of test rows like a training row that says nothing of the others


def examine(client: Client, config: Config, built: Built, *, root: Path = runs.RUNS) -> Iterator[Check]:
    """Yield the checks of a push; the whole table, whatever Kaggle answers."""
    facts = built.metadata
    yield from _at_home(client, config, built, root)
    for name, look in {
        "credentials": _credentials(client),
        "quota": _quota(client, config, root),
        "sessions": _sessions(client, facts.id),
        "competition": _competition(client, config),
        "source": sources(client, facts),
    }.items():
        try:
            yield from look
        except KaggleError as error:  # what was not seen keeps nothing back
            if isinstance(error, CredentialsInvalid) and name != "credentials":
                yield Check(name, "warn", "not seen without credentials")
            else:
                is_unknown = isinstance(error, Unsettled)
                yield Check(name, "warn" if is_unknown else "fail", error.message, error.hint)
    if not client.is_local:
        yield from _unseen(config, facts)
    is_full = config.kernel.accelerator != "none" and not config.data.train_rows  # it costs hours
    if is_full and not any(
        runs.read_json(run.folder / "pull.json").get("status") == "COMPLETE"
        for run in runs.newest_first(root)
        if (run.config.get("preset"), run.requirements_sha256) == ("smoke", runs.requirements_sha256())
    ):
        text = "no smoke run with these requirements has passed"
        yield Check("smoke", "warn", text, "make all PRESET=smoke, minutes")


def _at_home(client: Client, config: Config, built: Built, root: Path) -> Iterator[Check]:
    is_preparation, script = metadata.is_preparation(config), built.bundle.text
    told = objections.checks(built.metadata, script, is_local=client.is_local, is_preparation=is_preparation)
    yield from told.values()
    kernel, folder = config.kernel, PROJECT_ROOT / "data" / config.competition.slug
    if not kernel.internet and kernel.accelerator != "none":
        attached = ", ".join([*kernel.kernel_sources, *kernel.dataset_sources])
        text = f"packages are to come from {attached or 'nothing that is attached, nor the internet'}"
        yield Check("offline", "pass" if attached else "fail", text, "make prepare")
    if folder.is_dir() or not client.is_local:  # a rehearsal may have them elsewhere
        yield from data(config, folder, root)
    yield _requirements(client)
    image = kernel.image
    for run in runs.newest_first(root):  # the last run that tells
        told = runs.read_json(run.folder / "push.json") | runs.read_json(run.folder / "run.json")
        if had := told.get("image"):
            age = datetime.now(UTC) - datetime.fromisoformat(run.pushed_at)
            image += f"; {run.name}, {age.days} days ago, had kernel.image={had}"
            break
    yield Check("image", "pass", image)
    free = shutil.disk_usage(next(above for above in (root, *root.parents) if above.is_dir())).free
    is_enough = free >= FREE_BYTES
    yield Check("disk", "pass" if is_enough else "warn", f"{free / 1e9:.1f} GB free for outputs", "df -h")


def data(config: Config, folder: Path, root: Path) -> Iterator[Check]:
    """Read the competition's files at home as the kernel will, and say what training on them comes to."""
    if not (folder / "train.csv").is_file():
        yield Check("data", "warn", f"{folder} holds no train.csv to tell what a run reads", "make data")
        return
    try:
        found = competition_files.read(folder, config.competition)
    except InputInvalid as error:
        yield Check("data", "fail", error.message, error.hint)
        return
    yield _files(found, config.competition)
    yield from _training(config, found, root)


def _files(found: CompetitionFiles, competition: Competition) -> Check:
    if objection := found.sample and sample.disagreement(found.sample, competition):
        return Check("data", "warn" if objection[0] == "sample_unknown" else "fail", *objection[1:])
    if lacking := set(competition.labels) - set(found.train["label"]):
        text = f"train.csv has no row of label {min(lacking)!r}"
        text += f"; {found.train_left}" if found.train_left else ""
        return Check("data", "fail", text, "id, label and labels in kit.toml")
    texts, column = found.train["text"].tolist(), " and ".join(competition.texts)
    if competition.id in competition.texts or 2 * len({*texts}) < len(texts):
        text = f"{column} holds {len({*texts}):,} texts in {len(texts):,} rows, such as {texts[0][:80]!r}"
        return Check("data", "warn", text, "text in kit.toml; make init shows every column")
    text = f"{len(found.train):,} training and {len(found.test):,} test rows"
    text += f", header {','.join(found.columns.header)}"
    if found.sample is None:
        return Check("data", "warn", f"{text}, which no sample submission confirms", "make data")
    for name, left in (("train", found.train_left), ("test", found.test_left)):
        text += f"; {name}: {left}" if left else ""
    return Check("data", "warn" if found.train_left.out else "pass", text)


def _training(config: Config, found: CompetitionFiles, root: Path) -> Iterator[Check]:
    """Say how like the rows are to each other, and what training comes to, by estimated tokens."""
    train, test = found.train, found.test
    near = folds.alike(test["text"].tolist(), train["text"].tolist())
    text = f"{len(near):,} of {len(test):,} test rows are like a training row, but for a fifth of its letters"
    for at in list(near)[:1]:
        text += f": {test['id'][at]!r} like {train['id'][near[at]]!r}"
    hint = "evaluate.group_duplicates=true; held-out scores may be lower"
    is_rare = len(near) < FEW_ALIKE * len(test)
    yield Check("duplicates", "pass" if is_rare else "warn", text, hint)
    if config.kernel.accelerator == "none":
        return
    train = rows.sample(train, config.data.train_rows, config.evaluate.seed)
    planned = effort.of_run(config, train["text"].tolist(), test["text"].tolist(), *_pace(config, root))
    is_long = planned.minutes > config.run.time_limit_minutes
    text = str(planned) + (f", its limit is {config.run.time_limit_minutes:.0f}" if is_long else "")
    hint = "fewer train.epochs, or fewer data.train_rows"
    yield Check("plan", "warn" if is_long else "pass", text, hint)


def _pace(config: Config, root: Path) -> tuple[float, str]:
    """Return the FLOPS at which a card trained this model and the run that tells; a T4's where none does."""
    for run in runs.newest_first(root):
        told = runs.read_json(run.folder / "run.json")
        members = [one for one in told.get("members", ()) if one.get("train_tokens")]
        if members and not run.is_rehearsal and told["config"]["model"]["name"] == config.model.name:
            tokens = sum(one["train_tokens"] for one in members)
            seconds = sum(one["timings"]["train"] for one in members)
            return effort.pace(config, tokens, seconds), run.name
    return effort.T4_FLOPS, ""


def _requirements(client: Client) -> Check:
    name, where = "requirements", f"{runs.REQUIREMENTS.parent.name}/{runs.REQUIREMENTS.name}"
    found, loose = pins.read(runs.REQUIREMENTS)
    if loose:
        return Check(name, "fail", f"{where} pins no exact version in {loose[0]!r}", "name==version")
    if client.is_local:
        return Check(name, "pass", f"{len(found)} exact pins in {where}")
    missing, unknown = pins.unresolved(found)
    if missing:
        lacking = f"{where}: there is no wheel of {missing} for Python {pins.IMAGE_PYTHON}"
        return Check(name, "fail", lacking, "another version there")
    if unknown:
        return Check(name, "warn", f"{where} could not be looked up: {unknown}", "make doctor again")
    return Check(name, "pass", f"{len(found)} pins have a wheel for Python {pins.IMAGE_PYTHON}")


def _credentials(client: Client) -> Iterator[Check]:
    user = client.user()
    client.call("GetAcceleratorQuotaStatistics")  # a key is only tried by a question
    yield Check("credentials", "pass", f"{user}, by {client.credentials.origin}")


def expected_minutes(config: Config, root: Path = runs.RUNS) -> tuple[float, str]:
    """Return how long a run takes and how that is known: from an earlier one, or its time limit."""
    for run in runs.newest_first(root):
        record = runs.read_json(run.folder / "run.json")
        if record.get("ended") == "complete" and record["config"]["preset"] == config.preset:
            return sum(record["timings"].values()) / 60, f"as {run.name} did"
    return config.run.time_limit_minutes, "its time limit"


def _quota(client: Client, config: Config, root: Path) -> Iterator[Check]:
    if config.kernel.accelerator == "none":
        yield Check("quota", "pass", "no GPU is asked for")
    elif (hours := lookup.gpu_hours(client)) is None:
        yield Check("quota", "warn", "Kaggle does not say how many GPU hours are left", f"{WEB}/settings")
    else:
        (left, words), (minutes, source) = hours, expected_minutes(config, root)
        text = f"{words}; this run: {minutes:.0f} min ({source})"
        if left <= 0:
            yield Check("quota", "fail", text, "make push WHEN=free, which waits, or make rehearse")
        else:
            is_enough = left * 60 >= minutes
            yield Check("quota", "pass" if is_enough else "warn", text, 'SET="run.time_limit_minutes=…"')


def _sessions(client: Client, ref: str) -> Iterator[Check]:
    """Look at the newest version of this slug: another push would start a second session beside it."""
    owner, _, slug = ref.partition("/")
    newest = lookup.seen(client, ref)
    if newest is None:
        yield Check("sessions", "pass", f"{slug} has no version yet")
        return
    run = runs.Run(Path(), owner, slug, newest.version or 1, "", "", {})
    try:
        name = client.call("GetKernelSessionStatus", patient=True, **run.pinned).status.name
    except Refused as refused:
        never = Check("sessions", "pass", f"v{run.version} of {slug} never ran")
        yield never if refused.status == 404 else Check("sessions", "warn", f"{slug}: {refused.reason}")
        return
    has_ended, named = name in session.ENDED, f"RUN={slug}/v{run.version}"
    on = f"v{run.version} of {slug} is {name}; a push may start a second session beside it"
    text = f"none of {slug} is on; its newest, v{run.version}, ended as {name}" if has_ended else on
    hint = f"make watch {named}, or make stop {named}"
    yield Check("sessions", "pass" if has_ended else "warn", text, hint)


def _competition(client: Client, config: Config) -> Iterator[Check]:
    slug, name = config.competition.slug, "competition"
    page = f"{client.web}/competitions/{slug}"
    try:
        answer = client.call("GetCompetition", needs="id", competition_name=slug)
    except Refused as refused:
        yield Check(name, "fail", f"{slug}: {refused.reason or refused.message}", f"{page}, and kit.toml")
        return
    deadline = answer.deadline
    if deadline and (deadline if deadline.tzinfo else deadline.replace(tzinfo=UTC)) < datetime.now(UTC):
        yield Check(name, "warn", f"{slug} ended on {deadline:%d %b %Y}", page)
    elif not answer.user_has_entered:
        yield Check(name, "fail", f"{slug} is not joined", f"accept the rules at {page}/rules")
    elif answer.submissions_disabled:
        yield Check(name, "warn", f"{slug} takes no submissions any more", page)
    else:
        kind = "code" if answer.is_kernels_submissions_only else "csv"
        takes = f"{slug} is joined, {answer.max_daily_submissions} submissions a day"
        takes += ", of kernel versions without internet" if kind == "code" else ""
        limit, own = config.competition.rerun_minutes, config.run.time_limit_minutes
        if kind != config.competition.kind:
            hint = f'competition.kind = "{kind}" in kit.toml'
            yield Check(name, "warn", f"{takes}; kit.toml says {config.competition.kind}", hint)
        elif kind == "code" and not config.kernel.internet and own > limit:
            text = f"{takes}; this run may take {own:.0f} min, a rerun {limit:.0f}"
            yield Check(name, "warn", text, f'SET="run.time_limit_minutes={0.9 * limit:.0f}"')
        else:
            yield Check(name, "pass", takes)


def sources(client: Client, facts: Metadata) -> Iterator[Check]:
    """Check that kernels and datasets to attach exist and are ready; a rehearsal's push tells at no cost."""
    user = client.user().lower()
    for ref in facts.kernel_sources:
        if lookup.seen(client, ref) is not None:
            yield Check("source", "pass", f"kernel {ref}")
        else:
            is_own = ref.lower().startswith(f"{user}/")
            yield Check("source", "fail" if is_own else "warn", f"kernel {ref} is not seen")
    for ref in () if client.is_local else facts.dataset_sources:
        owner, _, slug = ref.partition("/")
        page = f"{client.web}/datasets/{ref}"
        state = "READY"
        try:
            if owner.lower() == user:
                state = client.call("GetDatasetStatus", owner_slug=owner, dataset_slug=slug).status.name
            else:  # the state is given to owners only
                client.call("ListDatasetFiles", owner_slug=owner, dataset_slug=slug)
        except Refused as refused:
            text = f"dataset {ref} is not seen: {refused.reason or refused.status}"
            yield Check("source", "warn", text, page)
            continue
        is_ready = state == "READY"
        text = f"dataset {ref} is {state}" + ("" if is_ready else "; a kernel would get an older version")
        yield Check("source", "pass" if is_ready else "fail", text, page)


def _unseen(config: Config, facts: Metadata) -> Iterator[Check]:
    """Ask what the API does not tell."""
    if config.kernel.accelerator != "none" or config.kernel.internet:
        text = "is your phone number verified? Else no GPU and no internet"
        yield Check("phone", "ask", text, f"{WEB}/settings")
    for handle in facts.model_sources:
        page = f"{WEB}/models/{'/'.join(handle.split('/')[:2])}"
        yield Check("model", "ask", f"is the licence of {handle} accepted, and its version there?", page)
