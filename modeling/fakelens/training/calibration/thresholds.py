"""Thresholds on P(fake) and the uncertain band between them, from validation scores and labels.

Rates are kept by split conformal calibration (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World",
2005), for each class by its own images alone (Mondrian, class-conditional). Of n images of a class and a new one like
them, each is equally likely to have the k-th smallest score. So the new one lies beyond the k-th from the far end with
a probability of at most k / (n + 1): for every n, whatever the detector, without a word about how scores are
distributed. The probability is over both the validation images and the new one. It says nothing of images that are
not exchangeable with the validation split's: another camera, another generator.
"""

import math

import numpy as np
from sklearn.metrics import precision_recall_curve

from fakelens.data.sources.labels import FAKE, REAL
from fakelens.errors import UserError

RATES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
MAX_FPR = MAX_MISS = 0.05  # of the uncertain band, where nobody asks for other rates
METHODS = ("temperature", "platt", "none")  # one temperature; with a bias too; scores left as they are
BEST_F1, MAX_FPR_RULE = "best_f1", "max_fpr:"


def check_rule(rule: str) -> None:
    """Refuse what is no rule for the decision threshold.

    Args:
        rule: A number in [0, 1], `best_f1`, or `max_fpr:RATE` with a rate between 0 and 1.

    Raises:
        UserError: With the rules that there are.
    """
    if rule == BEST_F1:
        return
    number = rule.removeprefix(MAX_FPR_RULE)
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not (0 <= value <= 1 if number == rule else 0 < value < 1):
        raise UserError(f"decision_threshold is {rule!r}; it is in [0, 1], or best_f1, or max_fpr:RATE.")


def check_method(method: str) -> None:
    """Refuse what is no way to calibrate scores.

    Args:
        method: One of `METHODS`.

    Raises:
        UserError: With the ways that there are.
    """
    if method not in METHODS:
        raise UserError(f"calibration is {method!r}; it is {', '.join(METHODS[:-1])} or {METHODS[-1]}.")


def check_rates(max_fpr: float, max_miss: float) -> None:
    """Refuse rates of errors that are none.

    Args:
        max_fpr: Fraction of real images that may be predicted fake.
        max_miss: Fraction of fakes that may be predicted real.

    Raises:
        UserError: If one is not between 0 and 1.
    """
    for name, rate in (("max_fpr", max_fpr), ("max_miss", max_miss)):
        if not 0 < rate < 1:
            raise UserError(f"{name} is {rate:g}; it is a fraction of images, above 0 and below 1.")


def decision_threshold(rule: str, scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the P(fake) from which an image is predicted fake.

    Args:
        rule: What `check_rule` takes: a number, `best_f1`, or `max_fpr:RATE` for the lowest threshold with at most
            that false-positive rate.
        scores: P(fake) of validation images, of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.

    Raises:
        UserError: If it is no rule, or there are too few real images for its rate.
    """
    check_rule(rule)
    if rule == BEST_F1:
        return best_f1_threshold(scores, labels)
    if not rule.startswith(MAX_FPR_RULE):
        return float(rule)
    rate, real_scores = float(rule.removeprefix(MAX_FPR_RULE)), scores[labels == REAL]
    threshold = fake_from(real_scores, rate)
    if threshold is None:
        raise UserError(f"decision_threshold is {rule}. {_too_few('real', len(real_scores), rate)}")
    if threshold > 1:
        raise UserError(f"decision_threshold is {rule}, but more than that fraction of real images have the score 1.")
    return threshold


def best_f1_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the threshold with the best F1 on the precision-recall curve (reference system S2's rule).

    Args:
        scores: P(fake), of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.
    """
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[int(f1[:-1].argmax())])


def fake_from(real_scores: np.ndarray, rate: float) -> float | None:
    """Return the score from which on at most `rate` of new real images are predicted fake.

    Args:
        real_scores: P(fake) of the validation split's real images, of shape `(count,)`.
        rate: In (0, 1).

    Returns:
        The number just above the score that it bounds, which is above 1 where that score is 1; None if there are too
        few images, see `images_needed`.
    """
    allowed = _allowed(len(real_scores), rate)
    return float(np.nextafter(np.sort(real_scores)[-allowed], np.inf, dtype=np.float64)) if allowed else None


def real_below(fake_scores: np.ndarray, rate: float) -> float | None:
    """Return the score below which at most `rate` of new fakes are predicted real.

    Args:
        fake_scores: P(fake) of the validation split's fakes, of shape `(count,)`.
        rate: In (0, 1).

    Returns:
        The score; None if there are too few images, see `images_needed`.
    """
    allowed = _allowed(len(fake_scores), rate)
    return float(np.sort(fake_scores)[allowed - 1]) if allowed else None


def fpr_thresholds(real_scores: np.ndarray) -> dict[str, float]:
    """Return `fake_from` for each of the usual rates that the sample is large enough for.

    Args:
        real_scores: P(fake) of the validation split's real images, of shape `(count,)`.
    """
    found = {str(rate): fake_from(real_scores, rate) for rate in RATES}
    return {rate: threshold for rate, threshold in found.items() if threshold is not None}


def uncertain_band(
    scores: np.ndarray, labels: np.ndarray, threshold: float, max_fpr: float = MAX_FPR, max_miss: float = MAX_MISS
) -> list[float] | None:
    """Return `[low, high]`: an image is real below `low`, fake from `high` on, and uncertain between them.

    At most `max_fpr` of new real images are predicted fake, and at most `max_miss` of new fakes are predicted real.
    The decision threshold always lies in the band, so that no certain verdict goes against it; moving an end outwards
    to it only makes errors rarer. Where the classes are so far apart that both rates are kept without a band, any
    threshold between the two ends does, and the band is empty at it: `low` equals `high`.

    Args:
        scores: P(fake) of validation images, of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.
        threshold: The decision threshold, in [0, 1].
        max_fpr: Fraction of real images that may be predicted fake, in (0, 1).
        max_miss: Fraction of fakes that may be predicted real, in (0, 1).

    Returns:
        The band, `low <= threshold <= high`; None if there are too few images of a class, see `images_needed`.
    """
    low, high = real_below(scores[labels == FAKE], max_miss), fake_from(scores[labels == REAL], max_fpr)
    return None if low is None or high is None else [min(low, threshold), max(high, threshold)]


def images_needed(rate: float) -> int:
    """Return how many images of a class it takes to keep a rate on it: 1 / rate - 1.

    Args:
        rate: In (0, 1).
    """
    return math.ceil(1 / rate - 1 - 1e-9)


def check_counts(labels: np.ndarray, max_fpr: float, max_miss: float) -> None:
    """Refuse a sample that is too small for a band.

    Args:
        labels: 0 real, 1 fake, of shape `(count,)`.
        max_fpr: Fraction of real images that may be predicted fake, in (0, 1).
        max_miss: Fraction of fakes that may be predicted real, in (0, 1).

    Raises:
        UserError: With how many images are needed.
    """
    for name, label, rate in (("real", REAL, max_fpr), ("fake", FAKE, max_miss)):
        count = int((labels == label).sum())
        if not _allowed(count, rate):
            raise UserError(_too_few(name, count, rate))


def _allowed(count: int, rate: float) -> int:
    """Return how many of the images may lie beyond the threshold, or on it."""
    return math.floor((count + 1) * rate + 1e-9)


def _too_few(name: str, count: int, rate: float) -> str:
    needed = images_needed(rate)
    return (
        f"There are {count} {name} images, and to keep an error rate of {rate:g} on them takes at least {needed}. "
        "Give more images, or ask for a larger rate."
    )
