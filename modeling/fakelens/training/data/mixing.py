"""Several sources read as one: training data in fixed fractions, validation data side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import datasets

from fakelens.data.sources.opening import Source


@dataclass(frozen=True)
class Part:
    """One source of a mixture.

    Attributes:
        source: Where its rows come from.
        fraction: Of all rows of the mixture, in (0, 1], how many are its.
        is_complete: Whether an epoch reads it to its end; False for what only goes along, however long it is.
    """

    source: Source
    fraction: float
    is_complete: bool = True


def mix(parts: Sequence[Part], seed: int) -> Source:
    """Return one source whose rows are drawn from several, each at its fraction.

    The stream ends when every source has been read to its end; until then the shorter ones begin again. The draw is by
    the seed, so that a resumed run meets the same rows.

    Args:
        parts: The first gives its name; each has at least one row, and their fractions add up to 1.
        seed: Of the draw.

    Returns:
        The mixture. Its `rows` are those of an epoch; None if a source that it reads to the end does not say.
    """
    first = parts[0].source
    if len(parts) == 1:
        return first
    stream = datasets.interleave_datasets(
        [part.source.stream for part in parts],
        probabilities=[part.fraction for part in parts],
        seed=seed,
        stopping_strategy="all_exhausted",
    )
    lengths = [
        None if p.source.rows is None else max(1, round(p.source.rows / p.fraction)) for p in parts if p.is_complete
    ]
    rows = None if None in lengths else max((length for length in lengths if length is not None), default=None)
    fractions: dict[str, float] = {}
    for part in parts:
        fractions[part.source.description] = fractions.get(part.source.description, 0) + part.fraction
    own = fractions.pop(first.description)
    others = ", ".join(f"{fraction:.0%} of {description}" for description, fraction in fractions.items())
    description = f"{first.description}, with {others}" if own < 1 and others else first.description
    shards = tuple(shard for part in parts for shard in part.source.shards)
    return replace(first, stream=stream, rows=rows, description=description, shards=shards)


def side_by_side(sources: Sequence[Source]) -> Source:
    """Return one source with all rows of several, in turns, so that its start holds some of each.

    Args:
        sources: At least one; the first gives the split's name.
    """
    if len(sources) == 1:
        return sources[0]
    stream = datasets.interleave_datasets(
        [source.stream for source in sources],
        probabilities=[1 / len(sources)] * len(sources),
        seed=0,
        stopping_strategy="all_exhausted_without_replacement",
    )
    counts = [source.rows for source in sources]
    rows = None if None in counts else sum(count for count in counts if count is not None)
    specs = " and ".join(dict.fromkeys(source.spec for source in sources))
    shards = tuple(shard for source in sources for shard in source.shards)
    return replace(sources[0], spec=specs, stream=stream, rows=rows, shards=shards)
