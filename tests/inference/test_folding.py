"""Folded networks: the same logits with fewer passes, changed weights are followed, and a wrong guess is noticed."""

import pytest
import torch
from torch import nn
from transformers.modeling_outputs import ImageClassifierOutputWithNoAttention

from fakelens.inference.detector import load_detector
from fakelens.inference.folding import FoldedNetwork, folded
from fakelens.zoo import registry

CONVOLUTIONAL = ("patch_lens", "mobilenet_v2", "efficientnetv2_s", "resnet_se", "custom_cnn")


@pytest.fixture
def pixels():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def normalisations(network):
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def settled(network):
    """Give normalisations statistics that cannot be folded wrongly unnoticed."""
    generator = torch.Generator().manual_seed(1)
    for module in normalisations(network):
        with torch.no_grad():
            for tensor in (module.running_mean, module.weight, module.bias):
                tensor.add_(0.2 * torch.rand(tensor.shape, generator=generator))
            module.running_var.mul_(1 + torch.rand(module.running_var.shape, generator=generator))
    return network.eval()


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_networks_of_the_zoo_say_the_same_folded(name, pixels):
    model = settled(registry.build_detector(name))
    weights = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    network = FoldedNetwork(model)
    with torch.inference_mode():
        expected = model(pixels).logits
        for _ in range(2):  # the first call asks both
            torch.testing.assert_close(network(pixel_values=pixels).logits, expected, rtol=1e-3, atol=1e-4)
    assert all(torch.equal(tensor, weights[key]) for key, tensor in model.state_dict().items())


def test_the_flagship_is_scored_without_normalisations():
    detector = load_detector(device="cpu")
    twin = folded(detector.model)
    assert normalisations(detector.model) and not normalisations(twin)
    assert twin.config is detector.model.config  # a temperature set there holds for both


def test_weights_and_temperature_that_change_are_followed(pixels):
    model = settled(registry.build_detector("patch_lens"))
    network = FoldedNetwork(model)
    with torch.inference_mode():
        before = network(pixel_values=pixels).logits
    model.config.logit_temperature = 2.0
    with torch.inference_mode():
        torch.testing.assert_close(network(pixel_values=pixels).logits, before / 2, rtol=1e-3, atol=1e-5)
    with torch.no_grad():
        model.classifier.weight.mul_(3)
        model.classifier.bias.mul_(3)
    with torch.inference_mode():
        torch.testing.assert_close(network(pixel_values=pixels).logits, before * 1.5, rtol=1e-3, atol=1e-5)
    model.load_state_dict(settled(registry.build_detector("patch_lens")).state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(network(pixel_values=pixels).logits, model(pixels).logits, rtol=1e-3, atol=1e-4)


class Crossed(nn.Module):
    """Its convolution and normalisation are neighbours by name, and not one after the other."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)

    def forward(self, pixel_values):
        found = self.last(self.norm(self.first(pixel_values).relu())).mean(dim=(2, 3))
        return ImageClassifierOutputWithNoAttention(logits=found)


def test_a_wrong_guess_is_noticed(pixels):
    model = settled(Crossed())
    network = FoldedNetwork(model)
    with torch.inference_mode():
        assert not torch.allclose(folded(model)(pixels).logits, model(pixels).logits, atol=1e-3)
        for _ in range(2):
            assert torch.equal(network(pixel_values=pixels).logits, model(pixels).logits)


def test_a_network_in_training_is_called_itself(pixels):
    model = settled(registry.build_detector("patch_lens")).train()
    model.dropout.p = 0.0
    seen = [module.num_batches_tracked.item() for module in normalisations(model)]
    FoldedNetwork(model)(pixel_values=pixels).logits.sum().backward()
    assert all(m.num_batches_tracked > before for m, before in zip(normalisations(model), seen, strict=True))
    assert model.classifier.weight.grad is not None
