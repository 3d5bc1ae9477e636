"""Every verb that writes, killed at its n-th change of a file and on a disk that is full from there on.

At one n in the normal run; KIT_KILLS says at how many, up to every one, and prints the figures of
docs/results.md.
"""

import json
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import kill_points
import pytest
from loop_project import KERNEL_MAIN, SLUG, Project

from local_kaggle import server
from local_kaggle.profile import OBSERVED
from local_kaggle.server import Server
from local_kaggle.state import Settings

PLACES = ("runs", "data", "build", "kit.toml", "kernel-metadata.json", "mended.csv")
IMPORTS = ("pandas", "sklearn.linear_model", "matplotlib.figure", "kagglesdk.kaggle_client", "requests")
ANSWERS = """
shares = "".join(f"{name},hi,{'Yes' if n % 2 else 'No'},score,{n % 2}.0,{1 - n % 2}.0,\\\\n"
                 for n, name in enumerate(ids))
(working / "predictions.csv").write_text(
    "id,language,label,source,probability_Yes,probability_No,completion\\\\n" + shares)
(working / "metrics.json").write_text(json.dumps({"schema": 1, "metric": "macro_f1", "held_out": None,
                                                  "history": {}}))
from kit import outputs"""
POINTS = int(os.environ.get("KIT_KILLS", "1"))
TINY = ("--preset", "tiny")


def spoil(project: Project) -> None:
    """Let the data at home be older than Kaggle's."""
    for path in (project.root / "data" / SLUG).glob("*.csv"):
        path.write_text(path.read_text().replace("words", "older words"))
    (project.root / "data" / SLUG / "mine.txt").write_text("of the user\n")


def forget(project: Project) -> None:
    """Be a clone that knows no competition yet."""
    shutil.rmtree(project.root / "data" / SLUG)
    text = (project.root / "kit.toml").read_text()
    (project.root / "kit.toml").write_text(text.replace('label = "label"', 'label = "target"'))


@dataclass(frozen=True)
class Verb:
    """What is run, and what stands before: verbs that are run once, then a change of files."""

    options: tuple[str, ...] = ()
    before: tuple[tuple[str, ...], ...] = ()
    change: Callable[[Project], None] = field(default=lambda _: None)
    each: tuple[str, ...] = ()  # A verb that is run before every try, since this one uses it up


ALL, ALL_7 = ("all", *TINY), ("all", *TINY, "--set", "seed=7")
VERBS = {
    "bundle": Verb(TINY),
    "data": Verb(change=spoil),
    "init": Verb(("--competition", SLUG), change=forget),
    "push": Verb(TINY),
    "pull": Verb(before=(("push", *TINY), ("watch",))),
    "pull --force": Verb(("--force",), (ALL,)),
    "report": Verb(before=(ALL,)),
    "baseline": Verb(TINY),
    "blend": Verb(("V1", "V2"), (ALL, ALL_7)),
    "submit": Verb(before=(ALL,)),
    "stop": Verb(("--yes",), each=("push", *TINY)),
    "prepare": Verb(TINY),
}


class House:
    """A project, its Kaggle, and a process that runs verbs in forks."""

    def __init__(self, project: Project, kaggle: Server, out: Path) -> None:
        self.project, self.kaggle, self.out = project, kaggle, out
        self.forks = subprocess.Popen(
            [sys.executable, kill_points.__file__, *IMPORTS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=project.environment(kaggle.url, KAGGLE_API_TOKEN="rehearsal"),
        )

    def run(self, verb: str, *options: str, kind: str = "", at: int = 0) -> tuple[int, str, int]:
        """Run a verb and return its status, what it said, and how many changes it made."""
        count = Path(f"{self.out}.count")
        count.unlink(missing_ok=True)
        asked = {
            "root": str(self.project.root),
            "verb": verb,
            "options": options,
            "out": str(self.out),
            "environment": {"OMP_NUM_THREADS": "1"},
            "kind": kind,
            "at": at,
        }
        assert self.forks.stdin is not None
        assert self.forks.stdout is not None
        print(json.dumps(asked), file=self.forks.stdin, flush=True)
        assert select.select([self.forks.stdout], [], [], 60)[0], f"{verb} hangs"
        status = int(self.forks.stdout.readline())
        return status, self.out.read_text(), int(count.read_text()) if count.is_file() else 0

    def well(self, verb: str, *options: str) -> int:
        """Run a verb that must succeed; return how many changes it made."""
        status, said, count = self.run(verb, *options)
        assert status == 0, f"{verb}: {said}"
        return count

    def keep(self, kept: Path) -> None:
        for name in PLACES:
            path = self.project.root / name
            if path.is_dir():
                shutil.copytree(path, kept / name, symlinks=True)
            elif path.exists():
                shutil.copy2(path, kept / name)

    def restore(self, kept: Path) -> None:
        for name in PLACES:
            path = self.project.root / name
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            if (kept / name).is_dir():
                shutil.copytree(kept / name, path, symlinks=True)
            elif (kept / name).exists():
                shutil.copy2(kept / name, path)

    def files(self) -> dict[str, bytes]:
        """Return what stands in the places, hidden files too, by path."""
        found = {}
        for place in PLACES:
            path = self.project.root / place
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file() and not file.name.endswith("lock"):
                    found[file.relative_to(self.project.root).as_posix()] = file.read_bytes()
        return found

    def pushed(self) -> list[str]:
        """Return the versions that Kaggle holds, as push.json files would be called."""
        return [
            f"{one.slug}/v{version.number}" for one in self.kaggle.state.kernels for version in one.versions
        ]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A project that knows the little competition, with data at home."""
    folder = tmp_path_factory.mktemp("competition")
    rows = "".join(f"r{n},words {n},{'Yes' if n % 2 else 'No'},hi\n" for n in range(8))
    (folder / "train.csv").write_text(f"ID,sentence,label,language\n{rows}")
    asked = "".join(f"t{n},words {n},ta\n" for n in range(4))
    (folder / "test.csv").write_text(f"ID,sentence,language\n{asked}")
    (folder / "sample_submission.csv").write_text("ID,label\n" + "".join(f"t{n},No\n" for n in range(4)))
    (folder / "solution.csv").write_text("ID,label\nt0,No\nt1,Yes\nt2,No\nt3,No\n")
    project = Project(tmp_path_factory.mktemp("project"), folder)
    (project.root / "data" / SLUG / "solution.csv").unlink()
    main = KERNEL_MAIN.replace("\nfrom kit import outputs", ANSWERS.replace("\\\\n", "\\n"))
    (project.root / "kernel" / "main.py").write_text(main)
    (project.root / "kernel" / "prepare.py").write_text('"""Downloads nothing."""\n')
    settings = Settings(
        slug=SLUG,
        token="rehearsal",
        competition=folder,
        models=project.root / "models",
        child_env={"KIT_INPUT_DIR": "{input}", "KIT_WORKING_DIR": "{working}"},
        max_daily_submissions=999,
        profile=OBSERVED.without_waiting(),
    )
    with server.start(tmp_path_factory.mktemp("kaggle"), settings) as running:
        made = House(project, running, tmp_path_factory.mktemp("said") / "said")
        with made.forks:
            made.well("init", "--competition", SLUG)
            yield made
            made.forks.stdin.close()  # type: ignore[union-attr]


def plain(names: Iterator[str] | dict[str, bytes]) -> set[str]:
    """Return visible names without the numbers of versions."""
    return {re.sub(r"/v\d+(-[0-9T]+)?/", "/v/", name) for name in names if "/." not in name}


def halves(house: House, before: dict[str, bytes], good: dict[str, bytes]) -> list[str]:
    """Return the visible files that are neither as before nor whole."""
    wrong = []
    for name, data in house.files().items():
        if "/." in name or data in (before.get(name), good.get(name)):
            continue
        if name.endswith(".json"):
            try:
                json.loads(data)
            except ValueError:
                wrong.append(name)
        elif not (name.endswith(".html") and data.endswith(b"</html>\n")) and name in good:
            wrong.append(name)
    for path in house.project.runs.glob("*/v*/pull.json"):
        listed = json.loads(path.read_text())["files"]
        wrong += [f"{path}: {name}" for name in listed if not (path.parent / name).is_file()]
    data = {
        "older" in text.decode() for name, text in house.files().items() if re.match("data/[^.]*/t", name)
    }
    return wrong + ["data of two ages"] * (len(data) > 1)


@pytest.mark.slow
@pytest.mark.timeout(120 * POINTS)
@pytest.mark.parametrize("name", VERBS)
def test_a_verb_survives_kills_and_full_disks(
    house: House, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing half-written counts as whole, the same command works afterwards, and nothing is done twice."""
    verb, what = VERBS[name], name.partition(" ")[0]
    kept = tmp_path / "kept"
    kept.mkdir()
    first = tmp_path / "first"
    first.mkdir()
    house.keep(first)
    try:
        strike(house, verb, what, kept, capsys, name)
    finally:
        house.restore(first)


def strike(
    house: House, verb: Verb, what: str, kept: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    for words in verb.before:
        house.well(*words)
    versions = sorted(path.name for path in house.project.runs.glob("*/v*"))
    run = [f"little-reviews-tiny/{version}" for version in versions]
    named = dict(zip(("V1", "V2"), run, strict=False))
    options = tuple(named.get(option, option) for option in verb.options)
    verb.change(house.project)
    house.keep(kept)

    def begin() -> dict[str, bytes]:
        house.restore(kept)
        if verb.each:
            house.well(*verb.each)
        return house.files()

    before = begin()
    count = house.well(what, *options)
    good = house.files()
    wrong: list[str] = []
    litter: set[str] = set()
    points = sorted({1 + count * (2 * at + 1) // (2 * POINTS) for at in range(POINTS)} & {*range(count + 1)})
    for kind, at in [(kind, at) for kind in ("kill", "full") for at in points]:
        before, held = begin(), {*house.pushed()}
        house.kaggle.state.submissions.clear()  # one of these bytes would be taken for that of this try
        status, said, _ = house.run(what, *options, kind=kind, at=at)
        halved = halves(house, before, good)
        ended, told, _ = house.run(what, *options)
        recorded = {f"{path.parent.name}/{path.name}" for path in house.project.runs.glob("*/v*")}
        here = house.files()
        facts = {
            f"status {status}: {said}": status in ((-9,) if kind == "kill" else (0, 1, 2)),
            f"said {said}": "Traceback" not in said and (status > 0) == ("error: " in said),
            f"halves {halved}": not halved,
            f"again {ended}: {told}": ended == 0 or (what, status) == ("stop", 0),  # nothing is left to stop
            f"halves again {halves(house, before, good)}": not halves(house, before, good),
            f"files {plain(good) - plain(here)}": plain(here) >= plain(good),
            "a version is not recorded": verb.each or {*house.pushed()} - held <= recorded,
            "submissions": len(house.kaggle.state.submissions) == (what == "submit"),
        }
        wrong += [f"{name}, {kind} at {at} of {count}: {fact}" for fact, holds in facts.items() if not holds]
        litter |= {path for path in here.keys() - good.keys() if "/." in path}
    with capsys.disabled():
        print(f"\n| {name} | {count} | {2 * len(points)} | {len(wrong)} | {len(litter)} |")
        print("\n".join(wrong + sorted(litter)) if POINTS > 1 else "", flush=True)
    assert wrong == []
