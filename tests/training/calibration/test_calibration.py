"""Calibration as a whole: what it writes into a model, what it records, and that doing it again changes nothing."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from fakelens.data.sources.opening import open_source
from fakelens.errors import UserError
from fakelens.inference.detector import load_detector, p_fake
from fakelens.training.calibration.calibration import Scored, fit, score_images
from fakelens.training.calibration.temperature import at_temperature
from fakelens.training.data.examples import Classes, ValidationSet
from fakelens.training.loop.validation import calibrate, score_validation
from tests.abuse import make_image
from tests.tiny_data import write_tiny_data


@pytest.fixture
def detector(tiny_model):
    return load_detector(tiny_model, device="cpu")


def scored(count=400, temperature=3.0):
    """Return what an overconfident detector would have said of images, whose labels are as likely as it should say."""
    rng = np.random.default_rng(0)
    scores = rng.beta(0.7, 0.7, count)
    labels = (rng.random(count) < scores).astype(int)
    return Scored(at_temperature(np.stack([1 - scores, scores], axis=1), 1 / temperature), labels, [make_image()])


def test_the_record_says_what_the_model_now_does(detector):
    validation = scored()
    before = detector.scores([make_image()])[0]
    record = fit(detector, validation, "best_f1", max_fpr=0.1, max_miss=0.2)
    assert record["temperature"] == detector.temperature == detector.model.config.logit_temperature
    assert record["temperature"] == pytest.approx(3, rel=0.2)
    odds = np.log(before / (1 - before)) / record["temperature"]
    assert detector.scores([make_image()])[0] == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-6)
    for key in ("ece", "nll", "brier"):
        assert record["after"][key] < record["before"][key]
    for when in ("before", "after"):
        assert sum(one["count"] for one in record[when]["bins"]) == record["count"] == 400
    assert record["real"] + record["fake"] == 400 and record["notes"] == []
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    # Thresholds are those of the calibrated score, and the detector has them without being loaded again.
    scores = p_fake(at_temperature(validation.probabilities, record["temperature"]))
    low, high = record["uncertain_band"]
    assert (scores[validation.labels == 0] >= high).mean() <= 0.1 and (
        scores[validation.labels == 1] < low
    ).mean() <= 0.2
    assert detector.uncertain_band == (low, high) and low <= detector.threshold <= high
    assert detector.fpr_thresholds[0.1] <= high


def test_the_same_images_again_change_nothing(detector):
    validation = scored()
    first = fit(detector, validation, "0.5")
    now = Scored(at_temperature(validation.probabilities, first["temperature"]), validation.labels, validation.images)
    second = fit(detector, now, "0.5")
    assert second["temperature"] == pytest.approx(first["temperature"], rel=1e-4)
    assert second["uncertain_band"] == pytest.approx(first["uncertain_band"], abs=1e-4)
    assert second["before"]["nll"] == pytest.approx(second["after"]["nll"], abs=1e-6)


def test_without_a_temperature_scores_stay_and_thresholds_are_fitted(detector):
    record = fit(detector, scored(), "0.5", method="none")
    assert record["temperature"] == 1 and record["before"] == record["after"]
    assert record["uncertain_band"] and detector.fpr_thresholds


@pytest.mark.parametrize(
    ("probabilities", "labels", "note"),
    [
        ([[0.9, 0.1]] * 50, [0] * 50, "one class"),
        ([[0.9, 0.1]] * 50 + [[0.1, 0.9]] * 50, [0] * 50 + [1] * 50, "not one image is misclassified"),
        ([[0.9, 0.1]] * 50 + [[0.1, 0.9]] * 50, [1] * 50 + [0] * 50, "at its bound"),
        ([[0.9, 0.1]] * 9 + [[0.1, 0.9]] * 9, [0, 1] * 9, "too few images of a class for an uncertain band"),
    ],
)
def test_what_the_images_cannot_say_is_noted(detector, probabilities, labels, note):
    fit(detector, scored(), "0.5")
    record = fit(detector, Scored(np.array(probabilities), np.array(labels), [make_image()]), "0.4")
    assert any(note in line for line in record["notes"])
    if record["uncertain_band"] is None:  # the band of the calibration before must not outlive it
        assert detector.uncertain_band == (0.4, 0.4)


def test_the_validation_split_is_what_it_is_fitted_on(detector, tmp_path):
    source = open_source(str(write_tiny_data(tmp_path, {"validation": 40})), "validation")
    data = SimpleNamespace(
        classes=Classes(), validation_set=lambda prepare: ValidationSet(source, prepare, at_most=100)
    )
    scores, labels = score_validation(detector, data)
    metrics = calibrate(detector, data, "max_fpr:0.2")
    record = metrics.pop("calibration")
    assert sorted(metrics) == ["accuracy", "auroc", "f1", "precision", "recall"]
    assert (record["real"], record["fake"]) == (20, 20) == ((labels == 0).sum(), (labels == 1).sum())
    again, _ = score_validation(detector, data)
    assert (np.argsort(again, kind="stable") == np.argsort(scores, kind="stable")).all()
    assert (again[labels == 0] >= detector.threshold).mean() <= 0.2 and detector.threshold == record[
        "decision_threshold"
    ]
    with pytest.raises(UserError, match=r"max_fpr:0\.01\. There are 20 real images.*at least 99"):
        calibrate(detector, data, "max_fpr:0.01")


def test_broken_scores_and_no_images_are_refused(detector):
    with pytest.raises(UserError, match="not numbers"):
        fit(detector, Scored(np.full((4, 2), np.nan), np.array([0, 1, 0, 1]), [make_image()]), "0.5")
    with pytest.raises(UserError, match="no image that can be read"):
        score_images(detector, [])
