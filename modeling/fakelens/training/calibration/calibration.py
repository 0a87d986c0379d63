"""A trained model's temperature, thresholds and uncertain band, from a split that no result is reported on.

The model carries them in its config: `logit_temperature` (or, folded into a native class's last layer,
`calibrated_temperature`), `decision_threshold`, `fpr_thresholds`, `uncertain_band`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image

from fakelens.data.sources.labels import FAKE, REAL
from fakelens.errors import UserError
from fakelens.inference.detector import BATCH_SIZE, Detector, p_fake
from fakelens.metrics.detection import detection_metrics, reliability
from fakelens.training.calibration.platt import apply_bias, bias_effect, fit_platt, shifted
from fakelens.training.calibration.temperature import (
    BOUNDS,
    apply_temperature,
    at_temperature,
    fit_temperature,
    negative_log_likelihood,
    separated,
)
from fakelens.training.calibration.thresholds import (
    MAX_FPR,
    MAX_MISS,
    decision_threshold,
    fpr_thresholds,
    uncertain_band,
)


@dataclass(frozen=True)
class Scored:
    """What a detector said of labelled images.

    Attributes:
        probabilities: Of the detector's classes, of shape `(count, classes)`, "real" first.
        labels: 0 real, 1 fake, of shape `(count,)`.
        images: The first few of them.
        effect: How much of a bias each one's log-odds feel, of shape `(count,)`; 1 for all.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    images: list[Image.Image]
    effect: np.ndarray | float = 1.0


def fit(
    detector: Detector,
    scored: Scored,
    rule: str,
    method: str = "temperature",
    max_fpr: float = MAX_FPR,
    max_miss: float = MAX_MISS,
) -> dict[str, Any]:
    """Fit temperature, then thresholds and band on the calibrated scores, and write them into the model.

    Args:
        detector: Its model is calibrated in place. One that was calibrated before is calibrated anew: on the same
            images nothing changes.
        scored: What the detector said of images that no result will be reported on.
        rule: For the decision threshold: a number, "best_f1" or "max_fpr:RATE".
        method: One of `fakelens.training.calibration.thresholds.METHODS`.
        max_fpr: Fraction of real images that may be predicted fake outside the band, in (0, 1).
        max_miss: Fraction of fakes that may be predicted real outside the band, in (0, 1).

    Returns:
        The record, as JSON takes it: `temperature` (all that the logits are divided by), `bias` (what was now added to
        the log-odds of "fake" by way of the last layer; 0 but by "platt"), `count`, `real`, `fake`;
        `before` and `after`, each `ece`, `brier`, `nll` and `bins`; `rule`, `decision_threshold`, `fpr_thresholds`,
        `uncertain_band` (None where images are too few for it), `max_fpr`, `max_miss`, and `notes` for a person.

    Raises:
        UserError: If scores are not numbers, or there are too few real images for the rule's rate.
    """
    labels = scored.labels
    notes: list[str] = []
    before = measure(scored.probabilities, labels)  # first: it checks the scores
    probabilities, bias = scored.probabilities, 0.0
    if method == "platt":
        notes, probabilities, bias = _apply_platt(detector, scored)
    elif method == "temperature":
        notes, factor = _apply(detector, scored)
        probabilities = at_temperature(probabilities, factor)
    scores = p_fake(probabilities)
    config = detector.model.config
    config.decision_threshold = decision_threshold(rule, scores, labels)
    config.fpr_thresholds = fpr_thresholds(scores[labels == REAL])
    config.uncertain_band = uncertain_band(scores, labels, config.decision_threshold, max_fpr, max_miss)
    if config.uncertain_band is None:
        notes.append("too few images of a class for an uncertain band: verdicts are real and fake alone")
    detector.read_config()
    return {
        "temperature": detector.temperature,
        "bias": bias,
        "count": len(labels),
        "real": int((labels == REAL).sum()),
        "fake": int((labels == FAKE).sum()),
        "before": before,
        "after": measure(probabilities, labels),
        "rule": rule,
        "decision_threshold": config.decision_threshold,
        "fpr_thresholds": config.fpr_thresholds,
        "uncertain_band": config.uncertain_band,
        "max_fpr": max_fpr,
        "max_miss": max_miss,
        "notes": notes,
    }


def measure(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return how well probabilities are calibrated.

    Args:
        probabilities: Of each class, of shape `(count, classes)`, "real" first.
        labels: 0 real, 1 fake, of shape `(count,)`.

    Returns:
        `ece`, `brier`, `nll`, and `bins`: of each bin that holds images its `score` (mean P(fake)),
        `fake_fraction` and `count`.

    Raises:
        UserError: If there are no images, or scores that are not numbers.
    """
    scores = p_fake(probabilities)
    metrics = detection_metrics(scores, labels, 0.5)
    bins = zip(*(part.tolist() for part in reliability(scores.clip(0, 1), labels)), strict=True)
    return {
        "ece": metrics["ece"],
        "brier": metrics["brier"],
        "nll": negative_log_likelihood(probabilities, labels),
        "bins": [{"score": score, "fake_fraction": fraction, "count": count} for score, fraction, count in bins],
    }


def score_images(detector: Detector, images: Iterable[tuple[Image.Image, int]]) -> Scored:
    """Return what a detector says of images, a batch in memory at a time.

    Args:
        detector: The detector.
        images: Images with their labels, 0 real, 1 fake.

    Raises:
        UserError: If there are none.
    """
    waiting, probabilities, labels, effects = iter(images), [], [], []
    first: list[Image.Image] = []
    while batch := list(islice(waiting, BATCH_SIZE)):
        batch_images = [image for image, _ in batch]
        first = first or batch_images
        inputs = detector.process(batch_images)
        probabilities.append(detector.predict(inputs))
        effects.append(bias_effect(detector, inputs))
        labels += [label for _, label in batch]
    if not labels:
        raise UserError("There is no image that can be read to calibrate on. Check the data and the split's name.")
    return Scored(np.concatenate(probabilities), np.array(labels), first, np.concatenate(effects))


def _apply(detector: Detector, scored: Scored) -> tuple[list[str], float]:
    """Fit and apply the temperature; return what to know of it, and the factor by which it changed."""
    labels, current = scored.labels, detector.temperature
    if len(np.unique(labels)) < 2:
        return ["temperature not fitted: all images are of one class"], 1.0
    temperature = fit_temperature(scored.probabilities, labels, current)
    notes = []
    if separated(scored.probabilities, labels):
        notes.append("not one image is misclassified: the temperature rests on the number of images alone")
    if any(np.isclose(temperature, bound, rtol=1e-3) for bound in BOUNDS):
        notes.append(f"the temperature is at its bound ({temperature:.3g}): the images do not determine it")
    if not apply_temperature(detector, temperature / current, scored.images):
        return ["temperature not applied: this network has no place for it, nor a last layer to fold it into"], 1.0
    return notes, temperature / current


def _apply_platt(detector: Detector, scored: Scored) -> tuple[list[str], np.ndarray, float]:
    """Fit and apply temperature and bias; return what to know of them, the new probabilities, and the bias."""
    labels, current = scored.labels, detector.temperature
    if len(np.unique(labels)) < 2 or len(detector.classes) != 2:
        notes, factor = _apply(detector, scored)
        return (
            [*notes, "no bias fitted: that takes two classes, and images of both"],
            at_temperature(scored.probabilities, factor),
            0.0,
        )
    temperature, bias = fit_platt(scored.probabilities, labels, current, scored.effect)
    if not apply_temperature(detector, temperature / current, scored.images):
        return ["nothing applied: this network has no place for a temperature"], scored.probabilities, 0.0
    probabilities = at_temperature(scored.probabilities, temperature / current)
    if apply_bias(detector, bias, scored.images):
        return [], shifted(probabilities, bias * scored.effect), bias
    # A temperature fitted beside a bias is not the best one without it.
    now = Scored(probabilities, labels, scored.images)
    notes, factor = _apply(detector, now)
    return [*notes, "no bias applied: this network's last layer has none"], at_temperature(probabilities, factor), 0.0
