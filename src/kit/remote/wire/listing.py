"""List the outputs of one version with fresh links.

What Kaggle lists is a hint; what the kernel wrote is proof. It saves no file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from kit.outputs import MANIFEST
from kit.remote.runs import Run
from kit.remote.wire.client import Client

RECORD = "run.json"


@dataclass(frozen=True)
class Listing:
    """What Kaggle holds of a version now: links by name, and the log as it is stored."""

    links: dict[str, str]
    log: str

    @property
    def is_proved(self) -> bool:
        """Whether it has what a run writes at its very end."""
        return RECORD in self.links and MANIFEST in self.links


def outputs(client: Client, run: Run) -> Listing:
    """Return every output's newest link and the log; raises Refused and Unsettled."""
    pages = client.pages("ListKernelSessionOutput", "files", **run.pinned)
    links = {
        str(file.file_name): str(file.url) for page in pages for file in page.files or () if file.file_name
    }
    return Listing(links, str(pages[0].log or ""))


def parsed(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a file; empty for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
