"""The rooms of the house import in one direction only, and importing them does nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"

HEAVY = {"torch", "transformers", "trl", "peft", "bitsandbytes", "datasets", "unsloth", "accelerate", "gguf"}
CLIENT = {"kagglesdk", "kaggle"}

MAY_IMPORT = {
    "kit.errors": set(),
    "kit.files": {"kit.errors"},
    "kit.accelerators": set(),
    "kit.competition": {"kit.task.metrics"},
    "kit.settings": {"kit.accelerators", "kit.competition", "kit.task.prompt"},
    "kit.progress": set(),
    "kit.command": {"kit.errors", "kit.files", "kit.progress", "kit.environment", "kit.config"},
    "kit.outputs": {"kit.errors", "kit.files"},
    "kit.environment": {"kit.errors"},
    "kit.config": {"kit.errors", "kit.files", "kit.competition", "kit.settings"},
    "kit.task": {"kit.errors", "kit.files", "kit.config", "kit.task"},
    "kit.pipeline.machine": {
        *("kit.errors", "kit.files", "kit.accelerators", "kit.config", "kit.pipeline.machine")
    },
    "kit.pipeline.answering": {"kit.errors", "kit.config", "kit.pipeline", "kit.pipeline.answering"},
    "kit.pipeline.training": {
        *("kit.errors", "kit.files", "kit.environment", "kit.config", "kit.task"),
        *("kit.pipeline", "kit.pipeline.training"),
    },
    "kit.pipeline": {
        *("kit.errors", "kit.files", "kit.outputs", "kit.environment", "kit.config", "kit.task"),
        *("kit.pipeline", "kit.pipeline.machine", "kit.pipeline.answering", "kit.pipeline.training"),
    },
    "kit.bundle": {"kit.errors", "kit.files", "kit.config", "kit.progress", "kit.bundle"},
    "kit.remote": {
        *("kit.errors", "kit.files", "kit.outputs", "kit.environment", "kit.config", "kit.progress"),
        *("kit.accelerators", "kit.task", "kit.bundle", "kit.remote"),
    },
    "kit.review": {
        *("kit.errors", "kit.files", "kit.outputs", "kit.config", "kit.progress", "kit.task", "kit.review")
    },
    "kit.fetch": {"kit.errors", "kit.files", "kit.config", "kit.task", "kit.fetch"},
    "local_kaggle": {"local_kaggle"},
}
"""What each room may import of ours; settings offer the rows of three tables, which import no settings."""

FORBIDDEN = {
    "kit.task": HEAVY | CLIENT | {"rich"},
    "kit.config": HEAVY | CLIENT | {"rich"},
    "kit.errors": HEAVY | CLIENT | {"rich"},
    "kit.pipeline": CLIENT | {"rich"},
    "kit.remote": HEAVY,
    "kit.review": HEAVY | CLIENT,
    "kit.fetch": CLIENT,
}
"""Packages of others that a room must do without, even inside functions."""

ROUTES = ("", ".answers", ".kernels", ".competition", ".datasets")
CLIENT_IN = {"kit.remote.wire.client", *(f"local_kaggle.routes{part}" for part in ROUTES)}
"""The places that speak Kaggle's protocol; `kaggle` is imported nowhere: importing it logs in."""


MODULES = {
    ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(SRC.rglob("*.py"))
}


def _imports(name: str, path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of everything that a module imports, inside functions too."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield node.lineno, whole if whole in MODULES else base


IMPORTS = {name: list(_imports(name, path)) for name, path in MODULES.items()}


def _room(name: str) -> str:
    rooms = [room for room in MAY_IMPORT if name == room or name.startswith(room + ".")]
    return max(rooms, key=len, default="")


@pytest.mark.parametrize("name", [name for name in MODULES if name != "kit"])
def test_a_room_imports_only_the_rooms_before_it(name: str) -> None:
    """Data flows from asking to judging and never back."""
    room = _room(name)
    assert room, f"{name} stands in no room of the plan"
    for line, imported in IMPORTS[name]:
        if imported.split(".")[0] in {"kit", "local_kaggle"} and imported != "kit":
            assert {imported, _room(imported)} & MAY_IMPORT[room], f"{name}:{line} imports {imported}"


@pytest.mark.parametrize("name", list(MODULES))
def test_a_room_does_without_the_packages_it_must_not_need(name: str) -> None:
    """Checking a submission never loads torch, and the kernel never holds a Kaggle client."""
    for line, imported in IMPORTS[name]:
        top = imported.split(".")[0]
        assert top not in FORBIDDEN.get(".".join(_room(name).split(".")[:2]), set()) - CLIENT, (
            f"{name}:{line} imports {imported}"
        )
        assert top != "kaggle", f"{name}:{line} imports kaggle, which logs in"
        if top == "kagglesdk":
            assert name in CLIENT_IN, f"{name}:{line} imports kagglesdk"


def test_unsloth_is_imported_in_one_place() -> None:
    """It patches transformers, trl and peft, so where it comes first must be plain to see."""
    places = [
        f"{name}:{line}"
        for name, imports in IMPORTS.items()
        for line, imported in imports
        if imported.split(".")[0] == "unsloth"
    ]
    assert len(places) == 1, places
    assert places[0].startswith("kit.pipeline.model:")


def test_importing_the_light_rooms_loads_nothing_heavy() -> None:
    """No torch, no client, no pandas at import: `--help` stays quick."""
    light = [
        name
        for name in MODULES
        if not _room(name).startswith(("kit.pipeline", "local_kaggle")) and name not in CLIENT_IN
    ]
    code = f"import sys\nfor name in {light!r}: __import__(name)\nprint(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()
    assert not (HEAVY | CLIENT | {"pandas", "sklearn"}) & set(loaded)
