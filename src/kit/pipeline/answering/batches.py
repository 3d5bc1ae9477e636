"""Put rows of different lengths together so that little of a batch is padding.

Pure arithmetic on lengths; knows nothing of tensors, models or rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

WINDOW_ROWS = 2048
"""Rows that are tokenised and sorted at a time: enough for full batches, few enough for flat memory."""
WASTE, WASTE_TOKENS = 0.03, 32
"""Padding of a batch that is not worth another one, as a share of its tokens or as so many.

A forward pass has a cost of its own, mostly unpacking the 4-bit weights.
"""


def windows(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the rows in order, WINDOW_ROWS at a time."""
    for start in range(0, len(rows), WINDOW_ROWS):
        yield rows[start : start + WINDOW_ROWS]


def pack(width_by_key: Mapping[int, int], most_tokens: int, most_rows: int = 0) -> list[list[int]]:
    """Return the keys in batches of at most `most_tokens` with padding, the largest batch first.

    Memory so peaks at once. A row wider than `most_tokens` is a batch of its own; `most_rows` 0 is no limit.
    """
    found: list[list[int]] = []
    tokens = 0
    for key in sorted(width_by_key, key=lambda key: (-width_by_key[key], key)):
        width, last = width_by_key[key], found[-1] if found else []
        padded = width_by_key[last[0]] * (len(last) + 1) if last else 0
        is_wasteful = padded - tokens - width > max(WASTE_TOKENS, WASTE * padded)
        if not last or padded > most_tokens or len(last) == most_rows or is_wasteful:
            found.append([])
            tokens = 0
        found[-1].append(key)
        tokens += width
    return sorted(found, key=lambda batch: -width_by_key[batch[0]] * len(batch))
