"""Bootstrap intervals against scipy's, and against what they promise."""

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.metrics import roc_auc_score

from fakelens.metrics.bootstrap import bootstrap, interval, replicates_for
from fakelens.metrics.detection import detection_intervals, detection_metrics, expected_calibration_error

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1], [150, 90])
SCORES = (LABELS * 0.3 + RNG.random(240)) / 1.3
REAL, FAKE = LABELS == 0, LABELS == 1
NAMES = (
    "auroc", "average_precision", "tpr_at_5_fpr", "accuracy", "precision", "recall", "f1", "specificity", "brier",
    "misclassified",
)  # fmt: skip


def ends(found):
    return [found.confidence_interval.low, found.confidence_interval.high]


def test_agrees_with_scipys_bootstrap():
    """The same method with other draws: the ends differ by the draws' luck."""

    def metric(real_scores, fakes):
        found = detection_metrics(np.concatenate([real_scores, fakes]), LABELS, 0.6)
        return [found[name] for name in (*NAMES, "ece")]

    classes, options = (SCORES[REAL], SCORES[FAKE]), {"vectorized": False, "n_resamples": 200, "rng": 1}
    found = detection_intervals(SCORES, LABELS, 0.6)
    theirs = scipy_bootstrap(classes, metric, method="percentile", **options)
    for number, name in enumerate(NAMES):
        low, high = theirs.confidence_interval.low[number], theirs.confidence_interval.high[number]
        assert found[name] == pytest.approx([low, high], abs=0.2 * (high - low)), name
    # What scipy calls basic: the percentiles reflected at the value.
    ece, (low, high) = metric(*classes)[-1], (end[-1] for end in theirs.confidence_interval)
    assert found["ece"] == pytest.approx([2 * ece - high, 2 * ece - low], abs=0.2 * (high - low))


def test_every_metric_has_its_interval_around_it():
    found, values = detection_intervals(SCORES, LABELS, 0.6), detection_metrics(SCORES, LABELS, 0.6)
    assert set(found) == set(values) - {"count", "real", "fake"}
    assert all(low <= values[name] <= high and low < high for name, (low, high) in found.items())
    assert all(isinstance(end, float) for ends in found.values() for end in ends)
    confusion = [found[n] for n in ("true_negatives", "false_positives", "true_positives", "false_negatives")]
    assert np.sum(confusion, axis=1).min() > 0
    assert found["true_negatives"] == pytest.approx([150 * end for end in found["specificity"]])


def test_an_interval_holds_the_truth_as_often_as_it_says():
    """P(a fake scores higher) is 0.76 for normal scores one standard deviation apart."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(150):
        scores = rng.normal(size=160) + np.repeat([0, 1], 80)
        found = detection_intervals(1 / (1 + np.exp(-scores)), np.repeat([0, 1], 80), replicates=200)
        low, high = found["auroc"]
        held += low <= 0.7602 <= high
    assert 0.89 < held / 150 < 1


def test_the_interval_of_a_calibrated_detectors_ece_is_not_above_the_truth():
    """Its percentiles would be: a resample is noisier than the sample."""
    scores = RNG.random(4000)
    labels = (RNG.random(4000) < scores).astype(int)
    (resampled,) = bootstrap(scores[labels == 0], [scores[labels == 1]], 0.5, 200, np.random.default_rng(0))
    value = expected_calibration_error(scores, labels)
    assert resampled["ece"].mean() > 1.2 * value
    low, high = detection_intervals(scores, labels)["ece"]
    assert 0 <= low < value <= high < interval(resampled["ece"])[1]


def test_groups_share_their_real_images():
    """Then two generators' AUROCs err together, and a group alone has the numbers it has among others."""
    halves = [SCORES[FAKE][:45], SCORES[FAKE][45:]]
    one, other = bootstrap(SCORES[REAL], halves, 0.5, 500, np.random.default_rng(3))
    assert np.corrcoef(one["specificity"], other["specificity"])[0, 1] == pytest.approx(1)
    assert np.corrcoef(one["auroc"], other["auroc"])[0, 1] > 0.15
    assert abs(np.corrcoef(one["recall"], other["recall"])[0, 1]) < 0.15
    (alone,) = bootstrap(SCORES[REAL], halves[:1], 0.5, 500, np.random.default_rng(3))
    assert all(np.array_equal(alone[name], one[name]) for name in one)


def test_a_seed_repeats_itself_and_the_order_of_images_says_nothing(monkeypatch):
    first = detection_intervals(SCORES, LABELS, seed=5)
    shuffled = RNG.permutation(240)
    assert detection_intervals(SCORES[shuffled], LABELS[shuffled], seed=5) == first
    assert detection_intervals(SCORES, LABELS, seed=6) != first
    monkeypatch.setattr("fakelens.metrics.bootstrap.WEIGHTS_AT_ONCE", 1)  # one resample at a time
    one_by_one = detection_intervals(SCORES, LABELS, seed=5)
    assert all(one_by_one[name] == pytest.approx(first[name]) for name in first)


def test_one_class_leaves_the_rest_standing():
    real_scores, fakes = (
        detection_intervals(SCORES[REAL], LABELS[REAL]),
        detection_intervals(SCORES[FAKE], LABELS[FAKE]),
    )
    for found, mask in ((real_scores, REAL), (fakes, FAKE)):
        values = detection_metrics(SCORES[mask], LABELS[mask])
        assert {name for name, ends in found.items() if ends is None} == {n for n, v in values.items() if v is None}
    assert real_scores["accuracy"] == real_scores["specificity"]
    assert fakes["accuracy"] == fakes["recall"]


def test_what_rests_on_a_single_image_has_no_interval():
    one_fake = np.append(np.flatnonzero(REAL), np.flatnonzero(FAKE)[0])
    found = detection_intervals(SCORES[one_fake], LABELS[one_fake])
    assert {name for name, ends in found.items() if ends} == {"specificity", "true_negatives", "false_positives"}


def test_no_error_in_the_sample_is_an_interval_without_width():
    found = detection_intervals(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1]))
    assert (found["auroc"], found["accuracy"], found["misclassified"]) == ([1, 1], [1, 1], [0, 0])


def test_fewer_resamples_of_many_images():
    assert [replicates_for(n) for n in (1, 20_000, 40_000, 100_000, 10**7)] == [1000, 1000, 500, 200, 200]


def test_ties_between_classes_count_half():
    tied = SCORES.round(1)
    low, high = detection_intervals(tied, LABELS)["auroc"]
    assert low < roc_auc_score(LABELS, tied) < high
