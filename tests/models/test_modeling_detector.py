"""What all our own networks promise, whatever they are made of."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import Trainer, TrainingArguments

from fakelens.models import (
    CustomCNNConfig,
    CustomCNNForImageClassification,
    ResNetSEConfig,
    ResNetSEForImageClassification,
    TimmBackboneConfig,
    TimmBackboneForImageClassification,
)

NETWORKS = {
    "custom_cnn": (CustomCNNForImageClassification, CustomCNNConfig, {"hidden_sizes": [4, 8], "classifier_size": 8}),
    "resnet_se": (ResNetSEForImageClassification, ResNetSEConfig, {"width_multiplier": 0.1}),
    "timm_backbone": (TimmBackboneForImageClassification, TimmBackboneConfig, {"backbone": "test_efficientnet"}),
}


def build(name, **settings):
    model_class, config_class, sizes = NETWORKS[name]
    torch.manual_seed(0)
    return model_class(config_class(**sizes, **settings)).eval()


@pytest.fixture
def pixels():
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_of_crops_are_averaged(name, pixels):
    model = build(name)
    crops = torch.stack([pixels, pixels.flip(3), 2 * pixels], dim=1)  # (3 images, 3 crops, 3, 32, 32)
    with torch.no_grad():
        expected = torch.stack([model(pixels).logits, model(pixels.flip(3)).logits, model(2 * pixels).logits]).mean(0)
        torch.testing.assert_close(model(crops).logits, expected, rtol=0, atol=1e-6)
    assert not torch.allclose(expected, model(pixels).logits)


@pytest.mark.parametrize("name", NETWORKS)
def test_temperature_divides_the_logits(name, pixels):
    with torch.no_grad():
        plain, calibrated = build(name)(pixels).logits, build(name, logit_temperature=4.0)(pixels).logits
    torch.testing.assert_close(calibrated, plain / 4)
    assert plain.abs().max() > 0


@pytest.mark.parametrize("name", ["custom_cnn", "timm_backbone"])
def test_one_unit_is_trained_with_binary_cross_entropy(name, pixels):
    labels = torch.tensor([0, 1, 1])
    output = build(name)(pixels, labels=labels)
    assert output.logits.shape == (3, 2)
    assert torch.equal(output.logits[:, 0], torch.zeros(3))
    expected = F.binary_cross_entropy_with_logits(output.logits[:, 1], labels.float())
    torch.testing.assert_close(output.loss, expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_trainer_divides_the_loss_by_the_accumulation_steps(name, tmp_path):
    trainer = Trainer(build(name), TrainingArguments(str(tmp_path), report_to=[], use_cpu=True))
    assert not trainer.model_accepts_loss_kwargs
    assert trainer.label_names == ["labels"]


@pytest.mark.parametrize("name", NETWORKS)
def test_generators_have_a_unit_each(name, pixels):
    model = build(name, id2label={0: "real", 1: "gan", 2: "diffusion"})
    assert model(pixels).logits.shape == (3, 3)
    assert model.classifier.out_features == 3
    assert model.config.label2id == {"real": 0, "gan": 1, "diffusion": 2}
    assert model(pixels).logits[:, 0].abs().min() > 0  # "real" is a unit like the others


@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_network_comes_back_with_its_settings(name, pixels, tmp_path):
    model = build(name, logit_temperature=1.5, decision_threshold=0.7)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(again(pixels).logits, model(pixels).logits, rtol=0, atol=1e-6)
    assert (again.config.logit_temperature, again.config.decision_threshold) == (1.5, 0.7)
    assert again.config.id2label == {0: "real", 1: "fake"}
    assert "modeling_detector.py" in {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("name", ["custom_cnn", "resnet_se"])
def test_rectified_layers_start_with_he_initialisation(name):
    for module in build(name).modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 500:
            fan_in = module.weight[0].numel()
            assert module.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.15)


@pytest.mark.parametrize(
    "settings",
    [
        {"logit_temperature": 0},
        {"decision_threshold": 1.5},
        {"id2label": {0: "fake"}},
        {"dropout": 1.0},
    ],
)
@pytest.mark.parametrize("name", NETWORKS)
def test_settings_out_of_range_are_refused(name, settings):
    _, config_class, sizes = NETWORKS[name]
    with pytest.raises(ValueError, match=next(iter(settings)).replace("id2label", "at least two labels")):
        config_class(**sizes, **settings)
