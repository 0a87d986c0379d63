import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fakelens.explain.maps.heatmap import grad_cam, heat_map, overlay, save_overlay
from fakelens.inference.detector import Detector
from fakelens.models import CustomCNNConfig, CustomCNNForImageClassification, DetectorImageProcessor
from fakelens.models.modeling_detector import PatchScores
from fakelens.zoo.ensembles import build_ensemble
from fakelens.zoo.registry import build_detector, build_processor, names
from tests.abuse import make_image
from tests.awake import awake


def red_detector(**processor):
    """A detector that predicts fake for red and real for blue, built by hand."""
    model = CustomCNNForImageClassification(CustomCNNConfig(hidden_sizes=[2], classifier_size=2)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.blocks[0].convolution.weight[0, 0, 1, 1] = 1  # red
        model.blocks[0].convolution.weight[1, 2, 1, 1] = 1  # blue
        model.blocks[0].normalization.weight.fill_(1)
        model.hidden.weight.copy_(torch.eye(2))
        model.classifier.weight.copy_(torch.tensor([[4.0, -4.0]]))
    return Detector(model, DetectorImageProcessor(do_normalize=False, **processor), "red", "cpu")


def half_red_half_blue():
    image = Image.new("RGB", (80, 48), "blue")
    image.paste("red", (0, 0, 40, 48))
    return image


@pytest.mark.parametrize(
    "processor", [{"size": {"height": 32, "width": 32}}, {"do_resize": False, "do_native_crop": True}]
)
def test_the_map_shows_where_the_evidence_is_and_what_it_says(processor):
    heat = heat_map(red_detector(**processor), half_red_half_blue())
    assert heat.shape == (48, 80)
    assert heat[:, :35].min() > 0.9 and heat[:, 45:].max() < 0.1


def test_the_scale_is_absolute():
    """An image with little evidence has a pale map, however the patches compare with each other."""
    pale = Image.blend(half_red_half_blue(), Image.new("RGB", (80, 48), "black"), 0.9)
    heat = heat_map(red_detector(do_resize=False, do_native_crop=True), pale)
    assert 0.5 < heat[:, :35].mean() < 0.65 and 0.35 < heat[:, 45:].mean() < 0.5


@pytest.mark.parametrize("name", names())
def test_every_network_of_the_zoo_has_a_map_whose_mean_is_its_answer(name):
    """Whole, for small images; also where a normalisation follows the pooling, as in ConvNeXt."""
    torch.manual_seed(0)
    detector = Detector(awake(build_detector(name)), build_processor(name, 64), name, "cpu")
    image = make_image(60, 50)
    inputs = detector.process([image])
    # So that neither the answer nor a patch's fraction of it is lost in the sigmoid.
    linear = [module for module in detector.model.modules() if isinstance(module, nn.Linear)]
    last = linear[-1] if linear else detector.model.classifier
    with torch.no_grad():
        real, fake = detector.model(**inputs).logits[0]
        for parameter in last.parameters():
            parameter.div_(2 * (fake - real).abs())
        real, fake = detector.model(**inputs).logits[0]
    heat = heat_map(detector, image)
    assert heat.shape == (50, 60) and heat.dtype == np.float32
    assert ((heat >= 0) & (heat <= 1)).all() and np.ptp(heat) > 1e-4
    patches = torch.from_numpy(grad_cam(detector.model, **inputs)).double().logit()
    assert patches.mean().item() == pytest.approx((fake - real).item(), abs=0.01)


def patterned(number, half, side=64):
    """A smooth image; `half` says which half has a pattern, left (0), right (1) or neither (None)."""
    pixels = np.asarray(make_image(side, side, number)).astype(int) // 2 + 60
    rows, columns = np.indices((side, side))
    if half is not None:
        pixels[(columns * 2 // side == half) & ((rows + columns) % 2 == 0)] += 50
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def trained(name, options, steps, rate):
    """A detector that was taught in seconds to predict fake for the pattern."""
    torch.manual_seed(0)
    model, processor = build_detector(name, **options), build_processor(name, 64)
    images = [patterned(number, None if number % 2 else number // 2 % 2) for number in range(64)]
    pixels, labels = processor(images=images, return_tensors="pt")["pixel_values"], torch.tensor([1, 0] * 32)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.3  # the default's mean would lag behind so short a training
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randperm(64)[:12]
        # Smoothed, so that the maps do not saturate.
        loss = nn.functional.cross_entropy(
            model(pixel_values=pixels[chosen]).logits, labels[chosen], label_smoothing=0.1
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    # Twice the side: more patches in the map.
    return Detector(model, build_processor(name, 128), name, "cpu")


def contrast(detector):
    """How much more evidence there is where the pattern is than beside it, in the mean over images."""
    found = []
    for number in range(6):
        left, right = np.split(heat_map(detector, patterned(1000 + number, number % 2, 128)), 2, axis=1)
        found.append((right.mean() - left.mean()) * (1 if number % 2 else -1))
    return np.mean(found)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "options", "steps", "rate", "least", "shuffles"),
    [
        ("custom_cnn", {"hidden_sizes": [8, 16, 16], "classifier_size": 16}, 40, 3e-3, 0.3, 1),
        ("resnet_se", {"width_multiplier": 0.125, "blocks_per_stage": 1}, 40, 3e-3, 0.3, 1),
        ("timm/test_efficientnet", {}, 40, 3e-3, 0.3, 1),
        ("efficientnet_b0_mlp", {"backbone": "test_efficientnet"}, 40, 3e-3, 0.3, 1),
        # Harder to teach in seconds; and untaught, some like or dislike the pattern, either as often.
        pytest.param("timm/test_convnext", {}, 120, 1e-2, 0.1, 8, marks=SLOW),
        pytest.param(
            "mobilenet_v2", {"depth_multiplier": 0.25, "finegrained_output": False}, 80, 3e-3, 0.05, 8, marks=SLOW
        ),
        pytest.param("patch_lens", {}, 40, 3e-3, 0.15, 8, marks=SLOW),
    ],
)
def test_the_map_of_what_was_learnt_is_destroyed_with_the_weights(name, options, steps, rate, least, shuffles):
    """The sanity check of Adebayo et al. (2018), https://arxiv.org/abs/1810.03292; each layer's weights shuffled."""
    detector = trained(name, options, steps, rate)
    learnt = contrast(detector)
    assert learnt > least
    destroyed = []
    for _ in range(shuffles):
        with torch.no_grad():
            for parameter in detector.model.parameters():
                parameter.copy_(parameter.flatten()[torch.randperm(parameter.numel())].view_as(parameter))
        destroyed.append(contrast(detector))
    assert abs(np.mean(destroyed)) < learnt / 3


@pytest.mark.parametrize("name", ["mobilenet_v2", "timm/test_convnext"])
def test_other_weights_give_another_map(name):
    maps = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        maps.append(heat_map(Detector(awake(build_detector(name)), build_processor(name, 64)), make_image(60, 50)))
    assert np.abs(maps[0] - maps[1]).max() > 0.1


class OwnScores(CustomCNNForImageClassification):
    """Its patches are 8 pixels wide; red speaks for fake, as far as it exceeds blue."""

    def patch_logits(self, pixel_values):
        red, _, blue = pixel_values.unbind(dim=1)
        return 4 * nn.functional.avg_pool2d(red - blue, 8) / self.config.logit_temperature


@pytest.mark.parametrize(
    "processor", [{"size": {"height": 32, "width": 32}}, {"do_resize": False, "do_native_crop": True}]
)
def test_a_networks_own_scores_of_patches_are_its_map(processor):
    other = red_detector(**processor)
    model = OwnScores(CustomCNNConfig(hidden_sizes=[2], classifier_size=2, logit_temperature=2.0)).eval()
    assert isinstance(model, PatchScores) and not isinstance(other.model, PatchScores)
    detector = Detector(model, other.processor, "own", "cpu")
    heat = heat_map(detector, half_red_half_blue())
    assert heat.shape == (48, 80)
    assert np.allclose(heat[:, :30], 1 / (1 + np.exp(-2)), atol=0.02)
    assert np.allclose(heat[:, 50:], 1 / (1 + np.exp(2)), atol=0.02)


def test_an_ensembles_map_is_its_members_mean():
    red = red_detector(do_resize=False, do_native_crop=True)
    small = red_detector(size={"height": 32, "width": 32})
    model, processor = build_ensemble([(red.model, red.processor), (small.model, small.processor)], [3.0, 1.0])
    image = half_red_half_blue()
    expected = 0.75 * heat_map(red, image) + 0.25 * heat_map(small, image)
    assert np.allclose(heat_map(Detector(model, processor, "both", "cpu"), image), expected, atol=1e-5)


def test_large_images_are_mapped_in_a_central_window():
    heat = heat_map(red_detector(do_resize=False, do_native_crop=True), Image.new("RGB", (1400, 64), "red"))
    assert (heat[:, :180] == 0.5).all() and heat[:, 600:800].min() > 0.9


def test_overlays_are_saved_and_never_overwrite(tmp_path):
    image, heat = half_red_half_blue(), heat_map(red_detector(), half_red_half_blue())
    paths = [save_overlay(image, heat, tmp_path / "maps", "a.jpg") for _ in range(2)]
    assert [p.name for p in paths] == ["a.jpg.heatmap.png", "a.jpg-2.heatmap.png"]
    with Image.open(paths[0]) as saved:
        assert saved.size == (80, 48)
    red, _, blue = overlay(image, heat).getpixel((10, 10))
    assert red > blue
