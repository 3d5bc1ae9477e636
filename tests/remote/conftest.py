"""A client with a clock of its own, builds of tiny scripts, and pushed runs, against the local Kaggle."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from kaggle_fixtures import SLUG, USER, StartKaggle
from makers import Files, LeaveOnly, MakeBuilt, MakeClient, MakeRun
from quick_clock import QuickClock
from tiny_kernels import GOOD_SCRIPT

from kit import config as settings
from kit.bundle import metadata
from kit.bundle.build import Built
from kit.bundle.script import Bundle
from kit.config import Config
from kit.remote import runs
from kit.remote.pulling import pull
from kit.remote.pushing import push as pushing
from kit.remote.runs import Run
from kit.remote.wire.client import Client, Clock
from local_kaggle.server import Server

LEFT_OUT = {".lock", ".patch", ".py"}


@pytest.fixture
def clock() -> QuickClock:
    return QuickClock()


@pytest.fixture
def kaggle(start_kaggle: StartKaggle) -> Server:
    """A local Kaggle whose kernels are told where to write."""
    return start_kaggle(child_env={"KIT_WORKING_DIR": "{working}"})


@pytest.fixture
def make_client(clock: QuickClock, own_home: None) -> MakeClient:
    """Make a client of a server, or of any address, that waits on the quick clock."""

    def make(server: Server | str, **options: Any) -> Client:
        url = server if isinstance(server, str) else server.url
        return Client(url, **{"clock": Clock(clock.now, clock.sleep), **options})

    return make


@pytest.fixture
def client(kaggle: Server, make_client: MakeClient) -> Client:
    return make_client(kaggle)


@pytest.fixture
def config() -> Config:
    """Settings of a rehearsal of the little competition."""
    competition = {"slug": SLUG, "id": "ID", "text": "sentence", "labels": ["Positive", "Negative"]}
    kernel = {"title": "Little Kernel", "accelerator": "none"}
    return settings.load({"preset": "tiny", "competition": competition, "kernel": kernel}, where="a test")


@pytest.fixture
def runs_root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def make_built(tmp_path: Path) -> MakeBuilt:
    """Make a build of a script without bundling; `changes` go into its metadata."""

    def make(config: Config, script: str = GOOD_SCRIPT, **changes: Any) -> Built:
        bundle_hash = hashlib.sha256(script.encode()).hexdigest()
        text = script.replace("BUNDLE", bundle_hash)
        folder = tmp_path / "build" / bundle_hash[:8]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kernel.py").write_text(text)
        facts = metadata.build(config, owner=USER).model_copy(update=changes)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        made = Bundle(text, sha256, bundle_hash, ("kernel/main.py",), compressed=False)
        return Built(folder, folder / "kernel.py", facts, made)

    return make


@pytest.fixture
def push(client: Client, config: Config, make_built: MakeBuilt, runs_root: Path) -> MakeRun:
    """Push a script, with changes to its metadata, and return its run."""

    def run(script: str = GOOD_SCRIPT, **changes: Any) -> Run:
        return pushing.push(client, make_built(config, script, **changes), config, root=runs_root, note="why")

    return run


@pytest.fixture
def finished(kaggle: Server, push: MakeRun) -> MakeRun:
    """Push a script and wait for its end."""

    def run(script: str = GOOD_SCRIPT) -> Run:
        pushed = push(script)
        kaggle.state.wait(USER, pushed.slug, pushed.version)
        return pushed

    return run


@pytest.fixture
def done(finished: MakeRun) -> Run:
    """A run that has left what GOOD_SCRIPT leaves."""
    return finished()


@pytest.fixture
def pulled(client: Client, done: Run) -> Run:
    """The same with its outputs at home."""
    pull.pull(client, done)
    return done


@pytest.fixture
def files(runs_root: Path) -> Files:
    """List every file below the runs folder; locks and what a push keeps of its sources left out."""

    def listed() -> list[str]:
        names = (path for path in runs_root.rglob("*") if path.is_file() and path.suffix not in LEFT_OUT)
        return sorted(path.relative_to(runs_root).as_posix() for path in names)

    return listed


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without credentials files, and the checkout's runs/ out of reach."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(runs, "RUNS", tmp_path / "no-such-runs")


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> LeaveOnly:
    """Leave these variables and files below ~/.kaggle, a folder for None, and no other credentials."""

    def leave(variables: dict[str, str], files: dict[str, bytes | str | None]) -> Path:
        for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        folder = Path.home() / ".kaggle"
        folder.mkdir()
        for name, data in files.items():
            if data is None:
                (folder / name).mkdir()
            else:
                (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
        return folder

    return leave
