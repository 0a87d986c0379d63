"""The numbers of a detector, as one `evaluate.Metric` that works offline.

Scikit-learn computes what it has; the rest is short and stated here. Fake is the positive class throughout.
"""

from typing import Any

import datasets
import evaluate
import numpy as np
import torch
from sklearn import metrics
from transformers import EvalPrediction

from fakelens.data.sources.labels import FAKE, REAL
from fakelens.errors import UserError
from fakelens.metrics.bootstrap import (
    ECE_BINS,
    FPR_CAPS,
    Interval,
    bootstrap,
    calibration_bins,
    intervals_of,
    replicates_for,
)

TRAINING_METRICS = ("accuracy", "precision", "recall", "f1", "auroc")
ROUNDING = 1e-6  # by which a float32 softmax may leave [0, 1]

Metrics = dict[str, float | int | None]

_DESCRIPTION = "Accuracy, ranking and calibration of a detector of AI-generated images from its P(fake)."
_INPUTS = """
Args:
    predictions: P(fake) of each image, in [0, 1].
    references: 0 for a real image, 1 for a fake one.
    threshold: P(fake) from which the verdict is "fake"; defaults to 0.5.
    intervals: Whether to add `intervals`, a mapping from the name of a metric to its 95 % interval; defaults to False.

Returns:
    See `fakelens.metrics.detection.detection_metrics` and `fakelens.metrics.detection.detection_intervals`.
"""


class DetectionMetrics(evaluate.Metric):
    """Every number that a report states, from P(fake) and true labels: `compute(predictions=, references=)`."""

    def _info(self) -> evaluate.MetricInfo:
        features = {"predictions": datasets.Value("float64"), "references": datasets.Value("int64")}
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features(features),
        )

    def _compute(
        self, predictions: list[float], references: list[int], threshold: float = 0.5, intervals: bool = False
    ) -> dict[str, Any]:
        scores, labels = np.asarray(predictions), np.asarray(references)
        computed: dict[str, Any] = dict(detection_metrics(scores, labels, threshold))
        return computed | {"intervals": detection_intervals(scores, labels, threshold)} if intervals else computed


def detection_metrics(scores: np.ndarray, labels: np.ndarray, threshold: float = 0.5) -> Metrics:
    """Compute a detector's metrics.

    Args:
        scores: P(fake) in [0, 1], of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.
        threshold: P(fake) from which the verdict is "fake", in [0, 1].

    Returns:
        `accuracy`, `precision`, `recall`, `f1`, `specificity`, `precision_real` and `f1_real` (as if real were the
        positive class; its recall is the specificity), `auroc`, `average_precision`, `tpr_at_5_fpr` and `tpr_at_1_fpr`
        (highest recall at a false-positive rate of at most 5 % or 1 %), `ece` (15 equal bins on P(fake)), `brier`; the
        counts `true_negatives`, `false_positives`, `false_negatives`, `true_positives`, `misclassified`, `count`,
        `real` and `fake`. What needs a class that is absent is None; precision and F1 are 0 where the class is there
        but was never predicted.

    Raises:
        UserError: If there are no images, or scores that are not numbers in [0, 1], or labels other than 0 and 1.
    """
    scores, labels = check_scores(scores, labels)
    real, fake = int((labels == REAL).sum()), int((labels == FAKE).sum())
    predicted_fake = (scores >= threshold).astype(int)
    counts = metrics.confusion_matrix(labels, predicted_fake, labels=[REAL, FAKE]).ravel().tolist()
    true_negatives, false_positives, false_negatives, true_positives = counts
    both = real > 0 and fake > 0
    return {
        "accuracy": float(metrics.accuracy_score(labels, predicted_fake)),
        "precision": float(metrics.precision_score(labels, predicted_fake, zero_division=0)) if fake else None,
        "recall": float(metrics.recall_score(labels, predicted_fake)) if fake else None,
        "f1": float(metrics.f1_score(labels, predicted_fake)) if fake else None,
        "specificity": float(metrics.recall_score(labels, predicted_fake, pos_label=REAL)) if real else None,
        "precision_real": (
            float(metrics.precision_score(labels, predicted_fake, pos_label=REAL, zero_division=0)) if real else None
        ),
        "f1_real": float(metrics.f1_score(labels, predicted_fake, pos_label=REAL)) if real else None,
        "auroc": float(metrics.roc_auc_score(labels, scores)) if both else None,
        "average_precision": float(metrics.average_precision_score(labels, scores)) if both else None,
        **{name: tpr_at_fpr(scores, labels, cap) if both else None for name, cap in FPR_CAPS.items()},
        "ece": expected_calibration_error(scores, labels),
        "brier": float(metrics.brier_score_loss(labels, scores, labels=[REAL, FAKE], pos_label=FAKE)),
        "true_negatives": true_negatives,
        "false_positives": false_positives,
        "false_negatives": false_negatives,
        "true_positives": true_positives,
        "misclassified": false_positives + false_negatives,
        "count": real + fake,
        "real": real,
        "fake": fake,
    }


def detection_intervals(
    scores: np.ndarray, labels: np.ndarray, threshold: float = 0.5, replicates: int | None = None, seed: int = 0
) -> dict[str, Interval]:
    """Compute the 95 % bootstrap interval of a detector's metrics.

    Args:
        scores: P(fake) in [0, 1], of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.
        threshold: P(fake) from which the verdict is "fake", in [0, 1].
        replicates: Number of resamples; `fakelens.metrics.bootstrap.replicates_for` the images if None.
        seed: Of the draws.

    Returns:
        Low and high end by name, of all that `detection_metrics` returns but `count`, `real` and `fake`. None is what
        is undefined or rests on a class of a single image. Where all images of a class are classified right, so are
        all
        resamples: an interval without width says that the sample holds no error, not that there are none.

    Raises:
        UserError: As `detection_metrics` does.
    """
    scores, labels = check_scores(scores, labels)
    rng = np.random.default_rng(seed)
    (found,) = bootstrap(
        scores[labels == REAL],
        [scores[labels == FAKE]],
        threshold,
        replicates_for(len(scores)) if replicates is None else replicates,
        rng,
    )
    return intervals_of(found, detection_metrics(scores, labels, threshold))


def check_scores(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scores as float64 in [0, 1] and labels as integers, or say what is wrong with them.

    Args:
        scores: P(fake), of shape `(count,)`; float32 rounding outside [0, 1] is clipped.
        labels: 0 real, 1 fake, of shape `(count,)`.

    Raises:
        UserError: If there are no images, or scores that are not numbers in [0, 1], or labels other than 0 and 1.
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise UserError(f"Give one score and one label an image, not shapes {scores.shape} and {labels.shape}.")
    if not len(scores):
        raise UserError("There are no images to compute metrics of. Check the data and the split's name.")
    if bad := int((~np.isfinite(scores)).sum()):
        raise UserError(
            f"{bad} of {len(scores)} scores are not numbers (NaN or infinite). The model's weights or its input's "
            "scaling are broken: train again with a smaller learning rate, or load another checkpoint."
        )
    if outside := int(((scores < -ROUNDING) | (scores > 1 + ROUNDING)).sum()):
        raise UserError(f"{outside} of {len(scores)} scores lie outside [0, 1]. Give P(fake), not logits.")
    if not np.isin(labels, (REAL, FAKE)).all():
        raise UserError(f"Labels are 0 (real) and 1 (fake); there are also {np.setdiff1d(labels, (REAL, FAKE))[:5]}.")
    return scores.clip(0, 1), labels.astype(np.int64)


def tpr_at_fpr(scores: np.ndarray, labels: np.ndarray, cap: float) -> float:
    """Return the highest recall at a threshold whose false-positive rate is at most `cap`.

    Args:
        scores: P(fake), of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`, both present.
        cap: The false-positive rate not to exceed, in [0, 1].
    """
    false_positive_rate, true_positive_rate, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    return float(true_positive_rate[false_positive_rate <= cap].max())


def expected_calibration_error(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean distance between P(fake) and the fraction of fakes, over 15 equal bins, weighted by images.

    Args:
        scores: P(fake) in [0, 1], of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.
    """
    mean_score, fake_fraction, count = reliability(scores, labels)
    return float(np.average(np.abs(fake_fraction - mean_score), weights=count))


def reliability(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group images into 15 bins of equal width on P(fake).

    Args:
        scores: P(fake) in [0, 1], of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.

    Returns:
        Mean score, fraction of fakes and number of images of each bin that holds any.
    """
    bins = calibration_bins(scores)
    count = np.bincount(bins, minlength=ECE_BINS)
    held = count > 0
    mean_score = np.bincount(bins, weights=scores, minlength=ECE_BINS)[held] / count[held]
    fake_fraction = np.bincount(bins, weights=labels, minlength=ECE_BINS)[held] / count[held]
    return mean_score, fake_fraction, count[held]


def compute_metrics(eval_prediction: EvalPrediction) -> dict[str, float]:
    """Compute the training metrics, for transformers' Trainer.

    Args:
        eval_prediction: Logits of shape `(count, classes)`, class 0 being real and every other one a kind of fake,
            and labels of shape `(count,)`.

    Returns:
        `accuracy`, `precision`, `recall`, `f1`, `auroc`, without those that one class alone leaves undefined; with
        more than two classes also `generator_accuracy`, the fraction of images given their very own class.

    Raises:
        UserError: If there are no images, or logits that are not numbers.
    """
    logits = torch.as_tensor(np.asarray(eval_prediction.predictions), dtype=torch.float64)
    labels = np.asarray(eval_prediction.label_ids)
    scores = logits.softmax(dim=-1)[:, FAKE:].sum(dim=-1).numpy()  # 1 - P(real), without its rounding near 0
    everything = DetectionMetrics(keep_in_memory=True).compute(
        predictions=scores, references=(labels > REAL).astype(np.int64)
    )
    computed = {name: everything[name] for name in TRAINING_METRICS if everything[name] is not None}
    if logits.shape[-1] > 2:
        computed["generator_accuracy"] = float(metrics.accuracy_score(labels, logits.argmax(dim=-1).numpy()))
    return computed
