"""Push a build to Kaggle and hold its answer to account: a version that runs with everything it asked for.

Builds nothing and waits for no end; doctor.py looks at what can be seen before a push.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kit.bundle import metadata
from kit.bundle.build import Built
from kit.bundle.tree import LIMIT_BYTES
from kit.config import Config
from kit.errors import KitError
from kit.files import sha256_of
from kit.remote import runs
from kit.remote.runs import Run
from kit.remote.wire.client import Client
from kit.remote.wire.transport import KaggleError, Refused, Unsettled

SHORTEST_TITLE = 5
ACCELERATORS = ("NvidiaTeslaT4",)
"""T4 x2. For a retired or an unknown name Kaggle gives another machine in silence."""
SESSION_SPARE_SECONDS = 600
"""What a session may take beyond the pipeline's own time limit, to install and to save."""
LONGEST_SESSION_SECONDS = 12 * 3600 - 1
LOOKS_AFTER_SECONDS = (2.0, 5.0, 13.0, 30.0, 40.0)
"""When to look for a push whose answer was lost: a new version may stay unseen for a minute."""
SESSION_LOOKS_SECONDS = (5.0, 10.0, 15.0, 30.0, 30.0)
"""When to look whether a session has opened."""

_PAIR = r"[A-Za-z0-9_-]+/[A-Za-z0-9_-]+"
_SOURCES = {
    "competition": (r"[a-z0-9-]+", "its rules are not accepted, or there is no such competition"),
    "dataset": (_PAIR, "there is none of that name, or it is not yours to read"),
    "kernel": (_PAIR, "there is none of that name with a finished version"),
    "model": (
        rf"{_PAIR}/[A-Za-z0-9_]+/[A-Za-z0-9_.-]+/\d+",
        "its licence is not accepted, or there is no such version",
    ),
}
"""How a source of each kind is written, and why Kaggle may drop one."""
_PREFIXES = re.compile(r"^/*(?:competitions|datasets|code|kernels|models)/|/+$")
_TITLE = "another kernel.title in kit.toml"
_HINTS = {
    "session count": "make watch for the run that is on, or make stop to end it",
    "still running": "make watch for the run that is on, or make stop to end it",
    "already running": "make watch for the run that is on, or make stop to end it",
    "quota": "make doctor, which tells when the quota is renewed",
    "phone": "https://www.kaggle.com/settings to verify your phone number",
    "notebook not found": f"kaggle kernels delete {{ref}}, which an earlier refusal left empty, or {_TITLE}",
    "dataset": f"{_TITLE}: kernels and datasets share their names",
    "already_exists": _TITLE,
    "title": _TITLE,
    "slug": _TITLE,
}
"""What to do about a refusal, by words in it; the first that fits."""


class PushRefused(KitError):
    """A push that made no version, or one that cannot do its work."""


@dataclass(frozen=True)
class _Saved:
    """What is known of a version after the push: from its answer, or from looking it up."""

    version: int
    owner: str
    slug: str
    dropped: dict[str, list[str]]


def push(
    client: Client,
    built: Built,
    config: Config,
    *,
    root: Path = runs.RUNS,
    tell: Callable[[str], None] = print,
) -> Run:
    """Push a build, record it below `root`, and return the run.

    The record is begun before anything is sent. An answer that gets lost is looked up, by the next push too,
    before anything is sent again. Raises PushRefused where Kaggle takes it not at all, or not whole.
    """
    facts = json.loads(built.metadata.read_text(encoding="utf-8"))
    text = built.bundle.text
    is_preparation = metadata.is_preparation(config)
    for objection in objections(
        facts, text, is_local=client.is_local, is_preparation=is_preparation
    ).values():
        raise objection
    owner, _, slug = facts["id"].partition("/")
    known = 0
    if earlier := _earlier(client, root / slug / runs.INTENT):
        run = runs.settle(root, *earlier, owner=owner, slug=slug, is_latest=not is_preparation)
        tell(f"{run.name} of an earlier push, whose answer was lost, is there")
        if run.source_sha256 == _by_lines(text):
            return run
        known = run.version
    run = Run(
        root / slug / runs.INTENT,
        owner,
        slug,
        version=0,
        url=f"{client.web}/code/{facts['id']}",
        bundle_hash=built.bundle.bundle_hash,
        config=config.model_dump(mode="json"),
        requirements_sha256=runs.requirements_sha256(),
        source_sha256=_by_lines(text),
        known=max(known, _version(_newest_or_none(client, facts["id"]))),
    )
    intent = runs.intend(root, run, sha256=built.bundle.sha256)
    try:
        saved = _save(client, facts, text, config, intent)
    except PushRefused:
        runs.forget(intent)
        raise
    is_whole = not saved.dropped and f"{saved.owner}/{saved.slug}" == facts["id"].lower()
    run = runs.settle(
        root, intent, saved.version, owner=owner, slug=saved.slug, is_latest=is_whole and not is_preparation
    )  # the latest run is one with a submission to come
    if not is_whole:
        raise _incomplete(run, facts["id"], saved.dropped)
    return run


def objections(
    facts: dict[str, Any], text: str, *, is_local: bool, is_preparation: bool = False
) -> dict[str, PushRefused]:
    """Return, by subject, what Kaggle would refuse without a reason or run wrongly; empty is good."""
    refusals: dict[str, PushRefused] = {}
    owner, _, slug = facts["id"].partition("/")
    if owner in ("", metadata.PLACEHOLDER_OWNER):
        refusals["owner"] = PushRefused(
            f"kernel id {facts['id']!r} names no owner", hint="make push, which fills it in"
        )
    title = facts["title"]
    # Not the library's rule that made the slug: what two rules file differently, Kaggle may as well.
    filed = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    if filed != slug or not title.isascii() or len(title) < SHORTEST_TITLE:
        letters = unicodedata.normalize("NFKD", html.unescape(title)).encode("ascii", "ignore").decode()
        plain = " ".join(re.findall(r"[A-Za-z0-9]+", letters))
        refusals["slug"] = PushRefused(
            f"title {title!r} would be filed as {filed!r} and not as {slug!r}",
            hint=f"a kernel.title in kit.toml of {SHORTEST_TITLE} plain letters or more, such as "
            f"{plain if len(plain) >= SHORTEST_TITLE else f'Kernel {plain}'.strip()!r}",
        )
    size = len(text.encode())
    if size > LIMIT_BYTES:
        refusals["size"] = PushRefused(
            f"the script has {size:,} bytes, Kaggle takes {LIMIT_BYTES:,}", hint="make bundle"
        )
    shape = facts.get("machine_shape")
    if facts["enable_gpu"] and shape not in ACCELERATORS:
        refusals["accelerator"] = PushRefused(
            f"accelerator {shape!r} is unknown or retired, another machine would come",
            hint=f"kernel.accelerator={ACCELERATORS[0]}",
        )
    if not facts["enable_gpu"] and not is_local and not is_preparation:
        refusals["accelerator"] = PushRefused(
            "this preset runs on the CPU and is for rehearsals", hint="make push PRESET=smoke"
        )
    for kind, (pattern, _) in _SOURCES.items():
        for name in facts.get(f"{kind}_sources", ()):
            if not re.fullmatch(pattern, name):
                refusals["sources"] = PushRefused(
                    f"{kind} {name!r} is not written as Kaggle writes one",
                    hint="the last parts of its address",
                )
    return refusals


def newest(client: Client, ref: str) -> Any | None:
    """Return the newest version's GetKernel answer, or None where there is no such kernel yet."""
    owner, _, slug = ref.partition("/")
    try:
        return client.call("GetKernel", needs="metadata", patient=False, user_name=owner, kernel_slug=slug)
    except Refused as refused:
        if refused.status == 404:
            return None
        raise


def has_opened(client: Client, run: Run) -> bool:
    """Tell whether a session of this version opens soon; some pushes succeed and never run."""
    for seconds in SESSION_LOOKS_SECONDS:
        try:
            status = client.call("GetKernelSessionStatus", patient=False, **run.pinned).status
            if status.name != "NEW_SCRIPT":
                return True
        except Unsettled:
            return True  # nobody knows, and nothing says that it has not
        except Refused:
            pass  # Kaggle answers 403 and 404 for a while before a session opens
        client.clock.sleep(seconds)
    return False


def _save(client: Client, facts: dict[str, Any], text: str, config: Config, intent: Run) -> _Saved:
    """Send the push until an answer settles it, and never while an earlier attempt may have arrived."""
    asked = {kind: list(facts[f"{kind}_sources"]) for kind in _SOURCES}
    minutes = config.run.time_limit_minutes
    names = ("language", "kernel_type", "is_private", "enable_gpu", "enable_internet", "machine_shape")
    fields = {
        "slug": facts["id"],
        "new_title": facts["title"],
        "text": text,
        "session_timeout_seconds": min(int(minutes * 60) + SESSION_SPARE_SECONDS, LONGEST_SESSION_SECONDS),
        **{
            name: facts[name]
            for name in (*names, "docker_image", "docker_image_pinning_type")
            if facts.get(name) is not None
        },
        **{f"{kind}_data_sources": sources for kind, sources in asked.items()},
    }

    def attempt() -> _Saved:
        try:
            answer = client.call("SaveKernel", patient=False, **fields)
        except Unsettled as error:
            if error.is_busy:
                raise
            saved = _look_up(client, facts["id"], intent, asked)
            if saved is None:
                raise
            return saved
        except Refused as refused:
            raise _explained(
                f"{refused.reason or refused.message} {refused.kind}".strip(), facts["id"]
            ) from None
        if answer.error:
            raise _explained(answer.error, facts["id"])
        dropped = {kind: getattr(answer, f"invalid_{kind}_sources") for kind in asked}
        ref = re.search(r"([a-z0-9-]+)/([a-z0-9-]+)$", answer.ref.strip("/").lower())
        owner, slug = ref.groups() if ref else facts["id"].lower().split("/")
        if (answer.version_number or 0) < 1:
            saved = _look_up(client, facts["id"], intent, asked)
            if saved is None:
                raise PushRefused("Kaggle's answer names no version", hint=intent.url)
            return saved
        return _Saved(answer.version_number, owner, slug, _named(dropped, asked))

    return client.patiently(attempt)


def _look_up(client: Client, ref: str, intent: Run, asked: dict[str, list[str]]) -> _Saved | None:
    """Return the version that a push without an answer made, None if Kaggle says that it made none.

    Raises KaggleError where Kaggle does not say: what cannot be seen may be there.
    """
    unknown: KaggleError | None = None
    for seconds in LOOKS_AFTER_SECONDS:
        client.clock.sleep(seconds)
        try:
            kernel, unknown = seen(client, ref), None
        except KaggleError as error:
            unknown = error
            continue
        version = _version(kernel)
        if kernel is None or version <= intent.known:
            continue
        if not _is_of(intent, kernel):
            raise PushRefused(
                f"the answer was lost, and version {version} of {ref} holds another script", hint="make push"
            )
        held = {
            kind: {_bare(name) for name in getattr(kernel.metadata, f"{kind}_data_sources")} for kind in asked
        }
        dropped = {
            kind: [name for name in names if _bare(name) not in held[kind]] for kind, names in asked.items()
        }
        return _Saved(version, intent.owner, intent.slug, _named(dropped, asked))
    if unknown:
        raise KaggleError(
            f"the push of {ref} may have arrived, Kaggle does not say: {unknown.message}",
            hint=f"{intent.url}, or make push again, which looks first",
        )
    return None


def _earlier(client: Client, folder: Path) -> tuple[Run, int] | None:
    """Return an earlier push from here whose answer was lost, and its version, if it made one."""
    if not (folder / "push.json").is_file():
        return None
    intent = runs.load(folder)
    try:
        age = (datetime.now(UTC) - datetime.fromisoformat(intent.pushed_at)).total_seconds()
        client.clock.sleep(min(max(0.0, sum(LOOKS_AFTER_SECONDS) - age), sum(LOOKS_AFTER_SECONDS)))
        kernel = client.patiently(lambda: seen(client, f"{intent.owner}/{intent.slug}"))
    except KaggleError as error:
        raise PushRefused(
            f"an earlier push of {intent.slug} may have arrived, Kaggle does not say: {error.message}",
            hint=f"{intent.url}; where it is not there, rm -r {folder}",
        ) from None
    return (intent, _version(kernel)) if _version(kernel) > intent.known and _is_of(intent, kernel) else None


def seen(client: Client, ref: str) -> Any | None:
    """Return the newest version, None where there is none; raises KaggleError where that cannot be known."""
    try:
        return newest(client, ref)
    except Refused as refused:
        # Kaggle denies what is not there as it denies what is not yours, and sometimes what is.
        pages = client.pages("ListKernels", "kernels", user=ref.partition("/")[0])
        if any(kernel.ref.lower() == ref.lower() for page in pages for kernel in page.kernels):
            raise refused from None
        return None


def _newest_or_none(client: Client, ref: str) -> Any | None:
    """Return the newest version, None also where Kaggle does not say: before a push that is no hindrance."""
    try:
        return newest(client, ref)
    except (Refused, Unsettled):
        return None


def _version(kernel: Any | None) -> int:
    return 0 if kernel is None else kernel.metadata.current_version_number or 0


def _is_of(intent: Run, kernel: Any) -> bool:
    return kernel.blob is not None and _by_lines(kernel.blob.source) == intent.source_sha256


def _by_lines(text: str) -> str:
    return sha256_of("\n".join(text.splitlines()))


def _bare(name: str) -> str:
    """Return a source as it is asked for, from the other ways in which Kaggle writes it."""
    return _PREFIXES.sub("", name).lower()


def _named(dropped: dict[str, list[str]], asked: dict[str, list[str]]) -> dict[str, list[str]]:
    """Leave out what was never asked for."""
    names = {
        kind: [_bare(name) for name in listed if name.strip()]
        for kind, listed in dropped.items()
        if asked[kind]
    }
    return {kind: listed for kind, listed in names.items() if listed}


def _explained(reason: str, ref: str) -> PushRefused:
    hint = next((hint for word, hint in _HINTS.items() if word in reason.lower()), "make doctor")
    return PushRefused(f"Kaggle refuses the push of {ref}: {reason}", hint=hint.replace("{ref}", ref))


def _incomplete(run: Run, wanted: str, dropped: dict[str, list[str]]) -> PushRefused:
    """Return the refusal of a version that runs, but not as it was asked to."""
    causes = [
        f"{kind} {name!r} was dropped ({_SOURCES[kind][1]})"
        for kind, names in dropped.items()
        for name in names
    ] or [f"Kaggle filed it as {run.owner}/{run.slug} and not as {wanted}"]
    return PushRefused(
        f"{run.name} runs, but {'; '.join(causes)}", hint=f"make stop RUN={run.name}, then make doctor"
    )
