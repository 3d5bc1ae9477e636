"""Look at everything that can be seen before a push: one check a line, each with a verdict and a next step.

It changes nothing and pushes nothing. What the API cannot see is asked, with the page to look at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from kit.bundle.build import Built
from kit.config import Config
from kit.remote import runs
from kit.remote.looking import at_home, at_kaggle
from kit.remote.looking.check import Check, Verdict
from kit.remote.wire.client import Client
from kit.remote.wire.transport import CredentialsInvalid, KaggleError, Unsettled

SMOKE = "smoke"


def examine(client: Client, config: Config, built: Built, *, root: Path = runs.RUNS) -> Iterator[Check]:
    """Yield the checks of a push; the whole table, whatever Kaggle answers."""
    facts = json.loads(built.metadata.read_text(encoding="utf-8"))
    yield from at_home.script(client, config, built, facts)
    yield from at_home.offline(config)
    yield from at_home.files(client, config)
    yield from at_home.training(config)
    yield at_home.requirements(client)
    yield at_home.image(config, root)
    yield at_home.disk(root)
    owner, _, slug = facts["id"].partition("/")
    looks: dict[str, Callable[[], Iterator[Check]]] = {
        "credentials": lambda: at_kaggle.credentials(client),
        "quota": lambda: at_kaggle.quota(client, config, root),
        "sessions": lambda: at_kaggle.sessions(client, owner, slug),
        "competition": lambda: at_kaggle.competition(client, config),
        "source": lambda: at_kaggle.sources(client, facts),
    }
    for name, look in looks.items():
        try:
            yield from look()
        except CredentialsInvalid as error:
            if name == "credentials":
                yield Check(name, "fail", error.message, error.hint)
            else:
                yield Check(name, "warn", "not seen without credentials")
        except KaggleError as error:
            # What was not seen keeps nothing back.
            verdict: Verdict = "warn" if isinstance(error, Unsettled) else "fail"
            yield Check(name, verdict, error.message, error.hint)
    if not client.is_local:
        yield from at_kaggle.unseen(config, facts)
    if is_full(config) and not runs.passed_with(runs.requirements_sha256(), SMOKE, root):
        yield Check(
            "smoke",
            "warn",
            "no smoke run with these requirements has passed",
            f"make all PRESET={SMOKE}, minutes",
        )


def is_full(config: Config) -> bool:
    """Tell whether a push of this costs hours: all the rows, on GPUs."""
    return config.kernel.accelerator != "none" and not config.data.train_rows
