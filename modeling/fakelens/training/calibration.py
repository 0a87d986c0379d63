"""Thresholds on P(fake), fitted on validation scores and stored with the model."""

import math
from itertools import islice

import numpy as np
from sklearn.metrics import precision_recall_curve

from fakelens.data.decode import decode_image
from fakelens.data.labels import REAL
from fakelens.data.skips import SkipLog
from fakelens.data.sources import row_bytes
from fakelens.detector import BATCH_SIZE, Detector
from fakelens.metrics import detection_metrics
from fakelens.training.data import TrainingData
from fakelens.training.examples import Prepare

METRICS = ("accuracy", "precision", "recall", "f1", "auroc")
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


def calibrate(detector: Detector, data: TrainingData, rule: str) -> dict[str, float | int | None]:
    """Score the validation split, write the thresholds into the model's config, and return its metrics there.

    Args:
        detector: Its model's config gets `decision_threshold` and `fpr_thresholds`.
        data: Whose validation split to use.
        rule: A number for the decision threshold, or "best_f1".

    Returns:
        Accuracy, precision, recall and F1 at 0.5, and AUROC, on the validation split.
    """
    scores, labels = score_validation(detector, data)
    config = detector.model.config
    config.decision_threshold = best_f1_threshold(scores, labels) if rule == "best_f1" else float(rule)
    config.fpr_thresholds = fpr_thresholds(scores[labels == REAL])
    metrics = detection_metrics(scores, labels, 0.5)
    return {name: metrics[name] for name in METRICS}


def score_validation(detector: Detector, data: TrainingData) -> tuple[np.ndarray, np.ndarray]:
    """Return P(fake) and labels of the validation split, each of shape `(count,)`."""
    rows = data.validation_set(Prepare(None, data.classes, SkipLog())).rows
    pictures = (decode_image(row_bytes(row["image"])).image for row in rows)
    scores = []
    while batch := list(islice(pictures, BATCH_SIZE)):
        scores.append(detector.scores(batch))
    return np.concatenate(scores), np.array([row["label"] for row in rows])
