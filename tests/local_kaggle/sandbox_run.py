"""Run one script in the sandbox and keep what it writes."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from local_kaggle import sandbox

DEFAULTS: dict[str, Any] = {"timeout_seconds": 30, "child_env": {}}


class Output:
    """Collects what a script writes."""

    def __init__(self) -> None:
        self.chunks: list[tuple[str, float, str]] = []

    def __call__(self, name: str, seconds: float, text: str) -> None:
        self.chunks.append((name, seconds, text))

    def text(self, name: str = "stdout") -> str:
        return "".join(text for stream, _, text in self.chunks if stream == name)


def run(root: Path, script: str, **options: Any) -> tuple[int, Output]:
    """Run a script and give its exit status and output."""
    output = options.pop("on_output", None) or Output()
    mounts = options.pop("mounts", [])
    status = sandbox.run(textwrap.dedent(script), root, mounts, on_output=output, **DEFAULTS | options)
    return status, output
