import numpy as np
import pytest
import torch
from PIL import Image

from fakelens.detector import Detector
from fakelens.ensemble import build_ensemble
from fakelens.explain.heatmap import heat_map, overlay, save_overlay
from fakelens.models import CustomCNNConfig, CustomCNNForImageClassification, DetectorImageProcessor
from fakelens.zoo import build_detector, build_processor
from tests.abuse import picture


def red_detector(**processor):
    """A detector that calls red things fake and blue things real, built by hand."""
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
    evidence = heat_map(red_detector(**processor), half_red_half_blue())
    assert evidence.shape == (48, 80)
    assert evidence[:, :35].min() > 0.9 and evidence[:, 45:].max() < 0.1


def test_the_scale_is_absolute():
    """A picture with little evidence has a pale map, however the places compare with each other."""
    pale = Image.blend(half_red_half_blue(), Image.new("RGB", (80, 48), "black"), 0.9)
    evidence = heat_map(red_detector(do_resize=False, do_native_crop=True), pale)
    assert 0.5 < evidence[:, :35].mean() < 0.65 and 0.35 < evidence[:, 45:].mean() < 0.5


@pytest.mark.parametrize("name", ["custom_cnn", "resnet_se", "mobilenet_v2", "timm/test_convnext", "efficientnet_b2"])
def test_random_weights_destroy_the_map(name):
    options = {"efficientnet_b2": {"backbone": "test_efficientnet"}, "resnet_se": {"width_multiplier": 0.125}}
    maps = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = build_detector(name, **options.get(name, {}))
        with torch.no_grad():  # published initialisations answer next to nothing
            for parameter in model.parameters():
                parameter.mul_(3)
        maps.append(heat_map(Detector(model, build_processor(name, 64), name, "cpu"), picture(60, 50)))
    assert maps[0].shape == (50, 60) and np.isfinite(maps[0]).all()
    assert not np.allclose(maps[0], maps[1], atol=1e-4)


def test_an_ensembles_map_is_its_members_mean():
    red = red_detector(do_resize=False, do_native_crop=True)
    small = red_detector(size={"height": 32, "width": 32})
    model, processor = build_ensemble([(red.model, red.processor), (small.model, small.processor)], [3.0, 1.0])
    image = half_red_half_blue()
    expected = 0.75 * heat_map(red, image) + 0.25 * heat_map(small, image)
    assert np.allclose(heat_map(Detector(model, processor, "both", "cpu"), image), expected, atol=1e-5)


def test_large_pictures_are_mapped_in_a_central_window():
    evidence = heat_map(red_detector(do_resize=False, do_native_crop=True), Image.new("RGB", (1400, 64), "red"))
    assert (evidence[:, :180] == 0.5).all() and evidence[:, 600:800].min() > 0.9


def test_overlays_are_saved_and_never_overwrite(tmp_path):
    detector = red_detector()
    paths = [save_overlay(detector, half_red_half_blue(), tmp_path / "maps", "a.jpg") for _ in range(2)]
    assert [p.name for p in paths] == ["a.jpg.heatmap.png", "a.jpg-2.heatmap.png"]
    with Image.open(paths[0]) as saved:
        assert saved.size == (80, 48)
    red, _, blue = overlay(half_red_half_blue(), heat_map(detector, half_red_half_blue())).getpixel((10, 10))
    assert red > blue
