"""Bootstrap intervals of a detector's metrics.

Reals and fakes are resampled separately (stratified), so that every resample has the sample's own class counts: how
many of each a test set has was chosen, not drawn, and accuracy, precision and calibration hang on that ratio. The
intervals are percentile intervals (Efron & Tibshirani, 1993, chapter 13), but for ECE, see `interval`.

`scipy.stats.bootstrap` draws the same ones, but calls a Python function for each metric, group and resample, which
takes hundreds of times as long as `fakelens.metrics.bootstrap`. What generators share, the reals, is resampled once for all.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from fakelens.data.sources.labels import FAKE, REAL
from fakelens.metrics.bootstrap import Replicates, place, rank, tally, weighted_metrics

REPLICATES = 1000
FEWEST = 200  # of a large sample; they place an end to about a tenth of the interval's half-width
DRAWS = 20_000_000  # beyond this many, seconds a view, resamples become fewer
LEVEL = 0.95
METHOD = "bootstrap of reals and fakes apart; percentiles, for ECE reflected at its value"
WEIGHTS_AT_ONCE = 2**20  # 8 MB an array; larger ones leave the cache and are slower

Interval = list[float] | None  # low and high end


def bootstrap(
    reals: np.ndarray, fakes: Sequence[np.ndarray], threshold: float, replicates: int, rng: np.random.Generator
) -> list[Replicates]:
    """Compute the metrics of groups of images in resamples; the groups share their reals and the draws of these.

    Args:
        reals: P(fake) in [0, 1] of the real images, of shape `(reals,)`.
        fakes: P(fake) in [0, 1] of each group's fake images, each of shape `(fakes,)`.
        threshold: P(fake) from which the verdict is "fake", in [0, 1].
        replicates: Number of resamples.
        rng: Where the draws come from.

    Returns:
        Of each group the rates and counts of `fakelens.metrics.detection.detection_metrics`, but `count`, `real` and `fake`,
        which no resample changes. None is what is undefined, and what rests on a class of a single image, whose
        resamples are all alike.
    """
    real, groups = rank(reals, REAL, threshold), [rank(scores, FAKE, threshold) for scores in fakes]
    places = [place(real, group) for group in groups]
    streams = rng.spawn(1 + len(groups))
    at_once = max(1, WEIGHTS_AT_ONCE // max(1, len(reals), *(len(scores) for scores in fakes)))
    parts: list[list[Replicates]] = [[] for _ in groups]
    for start in range(0, replicates, at_once):
        size = min(at_once, replicates - start)
        drawn_reals = tally(real, _draw(streams[0], size, len(reals)))
        for group, placed, stream, part in zip(groups, places, streams[1:], parts, strict=True):
            drawn = tally(group, _draw(stream, size, len(group.scores)))
            part.append(weighted_metrics(real, group, placed, drawn_reals, drawn))
    return [{name: _join([one[name] for one in part]) for name in part[0]} for part in parts]


def replicates_for(images: int) -> int:
    """Return how many resamples a sample needs: 1,000, from 20,000 images on fewer, 200 at least.

    Args:
        images: Their number.
    """
    return min(REPLICATES, max(FEWEST, DRAWS // max(1, images)))


def intervals_of(replicates: Replicates, values: Mapping[str, float | int | None]) -> dict[str, Interval]:
    """Return the interval of every metric that was resampled.

    Args:
        replicates: A group's, from `bootstrap`.
        values: The metrics of the sample itself, from `fakelens.metrics.detection.detection_metrics`.
    """
    around = {"ece": values["ece"]}
    return {name: interval(replicates[name], around.get(name)) for name in values if name in replicates}


def interval(values: np.ndarray | None, around: float | None = None) -> Interval:
    """Return the 95 % interval of resampled values.

    Args:
        values: Of shape `(replicates,)`, or None where the metric has no interval.
        around: The sample's own value, for a statistic that noise pushes one way. A resample has the sample's noise
            and its own, so that the ECE of a calibrated detector is larger in nearly every resample than in the
            sample, and its percentiles lie above the truth. The basic interval reflects them at the sample's value;
            it starts at 0 at the lowest and is stretched to hold that value.

    Returns:
        Its ends, from the percentiles 2.5 and 97.5.
    """
    if values is None:
        return None
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    if around is None:
        return [low, high]
    return [min(max(0.0, 2 * around - high), around), max(2 * around - low, around)]


def behind(ends: Sequence[float] | None) -> str:
    """Write an interval as it stands behind its number in tables and sentences.

    Args:
        ends: Low and high end; None where there is no interval, of which nothing is written.
    """
    return "" if ends is None else f" ({ends[0]:.3f} to {ends[1]:.3f})"


def _draw(rng: np.random.Generator, resamples: int, count: int) -> np.ndarray:
    """Return how often each of `count` images is drawn in `count` draws, of shape `(resamples, count)`."""
    if not count:
        return np.zeros((resamples, 0))
    drawn = rng.integers(0, count, (resamples, count))
    drawn += count * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * count).reshape(resamples, count).astype(np.float64)


def _join(parts: list[np.ndarray | None]) -> np.ndarray | None:
    arrays = [part for part in parts if part is not None]
    return np.concatenate(arrays) if arrays else None
