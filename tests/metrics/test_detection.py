"""The metrics against scikit-learn and against sums done by hand."""

import evaluate
import numpy as np
import pytest
from sklearn import metrics
from transformers import EvalPrediction

from fakelens.errors import UserError
from fakelens.metrics.detection import DetectionMetrics, compute_metrics, detection_intervals, detection_metrics

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 400)
DISTINCT = (LABELS * 0.3 + RNG.random(400)).clip(0, 1.3) / 1.3
TIED = DISTINCT.round(1)


@pytest.mark.parametrize("scores", [DISTINCT, TIED, np.full(400, 0.5)], ids=["distinct", "tied", "constant"])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.99])
def test_agrees_with_scikit_learn(scores, threshold):
    found = detection_metrics(scores, LABELS, threshold)
    predicted_fake = scores >= threshold
    expected = {
        "accuracy": metrics.accuracy_score(LABELS, predicted_fake),
        "precision": metrics.precision_score(LABELS, predicted_fake, zero_division=0),
        "recall": metrics.recall_score(LABELS, predicted_fake),
        "f1": metrics.f1_score(LABELS, predicted_fake),
        "specificity": metrics.recall_score(1 - LABELS, ~predicted_fake),
        "precision_real": metrics.precision_score(LABELS, predicted_fake, pos_label=0, zero_division=0),
        "f1_real": metrics.f1_score(LABELS, predicted_fake, pos_label=0),
        "auroc": metrics.roc_auc_score(LABELS, scores),
        "average_precision": metrics.average_precision_score(LABELS, scores),
        "brier": np.mean((scores - LABELS) ** 2),
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    counts = [found[k] for k in ("true_negatives", "false_positives", "false_negatives", "true_positives")]
    assert counts == metrics.confusion_matrix(LABELS, predicted_fake).ravel().tolist()
    assert found["misclassified"] == (predicted_fake != LABELS).sum()
    assert (found["count"], found["real"], found["fake"]) == (400, (LABELS == 0).sum(), (LABELS == 1).sum())


@pytest.mark.parametrize("scores", [DISTINCT, TIED], ids=["distinct", "tied"])
@pytest.mark.parametrize(("name", "cap"), [("tpr_at_5_fpr", 0.05), ("tpr_at_1_fpr", 0.01)])
def test_tpr_at_fpr_is_the_best_threshold_that_keeps_to_the_cap(scores, name, cap):
    thresholds = [*np.unique(scores), 2.0]
    kept = [t for t in thresholds if (scores[LABELS == 0] >= t).mean() <= cap]
    assert detection_metrics(scores, LABELS)[name] == max((scores[LABELS == 1] >= t).mean() for t in kept)


def test_ece_by_hand():
    # Bins of 1/15. Two images in the second (mean .1, half of them fake), one in the last (score 1, real).
    scores, labels = np.array([0.09, 0.11, 1.0]), np.array([0, 1, 0])
    assert detection_metrics(scores, labels)["ece"] == pytest.approx((2 * abs(0.5 - 0.1) + 1 * abs(0 - 1)) / 3)


def test_calibrated_scores_have_a_small_ece():
    scores = RNG.random(20_000)
    labels = (RNG.random(20_000) < scores).astype(int)
    assert detection_metrics(scores, labels)["ece"] < 0.02 < detection_metrics(scores**3, labels)["ece"]


def test_real_images_alone_leave_the_rest_standing():
    found = detection_metrics(np.array([0.1, 0.2, 0.9, 0.4]), np.zeros(4, dtype=int))
    undefined = {key for key, value in found.items() if value is None}
    ranking = {"auroc", "average_precision", "tpr_at_5_fpr", "tpr_at_1_fpr"}
    assert undefined == ranking | {"precision", "recall", "f1"}
    assert (found["accuracy"], found["specificity"], found["false_positives"]) == (0.75, 0.75, 1)
    assert found["brier"] == pytest.approx((0.01 + 0.04 + 0.81 + 0.16) / 4)


def test_fakes_alone_leave_the_rest_standing():
    found = detection_metrics(np.array([0.1, 0.9]), np.ones(2, dtype=int))
    undefined = {key for key, value in found.items() if value is None}
    ranking = {"auroc", "average_precision", "tpr_at_5_fpr", "tpr_at_1_fpr"}
    assert undefined == ranking | {"specificity", "precision_real", "f1_real"}
    assert (found["recall"], found["precision"], found["true_negatives"]) == (0.5, 1.0, 0)


def test_no_fake_called_is_zero_not_undefined():
    found = detection_metrics(np.array([0.1, 0.2]), np.array([0, 1]))
    assert (found["precision"], found["recall"], found["f1"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([], [], "no images"),
        ([0.5, np.nan, np.inf, 0.1], [0, 1, 0, 1], "2 of 4 scores are not numbers"),
        ([0.5, 3.2, -0.4], [0, 1, 0], "2 of 3 scores lie outside"),
        ([0.5, 0.6], [0, 2], "Labels are 0"),
    ],
)
@pytest.mark.parametrize("through", ["function", "intervals", "metric"])
def test_bad_input_is_named(scores, labels, message, through):
    with pytest.raises(UserError, match=message):
        if through == "metric":
            DetectionMetrics().compute(predictions=scores, references=labels)
        else:
            {"function": detection_metrics, "intervals": detection_intervals}[through](
                np.array(scores), np.array(labels)
            )


def test_a_label_missing():
    with pytest.raises(UserError, match="one score and one label"):
        detection_metrics(np.array([0.5, 0.6]), np.array([0]))


def test_float32_rounding_is_forgiven():
    assert detection_metrics(np.array([1.0000001, -1e-7], dtype=np.float32), np.array([1, 0]))["brier"] == 0


@pytest.mark.parametrize("keep_in_memory", [False, True])
def test_metric_equals_function(keep_in_memory):
    metric = DetectionMetrics(keep_in_memory=keep_in_memory)
    assert isinstance(metric, evaluate.Metric)
    for start in range(0, 400, 150):
        metric.add_batch(predictions=DISTINCT[start : start + 150], references=LABELS[start : start + 150])
    assert metric.compute(threshold=0.4) == detection_metrics(DISTINCT, LABELS, 0.4)
    metric.add_batch(predictions=DISTINCT, references=LABELS)
    intervals = {"intervals": detection_intervals(DISTINCT, LABELS, 0.4)}
    assert metric.compute(threshold=0.4, intervals=True) == detection_metrics(DISTINCT, LABELS, 0.4) | intervals


def test_agrees_with_scikit_learns_classification_report():
    """Reference system S3's: precision, recall and F1 of both classes."""
    found, predicted_fake = detection_metrics(DISTINCT, LABELS, 0.4), DISTINCT >= 0.4
    report = metrics.classification_report(LABELS, predicted_fake, target_names=["real", "fake"], output_dict=True)
    rows = {"real": ("precision_real", "specificity", "f1_real"), "fake": ("precision", "recall", "f1")}
    for name, keys in rows.items():
        assert [found[key] for key in (*keys, name)] == pytest.approx(list(report[name].values()))


def test_compute_metrics_for_two_classes():
    logits = RNG.normal(size=(400, 2)).astype(np.float32)
    fake = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    found = compute_metrics(EvalPrediction(logits, LABELS))
    expected = detection_metrics(fake, LABELS)
    assert found == pytest.approx({k: expected[k] for k in ("accuracy", "precision", "recall", "f1", "auroc")})


def test_compute_metrics_keeps_the_order_of_very_sure_scores():
    """1 - P(real) would round both scores to zero and call the ranking a tie."""
    logits = np.array([[60.0, 0.0], [50.0, 0.0]])
    assert compute_metrics(EvalPrediction(logits, np.array([0, 1])))["auroc"] == 1


def test_compute_metrics_for_several_generators():
    logits = np.array([[3.0, 0, 0], [0, 3.0, 0], [0, 0, 3.0], [1.0, 0.9, 0.9]])
    found = compute_metrics(EvalPrediction(logits, np.array([0, 2, 2, 1])))
    # The last is fake (its two fake classes together outweigh real), though real is its largest class.
    assert (found["accuracy"], found["generator_accuracy"]) == (1.0, 0.5)


def test_compute_metrics_leaves_out_what_one_class_leaves_undefined():
    found = compute_metrics(EvalPrediction(np.array([[2.0, 0], [0, 2.0]]), np.array([0, 0])))
    assert found == {"accuracy": 0.5}
