"""The table under attack: what is attacked, how strongly, and what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from fakelens.data.decode import decode_image
from fakelens.data.sources.opening import open_source, row_bytes
from fakelens.errors import UserError
from fakelens.evaluation.attacks.adversarial import Attack, attack_table, processed
from fakelens.evaluation.plots.curves import draw_attacks
from fakelens.evaluation.report.console import print_summary
from fakelens.evaluation.run import Options, evaluate_models
from fakelens.evaluation.scoring.predict import predict
from fakelens.inference.detector import load_detector
from fakelens.metrics.detection import detection_metrics
from fakelens.zoo.ensembles import build_ensemble


@pytest.fixture(scope="module")
def source(tiny_data):
    return open_source(str(tiny_data), "test")


@pytest.mark.parametrize("model", ["learned", "learned_crops"])
@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_no_attack_is_the_clean_score_and_a_strong_one_brings_the_auroc_down(source, model, method, request):
    detector = load_detector(request.getfixturevalue(model), device="cpu")
    table = attack_table(detector, source, (0.0, 0.02, 0.08), method, batch_size=7)
    clean = predict(detector, source)
    expected = detection_metrics(clean.scores["raw"], clean.labels, detector.threshold)
    assert {key: table[0][key] for key in expected} == pytest.approx(expected, abs=1e-6)
    assert [row["eps"] for row in table] == [0, 0.02, 0.08]
    aurocs = [row["auroc"] for row in table]
    assert aurocs == sorted(aurocs, reverse=True) and aurocs[0] > 0.9 and aurocs[2] < 0.7


def test_strengths_do_not_depend_on_the_others_in_the_list(source, learned):
    detector = load_detector(learned, device="cpu")
    together = attack_table(detector, source, (0.02, 0.05), "pgd")
    assert attack_table(detector, source, (0.05,), "pgd") == together[1:]


def test_changed_verdicts_are_counted_against_the_clean_ones(source, learned, tmp_path):
    """Also where the clean image is not among the strengths."""
    detector = load_detector(learned, device="cpu")
    rows = list(source.stream)
    clean = processed(detector, [decode_image(row_bytes(row["image"])).image for row in rows])
    labels = torch.tensor([row["label"] for row in rows])
    before = detector.score_pixels(clean) >= detector.threshold
    after = detector.score_pixels(Attack(detector, "fgsm")(clean, labels, 0.08)) >= detector.threshold
    table = attack_table(detector, source, (0.08,), batch_size=7)
    (row,) = table
    assert row["flipped"] == (before != after).mean() > 0
    assert row["real_to_fake"] == (~before & after)[labels.numpy() == 0].mean()
    assert row["fake_to_real"] == (before & ~after)[labels.numpy() == 1].mean()
    assert attack_table(detector, source, (0.0,))[0]["flipped"] == 0
    wide = Image.open(draw_attacks({"before": {"fgsm": table}, "after": {"fgsm": table}}, "test", tmp_path))
    assert wide.width > 1400  # accuracy, AUROC and verdicts changed


def test_a_model_of_generators_is_attacked_on_its_verdict(source, learned, attributor):
    """P(fake) is the same function of the pixels, so that the attack must be too, wherever "real" stands."""
    strengths = (0.0, 0.05, 0.08)
    two = attack_table(load_detector(learned, device="cpu"), source, strengths)
    three = attack_table(load_detector(attributor, device="cpu"), source, strengths)
    assert [row["brier"] for row in three] == pytest.approx([row["brier"] for row in two], abs=1e-4)
    assert two[2]["brier"] > two[0]["brier"] + 0.1


def test_a_network_that_is_too_sure_for_float32_is_no_safer_for_it(source, learned):
    """Logits a thousand times as large leave every verdict, and no gradient of the loss."""
    detector = load_detector(learned, device="cpu")
    expected = attack_table(detector, source, (0.0, 0.08))
    with torch.no_grad():
        detector.model.classifier.weight *= 1000
        detector.model.classifier.bias *= 1000
    found = attack_table(detector, source, (0.0, 0.08))
    assert [row["accuracy"] for row in found] == [row["accuracy"] for row in expected]
    assert expected[1]["accuracy"] < expected[0]["accuracy"]


def test_the_network_is_left_as_it_was(source, learned):
    detector = load_detector(learned, device="cpu")
    before = {name: tensor.clone() for name, tensor in detector.model.state_dict().items()}
    attack_table(detector, source, (0.05,), images=4)
    assert not detector.model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in detector.model.state_dict().items())
    assert all(parameter.grad is None for parameter in detector.model.parameters())


def test_a_part_of_a_split_that_starts_with_one_class_has_both(parquet, tiny_model):
    """Eight real images come first, one of them damaged."""
    detector, source = load_detector(tiny_model, device="cpu"), open_source(str(parquet), "test")
    row = attack_table(detector, source, (0.05,), images=5)[0]
    assert (row["real"], row["fake"]) == (3, 2)
    row = attack_table(detector, source, (0.05,), limit=10)[0]
    assert (row["real"], row["fake"]) == (7, 2)
    row = attack_table(detector, source, (0.05,))[0]
    assert (row["real"], row["fake"], sum(row["skipped"].values())) == (7, 9, 1)


def test_the_report_has_the_table_the_page_and_the_plot(tmp_path, tiny_data, learned, learned_crops):
    models, strengths = [str(learned), str(learned_crops)], [0, 0.05]
    output = tmp_path / "report"
    report = evaluate_models(
        models,
        str(tiny_data),
        output,
        options=Options(views=["raw"], device="cpu", attacks=["fgsm", "pgd"], strengths=strengths),
    )
    for model in report["models"]:
        tables = model["attacks"]["test"]
        assert list(tables) == ["fgsm", "pgd"]
        assert [row["eps"] for row in tables["pgd"]] == strengths
        assert tables["fgsm"][0]["auroc"] == model["results"]["test"]["raw"]["overall"]["auroc"]
    text = (output / "report.md").read_text()
    attacked = report["models"][1]["attacks"]["test"]["pgd"][1]
    assert (
        f"| {report['models'][1]['name']} | PGD | 0.05 | {attacked['auroc']:.3f} | {attacked['accuracy']:.3f} |"
        in text
    )
    assert "plots/attacks_test.png" in report["plots"] and (output / "plots" / "attacks_test.png").exists()


def test_an_ensemble_is_not_attacked_and_all_say_so(tmp_path, tiny_data, learned, learned_crops, capsys):
    ensemble, processor = build_ensemble([learned, learned_crops])
    ensemble.save_pretrained(tmp_path / "ensemble")
    processor.save_pretrained(tmp_path / "ensemble")
    models = [str(tmp_path / "ensemble"), str(learned)]
    report = evaluate_models(
        models,
        str(tiny_data),
        tmp_path / "report",
        options=Options(views=["raw"], device="cpu", attacks=["fgsm"], strengths=[0.05]),
    )
    skipped, attacked = report["models"]
    assert "attacks" not in skipped and "members one by one" in skipped["attacks_skipped"]
    assert attacked["attacks"]["test"]["fgsm"] and "attacks_skipped" not in attacked
    print_summary(report)
    said = " ".join(capsys.readouterr().out.split())
    assert "ensemble was not attacked. It is an ensemble" in said and "Under attack" in said
    assert "ensemble was not attacked.** It is an ensemble" in (tmp_path / "report" / "report.md").read_text()
    report = evaluate_models(
        models[:1], str(tiny_data), tmp_path / "alone", options=Options(["raw"], attacks=["fgsm"])
    )
    assert "plots/attacks_test.png" not in report["plots"]


def test_nobody_asked_for_an_attack(tmp_path, parquet, tiny_model):
    report = evaluate_models(
        [str(tiny_model)], str(parquet), tmp_path / "report", options=Options(["raw"], device="cpu")
    )
    assert not {"attacks", "attacks_skipped", "attribution"} & report["models"][0].keys()
    assert "nder attack" not in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strengths": [0, 1.5]}, r"lies in \[0, 1\].*not 1\.5"),
        ({"strengths": [-0.1]}, r"not -0\.1"),
        ({"strengths": [np.nan]}, "not nan"),
        ({"strengths": []}, "at least one strength"),
        ({"attacks": ["fgsm", "cw"]}, "no attack 'cw': say fgsm or pgd"),
        ({"attack_limit": 1}, "at least 2 images"),
    ],
)
def test_bad_attacks_are_named_before_the_work_begins(tmp_path, parquet, changes, message):
    options = Options(**{"attacks": ["fgsm"]} | changes)
    with pytest.raises(UserError, match=message):
        evaluate_models(["never-loaded"], str(parquet), tmp_path / "report", options=options)
    assert not (tmp_path / "report").exists()
