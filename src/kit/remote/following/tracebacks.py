"""Find in a run's log what each of its processes died of, and what is only noise. Reads text, asks nobody."""

import re

from kit import progress

_RANK = re.compile(r"\[(rank ?\d+|card ?\d+)\]:? ?")
"""How torchrun and the kit's own scheduler mark the lines of one process."""
_HEAD = "Traceback (most recent call last):"
_BETWEEN = ("During handling of the above exception", "The above exception was the direct cause")
_BUNDLED = re.compile(r'File "/[^"]*?/(src/kit/[^"]+|kernel/(?:main|prepare)\.py)"')
"""A file of the bundle, which was unpacked to a folder that nobody knows."""
_NOISE = re.compile(
    # What making a page of a finished script adds to its log.
    r"\[NbConvertApp\]|Writing \d+ bytes to \S*__results__\.html"
    r"|\S*/(?:mistune|nbconvert)\S*:\d+: \w*Warning:"
    # What libraries say of speed-ups that nobody asked for.
    r"|.{0,80}Failed to load CPU \w+ from |.{0,80}Unable to register cu\w+ factory"
    r"|WARNING: All log messages before absl::InitializeLog"
)


class Noise:
    """Tell the lines that say nothing of the run, with the line that a warning quotes."""

    def __init__(self) -> None:
        self._may_quote = False

    def hides(self, line: str) -> bool:
        is_noise = _NOISE.match(line[:400]) is not None
        is_quoted = self._may_quote and line[:1] in (" ", "\t")
        self._may_quote = is_noise
        return is_noise or is_quoted


class Newest:
    """Keep the newest traceback of each rank apart, a chained one as one; the unmarked rank is ""."""

    def __init__(self) -> None:
        self.by_rank: dict[str, list[str]] = {}
        self._behind: dict[str, list[str] | None] = {}
        """By rank, what follows its exception and may join it to another; None before, absent afterwards."""

    def feed(self, line: str) -> list[str]:
        """Return the lines of which is known now that they are no part of a rank's newest traceback."""
        mark = _RANK.match(line)
        rank, text = (mark[1], line[mark.end() :]) if mark else ("", line)
        behind = self._behind.get(rank, [])
        if text == _HEAD:
            earlier = [*self.by_rank.pop(rank, []), *(behind or [])]
            is_chained = any(words in between for between in behind or [] for words in _BETWEEN)
            self.by_rank[rank] = [*(earlier if is_chained else []), line]
            self._behind[rank] = None
            return [] if is_chained else earlier
        if rank not in self._behind:
            return [line]
        if text[:1] in (" ", "\t") or behind is None:
            self.by_rank[rank].append(_BUNDLED.sub(r'File "\1"', line))
            if text[:1] not in (" ", "\t"):
                self._behind[rank] = []
            return []
        if not text or text.startswith(_BETWEEN):
            behind.append(line)
            return []
        del self._behind[rank]
        return [*behind, line]

    def release(self) -> list[str]:
        """Return what was kept apart, and forget it."""
        kept = [line for lines in self.by_rank.values() for line in lines]
        kept += [line for behind in self._behind.values() for line in behind or []]
        self.by_rank.clear()
        self._behind.clear()
        return kept


def last_words(lines: list[str]) -> list[str]:
    """Return the last traceback of each rank that left one, the unmarked at last; else the last lines."""
    newest, noise = Newest(), Noise()
    for line in lines:
        newest.feed(line)
    if not newest.by_rank:
        own = [progress.show(line) for line in lines if not noise.hides(line)]
        return ["--- the last lines of the log ---", *own[-20:]]
    words = []
    for rank in sorted(newest.by_rank, key=lambda rank: (rank == "", rank)):
        text = (_RANK.sub("", line, count=1) for line in newest.by_rank[rank])
        words += [f"--- {rank or 'main process'} ---", *text]
    return words
