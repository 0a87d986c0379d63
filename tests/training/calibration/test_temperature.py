"""One temperature: found again where it is known, applied once, in every kind of model, and the order left alone."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from transformers import pipeline

from fakelens.inference.detector import Detector, load_detector, p_fake
from fakelens.training.calibration.temperature import (
    BOUNDS,
    apply_temperature,
    at_temperature,
    fit_temperature,
    negative_log_likelihood,
    uncalibrated,
)
from fakelens.zoo.ensembles import build_ensemble
from fakelens.zoo.registry import build_detector, build_processor
from tests.abuse import make_image

CNN = {"hidden_sizes": [4, 8], "classifier_size": 8}
MODELS = {
    "custom_cnn": CNN | {"logit_temperature": 0.5},
    "timm/test_efficientnet": {},
    "mobilenet_v2": {"depth_multiplier": 0.25},
    "efficientnet_b0_mlp": {"backbone": "test_efficientnet", "hidden_sizes": [8]},
}
IMAGES = [make_image(40, 40, seed=n) for n in range(3)]


def drawn(temperature, count=20_000, classes=2):
    """Draw labels from probabilities, and return what a model says whose logits are too large by the temperature."""
    rng = np.random.default_rng(0)
    true = at_temperature(rng.dirichlet(np.ones(classes), count), 1)
    labels = (rng.random(count) < p_fake(true)).astype(int)
    return at_temperature(true, 1 / temperature), labels


@pytest.mark.parametrize(("temperature", "classes"), [(0.4, 2), (1, 2), (3, 2), (2, 4)])
def test_a_known_temperature_is_found_again(temperature, classes):
    probabilities, labels = drawn(temperature, classes=classes)
    found = fit_temperature(probabilities, labels)
    assert found == pytest.approx(temperature, rel=0.05)
    calibrated = at_temperature(probabilities, found)
    near = [at_temperature(probabilities, found * factor) for factor in (0.97, 1, 1.03)]
    losses = [negative_log_likelihood(one, labels) for one in near]
    assert losses[1] == min(losses) <= negative_log_likelihood(probabilities, labels)
    # Fitted again on what it made, nothing is left to do.
    assert fit_temperature(calibrated, labels, current=found) == pytest.approx(found, rel=1e-4)


def test_order_stays_and_scores_come_back():
    scores = np.sort(np.random.default_rng(0).beta(0.3, 0.3, 500))
    cooled = p_fake(at_temperature(np.stack([1 - scores, scores], axis=1), 2.5))
    assert (np.diff(cooled) >= 0).all() and np.abs(cooled - scores).max() > 0.1
    assert uncalibrated(cooled, 2.5) == pytest.approx(scores, abs=1e-9)
    probabilities, _ = drawn(1, 50, classes=4)
    assert uncalibrated(at_temperature(probabilities, 2.5), 2.5) == pytest.approx(p_fake(probabilities), abs=1e-9)


def test_what_images_do_not_determine_is_bounded():
    """Scored without an error, few images allow less certainty than many; a coin's scores go to the upper bound."""
    found = {}
    for count in (20, 2000):
        labels = np.arange(count) % 2
        scores = expit(4.0 * (2 * labels - 1))
        probabilities = np.stack([1 - scores, scores], axis=1)
        found[count] = fit_temperature(probabilities, labels)
        after = p_fake(at_temperature(probabilities, found[count]))
        assert after[labels == 1] == pytest.approx((count / 2 + 1) / (count / 2 + 2), abs=1e-3)
    assert BOUNDS[0] < found[2000] < 1 < found[20] < BOUNDS[1]
    assert fit_temperature(probabilities, 1 - labels) == pytest.approx(BOUNDS[1], rel=1e-3)


def logits(model, processor):
    with torch.no_grad():
        return model(**processor(images=IMAGES, return_tensors="pt")).logits


def build(name):
    torch.manual_seed(0)
    if name == "ensemble":
        members = [(build_detector(n, **o), build_processor(n, 32)) for n, o in list(MODELS.items())[:2]]
        return build_ensemble(members, [2, 1])
    model, processor = build_detector(name, **MODELS[name]), build_processor(name, 32)
    # Statistics of real images, without which a deep random network answers nothing but zeros.
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    logits(model.train(), processor)
    assert logits(model.eval(), processor).abs().max() > 1e-3
    return model, processor


@pytest.mark.parametrize("name", [*MODELS, "ensemble"])
def test_logits_are_divided_once_in_memory_on_disk_and_in_a_pipeline(name, tmp_path):
    model, processor = build(name)
    before = logits(model, processor)
    was = Detector(model, processor, device="cpu").temperature
    for factor in (4.0, 0.5):  # one calibration after the other
        assert apply_temperature(Detector(model, processor, device="cpu"), factor, IMAGES)
    torch.testing.assert_close(logits(model, processor), before / 2, rtol=1e-4, atol=1e-5)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = load_detector(tmp_path, device="cpu")
    assert again.temperature == pytest.approx(2 * was)
    expected = (before / 2).softmax(dim=-1)[:, 1].numpy()
    assert again.scores(IMAGES) == pytest.approx(expected, abs=1e-4)
    if name != "ensemble":
        classify = pipeline("image-classification", model=str(tmp_path), trust_remote_code=True)
        rows = [{row["label"]: row["score"] for row in one} for one in classify(IMAGES)]
        assert [row["fake"] for row in rows] == pytest.approx(expected, abs=1e-4)


def test_a_network_whose_last_layer_is_not_its_answer_is_left_alone():
    model, processor = build("mobilenet_v2")
    detector = Detector(model, processor, device="cpu")
    model.classifier.register_forward_hook(lambda module, inputs, output: output**3)
    weights = model.classifier.weight.detach().clone()
    assert not apply_temperature(detector, 3.0, IMAGES)
    assert torch.equal(model.classifier.weight, weights) and detector.temperature == 1
    model.classifier = torch.nn.Conv1d(1, 1, 1)
    assert not apply_temperature(detector, 3.0, IMAGES)
