"""Thresholds on P(fake), fitted on validation scores and stored with the model."""

import math

import numpy as np
from sklearn.metrics import precision_recall_curve
from transformers import PreTrainedModel

RATES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


def best_f1_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the threshold with the best F1 on the precision-recall curve (reference system S2's rule).

    Args:
        scores: P(fake), of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.
    """
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[int(f1[:-1].argmax())])


def fpr_thresholds(real_scores: np.ndarray) -> dict[str, float]:
    """Return, for each rate that the sample is large enough for, the score from which an image may be called fake.

    Split conformal calibration (Vovk et al., 2005): with n real scores, the ceil((n + 1)(1 - rate))-th smallest bounds
    the false-positive rate on exchangeable photographs by `rate`, for every n. Photographs of another kind than the
    validation split's are not exchangeable with it, and the bound does not hold for them.

    Args:
        real_scores: P(fake) of the validation split's real images, of shape `(count,)`.
    """
    scores = np.sort(real_scores)
    kept = {}
    for rate in RATES:
        rank = math.ceil((len(scores) + 1) * (1 - rate))
        if rank <= len(scores):
            # A verdict is "fake" from its threshold on, so that the threshold lies just above the score it bounds.
            kept[str(rate)] = float(np.nextafter(np.float32(scores[rank - 1]), np.float32(2)))
    return kept


def calibrate(model: PreTrainedModel, scores: np.ndarray, labels: np.ndarray, rule: str) -> None:
    """Write the thresholds into a model's config.

    Args:
        model: Gets `decision_threshold` and `fpr_thresholds`.
        scores: P(fake) on the validation split, of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.
        rule: A number for the decision threshold, or "best_f1".
    """
    model.config.decision_threshold = best_f1_threshold(scores, labels) if rule == "best_f1" else float(rule)
    model.config.fpr_thresholds = fpr_thresholds(scores[labels == 0])
