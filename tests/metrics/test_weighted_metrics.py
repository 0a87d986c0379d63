"""Metrics of resamples against the metrics of the samples that they stand for."""

import numpy as np
import pytest
from sklearn import metrics

from fakelens.metrics.bootstrap import cross_rank, rank, tally, weighted_metrics
from fakelens.metrics.detection import detection_metrics

RNG = np.random.default_rng(0)
FIXED = {"count", "real", "fake"}


def weighted(real_scores, fakes, real_weights, fake_weights, threshold):
    real, fake = rank(real_scores, 0, threshold), rank(fakes, 1, threshold)
    return weighted_metrics(real, fake, cross_rank(real, fake), tally(real, real_weights), tally(fake, fake_weights))


def sample(kind, real_scores=90, fakes=60):
    """P(fake) of each class, highest first; `tied` has every score several times and in both classes."""
    scores = np.concatenate([RNG.random(real_scores) ** 1.5, RNG.random(fakes) ** 0.7])
    scores = {"distinct": scores, "tied": scores.round(1), "constant": np.full(real_scores + fakes, 0.5)}[kind]
    return np.sort(scores[:real_scores])[::-1], np.sort(scores[real_scores:])[::-1]


def drawn(count, resamples):
    return RNG.multinomial(count, np.full(count, 1 / count), resamples).astype(float)


@pytest.mark.parametrize("kind", ["distinct", "tied", "constant"])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.99])
def test_a_resample_is_the_sample_with_images_repeated(kind, threshold):
    real_scores, fakes = sample(kind)
    real_weights, fake_weights = drawn(90, 20), drawn(60, 20)
    real_weights[0], fake_weights[0] = 1, 1  # the sample itself
    found = weighted(real_scores, fakes, real_weights, fake_weights, threshold)
    for number, weights in enumerate(zip(real_weights.astype(int), fake_weights.astype(int), strict=True)):
        repeated = [np.repeat(scores, times) for scores, times in zip((real_scores, fakes), weights, strict=True)]
        expected = detection_metrics(np.concatenate(repeated), np.repeat([0, 1], [90, 60]), threshold)
        assert set(found) == set(expected) - FIXED
        assert {k: v[number] for k, v in found.items()} == pytest.approx(
            {k: expected[k] for k in found}, abs=1e-12, rel=0
        )


@pytest.mark.parametrize("kind", ["distinct", "tied"])
def test_agrees_with_scikit_learns_sample_weight(kind):
    real_scores, fakes = sample(kind)
    real_weights, fake_weights = drawn(90, 5), drawn(60, 5)
    found = weighted(real_scores, fakes, real_weights, fake_weights, 0.4)
    scores, labels = np.concatenate([real_scores, fakes]), np.repeat([0, 1], [90, 60])
    predicted_fake = scores >= 0.4
    for number in range(5):
        weights = np.concatenate([real_weights[number], fake_weights[number]])
        expected = {
            "auroc": metrics.roc_auc_score(labels, scores, sample_weight=weights),
            "average_precision": metrics.average_precision_score(labels, scores, sample_weight=weights),
            "accuracy": metrics.accuracy_score(labels, predicted_fake, sample_weight=weights),
            "precision": metrics.precision_score(labels, predicted_fake, sample_weight=weights),
            "f1": metrics.f1_score(labels, predicted_fake, sample_weight=weights),
            "brier": metrics.brier_score_loss(labels, scores, sample_weight=weights),
        }
        assert {key: found[key][number] for key in expected} == pytest.approx(expected, abs=1e-12, rel=0)


@pytest.mark.parametrize("cap", [0.01, 0.05])
@pytest.mark.parametrize("count", [19, 20, 60, 100, 99, 101, 700])
def test_the_fraction_of_real_images_allowed_is_exact(cap, count):
    """At counts whose fraction rounds up or down: as many real images above the fakes as the cap allows, then more."""
    name = {0.01: "tpr_at_1_fpr", 0.05: "tpr_at_5_fpr"}[cap]
    allowed = max(k for k in range(count + 1) if k / count <= cap)
    for above, expected in ((allowed, 1), (allowed + 1, 0)):
        real_scores, fakes = np.repeat([0.9, 0.1], [above, count - above]), np.full(7, 0.5)
        assert weighted(real_scores, fakes, np.ones((1, count)), np.ones((1, 7)), 0.5)[name] == [expected]
        scores, labels = np.concatenate([real_scores, fakes]), np.repeat([0, 1], [count, 7])
        assert detection_metrics(scores, labels)[name] == expected
