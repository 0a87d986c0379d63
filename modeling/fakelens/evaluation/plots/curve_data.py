"""The numbers behind the plots of one view: ROC, precision and recall, histogram by class."""

from typing import Any

import numpy as np
from sklearn import metrics

from fakelens.data.sources.labels import FAKE, REAL

POINTS = 200  # of a curve, at most
BINS = np.linspace(0, 1, 21)  # of the histogram


def curve_data(scores: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return the curves of a detector on one view.

    Args:
        scores: P(fake) in [0, 1], of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.

    Returns:
        `histogram` (`edges` of its 20 bins, images in each by class as `real` and `fake`); where both classes are
        there, `roc` (`false_positive_rate`, `true_positive_rate`) and `precision_recall` (`precision`, `recall`),
        each of 200 points at most, spread evenly over those that change the curve.
    """
    counts = {name: np.histogram(scores[labels == label], BINS)[0] for name, label in (("real", REAL), ("fake", FAKE))}
    found: dict[str, Any] = {"histogram": {"edges": BINS.tolist()} | {k: v.tolist() for k, v in counts.items()}}
    if len(np.unique(labels)) == 2:
        fpr, tpr, _ = metrics.roc_curve(labels, scores)
        precision, recall, _ = metrics.precision_recall_curve(labels, scores, drop_intermediate=True)
        found["roc"] = {"false_positive_rate": _thinned(fpr), "true_positive_rate": _thinned(tpr)}
        found["precision_recall"] = {"precision": _thinned(precision), "recall": _thinned(recall)}
    return found


def _thinned(values: np.ndarray) -> list[float]:
    """Keep the first, the last and evenly many between."""
    chosen = np.linspace(0, len(values) - 1, min(POINTS, len(values))).round().astype(int)
    return [float(value) for value in values[chosen]]
