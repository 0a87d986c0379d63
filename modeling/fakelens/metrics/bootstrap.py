"""Bootstrap intervals of a detector's metrics.

Real images and fakes are resampled separately (stratified), so that every resample has the sample's own class counts:
how many of each a test set has was chosen, not drawn, and accuracy, precision and calibration hang on that ratio. The
intervals are percentile intervals (Efron & Tibshirani, 1993, chapter 13), but for ECE, see `interval`.

`scipy.stats.bootstrap` draws the same ones, but calls a Python function for each metric, group and resample, which
takes hundreds of times as long. Here a resample is how often each image was drawn; scores are sorted once, after which
every metric is made of running sums of these counts, with ties as scikit-learn has them, for many resamples at a time.
What generators share, the real images, is resampled once for all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fakelens.data.sources.labels import FAKE, REAL

ECE_BINS = 15  # of equal width on P(fake), as in Guo et al. (2017), who bin the confidence
FPR_CAPS = {"tpr_at_5_fpr": 0.05, "tpr_at_1_fpr": 0.01}

OF_REAL = frozenset({"specificity", "true_negatives", "false_positives"})
OF_FAKES = frozenset({"recall", "true_positives", "false_negatives"})
RANKING = ("auroc", "average_precision", *FPR_CAPS)

Replicates = dict[str, np.ndarray | None]  # a metric's value in every resample, of shape `(replicates,)`

REPLICATES = 1000
FEWEST = 200  # of a large sample; they place an end to about a tenth of the interval's half-width
DRAWS = 20_000_000  # beyond this many, seconds a view, resamples become fewer
LEVEL = 0.95
METHOD = "bootstrap of real images and fakes apart; percentiles, for ECE reflected at its value"
WEIGHTS_AT_ONCE = 2**20  # 8 MB an array; larger ones leave the cache and are slower

Interval = list[float] | None  # low and high end


@dataclass(frozen=True)
class Ranked:
    """What every resample asks of one class.

    Attributes:
        scores: P(fake), highest first, of shape `(count,)`.
        predicted_fake: How many of them are predicted fake.
        residuals: Of shape `(count, ECE_BINS + 1)`: label minus score, in the column of the score's bin, and its
            square in the last one.
    """

    scores: np.ndarray
    predicted_fake: int
    residuals: np.ndarray


@dataclass(frozen=True)
class CrossRanks:
    """Where the fakes of a group and the real images stand among each other.

    Attributes:
        real_from: How many real images score as high as each fake or higher, of shape `(fakes,)`.
        real_above: How many real images score higher than each fake, of shape `(fakes,)`.
        fakes_from: How many fakes score as high as each fake or higher, of shape `(fakes,)`.
        fakes_above: How many fakes score higher than each real, of shape `(real_scores,)`.
    """

    real_from: np.ndarray
    real_above: np.ndarray
    fakes_from: np.ndarray
    fakes_above: np.ndarray


@dataclass(frozen=True)
class Tally:
    """Counts of one class in several resamples.

    Attributes:
        weights: How often each image was drawn, of shape `(resamples, count)`.
        running: Their sums over the first 0, 1, ... images, of shape `(resamples, count + 1)`.
        residuals: The weighted sums of `Ranked.residuals`, of shape `(resamples, ECE_BINS + 1)`.
    """

    weights: np.ndarray
    running: np.ndarray
    residuals: np.ndarray


def bootstrap(
    real_scores: np.ndarray, fakes: Sequence[np.ndarray], threshold: float, replicates: int, rng: np.random.Generator
) -> list[Replicates]:
    """Compute the metrics of groups of images in resamples; the groups share their real images and the draws of these.

    Args:
        real_scores: P(fake) in [0, 1] of the real images, of shape `(real_scores,)`.
        fakes: P(fake) in [0, 1] of each group's fake images, each of shape `(fakes,)`.
        threshold: P(fake) from which the verdict is "fake", in [0, 1].
        replicates: Number of resamples.
        rng: Where the draws come from.

    Returns:
        Of each group the rates and counts of `fakelens.metrics.detection.detection_metrics`, but `count`, `real`
        and `fake`, which no resample changes. None is what is undefined, and what rests on a class of a single image,
        whose resamples are all alike.
    """
    real, groups = rank(real_scores, REAL, threshold), [rank(scores, FAKE, threshold) for scores in fakes]
    cross_ranks = [cross_rank(real, group) for group in groups]
    streams = rng.spawn(1 + len(groups))
    at_once = max(1, WEIGHTS_AT_ONCE // max(1, len(real_scores), *(len(scores) for scores in fakes)))
    parts: list[list[Replicates]] = [[] for _ in groups]
    for start in range(0, replicates, at_once):
        size = min(at_once, replicates - start)
        drawn_real = tally(real, _draw(streams[0], size, len(real_scores)))
        for group, ranks, stream, part in zip(groups, cross_ranks, streams[1:], parts, strict=True):
            drawn = tally(group, _draw(stream, size, len(group.scores)))
            part.append(weighted_metrics(real, group, ranks, drawn_real, drawn))
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


def rank(scores: np.ndarray, label: int, threshold: float) -> Ranked:
    """Sort one class's scores.

    Args:
        scores: P(fake) in [0, 1], of shape `(count,)`.
        label: Of all of them.
        threshold: P(fake) from which the verdict is "fake", in [0, 1].
    """
    scores = np.sort(scores)[::-1]
    residuals = np.zeros((len(scores), ECE_BINS + 1))
    residuals[np.arange(len(scores)), calibration_bins(scores)] = label - scores
    residuals[:, -1] = (label - scores) ** 2
    return Ranked(scores, int((scores >= threshold).sum()), residuals)


def cross_rank(real: Ranked, fake: Ranked) -> CrossRanks:
    """Find where fakes and real images stand among each other.

    Args:
        real: The real images.
        fake: A group of fakes.
    """
    rising_real, rising_fakes = real.scores[::-1], fake.scores[::-1]
    return CrossRanks(
        real_from=len(rising_real) - np.searchsorted(rising_real, fake.scores, "left"),
        real_above=len(rising_real) - np.searchsorted(rising_real, fake.scores, "right"),
        fakes_from=len(rising_fakes) - np.searchsorted(rising_fakes, fake.scores, "left"),
        fakes_above=len(rising_fakes) - np.searchsorted(rising_fakes, real.scores, "right"),
    )


def tally(ranked: Ranked, weights: np.ndarray) -> Tally:
    """Sum one class's counts.

    Args:
        ranked: The class.
        weights: How often each of its images was drawn, of shape `(resamples, count)`.
    """
    running = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=running[:, 1:])
    return Tally(weights, running, weights @ ranked.residuals)


def weighted_metrics(real: Ranked, fake: Ranked, ranks: CrossRanks, real_scores: Tally, fakes: Tally) -> Replicates:
    """Compute the metrics of resamples.

    Args:
        real: The real images.
        fake: A group of fakes.
        ranks: What `cross_rank` found of the two.
        real_scores: The resamples of the real images, as many drawn in each as there are.
        fakes: The resamples of the fakes, likewise.

    Returns:
        See `bootstrap`; every array of shape `(resamples,)`.
    """
    real_count, fake_count = len(real.scores), len(fake.scores)
    found: Replicates = {
        **_threshold_metrics(
            real_scores.running[:, real.predicted_fake], fakes.running[:, fake.predicted_fake], real_count, fake_count
        ),
        **(_ranking_metrics(ranks, real_scores, fakes) if real_count and fake_count else dict.fromkeys(RANKING)),
    }
    residuals = (real_scores.residuals + fakes.residuals) / (real_count + fake_count)
    # A bin's images x |fraction of fakes - mean score| is |sum of label - score|.
    found["ece"], found["brier"] = np.abs(residuals[:, :-1]).sum(axis=1), residuals[:, -1]
    for name in found:
        counts = {real_count} if name in OF_REAL else {fake_count} if name in OF_FAKES else {real_count, fake_count}
        if 1 in counts:
            found[name] = None
    return found


def _threshold_metrics(
    false_positives: np.ndarray, true_positives: np.ndarray, real_count: int, fake_count: int
) -> Replicates:
    true_negatives, false_negatives = real_count - false_positives, fake_count - true_positives
    found: Replicates = {
        "accuracy": (true_negatives + true_positives) / (real_count + fake_count),
        "true_negatives": true_negatives,
        "false_positives": false_positives,
        "false_negatives": false_negatives,
        "true_positives": true_positives,
        "misclassified": false_positives + false_negatives,
    }
    for (precision, recall, f1), right, predicted_fake, count in (
        (("precision", "recall", "f1"), true_positives, true_positives + false_positives, fake_count),
        (("precision_real", "specificity", "f1_real"), true_negatives, true_negatives + false_negatives, real_count),
    ):
        found[precision] = right / np.maximum(predicted_fake, 1) if count else None
        found[recall] = right / count if count else None
        found[f1] = 2 * right / (predicted_fake + count) if count else None
    return found


def _ranking_metrics(ranks: CrossRanks, real_scores: Tally, fakes: Tally) -> Replicates:
    real_count, fake_count = len(ranks.fakes_above), len(ranks.real_from)
    rows = np.arange(len(real_scores.running))
    from_here = np.take(real_scores.running, ranks.real_from, axis=1)
    # A real above a fake is an error of the ranking, one beside it half an error.
    errors = np.einsum("ij,ij->i", fakes.weights, from_here)
    if (ranks.real_from != ranks.real_above).any():
        above = np.take(real_scores.running, ranks.real_above, axis=1)
        errors = (errors + np.einsum("ij,ij->i", fakes.weights, above)) / 2
    found: Replicates = {"auroc": 1 - errors / (real_count * fake_count)}
    for name, cap in FPR_CAPS.items():
        allowed = _most(cap, real_count)
        # The real that is one too many: only fakes above it are found.
        first = np.array([np.searchsorted(row, allowed, "right") - 1 for row in real_scores.running])
        found[name] = fakes.running[rows, ranks.fakes_above[first]] / fake_count
    hits = np.take(fakes.running, ranks.fakes_from, axis=1)
    from_here += hits
    np.maximum(from_here, 1, out=from_here)  # nothing was drawn from here up: nor was this fake, it weighs nothing
    hits /= from_here
    found["average_precision"] = np.einsum("ij,ij->i", fakes.weights, hits) / fake_count
    return found


def calibration_bins(scores: np.ndarray) -> np.ndarray:
    """Return the bin of each score, from 0 to `ECE_BINS - 1`, of shape `(count,)`.

    Args:
        scores: P(fake) in [0, 1], of shape `(count,)`.
    """
    return np.minimum((np.asarray(scores) * ECE_BINS).astype(int), ECE_BINS - 1)  # 1.0 belongs to the last one


def _most(cap: float, count: int) -> int:
    """Return how many of `count` are at most a fraction of `cap`."""
    most = int(cap * count) + 1
    return most if most / count <= cap else most - 1
