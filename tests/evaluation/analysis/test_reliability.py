"""Calibration on a split before and after the temperature, from the scores after it."""

import numpy as np
import pytest
from PIL import Image

from fakelens.evaluation.analysis.reliability import before_and_after, draw_reliability
from fakelens.evaluation.scoring.predict import Predictions
from fakelens.inference.detector import p_fake
from fakelens.metrics.detection import expected_calibration_error
from fakelens.training.calibration.temperature import at_temperature


@pytest.mark.parametrize("classes", [2, 4])
def test_what_was_before_is_computed_from_what_is(classes, tmp_path):
    rng = np.random.default_rng(0)
    now = rng.dirichlet(np.full(classes, 0.5), 4000)  # calibrated: labels are drawn from it
    labels = (rng.random(4000) < p_fake(now)).astype(int)
    raw = at_temperature(now, 1 / 4)  # what the network says whose logits are four times as large
    nothing, many = np.full(4000, ""), classes > 2
    names = tuple(map(str, range(classes))) if many else ()
    probabilities = {"raw": now} if many else {}
    scored = Predictions(
        "m", "t", nothing, labels, nothing, nothing, {"raw": p_fake(now)}, {}, 1, names, probabilities
    )
    found = before_and_after(scored, 4)["raw"]
    assert found["before"]["ece"] == pytest.approx(expected_calibration_error(p_fake(raw), labels))
    assert found["after"]["ece"] < 0.03 < found["before"]["ece"]
    assert found["after"]["nll"] < found["before"]["nll"] and found["after"]["brier"] < found["before"]["brier"]
    assert before_and_after(scored, 1)["raw"]["before"]["ece"] == pytest.approx(found["after"]["ece"])
    path = draw_reliability({"m": found, "n": found}, "Reliability", tmp_path / "plots" / "r.png")
    assert Image.open(path).width > 800
