"""Numbers per generator and per source."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fakelens.errors import UserError
from fakelens.evaluation.analysis.summary import shortcut_gap, summarise, summarise_view
from fakelens.evaluation.scoring.predict import Predictions
from fakelens.inference.thresholds import Thresholds
from fakelens.metrics.bootstrap import METHOD
from fakelens.metrics.detection import detection_intervals

HALF = Thresholds(0.5, 0.5)
generators = np.array(["real"] * 4 + ["alpha"] * 3 + ["beta"])
LABELS = np.array([0] * 4 + [1] * 4)
SOURCES = np.array(["one", "two", "", "one", "one", "two", "", "three"])
SCORES = np.array([0.1, 0.6, 0.3, 0.2, 0.9, 0.8, 0.25, 0.15])


def test_a_generator_is_scored_against_all_real_images():
    found = summarise_view(SCORES, LABELS, generators, SOURCES, HALF)
    for name in ("alpha", "beta"):
        chosen = (LABELS == 0) | (generators == name)
        numbers = found["per_generator"][name]
        assert numbers["auroc"] == roc_auc_score(LABELS[chosen], SCORES[chosen])
        assert (numbers["real"], numbers["fake"]) == (4, (generators == name).sum())
    aurocs = {name: numbers["auroc"] for name, numbers in found["per_generator"].items()}
    assert set(aurocs) == {"alpha", "beta"}
    assert found["macro_auroc_over_generators"] == pytest.approx((aurocs["alpha"] + aurocs["beta"]) / 2)
    assert found["worst_generator"].items() >= {"name": "beta", "auroc": aurocs["beta"]}.items()


def test_a_source_is_scored_by_its_own_rows():
    found = summarise_view(SCORES, LABELS, generators, SOURCES, HALF)["per_source"]
    assert {name: (n["real"], n["fake"]) for name, n in found.items()} == {
        "one": (2, 1),
        "two": (1, 1),
        "three": (0, 1),
        "unstated": (1, 1),
    }
    assert found["three"]["auroc"] is None
    assert found["three"]["recall"] == 0


def test_no_sources_named():
    assert summarise_view(SCORES, LABELS, generators, np.full(8, ""), HALF)["per_source"] == {}


def test_real_images_alone():
    real = LABELS == 0
    found = summarise_view(SCORES[real], LABELS[real], generators[real], SOURCES[real], HALF)
    assert (found["per_generator"], found["macro_auroc_over_generators"], found["worst_generator"]) == ({}, None, None)
    assert found["overall"]["specificity"] == 0.75


def predictions(**scores):
    return Predictions("m", "test", np.arange(8).astype(str), LABELS, generators, SOURCES, scores, {}, 1.0)


def test_shortcut_gap_is_what_the_normalised_view_loses():
    results = summarise(predictions(raw=LABELS * 0.9, normalised=SCORES), HALF)
    assert shortcut_gap(results) == pytest.approx(1 - roc_auc_score(LABELS, SCORES))
    assert shortcut_gap({"raw": results["raw"]}) is None


def test_broken_scores_name_the_model_and_the_split():
    broken = SCORES.copy()
    broken[2:4] = np.nan
    with pytest.raises(UserError, match="m on split 'test': 2 of 8 scores"):
        summarise(predictions(raw=SCORES, hard=broken), HALF)


def larger(count=600):
    """Two generators, one easier, and two sources, of which one has no fakes."""
    rng = np.random.default_rng(0)
    makers = np.repeat(["real", "alpha", "beta"], count // 3)
    labels = (makers != "real").astype(int)
    scores = (labels * 0.2 + (makers == "alpha") * 0.2 + rng.random(count)) / 1.4
    return scores, labels, makers, np.where(np.arange(count) % 4 == 0, "photos", "mixed")


def test_every_number_has_its_interval():
    scores, labels, makers, sources = larger()
    sources = np.where((labels == 1) & (sources == "photos"), "mixed", sources)
    found = summarise_view(scores, labels, makers, sources, HALF)
    assert found["overall"]["intervals"] == detection_intervals(scores, labels, 0.5)
    assert found["intervals"] == {"method": METHOD, "level": 0.95, "replicates": 1000, "seed": 0}
    groups = [found["overall"], *found["per_generator"].values(), *found["per_source"].values()]
    assert len(groups) == 5
    for numbers in groups:
        assert set(numbers["intervals"]) == set(numbers) - {"count", "real", "fake", "intervals", "verdicts"}
        for name, ends in numbers["intervals"].items():
            assert (ends is None) == (numbers[name] is None), name
            assert ends is None or ends[0] <= numbers[name] <= ends[1], name
    alpha, beta = (found["per_generator"][name]["intervals"]["auroc"] for name in ("alpha", "beta"))
    assert beta[1] < alpha[0]
    assert found["worst_generator"]["name"] == "beta"
    assert found["worst_generator"]["interval"] == beta
    # Half of the images and fewer say less.
    assert np.ptp(beta) > np.ptp(found["overall"]["intervals"]["auroc"])
    json.dumps(found, allow_nan=False)


def test_the_interval_of_the_mean_is_that_of_joint_resamples():
    """Real images are shared, so that it is wider than independent groups would make it, but narrower than each."""
    scores, labels, makers, sources = larger()
    found = summarise_view(scores, labels, makers, np.full(600, ""), HALF)
    low, high = found["macro_auroc_over_generators_interval"]
    assert low < found["macro_auroc_over_generators"] < high
    widths = [np.ptp(numbers["intervals"]["auroc"]) for numbers in found["per_generator"].values()]
    assert np.hypot(*widths) / 2 < high - low < max(widths)
    by_hand = []
    rng, classes = np.random.default_rng(1), [scores[makers == name] for name in ("real", "alpha", "beta")]
    for _ in range(300):
        real_scores, *fakes = (rng.choice(one, len(one)) for one in classes)
        aurocs = [roc_auc_score(np.repeat([0, 1], 200), np.concatenate([real_scores, one])) for one in fakes]
        by_hand.append(np.mean(aurocs))
    assert [low, high] == pytest.approx(np.quantile(by_hand, [0.025, 0.975]), abs=0.2 * (high - low))
    assert (found["macro_auroc_over_sources"], found["worst_source"]) == (None, None)


def test_the_mean_over_sources_leaves_out_those_of_one_class():
    found = summarise_view(SCORES, LABELS, generators, SOURCES, HALF)
    aurocs = {name: numbers["auroc"] for name, numbers in found["per_source"].items()}
    assert aurocs == {"one": 1, "two": 1, "unstated": 0, "three": None}
    assert found["macro_auroc_over_sources"] == pytest.approx(2 / 3)
    assert found["worst_source"] == {"name": "unstated", "auroc": 0, "interval": None}
    scores, labels, makers, sources = larger()
    found = summarise_view(scores, labels, makers, sources, HALF)
    low, high = found["macro_auroc_over_sources_interval"]
    assert low < found["macro_auroc_over_sources"] < high
    assert (
        found["worst_source"]["interval"] == found["per_source"][found["worst_source"]["name"]]["intervals"]["auroc"]
    )


def test_a_group_of_one_image_has_no_interval_and_the_mean_none_either():
    found = summarise_view(SCORES, LABELS, generators, SOURCES, HALF)
    beta = found["per_generator"]["beta"]
    assert beta["auroc"] is not None
    assert {name for name, ends in beta["intervals"].items() if ends} == {
        "specificity", "true_negatives", "false_positives",
    }  # fmt: skip
    assert found["worst_generator"] == {"name": "beta", "auroc": beta["auroc"], "interval": None}
    assert found["macro_auroc_over_generators_interval"] is None
    assert found["per_generator"]["alpha"]["intervals"]["auroc"] is not None
