"""S2's scenarios: which images are attacked, and that the three sets are what they are said to be."""

import json

import pytest
from PIL import Image

from fakelens.data.sources.opening import open_source
from fakelens.errors import UserError
from fakelens.evaluation.attacks.adversarial import attack_table
from fakelens.evaluation.attacks.scenarios import choose, scenarios
from fakelens.evaluation.plots.robustness import draw_scenarios
from fakelens.evaluation.robustness.tables import scenario_rows
from fakelens.evaluation.scoring.predict import predict
from fakelens.inference.detector import load_detector
from fakelens.metrics.detection import detection_metrics
from fakelens.zoo.ensembles import build_ensemble

COUNTS = ("true_negatives", "false_positives", "false_negatives", "true_positives", "count", "misclassified")


def test_the_choice_is_a_fraction_of_each_class_and_not_of_an_order():
    rows = [(f"image-{number}", int(number >= 100)) for number in range(150)]
    chosen = choose(rows, 0.3)
    assert [sum(name in chosen for name, label in rows if label == c) for c in (0, 1)] == [30, 15]
    assert choose(reversed(rows), 0.3) == chosen
    assert choose(rows, 0.1) < chosen  # a larger fraction adds to a smaller one
    assert chosen != {name for name, label in rows if int(name[6:]) % 100 < 30 - 15 * label}
    assert len(choose(rows[:2], 0.3)) == 1 and choose([], 0.3) == frozenset()


@pytest.mark.parametrize("model", ["learned", "learned_crops", "attributor"])
def test_clean_attacked_and_both(tiny_data, model, request, tmp_path):
    detector, source = (
        load_detector(request.getfixturevalue(model), device="cpu"),
        open_source(str(tiny_data), "test"),
    )
    found = scenarios(detector, source, batch_size=5)
    clean, fgsm, mixed = found["scenarios"].values()
    raw = predict(detector, source)
    assert clean == pytest.approx(dict(detection_metrics(raw.scores["raw"], raw.labels, detector.threshold)), abs=1e-6)
    assert (fgsm["real"], fgsm["fake"], mixed["count"]) == (4, 4, 32)  # round(0.3 * 12) of each class
    assert all(mixed[key] == clean[key] + fgsm[key] for key in COUNTS)
    assert fgsm["brier"] > clean["brier"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    everything = scenarios(detector, source, eps=0.08, fraction=1)["scenarios"]["fgsm"]
    attacked = attack_table(detector, source, (0.08,))[0]
    assert everything == pytest.approx({key: attacked[key] for key in everything}, abs=1e-6)
    rows = scenario_rows({"m": found, "n": found})[1]
    assert [row[1] for row in rows[:3]] == ["clean", "FGSM, eps 0.05, 30% of the images", "both together"]
    assert min(Image.open(draw_scenarios({"m": found, "n": found}, "test", tmp_path)).size) > 300


def test_rows_that_cannot_be_decoded_and_one_class(parquet, tiny_model, tmp_path):
    """A damaged real; the first six rows are all real images."""
    detector, source = load_detector(tiny_model, device="cpu"), open_source(str(parquet), "test")
    full = scenarios(detector, source, fraction=1)
    assert (full["scenarios"]["fgsm"]["count"], sum(full["skipped"].values())) == (16, 1)
    real_scores = scenarios(detector, source, fraction=0.5, limit=6)["scenarios"]
    assert real_scores["fgsm"]["fake"] == 0 and real_scores["mixed"]["auroc"] is None
    part = scenarios(detector, source, fraction=0.5, images=5)["scenarios"]
    assert (part["clean"]["real"], part["clean"]["fake"], part["fgsm"]["count"]) == (3, 2, 3)
    one = {"eps": 0.05, "fraction": 0.3, "scenarios": real_scores}
    assert draw_scenarios({"m": one}, "test", tmp_path).exists()


def test_what_cannot_be_done_is_said(parquet, tiny_data, tiny_model, learned, learned_crops, tmp_path):
    detector, source = load_detector(tiny_model, device="cpu"), open_source(str(parquet), "test")
    for arguments, message in (
        ({"fraction": 0}, "above 0 and at most 1: not 0"),
        ({"fraction": 1.5}, "not 1.5"),
        ({"eps": 2}, "lies in"),
        ({"images": 1}, "at least 2 images"),
    ):
        with pytest.raises(UserError, match=message):
            scenarios(detector, source, **arguments)
    ensemble, processor = build_ensemble([learned, learned_crops])
    ensemble.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="members one by one"):
        scenarios(load_detector(tmp_path, device="cpu"), source)
