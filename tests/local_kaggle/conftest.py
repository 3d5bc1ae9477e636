"""Fixtures of the SDK's services, logged in, and short ways to push a script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kaggle_fixtures import USER
from kagglesdk.kaggle_object import KaggleObject
from sdk_client import Competitions, Kernels, Push, ask, connect

from local_kaggle.profile import GENTLE, Profile
from local_kaggle.server import Server
from local_kaggle.state import Version


@pytest.fixture
def profile() -> Profile:
    """The gentle one: what Kaggle's documentation lets one expect; test_profile.py holds the other."""
    return GENTLE


@pytest.fixture
def kernels(kaggle: Server) -> Kernels:
    """The kernels service of the SDK, logged in with user and key."""
    return connect(kaggle).kernels.kernels_api_client


@pytest.fixture
def competitions(kaggle: Server) -> Competitions:
    """The competitions service of the SDK, logged in with user and key."""
    return connect(kaggle).competitions.competition_api_client


@pytest.fixture
def push(kernels: Kernels) -> Push:
    """Push a script as `tester/little-kernel`, or with other fields."""
    defaults = {"slug": f"{USER}/little-kernel", "new_title": "Little Kernel"}
    defaults |= {"language": "python", "kernel_type": "script", "is_private": True}

    def save(text: str = "print('hello')", **fields: object) -> KaggleObject:
        return ask(kernels.save_kernel, **defaults | {"text": text} | fields)

    return save


@pytest.fixture
def run(kaggle: Server, push: Push) -> Push:
    """Push a script and wait for its end; gives the version."""

    def run_to_end(text: str = "print('hello')", **fields: object) -> Version:
        answer = push(text, **fields)
        assert answer.version_number, answer
        slug = answer.ref.rpartition("/")[2]
        return kaggle.state.wait(USER, slug, answer.version_number)

    return run_to_end


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A file that does not exist yet; it exists after the test, so that nothing waits for it for ever."""
    path = tmp_path / "gate"
    yield path
    path.touch()
