"""Say before a push what Kaggle would refuse without a reason, or run wrongly. It asks nobody."""

import re
from dataclasses import dataclass
from typing import Literal

from slugify import slugify

from kit.accelerators import ACCELERATORS
from kit.bundle import metadata
from kit.bundle.metadata import Metadata
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


@dataclass(frozen=True)
class Check:
    """One thing that was looked at before a push. Only `fail` keeps it back."""

    name: str
    verdict: Literal["pass", "warn", "fail", "ask"]
    text: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f" (try: {self.hint})" if self.hint and self.verdict != "pass" else ""
        return f"{self.verdict}  {self.name:<12}  {self.text}{hint}"


def asked(facts: Metadata) -> dict[str, list[str]]:
    """Return what is to be attached, by kind."""
    return {kind: getattr(facts, f"{kind}_sources") for kind in SOURCES}


def checks(facts: Metadata, text: str, *, is_local: bool, is_preparation: bool = False) -> dict[str, Check]:
    """Return by subject how a build stands; `fail` is what Kaggle would refuse or run wrongly."""
    size, shape = len(text.encode()), facts.machine_shape or "none"
    machine = ACCELERATORS[shape]
    found = [
        Check("slug", "pass", facts.id),
        Check("size", "pass", f"{size:,} of {LIMIT_BYTES:,} bytes"),
        Check("accelerator", "pass", f"{shape}, {machine.note or f'{machine.cards} cards'}"),
    ]
    owner, _, slug = facts.id.partition("/")
    title = facts.title
    # Not the library's rule that made the slug: what two rules file differently, Kaggle may as well.
    filed = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    if filed != slug or not title.isascii() or len(title) < SHORTEST_TITLE:
        plain = slugify(title, separator=" ", lowercase=False)
        plain = plain if len(plain) >= SHORTEST_TITLE else f"Kernel {plain}".strip()
        hint = f"a kernel.title in kit.toml of {SHORTEST_TITLE} plain letters or more, such as {plain!r}"
        said = f"title {title!r} would be filed as {filed!r} and not as {slug!r}"
        found.append(Check("slug", "fail", said, hint))
    if owner in ("", metadata.PLACEHOLDER_OWNER):
        said = f"kernel id {facts.id!r} names no owner"
        found.append(Check("slug", "fail", said, "credentials, which name it"))
    if size > LIMIT_BYTES:
        said = f"the script has {size:,} bytes, Kaggle takes {LIMIT_BYTES:,}"
        found.append(Check("size", "fail", said, "make bundle"))
    if not facts.enable_gpu and not is_local and not is_preparation:
        said = "this preset runs on the CPU and is for rehearsals"
        found.append(Check("accelerator", "fail", said, "make push PRESET=smoke"))
    if title[:1].isdigit():
        said = "Kaggle has refused titles that begin with a digit"
        found.append(Check("title", "warn", said, "another kernel.title"))
    if not facts.is_private:
        found.append(Check("private", "warn", "everybody will see this kernel", "kernel.private=true"))
    for kind in SOURCES:
        for name in asked(facts)[kind]:
            if not re.fullmatch(SOURCES[kind][0], name):
                said = f"{kind} {name!r} is not written as Kaggle writes one"
                found.append(Check("source", "fail", said, "the last parts of its address"))
    return {check.name: check for check in found}  # an objection takes the place of what would be good
