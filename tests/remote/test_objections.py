"""What Kaggle would refuse without a reason, or run wrongly, is said before a push."""

from typing import Any

import pytest
from slugify import slugify

from kit.bundle.metadata import Metadata
from kit.remote.pushing import objections
from kit.remote.pushing.objections import Check


def fails(facts: Metadata, script: str = "") -> dict[str, Check]:
    checks = objections.checks(facts, script, is_local=True)
    return {name: check for name, check in checks.items() if check.verdict == "fail"}


@pytest.mark.parametrize(
    ("script", "changes", "message"),
    [
        ("#" * (1 << 20) + "\n", {}, "the script has 1,048,577 bytes"),
        ("", {"title": "Other Title"}, "would be filed as 'other-title'"),
        ("", {"title": "Ha", "id": "tester/ha"}, "would be filed as"),
        ("", {"id": "your-username/little-kernel"}, "names no owner"),
    ],
)
def test_what_kaggle_would_refuse_without_a_reason_is_refused_here(
    script: str, changes: dict[str, str], message: str
) -> None:
    """A check fails, and nothing is sent."""
    facts = Metadata(**{"id": "me/little-kernel", "title": "Little Kernel"} | changes)  # type: ignore[arg-type]
    (found,) = fails(facts, script).values()
    assert message in found.text


@pytest.mark.parametrize(
    "title",
    ["\u8bc4\u8bba Kernel tiny", "\u041e\u0442\u0437\u044b\u0432 tiny", "1,000 Words tiny", "A &amp; B tiny",
     "Stra\u00dfe tiny", "Words \U0001f600 tiny", "Caf\u00e9 Words tiny"],
)  # fmt: skip
def test_a_title_that_two_rules_file_differently_is_refused_with_a_plain_one(title: str) -> None:
    """Kaggle's own rule is not published; where ours and a simple one agree, it will."""
    facts = Metadata(id=f"me/{slugify(title)}", title=title)
    objection = fails(facts)["slug"]
    plain = objection.hint.rpartition("such as ")[2].strip("'")
    again = Metadata(id=f"me/{slugify(plain)}", title=plain)
    assert not fails(again)


@pytest.mark.parametrize(
    ("kind", "name", "is_fine"),
    [
        ("dataset", "me/rows", True),
        ("dataset", "rows", False),
        ("dataset", "me/rows/2", False),
        ("kernel", "me/x y", False),
        ("model", "meta/llama/transformers/8b/2", True),
        ("model", "meta/llama/8b", False),
        ("model", "meta/llama/transformers/8b/newest", False),
        ("competition", "c/little", False),
    ],
)
def test_handles_are_looked_at_before_a_session_starts(kind: str, name: str, is_fine: bool) -> None:
    """Kaggle drops a malformed one in silence."""
    sources: dict[str, Any] = {f"{kind}_sources": [name]}
    facts = Metadata(id="me/little-kernel", title="Little Kernel", **sources)
    assert ("source" not in fails(facts)) == is_fine
