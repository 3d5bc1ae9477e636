"""The types of the fixtures that make something, under one word each."""

from collections.abc import Callable
from pathlib import Path

from kit.bundle.build import Built
from kit.remote.pushing.objections import Check
from kit.remote.runs import Run
from kit.remote.wire.client import Client

MakeRun = Callable[..., Run]
MakeClient = Callable[..., Client]
MakeBuilt = Callable[..., Built]
Examine = Callable[..., dict[str, Check]]
LeaveOnly = Callable[..., Path]
Files = Callable[[], list[str]]
