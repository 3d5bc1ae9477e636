"""Put rows of different lengths together so that little of a batch is padding.

Pure arithmetic on lengths; knows nothing of tensors, models or rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

WINDOW_ROWS = 2048
"""Rows that are tokenised and sorted at a time: enough for full batches, few enough for flat memory."""
WASTE = 0.03
"""Padding that is not worth fewer batches, as a share of the tokens."""
PRICES = (256, 128, 64, 32)
"""What one more batch may cost, in tokens; the first that keeps the padding under WASTE is taken.

A forward pass has a cost of its own, mostly unpacking the 4-bit weights: the last price stands, since
batches of a few short rows would waste more time than padding does.
"""


def windows(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the rows in order, WINDOW_ROWS at a time."""
    for start in range(0, len(rows), WINDOW_ROWS):
        yield rows[start : start + WINDOW_ROWS]


def pack(width_by_key: Mapping[int, int], most_tokens: int, most_rows: int = 0) -> list[list[int]]:
    """Return the keys in batches of at most `most_tokens` with padding, the largest batch first.

    Memory so peaks at once. A row wider than `most_tokens` is a batch of its own; `most_rows` 0 is no limit.
    """
    keys = sorted(width_by_key, key=lambda key: (-width_by_key[key], key))
    widths = [width_by_key[key] for key in keys]
    ends: list[int] = []
    for price in PRICES:
        ends = _cut(widths, most_tokens, most_rows or len(widths), price)
        if _padded(widths, ends) <= (1 + WASTE) * sum(widths):
            break
    starts = [0, *ends[:-1]]
    order = sorted(range(len(ends)), key=lambda index: -widths[starts[index]] * (ends[index] - starts[index]))
    return [keys[starts[index] : ends[index]] for index in order]


def _cut(widths: Sequence[int], most_tokens: int, most_rows: int, price: int) -> list[int]:
    """Return where batches of falling widths end, so that padded tokens and `price` a batch are least.

    Dynamic programming over the last batch's begin.
    """
    cost = [0.0] + [float("inf")] * len(widths)
    begin = [0] * (len(widths) + 1)
    for start, width in enumerate(widths):
        most = min(len(widths) - start, most_rows, max(1, most_tokens // width))
        for count in range(1, most + 1):
            half = count // 2
            if (width - widths[start + half]) * (count - half) > price:
                break  # cutting this batch in two costs less, and any longer one too
            total = cost[start] + price + width * count
            if total < cost[start + count]:
                cost[start + count], begin[start + count] = total, start
    ends = []
    end = len(widths)
    while end:
        ends.append(end)
        end = begin[end]
    return ends[::-1]


def _padded(widths: Sequence[int], ends: Sequence[int]) -> int:
    return sum(widths[start] * (end - start) for start, end in zip([0, *ends], ends, strict=False))
