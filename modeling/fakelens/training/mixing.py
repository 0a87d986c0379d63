"""Further data mixed into the training split at a fixed share, such as pairs made by `scripts/reconstruct.py`."""

from collections.abc import Sequence
from dataclasses import replace

import datasets

from fakelens.data.sources import Source


def mix(train: Source, extra: Sequence[Source], share: float, seed: int) -> Source:
    """Return the training split with rows of other sources drawn in between.

    A pass ends when every source has been read to its end; until then the shorter ones begin again. The draw is by the
    seed, so that a resumed run meets the same rows.

    Args:
        train: The training split.
        extra: What is mixed in, in equal parts.
        share: Of all rows, in (0, 1), how many come from `extra`.
        seed: Of the draw.
    """
    shares = [1 - share] + [share / len(extra)] * len(extra)
    sources = [train, *extra]
    stream = datasets.interleave_datasets(
        [source.stream for source in sources], probabilities=shares, seed=seed, stopping_strategy="all_exhausted"
    )
    rows = None
    if all(source.rows is not None for source in sources):
        rows = max(round((source.rows or 0) / part) for source, part in zip(sources, shares, strict=True))
    names = ", ".join(source.description for source in extra)
    return replace(train, stream=stream, rows=rows, description=f"{train.description}, with {share:.0%} of {names}")
