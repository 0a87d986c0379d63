"""Paired tests against sums over all pairs, a bootstrap, scipy and hand counts."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from fakelens.errors import UserError
from fakelens.evaluation.analysis.comparison import (
    COLUMNS,
    compare,
    comparison_rows,
    delong,
    draw_comparison,
    holm,
    mcnemar,
)
from fakelens.evaluation.report.markdown import table
from fakelens.evaluation.scoring.predict import Predictions

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 300)
SHARED = RNG.normal(size=300)


def scores_of(gain, digits=6):
    """Scores that share their noise, so that models err on the same images."""
    return (1 / (1 + np.exp(-(gain * (LABELS - 0.5) + SHARED + 0.6 * RNG.normal(size=300))))).round(digits)


GOOD, BAD = scores_of(2.2), scores_of(1.4)


def by_all_pairs(scores_a, scores_b, labels):
    """DeLong's estimate as his paper has it: the kernel of every pair, then the 2 x 2 covariances of its means."""
    kernels = [(np.sign(s[labels == 1][:, None] - s[labels == 0][None, :]) + 1) / 2 for s in (scores_a, scores_b)]
    aurocs = [kernel.mean() for kernel in kernels]
    of_fakes = np.cov(np.stack([kernel.mean(axis=1) for kernel in kernels]))
    of_real = np.cov(np.stack([kernel.mean(axis=0) for kernel in kernels]))
    covariance = of_fakes / (labels == 1).sum() + of_real / (labels == 0).sum()
    error = np.sqrt(np.array([1, -1]) @ covariance @ np.array([1, -1]))
    return aurocs, error


@pytest.mark.parametrize("digits", [6, 1], ids=["distinct", "tied"])
def test_delong_is_the_sum_over_all_pairs(digits):
    a, b = GOOD.round(digits), BAD.round(digits)
    found = delong(a, b, LABELS)
    aurocs, error = by_all_pairs(a, b, LABELS)
    assert [found["auroc_a"], found["auroc_b"]] == pytest.approx(aurocs, abs=1e-12)
    assert found["auroc_a"] == pytest.approx(roc_auc_score(LABELS, a), abs=1e-12)
    difference = aurocs[0] - aurocs[1]
    assert found["difference"] == pytest.approx(difference, abs=1e-12)
    assert found["p_value"] == pytest.approx(2 * (1 - norm.cdf(abs(difference) / error)), rel=1e-6)
    assert found["interval"] == pytest.approx([difference - 1.959964 * error, difference + 1.959964 * error], abs=1e-7)


def test_delong_agrees_with_a_bootstrap_of_the_difference():
    real_scores, fakes = np.flatnonzero(LABELS == 0), np.flatnonzero(LABELS == 1)
    differences = []
    for _ in range(300):
        drawn = np.concatenate([RNG.choice(real_scores, len(real_scores)), RNG.choice(fakes, len(fakes))])
        differences.append(roc_auc_score(LABELS[drawn], GOOD[drawn]) - roc_auc_score(LABELS[drawn], BAD[drawn]))
    found = delong(GOOD, BAD, LABELS)
    assert found["interval"] == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=0.015)
    assert found["interval"][0] > 0 and found["p_value"] < 0.05


def test_the_p_value_keeps_its_promise():
    """Of models that differ by luck alone, one in twenty is called different."""
    rng, false_alarms = np.random.default_rng(1), 0
    labels = np.arange(120) % 2
    for _ in range(600):
        shared = labels + rng.normal(size=120)
        false_alarms += delong(shared + rng.normal(size=120), shared + rng.normal(size=120), labels)["p_value"] < 0.05
    assert 0.025 < false_alarms / 600 < 0.08


def test_swapping_the_models_turns_the_sign():
    ab, ba = delong(GOOD, BAD, LABELS), delong(BAD, GOOD, LABELS)
    assert ab["difference"] == -ba["difference"] > 0
    assert ab["interval"] == pytest.approx([-end for end in ba["interval"][::-1]])
    assert ab["p_value"] == ba["p_value"]


def test_what_cannot_be_told():
    same = delong(GOOD, GOOD**3, LABELS)  # the same ranking
    assert (same["difference"], same["interval"], same["p_value"]) == (0, [0, 0], 1)
    assert set(delong(GOOD[LABELS == 1], BAD[LABELS == 1], LABELS[LABELS == 1]).values()) == {None}
    one_real = np.array([0, 1, 1, 1])
    found = delong(np.array([0.3, 0.2, 0.8, 0.9]), np.array([0.5, 0.6, 0.7, 0.2]), one_real)
    assert (found["difference"], found["interval"], found["p_value"]) == (0, None, None)
    upside_down = delong(np.array([0.1, 0.1, 0.9, 0.9]), np.array([0.9, 0.9, 0.1, 0.1]), np.array([0, 0, 1, 1]))
    assert (upside_down["difference"], upside_down["p_value"]) == (1, None)


def test_mcnemar_by_hand():
    """Ten images that only one model classifies right, nine of them the first: 2 * (1 + 10) / 2 ** 10."""
    labels = np.ones(30, dtype=int)
    predicted_a, predicted_b = np.arange(30) < 19, (np.arange(30) < 10) | (np.arange(30) == 29)
    assert mcnemar(predicted_a, predicted_b, labels) == pytest.approx(
        {"accuracy_difference": 8 / 30, "mcnemar_p": 22 / 1024}
    )
    assert mcnemar(predicted_a, predicted_a, labels) == {"accuracy_difference": 0, "mcnemar_p": 1}


def test_holm_by_hand():
    assert holm([0.01, None, 0.04, 0.03, 0.005]) == pytest.approx([0.03, None, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


def predictions(name, split="test", labels=LABELS, **views):
    ids, nameless = np.arange(len(labels)).astype(str), np.full(len(labels), "")
    return Predictions(name, split, ids, labels, nameless, nameless, views, {}, 1.0)


def two_splits(name, raw, hard):
    ones = np.ones(300, dtype=int)
    return [predictions(name, raw=raw, hard=hard), predictions(name, "fakes", ones, raw=raw, hard=hard)]


def test_every_pair_split_and_view(tmp_path):
    third = GOOD.astype(np.float32)
    scored = {"a": two_splits("a", GOOD, BAD), "b": two_splits("b", BAD, BAD), "c": two_splits("c", third, GOOD)}
    rows = compare(scored, {"a": 0.5, "b": 0.4, "c": 0.5})
    assert {(r["split"], r["view"], r["model_a"], r["model_b"]) for r in rows} == {
        (split, view, *pair)
        for split in ("test", "fakes")
        for view in ("raw", "hard")
        for pair in (("a", "b"), ("a", "c"), ("b", "c"))
    }
    first = rows[0]
    assert first.items() >= delong(GOOD, BAD, LABELS).items()
    assert first.items() >= mcnemar(GOOD >= 0.5, BAD >= 0.4, LABELS).items()
    assert first["images"] == 300
    for name, adjusted in (("p_value", "p_adjusted"), ("mcnemar_p", "mcnemar_p_adjusted")):
        assert [row[adjusted] for row in rows] == holm([row[name] for row in rows])
        assert first[adjusted] > first[name]
    alone = [row for row in rows if row["split"] == "fakes"]
    assert all(row["p_value"] is None and row["mcnemar_p"] <= 1 for row in alone)

    lines = table(COLUMNS, comparison_rows(rows, "test")).splitlines()
    assert len(lines) == 2 + 6
    assert (
        f"| raw | a | b | {first['auroc_a']:.3f} | {first['auroc_b']:.3f} | +{first['difference']:.3f} |" in lines[2]
    )
    assert "| – | – |" in table(COLUMNS, comparison_rows(rows, "fakes"))

    path = draw_comparison(rows, "test", tmp_path)
    assert path == tmp_path / "comparison_test.png"
    pixels = np.asarray(Image.open(path).convert("RGB"))
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):  # both views are there
        assert (np.abs(pixels.astype(int) - colour).sum(axis=2) < 12).any()
    assert draw_comparison(rows, "fakes", tmp_path) is None


def test_a_verdict_at_the_threshold_is_the_reports():
    """float32(0.7) is below 0.7, as `detection_metrics` has it; compared as float32 it would not be."""
    low, high = np.full(4, 0.7, dtype=np.float32), np.full(4, 0.8, dtype=np.float32)
    labels = np.ones(4, dtype=int)
    scored = {"a": [predictions("a", labels=labels, raw=high)], "b": [predictions("b", labels=labels, raw=low)]}
    assert compare(scored, {"a": 0.7, "b": 0.7})[0]["accuracy_difference"] == 1


def test_other_images_are_refused():
    a = predictions("a", raw=GOOD)
    b = replace(a, model="b", ids=a.ids[::-1])
    with pytest.raises(UserError, match="a and b were not evaluated on the same images of split 'test'"):
        compare({"a": [a], "b": [b]}, {"a": 0.5, "b": 0.5})


def test_one_model_has_nobody_to_be_compared_with():
    assert compare({"a": [predictions("a", raw=GOOD)]}, {"a": 0.5}) == []
