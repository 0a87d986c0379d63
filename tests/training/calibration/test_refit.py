"""A calibrated detector calibrated anew: taken where it holds, undone where it fails, and said either way."""

import json

import numpy as np
import pytest
import torch

from fakelens.inference.detector import load_detector
from fakelens.training.calibration.calibration import Scored, fit
from fakelens.training.calibration.refit import failures, refit
from fakelens.training.calibration.temperature import at_temperature
from tests.abuse import make_image


@pytest.fixture
def detector(tiny_model):
    return load_detector(tiny_model, device="cpu")


def scored(count, temperature=1.0, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.beta(0.7, 0.7, count)
    labels = (rng.random(count) < scores).astype(int)
    return Scored(at_temperature(np.stack([1 - scores, scores], axis=1), 1 / temperature), labels, [make_image()])


def state(detector):
    settings = detector.model.config.to_dict()
    return (
        [settings[name] for name in ("logit_temperature", "decision_threshold", "fpr_thresholds", "uncertain_band")],
        {name: tensor.clone() for name, tensor in detector.model.state_dict().items()},
        detector.scores([make_image()])[0],
    )


def test_a_calibration_that_holds_is_taken(detector):
    fit(detector, scored(400, 3.0), "0.5")
    record = refit(detector, scored(400, 2.0, seed=1), "0.5", "platt")
    assert "kept" not in record and record["notes"] == []
    assert record["temperature"] == detector.temperature == pytest.approx(6, rel=0.3)  # 2 on top of 3
    assert detector.uncertain_band == tuple(record["uncertain_band"])


@pytest.mark.parametrize("method", ["temperature", "platt"])
@pytest.mark.parametrize(
    ("case", "reason"), [("few", "real images, and an uncertain band takes 19"), ("noise", "went to its bound, 20")]
)
def test_a_calibration_that_failed_is_undone_to_the_last_weight(detector, method, case, reason):
    fit(detector, scored(400, 3.0), "0.5")
    settings, weights, score = state(detector)
    if case == "few":
        images = scored(24)
    else:  # labels that have nothing to do with the scores
        images = scored(400)
        images = Scored(images.probabilities, np.arange(400) % 2, images.images)
        images.probabilities[::2], images.probabilities[1::2] = images.probabilities[1::2].copy(), 1e-9
        images.probabilities[1::2, 0] = 1
    record = refit(detector, images, "best_f1", method)
    assert any(reason in why for why in record["kept"]["why"])
    after, same, now = state(detector)
    assert after == settings and now == score and all(torch.equal(weights[name], same[name]) for name in weights)
    # The record says what the model does, and what it was spared.
    assert record["temperature"] == settings[0] and record["uncertain_band"] == settings[3]
    assert record["after"] == record["before"] and record["bias"] == 0
    assert record["decision_threshold"] == detector.threshold == 0.5
    assert "the calibration that it brought was kept" in record["notes"][0] and reason in record["notes"][0]
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_a_detector_that_was_never_calibrated_has_none_to_keep(detector):
    record = refit(detector, scored(24), "0.5")
    assert "kept" not in record and record["uncertain_band"] is None
    assert "too few images of a class for an uncertain band" in record["notes"][0]


def test_a_log_loss_that_rose_is_a_failure():
    record = {
        "max_fpr": 0.05, "max_miss": 0.05, "real": 50, "fake": 50, "temperature": 1.0,
        "before": {"nll": 0.4}, "after": {"nll": 0.5},
    }  # fmt: skip
    assert failures(record) == ["the log-loss rose from 0.400 to 0.500"]
    assert failures(record | {"after": {"nll": float("nan")}}) and failures(record | {"after": {"nll": 0.4}}) == []
