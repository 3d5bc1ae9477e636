"""Prompt lengths of the reference competition under the Llama 3 tokenizer, for tests and measurements."""

from __future__ import annotations

import numpy

TEMPLATE_TOKENS = 26
QUANTILES = {0.0: 8, 0.25: 90, 0.5: 150, 0.75: 210, 0.95: 409, 0.99: 578, 1.0: 1055}
"""Median, 95 %, 99 % and longest sentence as published; the others are set so that the mean is 177."""


def lengths(count: int) -> list[int]:
    """Return `count` prompt lengths in tokens, evenly spread over the quantiles, the longest among them."""
    shares = [(index + 0.5) / count for index in range(count - 1)] + [1.0]
    sentences = numpy.interp(shares, [*QUANTILES], [*QUANTILES.values()])
    return [TEMPLATE_TOKENS + round(sentence) for sentence in sentences]
