"""Platt scaling: a lean to one side is found and taken out of the scores, on disk too, and their order stays."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import expit

from fakelens.errors import UserError
from fakelens.inference.detector import Detector, load_detector, p_fake
from fakelens.training.calibration.calibration import Scored, fit, score_images
from fakelens.training.calibration.platt import apply_bias, bias_effect, fit_platt, log_odds, shifted
from fakelens.training.calibration.temperature import at_temperature, fit_temperature
from fakelens.training.calibration.thresholds import check_method
from fakelens.zoo.registry import build_detector, build_processor
from tests.training.calibration.test_temperature import IMAGES, MODELS, build


def leaning(temperature=2.0, bias=1.5, count=4000):
    """Return what a detector says that is too sure and leans to one side, and labels as likely as it ought to say."""
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 2, count)
    scores = expit((odds - bias) * temperature)
    return np.stack([1 - scores, scores], axis=1), (rng.random(count) < expit(odds)).astype(int)


@pytest.mark.parametrize(("temperature", "bias"), [(2.0, 1.5), (0.5, -2.0), (1.0, 0.0)])
def test_a_known_temperature_and_bias_are_found_again(temperature, bias):
    found = fit_platt(*leaning(temperature, bias))
    assert found == pytest.approx((temperature, bias), rel=0.1, abs=0.1)


def test_images_scored_without_an_error_do_not_make_scores_certain():
    labels = np.arange(20) % 2
    scores = expit(4.0 * (2 * labels - 1) + 3)
    temperature, bias = fit_platt(np.stack([1 - scores, scores], axis=1), labels)
    odds = np.log(scores / (1 - scores)) / temperature + bias
    assert expit(odds)[labels == 1] == pytest.approx(11 / 12, abs=0.01)


@pytest.mark.parametrize("name", [*MODELS, "ensemble"])
def test_the_bias_is_in_the_scores_in_memory_and_on_disk(name, tmp_path):
    model, processor = build(name)
    detector = Detector(model, processor, device="cpu")
    before = detector.probabilities(IMAGES)
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    if not apply_bias(detector, 0.7, IMAGES):
        # Left as it was, to the last number: an ensemble's members each have an answer of their own.
        assert name == "ensemble" and all(torch.equal(state[key], t) for key, t in model.state_dict().items())
        record = fit(detector, Scored(*leaning(), IMAGES), "0.5", "platt")
        assert record["bias"] == 0 and "no bias applied" in record["notes"][-1]
        assert record["temperature"] == pytest.approx(fit_temperature(*leaning()), rel=1e-3)
        return
    assert log_odds(detector.probabilities(IMAGES)) == pytest.approx(log_odds(before) + 0.7, abs=1e-3)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = load_detector(tmp_path, device="cpu").probabilities(IMAGES)
    assert again == pytest.approx(shifted(before, 0.7), abs=1e-4)


def test_where_detail_counts_a_bias_is_fitted_and_applied_by_it():
    """A patch lens: a rough image feels all of a bias, a blank one none of it."""
    detector = Detector(build_detector("patch_lens"), build_processor("patch_lens", 64), device="cpu")
    grey = np.full((64, 64, 3), 128, np.uint8)
    noise = np.random.default_rng(0).integers(0, 255, grey.shape, dtype=np.uint8)
    faint = (grey + noise // 127).astype(np.uint8)
    images = [Image.fromarray(pixels) for pixels in (noise, grey, faint)]
    before = log_odds(detector.probabilities(images))
    assert apply_bias(detector, 0.7, images)
    felt = (log_odds(detector.probabilities(images)) - before) / 0.7
    assert felt[0] == pytest.approx(1, abs=0.01) and abs(felt[1]) < 0.01 and 0.02 < felt[2] < 0.5
    inputs = detector.process(images)
    assert bias_effect(detector, inputs) == pytest.approx(felt, abs=1e-3)
    scored = score_images(detector, ((image, number % 2) for number, image in enumerate(images)))
    assert scored.effect == pytest.approx(felt, abs=1e-3)
    # Only half of the images feel it: what is fitted is what was put in, not its mean.
    rng = np.random.default_rng(1)
    effect, odds = rng.choice([0.0, 1.0], 6000), rng.normal(0, 2, 6000)
    labels = (rng.random(6000) < expit(odds + 1.5 * effect)).astype(int)
    scores = expit(odds)
    found = fit_platt(np.stack([1 - scores, scores], axis=1), labels, 1.0, effect)
    assert found == pytest.approx((1.0, 1.5), rel=0.1, abs=0.1)


def test_calibrating_records_the_bias_and_doing_it_again_changes_nothing(tiny_model):
    detector = load_detector(tiny_model, device="cpu")
    probabilities, labels = leaning()
    before = log_odds(detector.probabilities(IMAGES[:1]))
    plain = fit(load_detector(tiny_model, device="cpu"), Scored(probabilities, labels, IMAGES), "0.5")
    record = fit(detector, Scored(probabilities, labels, IMAGES), "0.5", "platt")
    assert record["notes"] == [] and record["bias"] == pytest.approx(1.5, abs=0.2)
    assert record["after"]["ece"] < plain["after"]["ece"] / 3 and record["after"]["nll"] < plain["after"]["nll"]
    after = log_odds(detector.probabilities(IMAGES[:1]))
    assert after == pytest.approx(before / record["temperature"] + record["bias"], abs=1e-3)
    low, high = record["uncertain_band"]
    now = shifted(at_temperature(probabilities, record["temperature"]), record["bias"])
    assert (p_fake(now)[labels == 0] >= high).mean() <= 0.05
    second = fit(detector, Scored(now, labels, IMAGES), "0.5", "platt")
    assert second["bias"] == pytest.approx(0, abs=0.01)
    assert second["temperature"] == pytest.approx(record["temperature"], rel=0.01)
    assert second["uncertain_band"] == pytest.approx([low, high], abs=0.01)


def test_a_detector_of_generators_gets_a_temperature_and_a_note():
    model = build_detector("custom_cnn", labels=["real", "one", "other"], **MODELS["custom_cnn"])
    detector = Detector(model, build_processor("custom_cnn", 32), device="cpu")
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], 60)
    record = fit(detector, Scored(probabilities, np.arange(60) % 2, IMAGES), "0.5", "platt")
    assert record["bias"] == 0 and "no bias fitted" in record["notes"][-1]


def test_another_way_to_calibrate_is_refused():
    with pytest.raises(UserError, match="calibration is 'isotonic'; it is temperature, platt or none"):
        check_method("isotonic")
