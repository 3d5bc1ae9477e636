"""The words that `parse` knows, by kind, out of words.txt; marks and endings that no word list can hold."""

from pathlib import Path


def _by_kind() -> dict[str, list[str]]:
    """Return the words of each kind, those of all languages together."""
    found: dict[str, list[str]] = {}
    for line in Path(__file__).with_name("words.txt").read_text(encoding="utf-8").splitlines():
        kind, _, listed = line.partition(":")
        if not line.startswith("#"):
            found.setdefault(kind.partition(" ")[0], []).extend(listed.split())
    return {kind: [word.replace("_", " ") for word in own] for kind, own in found.items()}


BY_KIND = _by_kind()
SENTIMENT = {"positive": BY_KIND["positive"], "negative": BY_KIND["negative"]}
RETRACTS, EXPLAINS, ASKS, COMMANDS, NUMBERED, SUBJECTS, DETERMINERS, DANGLES = (
    frozenset(BY_KIND[kind])
    for kind in (
        *("retracts", "explains", "asks", "commands", "numbered", "subjects", "determiners", "dangles"),
    )
)
BY_KIND["known"] += [*RETRACTS, *EXPLAINS, *BY_KIND["aspects"]]
VAGUE = {*BY_KIND["denies"], "other", "same", "both", "all", "any"}
"""Labels that are also common words: read only alone or behind a mark."""
HANGUL_ENDINGS = ("입니다", "임", "이다", "이에요", "예요")  # endings that make a sentence of a Korean noun
CROSSES = "✗✘✕✖☒❌❎☐□◯○⚪⬜🔲🚫⛔👎🙅🤥☆≠¬⊘⊗"  # marks that cross a label out, or an empty box in front of it
