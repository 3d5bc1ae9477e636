"""Check what can be seen at home before a push: the build, the competition's files, the pins, the disk."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from kit.accelerators import ACCELERATORS
from kit.bundle import metadata, pins
from kit.bundle.build import Built
from kit.bundle.metadata import Metadata
from kit.bundle.tree import LIMIT_BYTES
from kit.config import PROJECT_ROOT, Competition, Config
from kit.errors import InputInvalid
from kit.remote import runs
from kit.remote.pushing import objections
from kit.remote.pushing.objections import Check
from kit.remote.wire.client import Client
from kit.task import competition_files, effort, folds, rows, sample

FREE_BYTES = 2_000_000_000  # two adapters of an 8B model with tokenizers, beside an older run
FEW_ALIKE = 0.02  # the share of test rows like a training row that says nothing of the others


def checks(client: Client, config: Config, built: Built, facts: Metadata, root: Path) -> Iterator[Check]:
    """Yield every check that asks nothing of Kaggle, except of the pins."""
    yield from _script(client, config, built, facts)
    kernel, folder = config.kernel, PROJECT_ROOT / "data" / config.competition.slug
    if not kernel.internet and kernel.accelerator != "none":
        attached = ", ".join([*kernel.kernel_sources, *kernel.dataset_sources])
        text = f"packages are to come from {attached or 'nothing that is attached, nor the internet'}"
        yield Check("offline", "pass" if attached else "fail", text, "make prepare")
    if folder.is_dir() or not client.is_local:  # a rehearsal may have them elsewhere
        yield files(folder, config.competition)
    yield from training(config, folder, root)
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


def _script(client: Client, config: Config, built: Built, facts: Metadata) -> Iterator[Check]:
    """Check what stands in the build: the name to file it under, its size, the machine it asks for."""
    text = built.bundle.text
    is_preparation = metadata.is_preparation(config)
    found = objections.objections(facts, text, is_local=client.is_local, is_preparation=is_preparation)
    if facts.title[:1].isdigit():
        hint = f"kernel.title=Kernel {config.kernel.title}"
        yield Check("title", "warn", "Kaggle has refused titles that begin with a digit", hint)
    if not facts.is_private:
        yield Check("private", "warn", "everybody will see this kernel", "kernel.private=true")
    machine = ACCELERATORS[config.kernel.accelerator]
    cards = f"{config.kernel.accelerator}, {machine.note or f'{machine.cards} cards'}"
    size = f"{len(text.encode()):,} of {LIMIT_BYTES:,} bytes"
    good = {"slug": facts.id, "size": size, "accelerator": cards}
    yield from (Check(name, "pass", words) for name, words in good.items() if name not in found)
    yield from found.values()


def files(folder: Path, competition: Competition) -> Check:
    """Read the competition's files at home as the kernel will."""
    if not (folder / "train.csv").is_file():
        return Check("data", "warn", f"{folder} holds no train.csv to tell what a run reads", "make data")
    try:
        found = competition_files.read(folder, competition)
    except InputInvalid as error:
        return Check("data", "fail", error.message, error.hint)
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


def training(config: Config, folder: Path, root: Path) -> Iterator[Check]:
    """Say how like the rows at home are to each other, and what training comes to, by estimated tokens."""
    try:
        brought = competition_files.read(folder, config.competition)
    except InputInvalid:
        return  # the check of the data says why
    train, test = brought.train, brought.test
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
