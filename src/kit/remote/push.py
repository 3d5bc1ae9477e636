"""Push a build to Kaggle and hold its answer to account: a version that runs with everything it asked for.

Builds nothing and waits for nothing; doctor.py looks at what can be seen before a push.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.bundle import metadata
from kit.bundle.build import Built
from kit.config import Config
from kit.errors import KitError
from kit.remote import runs
from kit.remote.runs import Run
from kit.remote.wire.client import Client
from kit.remote.wire.transport import Refused, Unsettled

SOURCE_LIMIT_BYTES = 1 << 20
"""Kaggle answers a larger script with a bare 400."""
SHORTEST_TITLE = 5
ACCELERATORS = ("NvidiaTeslaT4",)
"""T4 x2. Kaggle gives a retired P100 in silence for a name that it does not know."""
SESSION_SPARE_SECONDS = 600
"""What a session may take beyond the pipeline's own time limit, to install and to save."""
LONGEST_SESSION_SECONDS = 12 * 3600 - 1
LOOKS_AFTER_SECONDS = (2.0, 5.0, 15.0)
"""When to look for a push whose answer was lost; it may still be on its way."""

_SOURCES = {
    "competition": ("competition_sources", "its rules are not accepted, or there is no such competition"),
    "dataset": ("dataset_sources", "there is none of that name, or it is not yours to read"),
    "kernel": ("kernel_sources", "there is none of that name with a finished version"),
    "model": ("model_sources", "its licence is not accepted, or there is no such version"),
}
_HINTS = {
    "session count": "make watch for the run that is on, or make stop to delete it",
    "quota": "make doctor, which tells when the quota is renewed",
    "phone": "https://www.kaggle.com/settings to verify your phone number",
}
"""What to do about an error, by a word in it."""


class PushRefused(KitError):
    """A push that made no version, or one that cannot do its work."""


@dataclass(frozen=True)
class _Saved:
    """What is known of a version after the push: from its answer, or from looking it up."""

    version: int
    ref: str
    url: str
    dropped: dict[str, list[str]]


def push(client: Client, built: Built, config: Config, *, root: Path = runs.RUNS) -> Run:
    """Push a build, write push.json at once, and return the run.

    Raises PushRefused where Kaggle takes it not at all, or not whole; an answer that gets lost is looked up
    before anything is sent again.
    """
    told = json.loads(built.metadata.read_text(encoding="utf-8"))
    facts = {"is_local": client.is_local, "is_preparation": metadata.is_preparation(config)}
    for objection in objections(told, built.bundle.text, **facts).values():
        raise objection
    saved = _save(client, told, built.bundle.text, config)
    owner, _, slug = saved.ref.strip("/").removeprefix("code/").rpartition("/")
    run = Run(
        folder=root,
        owner=owner,
        slug=slug,
        version=saved.version,
        url=saved.url,
        bundle_hash=built.bundle.bundle_hash,
        config=config.model_dump(mode="json"),
        requirements_sha256=runs.requirements_sha256(),
    )
    is_whole = not saved.dropped and f"{owner}/{slug}" == told["id"]
    # The latest run is one with a submission to come.
    is_latest = is_whole and not metadata.is_preparation(config)
    run = runs.record(root, run, sha256=built.bundle.sha256, is_latest=is_latest)
    if not is_whole:
        raise _incomplete(run, told["id"], saved.dropped)
    return run


def objections(
    told: dict[str, Any], text: str, *, is_local: bool, is_preparation: bool = False
) -> dict[str, PushRefused]:
    """Return, by subject, what Kaggle would refuse without a reason or run wrongly; empty is good."""
    from slugify import slugify

    found: dict[str, PushRefused] = {}
    owner, _, slug = told["id"].partition("/")
    if owner in ("", metadata.PLACEHOLDER_OWNER):
        found["owner"] = PushRefused(
            f"kernel id {told['id']!r} names no owner", hint="make push, which fills it in"
        )
    filed = slugify(told["title"])
    if filed != slug or len(told["title"]) < SHORTEST_TITLE:
        found["slug"] = PushRefused(
            f"title {told['title']!r} would be filed as {filed!r} and not as {slug!r}",
            hint=f"another kernel.title in kit.toml, of at least {SHORTEST_TITLE} plain letters",
        )
    size = len(text.encode())
    if size > SOURCE_LIMIT_BYTES:
        found["size"] = PushRefused(
            f"the script has {size:,} bytes, Kaggle takes {SOURCE_LIMIT_BYTES:,}", hint="make bundle"
        )
    shape = told.get("machine_shape")
    if told["enable_gpu"] and shape not in ACCELERATORS:
        found["accelerator"] = PushRefused(
            f"accelerator {shape!r} is unknown or retired", hint=f"kernel.accelerator={ACCELERATORS[0]}"
        )
    if not told["enable_gpu"] and not is_local and not is_preparation:
        found["accelerator"] = PushRefused(
            "this preset runs on the CPU and is for rehearsals", hint="make push PRESET=smoke"
        )
    return found


def _save(client: Client, told: dict[str, Any], text: str, config: Config) -> _Saved:
    """Send the push until an answer settles it, and never while an earlier attempt may have arrived."""
    before = newest(client, told["id"])
    known = before.metadata.current_version_number if before else 0
    asked = {name: list(told[key]) for name, (key, _) in _SOURCES.items()}
    minutes = config.run.time_limit_minutes
    fields = {
        "slug": told["id"],
        "new_title": told["title"],
        "text": text,
        "language": told["language"],
        "kernel_type": told["kernel_type"],
        "is_private": told["is_private"],
        "enable_gpu": told["enable_gpu"],
        "enable_internet": told["enable_internet"],
        "machine_shape": told.get("machine_shape"),
        "docker_image": told.get("docker_image"),
        "session_timeout_seconds": min(int(minutes * 60) + SESSION_SPARE_SECONDS, LONGEST_SESSION_SECONDS),
        **{f"{name}_data_sources": sources for name, sources in asked.items()},
    }
    fields = {name: value for name, value in fields.items() if value is not None}

    def attempt() -> _Saved:
        try:
            answer = client.call("SaveKernel", patient=False, **fields)
        except Unsettled:
            found = _look_up(client, told["id"], known, text, asked)
            if found is None:
                raise
            return found
        except Refused as refused:
            raise _explained(refused.reason or f"{refused.message}", told["id"]) from None
        if answer.error:
            raise _explained(answer.error, told["id"])
        if not answer.version_number:
            raise PushRefused("Kaggle's answer names no version", hint=f"{client.web}/code/{told['id']}")
        dropped = {name: list(getattr(answer, f"invalid_{name}_sources") or ()) for name in asked}
        dropped["tag"] = list(answer.invalid_tags or ())
        url = answer.url or f"{client.web}/code/{told['id']}"
        return _Saved(answer.version_number, answer.ref or told["id"], url, _without_empty(dropped))

    return client.patiently(attempt)


def newest(client: Client, ref: str) -> Any | None:
    """Return the newest version's GetKernel answer, or None where there is no such kernel yet."""
    owner, _, slug = ref.partition("/")
    try:
        return client.call("GetKernel", needs="metadata", user_name=owner, kernel_slug=slug)
    except Refused as refused:
        if refused.status in (403, 404):
            return None
        raise


def _look_up(client: Client, ref: str, known: int, text: str, asked: dict[str, list[str]]) -> _Saved | None:
    """Return the version that a push without an answer made, or None if it made none."""
    for seconds in LOOKS_AFTER_SECONDS:
        client.clock.sleep(seconds)
        found = newest(client, ref)
        if found is None or found.metadata.current_version_number <= known:
            continue
        version = found.metadata.current_version_number
        if found.blob is None or found.blob.source.splitlines() != text.splitlines():
            raise PushRefused(
                f"the answer was lost, and version {version} of {ref} holds another script", hint="make push"
            )
        dropped = {}
        for name, sources in asked.items():
            held = {source.lower() for source in getattr(found.metadata, f"{name}_data_sources") or ()}
            dropped[name] = [source for source in sources if source.lower() not in held]
        return _Saved(version, ref, f"{client.web}/code/{ref}", _without_empty(dropped))
    return None


def _without_empty(dropped: dict[str, list[str]]) -> dict[str, list[str]]:
    return {kind: names for kind, names in dropped.items() if names}


def _explained(reason: str, ref: str) -> PushRefused:
    hint = next((hint for word, hint in _HINTS.items() if word in reason.lower()), "make doctor")
    return PushRefused(f"Kaggle refuses the push of {ref}: {reason}", hint=hint)


def _incomplete(run: Run, wanted: str, dropped: dict[str, list[str]]) -> PushRefused:
    """Return the refusal of a version that runs, but not as it was asked to."""
    causes = [
        f"{kind} {name!r} was dropped ({_SOURCES[kind][1]})"
        if kind in _SOURCES
        else f"{kind} {name!r} was dropped"
        for kind, names in dropped.items()
        for name in names
    ]
    if not causes:
        causes = [f"Kaggle filed it as {run.owner}/{run.slug} and not as {wanted}"]
    return PushRefused(
        f"{run.name} runs, but {'; '.join(causes)}", hint=f"make stop RUN={run.name}, then make doctor"
    )
