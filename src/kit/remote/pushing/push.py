"""Push a build to Kaggle and hold its answer to account: a version that runs with everything it asked for."""

import re
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from kit.bundle import metadata, origin
from kit.bundle.build import Built
from kit.bundle.metadata import Metadata
from kit.config import Config
from kit.remote import runs
from kit.remote.pushing import lookup, objections
from kit.remote.pushing.objections import SOURCES, PushRefused
from kit.remote.wire.client import Client
from kit.remote.wire.transport import Refused, Unsettled

SESSION_SPARE_SECONDS = 600  # beyond the pipeline's own time limit, to install and to save
LONGEST_SESSION_SECONDS = 12 * 3600 - 1

_SENT = {
    *("language", "kernel_type", "is_private", "enable_gpu", "enable_internet"),
    *("machine_shape", "docker_image", "docker_image_pinning_type"),
}
"""What of the metadata is sent under its own name."""
_TITLE = "another kernel.title in kit.toml"
_HINTS = {
    "session count|(still|already) running": "make watch for the run that is on, or make stop to end it",
    "quota": "make doctor, which tells when the quota is renewed",
    "phone": "https://www.kaggle.com/settings to verify your phone number",
    "notebook not found": f"kaggle kernels delete {{ref}}, which an earlier refusal left empty, or {_TITLE}",
    "dataset": f"{_TITLE}: kernels and datasets share their names",
    "already_exists|title|slug": _TITLE,
    "": "make doctor",
}
"""What to do about a refusal, by words in it; the first that fits."""


class Saved(NamedTuple):
    """What is known of a version after the push: from its answer, or from looking it up."""

    version: int
    ref: str
    dropped: list[tuple[str, str]]  # kind and name of each source that was asked for and is not attached


def push(client: Client, built: Built, config: Config, *, root: Path = runs.RUNS, note: str = "") -> runs.Run:
    """Push a build and return its run, recorded before anything is sent; raises PushRefused."""
    facts, text = built.metadata, built.bundle.text
    is_last = not metadata.is_preparation(config)  # the latest run is one with a submission to come
    owner, _, slug = facts.id.partition("/")
    folder, source_sha256, known = root / slug / runs.INTENT, lookup.by_lines(text), 0
    if (folder / "push.json").is_file():
        earlier = runs.load(folder)
        found = lookup.made(client, earlier)
        if found and found.source_sha256 == earlier.source_sha256:
            run = runs.settle(root, earlier, found.version, slug=slug, is_latest=is_last)
            print(f"{run.name} of an earlier push, whose answer was lost, is there")
            if run.source_sha256 == source_sha256:
                return run
            known = run.version
    with suppress(Refused, Unsettled):  # what Kaggle does not say before a push is no hindrance
        if newest := lookup.seen(client, facts.id):
            known = max(known, newest.version)
    url, told = f"{client.web}/code/{facts.id}", config.model_dump(mode="json")
    run = runs.Run(folder, owner, slug, 0, url, built.bundle.bundle_hash, told)
    installs = runs.requirements_sha256()
    run = replace(run, requirements_sha256=installs, source_sha256=source_sha256, known=known, note=note)
    intent = runs.intend(root, run, sha256=built.bundle.sha256)
    origin.keep(folder, built.script.name, text)
    try:
        saved = _save(client, facts, text, config, intent)
    except PushRefused:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    is_whole = not saved.dropped and saved.ref == facts.id.lower()
    filed = saved.ref.partition("/")[2]
    run = runs.settle(root, intent, saved.version, slug=filed, is_latest=is_whole and is_last)
    if is_whole:
        return run
    causes = [f"{kind} {name!r} was dropped ({SOURCES[kind][1]})" for kind, name in saved.dropped] or [
        f"Kaggle filed it as {saved.ref} and not as {facts.id}"
    ]
    hint = f"make stop RUN={run.name}, then make doctor"
    raise PushRefused(f"{run.name} runs, but {'; '.join(causes)}", hint=hint)


def _save(client: Client, facts: Metadata, text: str, config: Config, intent: runs.Run) -> Saved:
    """Send the push until an answer settles it, and never while an earlier attempt may have arrived."""
    asked = objections.asked(facts)
    seconds = int(config.run.time_limit_minutes * 60) + SESSION_SPARE_SECONDS
    fields = {
        **facts.model_dump(include=_SENT, exclude_none=True),
        **{f"{kind}_data_sources": names for kind, names in asked.items()},
        "slug": facts.id,
        "new_title": facts.title,
        "text": text,
        "session_timeout_seconds": min(seconds, LONGEST_SESSION_SECONDS),
    }

    def look_up() -> Saved | None:
        found = lookup.made(client, intent)
        if found is None:
            return None
        if found.source_sha256 != intent.source_sha256:
            text = f"the answer was lost, and version {found.version} of {facts.id} holds another script"
            raise PushRefused(text, hint="make push")
        held = {kind: lookup.bare(names) for kind, names in found.sources.items()}
        wanted = [(kind, name) for kind, names in asked.items() for name in lookup.bare(names)]
        lacking = [(kind, name) for kind, name in wanted if name not in held[kind]]
        return Saved(found.version, facts.id.lower(), lacking)

    def attempt() -> Saved:
        try:
            answer = client.call("SaveKernel", patient=False, **fields)
        except Unsettled as error:
            if not error.is_busy and (saved := look_up()):
                return saved
            raise
        except Refused as refused:
            reason = f"{refused.reason or refused.message} {refused.kind}".strip()
            raise _explained(reason, facts.id) from None
        if answer.error:
            raise _explained(answer.error, facts.id)
        if (answer.version_number or 0) < 1:
            if saved := look_up():
                return saved
            raise PushRefused("Kaggle's answer names no version", hint=intent.url)
        ref = re.search(r"[a-z0-9_-]+/[a-z0-9-]+$", answer.ref.strip("/").lower())
        dropped = {kind: getattr(answer, f"invalid_{kind}_sources") for kind in asked if asked[kind]}
        named = [(kind, name) for kind, names in dropped.items() for name in lookup.bare(names)]
        return Saved(answer.version_number, ref[0] if ref else facts.id.lower(), named)

    return client.patiently(attempt)


def _explained(reason: str, ref: str) -> PushRefused:
    hint = next(hint for words, hint in _HINTS.items() if re.search(words, reason.lower()))
    return PushRefused(f"Kaggle refuses the push of {ref}: {reason}", hint=hint.replace("{ref}", ref))
