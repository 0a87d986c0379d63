"""Thresholds on P(fake): the best F1, rates that hold on fresh images of either class, and the band between them."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from fakelens.errors import UserError
from fakelens.training.calibration.thresholds import (
    best_f1_threshold,
    check_counts,
    check_rates,
    check_rule,
    decision_threshold,
    fake_from,
    fpr_thresholds,
    images_needed,
    real_below,
    uncertain_band,
)

REAL_SCORES, FAKES = np.zeros(99, dtype=int), np.ones(99, dtype=int)


def test_best_f1_is_better_than_every_other_threshold():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    scores = np.clip(rng.normal(0.3 + 0.2 * labels, 0.15), 0, 1)
    best = f1_score(labels, scores >= decision_threshold("best_f1", scores, labels))
    assert decision_threshold("best_f1", scores, labels) == best_f1_threshold(scores, labels)
    assert best >= max(f1_score(labels, scores >= t) for t in np.linspace(0.01, 0.99, 99))


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_both_rates_are_kept_on_fresh_images(threshold):
    """The mean over many draws of a calibration and a test set: the guarantee is on that mean."""
    rng = np.random.default_rng(0)
    alarms, misses, bare_alarms, bare_misses = [], [], [], []
    for _ in range(400):
        scores = np.concatenate([rng.beta(2, 4, 99), rng.beta(4, 2, 99)])
        low, high = uncertain_band(scores, np.concatenate([REAL_SCORES, FAKES]), threshold, 0.05, 0.1)
        assert low <= threshold <= high
        real_scores, fakes = rng.beta(2, 4, 1000), rng.beta(4, 2, 1000)
        alarms.append((real_scores >= high).mean())
        misses.append((fakes < low).mean())
        bare_alarms.append((real_scores >= fake_from(scores[:99], 0.05)).mean())
        bare_misses.append((fakes < real_below(scores[99:], 0.1)).mean())
    assert np.mean(alarms) < 0.0535 and np.mean(misses) < 0.105
    # Without the decision threshold in between the bounds are tight, not merely kept.
    assert 0.0465 < np.mean(bare_alarms) < 0.0535 and 0.095 < np.mean(bare_misses) < 0.105


def test_classes_far_apart_leave_nothing_uncertain():
    scores, labels = (
        np.concatenate([np.linspace(0, 0.3, 99), np.linspace(0.7, 1, 99)]),
        np.concatenate([REAL_SCORES, FAKES]),
    )
    assert uncertain_band(scores, labels, 0.5) == [0.5, 0.5]
    low, high = uncertain_band(scores, labels, 0.9)  # a threshold with too many false negatives
    assert 0.7 < low < 0.75 and high == 0.9
    assert (
        uncertain_band(1 - scores, labels, 0.5)[0] < 0.1
    )  # and a detector that is wrong on all: nearly all uncertain


@pytest.mark.parametrize(("count", "rates"), [(0, []), (4, ["0.2"]), (19, ["0.05", "0.1", "0.2"])])
def test_only_rates_that_the_sample_can_bear_are_given(count, rates):
    assert sorted(fpr_thresholds(np.linspace(0, 0.9, count))) == rates


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.02, 1 / 49, 0.05, 0.07, 0.1, 1 / 3, 0.5, 0.9])
def test_the_number_of_images_that_is_asked_for_is_enough_and_one_fewer_is_not(rate):
    needed = images_needed(rate)
    assert needed == pytest.approx(1 / rate - 1, abs=1)
    assert fake_from(np.linspace(0, 1, needed), rate) is not None
    assert real_below(np.linspace(0, 1, needed), rate) is not None
    if needed > 1:
        assert fake_from(np.linspace(0, 1, needed - 1), rate) is None
        assert real_below(np.linspace(0, 1, needed - 1), rate) is None


def test_ties_do_not_break_the_bound():
    assert fpr_thresholds(np.full(200, 0.5))["0.05"] > 0.5
    assert real_below(np.full(200, 0.5), 0.05) == 0.5
    assert fake_from(np.ones(200), 0.05) > 1


@pytest.mark.parametrize("rule", ["0", "1", "0.25", "best_f1", "max_fpr:0.05"])
def test_rules_there_are(rule):
    check_rule(rule)


@pytest.mark.parametrize("rule", ["1.5", "-1", "nan", "best", "max_fpr", "max_fpr:", "max_fpr:0", "max_fpr:1", "0.5:"])
def test_what_is_no_rule_is_refused(rule):
    with pytest.raises(UserError, match=r"max_fpr:RATE"):
        check_rule(rule)


def test_a_rule_with_a_rate_takes_the_images_for_it():
    labels = np.concatenate([REAL_SCORES, FAKES])
    scores = np.concatenate([np.arange(99) / 100, np.ones(99)])
    assert decision_threshold("max_fpr:0.05", scores, labels) == np.nextafter(0.94, 1)
    assert decision_threshold("0.3", scores, labels) == 0.3
    with pytest.raises(UserError, match=r"There are 99 real images.*0\.005.*at least 199"):
        decision_threshold("max_fpr:0.005", scores, labels)
    with pytest.raises(UserError, match="have the score 1"):
        decision_threshold("max_fpr:0.05", np.ones(198), labels)


def test_too_few_images_of_a_class_are_named():
    assert uncertain_band(np.linspace(0, 1, 99), np.concatenate([REAL_SCORES[:81], FAKES[:18]]), 0.5) is None
    check_counts(np.concatenate([REAL_SCORES, FAKES]), 0.01, 0.01)
    with pytest.raises(UserError, match=r"There are 18 fake images.*at least 19"):
        check_counts(np.concatenate([REAL_SCORES, FAKES[:18]]), 0.05, 0.05)
    with pytest.raises(UserError, match=r"max_miss is 1\.5"):
        check_rates(0.1, 1.5)
