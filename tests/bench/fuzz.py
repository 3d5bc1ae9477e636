"""Judge many damaged submissions, and hold each verdict against what pandas reads.

Prints how many were tried, how many are valid, and every disagreement. `fuzz.py 100000 7` is files and seed.
"""

from __future__ import annotations

import io
import random
import sys
from collections import Counter

import pandas

from kit.review.checks.facts import Facts
from kit.review.checks.validate import check
from kit.task.submission import Columns

FACTS = Facts(
    Columns("ID", "label"),
    labels=("Positive", "Négatif", "0", "very, good"),
    ids=[*(f"r{number}" for number in range(12)), "007", "1.0", "a,b", 'say "hi"', "é"],
)
PIECES = (
    *(b"", b'"', b'""', b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b" ", b"\xe2\x80\x8b"),
    *(b"ID,label\n", b"r3", b"Positive", b"negatif", b"0.0", b"7", b"Ne\xcc\x81gatif", b"\xef\xbb\xbf"),
    b"nan",
)
STRICTER = {"open_quote", "nul_byte", "long_line", "not_csv", "utf16"}
"""Errors of files that pandas reads all the same, where another reader may not; a lone CR is one too."""


def main() -> None:
    """Try the files of one seed."""
    count, seed = (int(text) for text in (sys.argv[1:] + ["100000", "1"][len(sys.argv) - 1 :]))
    generator = random.Random(seed)
    seen: Counter[str] = Counter()
    for number in range(count):
        data = _damaged(generator)
        verdict, _ = check(data, FACTS)
        seen["valid" if verdict.valid else "invalid"] += 1
        _compare(seen, number, data, verdict.valid, {problem.code for problem in verdict.errors})
    print(", ".join(f"{found:,} {name}" for name, found in seen.items()))
    sys.exit(1 if seen["disagreements"] else 0)


def _damaged(generator: random.Random) -> bytes:
    """Return a good file with up to five pieces put in, taken out or exchanged."""
    rows = [(name, generator.choice(FACTS.labels)) for name in FACTS.ids]
    frame = pandas.DataFrame(rows, columns=["ID", "label"])
    data = bytearray(
        frame.sample(frac=1.0, random_state=generator.randrange(99)).to_csv(index=False).encode()
    )
    for _ in range(generator.randint(0, 5)):
        at = generator.randrange(len(data) + 1)
        data[at : at + generator.choice((0, 0, 1, 3, 9))] = generator.choice(PIECES)
    return bytes(data)


def _compare(seen: Counter[str], number: int, data: bytes, valid: bool, errors: set[str]) -> None:
    """Count a file that is valid here and not in pandas, or the other way round."""
    try:
        frame = pandas.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)
        good = sorted(frame.columns) == ["ID", "label"] and sorted(frame["ID"]) == sorted(FACTS.ids)
        good = good and set(frame["label"]) <= set(FACTS.labels)
    except (ValueError, pandas.errors.ParserError):
        good = False
    if valid != good and not (good and (errors & STRICTER or b"\r" in data)):
        seen["disagreements"] += 1
        print(f"{number}: here {valid}, pandas {good}, {sorted(errors)}: {data!r}")


if __name__ == "__main__":
    main()
