"""Push, watch, pull and validate, stopping at the first step that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.command import Arguments, verb

if TYPE_CHECKING:
    from kit.config import Config
    from kit.remote.wire.client import Client


def to_valid(kaggle: Client, resolved: Config, timeout: float, note: str = "") -> int:
    """Carry a run of these settings to a submission.csv, and return 0 if that is valid."""
    from kit.fetch import inputs
    from kit.remote import workflow
    from kit.remote.pulling import pull
    from kit.review import tables
    from kit.review.checks.validate import validate

    pushed = workflow.look_and_push(kaggle, resolved, note)
    workflow.watch_to_end(kaggle, pushed, timeout)
    pulled = pull.pull(kaggle, pushed)
    print(pulled, flush=True)
    verdict = validate(pulled.folder, inputs.places, resolved.competition)
    print(verdict, flush=True)
    if pulled.status.has_succeeded:
        tables.show_sweep(pulled.folder)
    if verdict.valid:
        print(workflow.next_step(pushed))
    return 0 if verdict.valid else 1


@verb("preset", "set", "timeout", "note", "yes", timeout=46_800.0, spends="GPU hours")
def main(arguments: Arguments) -> int:
    from kit import config
    from kit.remote.wire import client

    resolved = config.resolve(arguments.preset, arguments.set)
    return to_valid(client.connect(), resolved, arguments.timeout, arguments.note)
