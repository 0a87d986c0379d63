import numpy as np
import pytest
from sklearn.metrics import f1_score

from fakelens.training.calibration import best_f1_threshold, fpr_thresholds


def test_best_f1_is_better_than_every_other_threshold():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    scores = np.clip(rng.normal(0.3 + 0.2 * labels, 0.15), 0, 1)
    best = f1_score(labels, scores >= best_f1_threshold(scores, labels))
    assert best >= max(f1_score(labels, scores >= t) for t in np.linspace(0.01, 0.99, 99))


def test_the_rate_is_kept_on_fresh_photographs():
    """The mean over many draws of a calibration and a test set: the guarantee is on that mean."""
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(400):
        threshold = fpr_thresholds(rng.beta(2, 5, 99).astype(np.float32))["0.05"]
        rates.append((rng.beta(2, 5, 1000).astype(np.float32) >= threshold).mean())
    assert 0.04 < np.mean(rates) < 0.0535


@pytest.mark.parametrize(("count", "rates"), [(0, []), (4, ["0.2"]), (19, ["0.05", "0.1", "0.2"])])
def test_only_rates_that_the_sample_can_bear_are_given(count, rates):
    assert sorted(fpr_thresholds(np.linspace(0, 0.9, count))) == rates


def test_ties_do_not_break_the_bound():
    scores = np.full(200, 0.5, dtype=np.float32)
    assert fpr_thresholds(scores)["0.05"] > 0.5
