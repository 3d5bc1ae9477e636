"""Say before a push what Kaggle would refuse without a reason, or run wrongly. It asks nobody."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Any

from kit.bundle import metadata
from kit.bundle.tree import LIMIT_BYTES
from kit.errors import KitError

SHORTEST_TITLE = 5
_PAIR = r"[A-Za-z0-9_-]+/[A-Za-z0-9_-]+"
SOURCES = {
    "competition": (r"[a-z0-9-]+", "its rules are not accepted, or there is no such competition"),
    "dataset": (_PAIR, "there is none of that name, or it is not yours to read"),
    "kernel": (_PAIR, "there is none of that name with a finished version"),
    "model": (
        rf"{_PAIR}/[A-Za-z0-9_]+/[A-Za-z0-9_.-]+/\d+",
        "its licence is not accepted, or there is no such version",
    ),
}
"""How a source of each kind is written, and why Kaggle may drop one."""


class PushRefused(KitError):
    """A push that made no version, or one that cannot do its work."""


def objections(
    facts: dict[str, Any], text: str, *, is_local: bool, is_preparation: bool = False
) -> dict[str, PushRefused]:
    """Return, by subject, what Kaggle would refuse without a reason or run wrongly; empty is good."""
    refusals: dict[str, PushRefused] = {}
    owner, _, slug = facts["id"].partition("/")
    if owner in ("", metadata.PLACEHOLDER_OWNER):
        refusals["owner"] = PushRefused(
            f"kernel id {facts['id']!r} names no owner", hint="credentials, from which make push takes it"
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
    if not facts["enable_gpu"] and not is_local and not is_preparation:
        refusals["accelerator"] = PushRefused(
            "this preset runs on the CPU and is for rehearsals", hint="make push PRESET=smoke"
        )
    for kind, (pattern, _) in SOURCES.items():
        for name in facts.get(f"{kind}_sources", ()):
            if not re.fullmatch(pattern, name):
                refusals["sources"] = PushRefused(
                    f"{kind} {name!r} is not written as Kaggle writes one",
                    hint="the last parts of its address",
                )
    return refusals
