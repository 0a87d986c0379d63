import json
import shutil

import numpy as np
import pytest
import torch

from fakelens import load_detector
from fakelens.errors import UserError
from fakelens.inference.detector import Detector
from fakelens.zoo.registry import build_detector, build_processor
from tests.abuse import make_image


def with_config(tiny_model, tmp_path, **settings):
    shutil.copytree(tiny_model, tmp_path / "m")
    path = tmp_path / "m" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return load_detector(tmp_path / "m", device="cpu")


@pytest.fixture
def calibrated(tiny_model, tmp_path):
    return with_config(tiny_model, tmp_path, decision_threshold=0.3, fpr_thresholds={"0.01": 0.9, "0.05": 0.7})


def last_layer(detector):
    return [m for m in detector.model.modules() if isinstance(m, torch.nn.Linear)][-1]


def predict(detector, score, max_fpr=None):
    """Score one image with a model that answers `score`."""
    logit = torch.logit(torch.tensor(score, dtype=torch.float64)).float()
    torch.nn.init.zeros_(last_layer(detector).weight)
    torch.nn.init.constant_(last_layer(detector).bias, logit.item())
    return detector([make_image()], max_fpr)[0].verdict


@pytest.mark.parametrize(
    ("score", "max_fpr", "verdict"),
    [
        (0.2, None, "real"),
        (0.31, None, "fake"),
        (0.2, 0.05, "real"),
        (0.5, 0.05, "uncertain"),
        (0.71, 0.05, "fake"),
        (0.71, 0.01, "uncertain"),
        (0.71, 0.04, "uncertain"),
        (0.91, 0.01, "fake"),
    ],
)
def test_verdicts_follow_the_models_own_thresholds(calibrated, score, max_fpr, verdict):
    assert predict(calibrated, score, max_fpr) == verdict


@pytest.mark.parametrize(
    ("score", "max_fpr", "verdict"),
    [
        (0.1, None, "real"),
        (0.25, None, "uncertain"),
        (0.31, None, "uncertain"),
        (0.61, None, "fake"),
        (0.61, 0.05, "uncertain"),
        (0.71, 0.05, "fake"),
        (0.25, 0.05, "uncertain"),  # another rate for photographs: what is predicted real stays
        (0.19, 0.05, "real"),
    ],
)
def test_a_model_with_a_band_is_uncertain_in_it(tiny_model, tmp_path, score, max_fpr, verdict):
    detector = with_config(
        tiny_model,
        tmp_path,
        decision_threshold=0.3,
        fpr_thresholds={"0.01": 0.9, "0.05": 0.7},
        uncertain_band=[0.2, 0.6],
    )
    assert predict(detector, score, max_fpr) == verdict


@pytest.mark.parametrize("band", [None, [0.3, 0.3]])
def test_without_a_band_or_with_an_empty_one_the_threshold_divides(tiny_model, tmp_path, band):
    detector = with_config(tiny_model, tmp_path, decision_threshold=0.3, uncertain_band=band)
    assert [predict(detector, score) for score in (0.29, 0.31)] == ["real", "fake"]


def test_a_rate_below_every_calibrated_one_is_refused(calibrated):
    with pytest.raises(UserError, match=r"not calibrated.*0\.001.*0\.01, 0\.05"):
        calibrated([make_image()], max_fpr=0.001)


def test_score_that_is_no_number_is_an_error_not_a_verdict(calibrated):
    torch.nn.init.constant_(last_layer(calibrated).bias, float("nan"))
    verdict = calibrated([make_image()])[0]
    assert verdict.verdict is None and "not a number" in verdict.error


def test_whatever_takes_many_images_takes_one(tiny_model):
    detector, image = load_detector(tiny_model, device="cpu"), make_image()
    for method in (detector.scores, detector.probabilities):
        assert method(image).shape[0] == 1 and np.array_equal(method(image), method([image]))
    assert detector.process(image)["pixel_values"].equal(detector.process([image])["pixel_values"])


def test_batches_do_not_change_scores(tiny_model):
    detector = load_detector(tiny_model)
    images = [make_image(30 + n, 50 - n, seed=n) for n in range(7)]
    together = [v.score for v in detector(images, batch_size=7)]
    assert np.allclose(together, [detector([image])[0].score for image in images], atol=1e-6)


def test_code_in_a_folder_is_not_run_where_the_class_is_installed(tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "m")
    (tmp_path / "m" / "modeling_custom_cnn.py").write_text("raise SystemExit('ran the code of a stranger')")
    assert load_detector(tmp_path / "m")([make_image()])[0].verdict


def test_a_model_without_the_label_real_is_refused(tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "m")
    path = tmp_path / "m" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"id2label": {"0": "cat", "1": "dog"}}))
    with pytest.raises(UserError, match="cat, dog"):
        load_detector(tmp_path / "m")


def test_sure_networks_keep_their_order(calibrated):
    """Logits of -40 and -50 differ, though one minus a float32 softmax is 0 for both."""
    torch.nn.init.constant_(last_layer(calibrated).bias, 0)
    pixels = torch.zeros(1, 3, 32, 32)
    scores = []
    for bias in (-50.0, -40.0):
        torch.nn.init.zeros_(last_layer(calibrated).weight)
        torch.nn.init.constant_(last_layer(calibrated).bias, bias)
        scores.append(calibrated.score_pixels(pixels)[0])
    assert 0 < scores[0] < scores[1] < 1e-15


def test_a_model_saved_in_half_precision_is_scored_in_full(tiny_model, tmp_path):
    full = load_detector(tiny_model)
    expected = full([make_image()])[0].score
    full.model.half().save_pretrained(tmp_path / "m")
    full.processor.save_pretrained(tmp_path / "m")
    assert load_detector(tmp_path / "m")([make_image()])[0].score == pytest.approx(expected, abs=1e-3)


def test_the_sentence_names_the_fraction_that_the_models_own_threshold_keeps_to(tmp_path):
    network, processor = (
        build_detector("custom_cnn", hidden_sizes=[4], classifier_size=4),
        build_processor("custom_cnn", 16),
    )
    network.config.uncertain_band, network.config.fpr_thresholds = [0.4, 0.6], {"0.02": 0.6, "0.2": 0.5}
    torch.nn.init.constant_(network.classifier.bias, 50.0)
    detector = Detector(network, processor, "made up", "cpu")
    assert detector.own_rate == 0.02
    assert "Of 100 photographs like those it was calibrated on, at most 2" in detector([make_image()])[0].sentence
    network.config.fpr_thresholds = {}
    assert Detector(network, processor, "made up", "cpu").own_rate is None
