"""Which generator made it: the rule, its numbers by hand, and the report."""

import csv

import numpy as np
import pytest

from fakelens.data.sources.opening import open_source
from fakelens.errors import UserError
from fakelens.evaluation.analysis.attribution import UNKNOWN, attribute, likeliest_fraction, name_generators
from fakelens.evaluation.plots.plots import draw_attributions
from fakelens.evaluation.report.console import print_summary
from fakelens.evaluation.run import Options, evaluate_models
from fakelens.evaluation.scoring.predict import Predictions, predict
from fakelens.inference.detector import load_detector

CLASSES = ("real", "alpha", "beta")


@pytest.mark.parametrize(
    ("odds", "threshold", "unknown_below", "answer"),
    [
        ([0.7, 0.2, 0.1], 0.5, 0.5, "real"),
        ([0.1, 0.8, 0.1], 0.5, 0.5, "alpha"),
        ([0.0, 0.52, 0.48], 0.5, 0.6, UNKNOWN),
        ([0.4, 0.3, 0.3], 0.5, 0.6, UNKNOWN),  # predicted fake though "real" is the likeliest class: the verdict rules
        ([0.4, 0.2, 0.4], 0.5, 0.6, "beta"),
        ([0.4, 0.2, 0.4], 0.7, 0.6, "real"),
        ([0.9, 0.09, 0.01], 0.05, 0.8, "alpha"),
        ([1.0, 0.0, 0.0], 0.0, 0.5, UNKNOWN),  # predicted fake without a trace of any
    ],
)
def test_the_rule(odds, threshold, unknown_below, answer):
    assert name_generators(np.array([odds]), CLASSES, threshold, unknown_below).tolist() == [answer]


def predictions(truth, odds):
    truth, odds = np.array(truth), np.array(odds)
    labels = (truth != "real").astype(int)
    ids = np.arange(len(truth)).astype(str)
    scores = {"raw": odds[:, 1:].sum(axis=1)}
    return Predictions("m", "test", ids, labels, truth, ids, scores, {}, 1.0, CLASSES, {"raw": odds})


TRUTH = ["real", "real", "alpha", "alpha", "gamma", "gamma", "unstated"]
ODDS = [
    [0.8, 0.1, 0.1],  # real
    [0.4, 0.5, 0.1],  # alpha
    [0.1, 0.8, 0.1],  # alpha
    [0.2, 0.45, 0.35],  # unknown, fraction .5625
    [0.1, 0.5, 0.4],  # unknown, fraction .5556
    [0.1, 0.0, 0.9],  # beta
    [0.1, 0.0, 0.9],
]


def test_numbers_by_hand():
    found = attribute(predictions(TRUTH, ODDS), "raw", threshold=0.5, unknown_below=0.6)
    assert found["rows"] == ["real", "alpha", "gamma"]
    assert found["labels"] == ["real", "alpha", "beta", UNKNOWN]
    assert found["confusion"] == [[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1]]
    assert found["accuracy"] == pytest.approx(3 / 6) and found["macro_recall"] == pytest.approx((1 + 1 + 1) / 6)
    assert found["closed_set_accuracy"] == pytest.approx(3 / 4)
    # fractions of known fakes .889 and .5625, of unknown ones .556 and 1: two pairs of four are in order
    assert found["open_set_auroc"] == 0.5
    assert (found["unknown_below"], found["unstated"]) == (0.6, 1)


def test_what_is_undefined_is_none():
    known = attribute(predictions(TRUTH[:4], ODDS[:4]), "raw", 0.5)
    assert known["open_set_auroc"] is None and known["closed_set_accuracy"] == 0.75
    unknown = attribute(predictions(TRUTH[4:6], ODDS[4:6]), "raw", 0.5)
    assert unknown["open_set_auroc"] is None and unknown["closed_set_accuracy"] is None
    assert unknown["rows"] == ["gamma"] and unknown["accuracy"] == 0
    assert attribute(predictions(["real", "unstated"], ODDS[:2]), "raw", 0.5) is None


def test_p_fake_is_one_minus_p_real_wherever_real_stands(tiny_data, attributor, learned):
    source = open_source(str(tiny_data), "test")
    found = predict(load_detector(attributor, device="cpu"), source, ("raw", "hard"))
    assert found.classes == ("real", "checker", "ghost")
    for view in ("raw", "hard"):
        np.testing.assert_allclose(found.scores[view], 1 - found.probabilities[view][:, 0], atol=1e-12)
        np.testing.assert_allclose(found.probabilities[view].sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(likeliest_fraction(found.probabilities["raw"]), 2 / 3, atol=1e-5)
    two = predict(load_detector(learned, device="cpu"), source, ("raw",))
    np.testing.assert_allclose(found.scores["raw"], two.scores["raw"], atol=1e-5)
    assert two.classes == () and two.probabilities == {}


def test_the_report_has_answers_matrix_page_and_plot(tmp_path, tiny_data, learned, attributor, capsys):
    output = tmp_path / "report"
    report = evaluate_models([str(learned), str(attributor)], str(tiny_data), output, options=Options(device="cpu"))
    two, three = report["models"]
    assert "attribution" not in two
    found = three["attribution"]["test"]["raw"]
    assert found["rows"] == ["real", "checker", "stripes"]
    assert found["labels"] == ["real", "checker", "ghost", UNKNOWN]
    assert [sum(row) for row in found["confusion"]] == [12, 6, 6]
    with (output / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[-1] == "generator_predicted"
    assert {row["generator_predicted"] for row in rows if row["model"] == two["name"]} == {""}
    for truth, counts in zip(found["rows"], found["confusion"], strict=True):
        answers = [r["generator_predicted"] for r in rows if (r["model"], r["generator"]) == (three["name"], truth)]
        assert [answers.count(label) for label in found["labels"]] == counts
    print_summary(report)
    assert "Who made it" in capsys.readouterr().out
    text = (output / "report.md").read_text()
    assert f"| {three['name']} | raw | {found['accuracy']:.3f} | {found['macro_recall']:.3f} |" in text
    assert "| truth | real | checker | ghost | unknown generator |" in text
    assert {"plots/attribution_test_raw.png", "plots/attribution_test_normalised.png"} <= set(report["plots"])


def test_the_threshold_reaches_the_report(tmp_path, tiny_data, attributor):
    """The likeliest generator always has two thirds of P(fake)."""
    arguments = ([str(attributor)], str(tiny_data), tmp_path / "report")
    for unknown_below, named in ((0.66, True), (0.67, False)):
        report = evaluate_models(*arguments, options=Options(["raw"], device="cpu", unknown_below=unknown_below))
        answers = np.sum(report["models"][0]["attribution"]["test"]["raw"]["confusion"], axis=0)
        assert (answers[1] > 0, answers[3] > 0) == (named, not named)
    with pytest.raises(UserError, match=r"fraction of P\(fake\)"):
        evaluate_models(*arguments, options=Options(unknown_below=1.1))


def test_data_without_names_of_generators_say_nothing_of_them(tmp_path, class_folders, attributor):
    output = tmp_path / "report"
    report = evaluate_models([str(attributor)], str(class_folders), output, options=Options(["raw"], device="cpu"))
    assert report["models"][0]["attribution"] == {"test": {"raw": None}}
    assert "tells generators apart, but these data do not name them" in (output / "report.md").read_text()
    assert "plots/attribution_test_raw.png" not in report["plots"]


def test_many_generators_have_a_large_image(tmp_path):
    from PIL import Image

    few = attribute(predictions(TRUTH, ODDS), "raw", 0.5)
    names = [f"generator-{number}" for number in range(40)]
    many = few | {"rows": names, "labels": [*names, UNKNOWN], "confusion": np.eye(40, 41, dtype=int).tolist()}
    small = Image.open(draw_attributions({"m": few}, "small", "raw", tmp_path)).size
    large = Image.open(draw_attributions({"m": many}, "large", "raw", tmp_path)).size
    assert min(large) > 3 * max(small) > 1000
