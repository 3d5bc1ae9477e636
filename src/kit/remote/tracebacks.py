"""Find in a failed run's log what each of its processes died of. Reads text, asks nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable

_RANK = re.compile(r"\[(rank ?\d+|card ?\d+)\]:? ?")
"""How torchrun and the kit's own scheduler mark the lines of one process."""
_ONE = r"Traceback \(most recent call last\):\n(?:[ \t].*\n)*\S.*(?:\n[ \t].*)*"
_BETWEEN = "During handling of the above exception|The above exception was the direct cause"
_CHAIN = re.compile(rf"{_ONE}(?:\n+(?:{_BETWEEN}).*\n+{_ONE})*")


def last(lines: Iterable[str]) -> dict[str, str]:
    """Return the last traceback of each rank that left one; the unmarked one, of a launcher or the only
    process, stands last under "". Exceptions that were raised while handling others are one traceback.
    """
    text_by_rank: dict[str, list[str]] = {}
    for line in lines:
        mark = _RANK.match(line)
        text_by_rank.setdefault(mark[1] if mark else "", []).append(line[mark.end() :] if mark else line)
    found = {rank: _CHAIN.findall("\n".join(texts)) for rank, texts in text_by_rank.items()}
    ranks = sorted((rank for rank, blocks in found.items() if blocks), key=lambda rank: (rank == "", rank))
    return {rank: found[rank][-1] for rank in ranks}
