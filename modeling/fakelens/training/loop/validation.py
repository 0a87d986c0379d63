"""A run's validation split: scored, and what the model's calibration takes from it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from fakelens.data.decode import decode_image
from fakelens.data.sources.labels import FAKE
from fakelens.data.sources.opening import row_bytes
from fakelens.data.sources.skips import SkipLog
from fakelens.inference.detector import Detector, p_fake
from fakelens.metrics.detection import detection_metrics
from fakelens.training.calibration.calibration import score_images
from fakelens.training.calibration.refit import refit
from fakelens.training.data.examples import Prepare
from fakelens.training.data.training_data import TrainingData

METRICS = ("accuracy", "precision", "recall", "f1", "auroc")


def calibrate(detector: Detector, data: TrainingData, rule: str, method: str = "temperature") -> dict[str, Any]:
    """Score the validation split, calibrate the model on it, and return its metrics there.

    Args:
        detector: Its model is calibrated in place.
        data: Whose validation split to use.
        rule: For the decision threshold: a number, "best_f1" or "max_fpr:RATE".
        method: One of `fakelens.training.calibration.thresholds.METHODS`.

    Returns:
        Accuracy, precision, recall and F1 at 0.5, and AUROC, on the validation split; and under `calibration` what
        `refit` returns.

    Raises:
        UserError: If scores are not numbers, or there are too few real images for the rule's rate.
    """
    scored = score_images(detector, _validation_images(data))
    record = refit(detector, scored, rule, method)
    metrics = detection_metrics(p_fake(scored.probabilities), scored.labels, 0.5)
    return {name: metrics[name] for name in METRICS} | {"calibration": record}


def measure_validation(detector: Detector, data: TrainingData) -> dict[str, Any]:
    """Return how a detector does on the validation split, at its own threshold and band.

    Args:
        detector: The detector.
        data: Whose validation split to use.

    Returns:
        `real` and `fake` (images), `auroc`, `accuracy`, `recall`, `false_positive_rate`, `threshold`, `decided` (the
        fraction that is not uncertain) and `wrong` (the fraction of these that is misclassified; None if there are
        none).
    """
    scores, labels = score_validation(detector, data)
    metrics = detection_metrics(scores, labels, detector.threshold)
    words = detector.thresholds().verdicts(scores)
    fake, real = words == "fake", words == "real"
    wrong = (fake & (labels != FAKE)) | (real & (labels == FAKE))
    decided = int((fake | real).sum())
    return {name: metrics[name] for name in ("real", "fake", "auroc", "accuracy", "recall")} | {
        "false_positive_rate": 1 - float(metrics["specificity"] or 0),
        "threshold": detector.threshold,
        "decided": decided / len(labels),
        "wrong": float(wrong.sum() / decided) if decided else None,
    }


def score_validation(detector: Detector, data: TrainingData) -> tuple[np.ndarray, np.ndarray]:
    """Return P(fake) and labels of the validation split, each of shape `(count,)`."""
    scored = score_images(detector, _validation_images(data))
    return p_fake(scored.probabilities), scored.labels


def _validation_images(data: TrainingData) -> Iterator[tuple[Image.Image, int]]:
    rows = data.validation_set(Prepare(None, data.classes, SkipLog())).rows
    return ((decode_image(row_bytes(row["image"])).image, row["label"]) for row in rows)
