"""The curves in report.json are those of the images."""

import numpy as np
import pytest
from sklearn.metrics import auc, roc_auc_score

from fakelens.evaluation.plots.curve_data import POINTS, curve_data


def test_the_curve_holds_the_auroc_and_the_histogram_every_image():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 5000)
    scores = np.clip(rng.normal(0.4 + 0.2 * labels, 0.2), 0, 1)
    found = curve_data(scores, labels)
    roc = found["roc"]
    assert len(roc["true_positive_rate"]) == POINTS
    assert auc(roc["false_positive_rate"], roc["true_positive_rate"]) == pytest.approx(
        roc_auc_score(labels, scores), abs=2e-3
    )
    assert (roc["false_positive_rate"][0], roc["true_positive_rate"][-1]) == (0, 1)
    assert sum(found["histogram"]["real"]) == (labels == 0).sum() and len(found["histogram"]["edges"]) == 21
    assert len(found["precision_recall"]["precision"]) == len(found["precision_recall"]["recall"]) == POINTS


def test_one_class_has_a_histogram_alone():
    assert set(curve_data(np.array([0.2, 0.3]), np.array([1, 1]))) == {"histogram"}
