"""Coverage: what is scored, what is left uncertain, and the errors that are left."""

import json

import numpy as np
import pytest
from PIL import Image

from fakelens.errors import UserError
from fakelens.evaluation.analysis.coverage import (
    alarms_by_source,
    alarms_rows,
    band_coverage,
    coverage,
    coverage_curve,
    coverage_table,
    draw_coverage,
)
from fakelens.evaluation.report.markdown import table
from fakelens.evaluation.scoring.predict import Predictions

SCORES = np.array([0.01, 0.2, 0.4, 0.6, 0.8, 0.99])
LABELS = np.array([0, 1, 0, 0, 1, 1])


def predictions(scores, labels):
    nothing = np.full(len(labels), "")
    return Predictions("m", "test", nothing, labels, nothing, nothing, {"raw": scores}, {}, 1.0)


def test_the_curve_by_hand():
    """Log-odds are 4.6, 1.4, .4 on either side: two images at a time are scored, and the second pair has an error."""
    curve = coverage_curve(SCORES, LABELS, 0.5)
    assert curve["coverage"] == pytest.approx([1 / 3, 2 / 3, 1])
    assert curve["error"] == pytest.approx([0, 1 / 4, 1 / 3])
    assert curve["false_positive_rate"] == pytest.approx([0, 0, 1 / 3])
    assert curve["miss_rate"] == pytest.approx([0, 1 / 3, 1 / 3])
    # Within a pair each image is taken to hold half of its errors.
    assert curve["aurc"] == pytest.approx(np.mean([0, 0, 0.5 / 3, 1 / 4, 1.5 / 5, 2 / 6]))


def test_the_curve_does_not_depend_on_the_order_and_knows_good_from_bad_rankings():
    rng = np.random.default_rng(0)
    scores = rng.beta(0.7, 0.7, 3000).round(2)  # many of equal nearness
    labels = (rng.random(3000) < scores).astype(int)
    curve, order = coverage_curve(scores, labels, 0.3), rng.permutation(3000)
    assert coverage_curve(scores[order], labels[order], 0.3) == curve
    assert len(curve["coverage"]) <= 100 and curve["coverage"][-1] == 1
    assert curve["error"][-1] == pytest.approx(((scores >= 0.3) != labels).mean())
    assert curve["error"][0] < curve["error"][len(curve["error"]) // 2] < curve["error"][-1]
    shuffled = coverage_curve(scores, rng.permutation(labels), 0.3)
    assert curve["aurc"] < 0.6 * curve["error"][-1] and shuffled["aurc"] > 0.9 * shuffled["error"][-1]


def test_the_band_by_hand():
    band = band_coverage(SCORES, LABELS, 0.5, (0.3, 0.8))
    assert band == pytest.approx(
        {
            "low": 0.3,
            "high": 0.8,
            "coverage": 4 / 6,
            "error": 1 / 4,
            "error_without_band": 2 / 6,
            "false_positive_rate": 0,
            "covered_false_positive_rate": 0,
            "miss_rate": 1 / 3,
            "uncertain_real": 2 / 3,
            "uncertain_fake": 0,
        }
    )
    empty = band_coverage(SCORES, LABELS, 0.5, (0.5, 0.5))
    assert empty["coverage"] == 1 and empty["error"] == empty["error_without_band"] == pytest.approx(2 / 6)


def test_one_class_and_nothing_scored_are_none_and_json():
    one = coverage(predictions(SCORES, np.zeros(6, dtype=int)), 0.5, (0.0, 1.1))["raw"]
    assert one["band"]["error"] is None and one["band"]["miss_rate"] is None and one["band"]["coverage"] == 0
    assert set(one["curve"]["miss_rate"]) == {None}
    assert json.loads(json.dumps(one, allow_nan=False)) == one
    with pytest.raises(UserError, match="not numbers"):
        coverage_curve(SCORES * np.nan, LABELS, 0.5)


def test_real_images_called_fake_are_counted_by_source():
    sources = np.array(["camera", "web", "camera", "", "camera", "web"])
    labels = np.array([0, 0, 0, 0, 0, 1])
    found = alarms_by_source(SCORES, labels, sources, high=0.4)
    assert list(found) == ["camera", "web"] and found["web"]["alarms"] == 0
    camera = found["camera"]
    assert (camera["real"], camera["alarms"], camera["false_positive_rate"]) == (3, 2, pytest.approx(2 / 3))
    # Wilson's interval of 2 in 3, by hand.
    assert camera["interval"] == pytest.approx([0.2077, 0.9385], abs=1e-3)
    rows = alarms_rows([("a", "raw", {"sources": found})])
    assert rows[0] == ("a", "raw", "camera", 3, 2, "0.667 (0.208 to 0.939)") and len(rows) == 2
    assert json.loads(json.dumps(found)) == found


def test_table_and_image(tmp_path):
    found = {"a": coverage(predictions(SCORES, LABELS), 0.5, (0.3, 0.8))["raw"]}
    found["b"] = coverage(predictions(SCORES, np.zeros(6, dtype=int)), 0.5, (0.5, 0.5))["raw"]
    text = table(*coverage_table((name, "raw", one) for name, one in found.items()))
    assert "| a | raw | 0.3 to 0.8 | 0.667 | 0.250 | 0.333 |" in text and "| b | raw | never | 1.000 |" in text
    path = draw_coverage(found, "test", "raw", tmp_path)
    assert path == tmp_path / "coverage_test_raw.png" and Image.open(path).width > 800
