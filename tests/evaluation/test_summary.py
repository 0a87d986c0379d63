"""Numbers per generator and per source."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fakelens.errors import UserError
from fakelens.evaluation.predict import Predictions
from fakelens.evaluation.summary import shortcut_gap, summarise, summarise_view

generators = np.array(["real"] * 4 + ["alpha"] * 3 + ["beta"])
LABELS = np.array([0] * 4 + [1] * 4)
SOURCES = np.array(["one", "two", "", "one", "one", "two", "", "three"])
SCORES = np.array([0.1, 0.6, 0.3, 0.2, 0.9, 0.8, 0.25, 0.15])


def test_a_generator_is_judged_against_all_reals():
    found = summarise_view(SCORES, LABELS, generators, SOURCES, 0.5)
    for name in ("alpha", "beta"):
        chosen = (LABELS == 0) | (generators == name)
        numbers = found["per_generator"][name]
        assert numbers["auroc"] == roc_auc_score(LABELS[chosen], SCORES[chosen])
        assert (numbers["real"], numbers["fake"]) == (4, (generators == name).sum())
    aurocs = {name: numbers["auroc"] for name, numbers in found["per_generator"].items()}
    assert set(aurocs) == {"alpha", "beta"}
    assert found["macro_auroc_over_generators"] == pytest.approx((aurocs["alpha"] + aurocs["beta"]) / 2)
    assert found["worst_generator"] == {"name": "beta", "auroc": aurocs["beta"]}


def test_a_source_is_judged_by_its_own_rows():
    found = summarise_view(SCORES, LABELS, generators, SOURCES, 0.5)["per_source"]
    assert {name: (n["real"], n["fake"]) for name, n in found.items()} == {
        "one": (2, 1),
        "two": (1, 1),
        "three": (0, 1),
        "unstated": (1, 1),
    }
    assert found["three"]["auroc"] is None
    assert found["three"]["recall"] == 0


def test_no_sources_named():
    assert summarise_view(SCORES, LABELS, generators, np.full(8, ""), 0.5)["per_source"] == {}


def test_reals_alone():
    real = LABELS == 0
    found = summarise_view(SCORES[real], LABELS[real], generators[real], SOURCES[real], 0.5)
    assert (found["per_generator"], found["macro_auroc_over_generators"], found["worst_generator"]) == ({}, None, None)
    assert found["overall"]["specificity"] == 0.75


def predictions(**scores):
    return Predictions("m", "test", np.arange(8).astype(str), LABELS, generators, SOURCES, scores, {}, 1.0)


def test_shortcut_gap_is_what_the_normalised_view_loses():
    results = summarise(predictions(raw=LABELS * 0.9, normalised=SCORES), 0.5)
    assert shortcut_gap(results) == pytest.approx(1 - roc_auc_score(LABELS, SCORES))
    assert shortcut_gap({"raw": results["raw"]}) is None


def test_broken_scores_name_the_model_and_the_split():
    broken = SCORES.copy()
    broken[2:4] = np.nan
    with pytest.raises(UserError, match="m on split 'test': 2 of 8 scores"):
        summarise(predictions(raw=SCORES, hard=broken), 0.5)
