"""Fences around every test, before anything is imported: no real credentials, home or network."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

import hypothesis
import pytest

_HOME = tempfile.mkdtemp(prefix="kit-tests-home-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
_DEAD = "http://127.0.0.1:9"
"""Port 9 is discard: a request that slips out fails at once."""

for _name in (
    "KAGGLE_API_TOKEN",
    "KAGGLE_CONFIG_DIR",
    "KIT_KAGGLE_ENDPOINT",
    "KIT_INPUT_DIR",
    "KIT_WORKING_DIR",
):
    os.environ.pop(_name, None)
os.environ |= {
    "HOME": _HOME,
    "KAGGLE_USERNAME": "tester",
    "KAGGLE_KEY": "0" * 32,
    "HTTP_PROXY": _DEAD,
    "HTTPS_PROXY": _DEAD,
    "NO_PROXY": "127.0.0.1,localhost",
    "HF_HUB_OFFLINE": "1",
    "HF_HOME": f"{_HOME}/huggingface",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "passive",
}

# A job in the background ignores these, and so would every child that a test sends them to.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)

# A machine that runs other things too must not fail a property; a continuous run repeats the same cases.
hypothesis.settings.register_profile("kit", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("kit")

pytest_plugins = ["kaggle_fixtures"]


def pytest_xdist_auto_num_workers() -> int:
    """Two workers a core: about half of the tests wait for servers and children."""
    return 2 * len(os.sched_getaffinity(0))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what talks to a Kaggle on this machine or starts many processes: it mostly waits."""
    for item in items:
        if {"local_kaggle", "remote", "e2e"} & set(item.path.parts):
            item.add_marker("loop")


@pytest.fixture(scope="session")
def tiny_model() -> Path:
    """The tiny model of the dry run, made once and kept in models/."""
    from kit.fetch import inputs, tiny_model

    folder = inputs.MODELS / inputs.TINY
    tiny_model.make(folder)
    return folder
