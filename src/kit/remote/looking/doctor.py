"""Look at everything that can be seen before a push: one check a line, each with a verdict and a next step.

It changes nothing and pushes nothing. What the API cannot see is asked, with the page to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kit.bundle.build import Built
from kit.config import Config
from kit.remote import runs
from kit.remote.looking import at_home, at_kaggle
from kit.remote.looking.at_home import Check, Verdict
from kit.remote.pushing import objections
from kit.remote.wire.client import Client
from kit.remote.wire.transport import CredentialsInvalid, KaggleError, Unsettled

SMOKE = "smoke"


def examine(client: Client, config: Config, built: Built, *, root: Path = runs.RUNS) -> Iterator[Check]:
    """Yield the checks of a push; the whole table, whatever Kaggle answers."""
    facts = objections.read(built.metadata)
    yield from at_home.checks(client, config, built, facts, root)
    for name, look in at_kaggle.looks(client, config, facts, root).items():
        try:
            yield from look
        except KaggleError as error:  # what was not seen keeps nothing back
            if isinstance(error, CredentialsInvalid) and name != "credentials":
                yield Check(name, "warn", "not seen without credentials")
            else:
                verdict: Verdict = "warn" if isinstance(error, Unsettled) else "fail"
                yield Check(name, verdict, error.message, error.hint)
    if not client.is_local:
        yield from at_kaggle.unseen(config, facts)
    is_full = config.kernel.accelerator != "none" and not config.data.train_rows  # it costs hours
    if is_full and not runs.passed_with(runs.requirements_sha256(), SMOKE, root):
        text = "no smoke run with these requirements has passed"
        yield Check("smoke", "warn", text, f"make all PRESET={SMOKE}, minutes")
