"""A detector's metrics in many resamples of one sample at once.

A resample is how often each image was drawn. Scores are sorted once, after which every metric is made of running sums
of these counts, with ties as scikit-learn has them.
"""

from dataclasses import dataclass

import numpy as np

# Defined here, below `fakelens.metrics.detection`, which builds on this file.
ECE_BINS = 15  # of equal width on P(fake), as in Guo et al. (2017), who bin the confidence
FPR_CAPS = {"tpr_at_5_fpr": 0.05, "tpr_at_1_fpr": 0.01}

OF_REALS = frozenset({"specificity", "true_negatives", "false_positives"})
OF_FAKES = frozenset({"recall", "true_positives", "false_negatives"})
RANKING = ("auroc", "average_precision", *FPR_CAPS)

Replicates = dict[str, np.ndarray | None]  # a metric's value in every resample, of shape `(replicates,)`


@dataclass(frozen=True)
class Ranked:
    """What every resample asks of one class.

    Attributes:
        scores: P(fake), highest first, of shape `(count,)`.
        called: How many of them are called fake.
        residuals: Of shape `(count, ECE_BINS + 1)`: label minus score, in the column of the score's bin, and its
            square in the last one.
    """

    scores: np.ndarray
    called: int
    residuals: np.ndarray


@dataclass(frozen=True)
class Places:
    """Where the fakes of a group and the reals stand among each other.

    Attributes:
        reals_from: How many reals score as high as each fake or higher, of shape `(fakes,)`.
        reals_above: How many reals score higher than each fake, of shape `(fakes,)`.
        fakes_from: How many fakes score as high as each fake or higher, of shape `(fakes,)`.
        fakes_above: How many fakes score higher than each real, of shape `(reals,)`.
    """

    reals_from: np.ndarray
    reals_above: np.ndarray
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


def place(real: Ranked, fake: Ranked) -> Places:
    """Find where fakes and reals stand among each other.

    Args:
        real: The real images.
        fake: A group of fakes.
    """
    rising_reals, rising_fakes = real.scores[::-1], fake.scores[::-1]
    return Places(
        reals_from=len(rising_reals) - np.searchsorted(rising_reals, fake.scores, "left"),
        reals_above=len(rising_reals) - np.searchsorted(rising_reals, fake.scores, "right"),
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


def weighted_metrics(real: Ranked, fake: Ranked, placed: Places, reals: Tally, fakes: Tally) -> Replicates:
    """Compute the metrics of resamples.

    Args:
        real: The real images.
        fake: A group of fakes.
        placed: What `place` found of the two.
        reals: The resamples of the reals, as many drawn in each as there are.
        fakes: The resamples of the fakes, likewise.

    Returns:
        See `bootstrap`; every array of shape `(resamples,)`.
    """
    real_count, fake_count = len(real.scores), len(fake.scores)
    found: Replicates = {
        **_threshold_metrics(reals.running[:, real.called], fakes.running[:, fake.called], real_count, fake_count),
        **(_ranking_metrics(placed, reals, fakes) if real_count and fake_count else dict.fromkeys(RANKING)),
    }
    residuals = (reals.residuals + fakes.residuals) / (real_count + fake_count)
    # A bin's images x |share of fakes - mean score| is |sum of label - score|.
    found["ece"], found["brier"] = np.abs(residuals[:, :-1]).sum(axis=1), residuals[:, -1]
    for name in found:
        counts = {real_count} if name in OF_REALS else {fake_count} if name in OF_FAKES else {real_count, fake_count}
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
    for (precision, recall, f1), right, called, count in (
        (("precision", "recall", "f1"), true_positives, true_positives + false_positives, fake_count),
        (("precision_real", "specificity", "f1_real"), true_negatives, true_negatives + false_negatives, real_count),
    ):
        found[precision] = right / np.maximum(called, 1) if count else None
        found[recall] = right / count if count else None
        found[f1] = 2 * right / (called + count) if count else None
    return found


def _ranking_metrics(placed: Places, reals: Tally, fakes: Tally) -> Replicates:
    real_count, fake_count = len(placed.fakes_above), len(placed.reals_from)
    rows = np.arange(len(reals.running))
    from_here = np.take(reals.running, placed.reals_from, axis=1)
    # A real above a fake is an error of the ranking, one beside it half an error.
    errors = np.einsum("ij,ij->i", fakes.weights, from_here)
    if (placed.reals_from != placed.reals_above).any():
        above = np.take(reals.running, placed.reals_above, axis=1)
        errors = (errors + np.einsum("ij,ij->i", fakes.weights, above)) / 2
    found: Replicates = {"auroc": 1 - errors / (real_count * fake_count)}
    for name, cap in FPR_CAPS.items():
        allowed = _most(cap, real_count)
        # The real that is one too many: only fakes above it are found.
        first = np.array([np.searchsorted(row, allowed, "right") - 1 for row in reals.running])
        found[name] = fakes.running[rows, placed.fakes_above[first]] / fake_count
    hits = np.take(fakes.running, placed.fakes_from, axis=1)
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
    """Return how many of `count` are at most a share of `cap`."""
    most = int(cap * count) + 1
    return most if most / count <= cap else most - 1
