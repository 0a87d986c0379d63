import numpy as np
import pytest
import torch
from PIL import Image

from fakelens.errors import UserError
from fakelens.explain.maps.heatmap import heat_map
from fakelens.explain.maps.occlusion import occlusion_map, scored_box
from fakelens.inference.detector import Detector
from fakelens.inference.onnx.export import write_graph
from fakelens.inference.onnx_model import OnnxModel
from fakelens.models import CustomCNNConfig, CustomCNNForImageClassification, DetectorImageProcessor
from fakelens.zoo.ensembles import build_ensemble
from tests.abuse import make_image


def contrast_detector(**processor):
    """A detector that calls red that alternates from column to column fake, and such blue real, built by hand."""
    model = CustomCNNForImageClassification(CustomCNNConfig(hidden_sizes=[2], classifier_size=2)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for unit, colour in enumerate((0, 2)):
            model.blocks[0].convolution.weight[unit, colour, 1] = torch.tensor([-1.0, 2.0, -1.0])
        model.blocks[0].normalization.weight.fill_(1)
        model.hidden.weight.copy_(torch.eye(2))
        model.classifier.weight.copy_(torch.tensor([[1.0, -1.0]]))
    options = processor or {"size": {"height": 96, "width": 96}}
    return Detector(model, DetectorImageProcessor(do_normalize=False, **options), "detail", "cpu")


def columns(colour, size=(96, 96)):
    pixels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    pixels[:, ::2, colour] = 255
    return Image.fromarray(pixels)


def half_and_half():
    image = columns(0)
    image.paste(columns(2, (48, 96)), (48, 0))
    return image


def test_the_map_is_grad_cams_for_a_network_that_averages_over_patches():
    detector, image, fractions = contrast_detector(), half_and_half(), []
    heat = occlusion_map(detector, image, grid=6, progress=fractions.append)
    assert heat.shape == (96, 96) and heat.dtype == np.float32
    assert heat[:, :38].min() > 0.75 and heat[:, 58:].max() < 0.25
    inside = np.r_[10:38, 58:86]
    assert np.abs(heat - heat_map(detector, image))[10:86, inside].max() < 0.1
    assert fractions == [16 / 36, 32 / 36, 1.0]


def test_the_scale_is_absolute_and_colours_without_detail_are_no_evidence():
    pale = Image.blend(half_and_half(), Image.new("RGB", (96, 96), (64, 0, 64)), 0.8)
    heat = occlusion_map(contrast_detector(), pale, grid=6)
    assert 0.55 < heat[10:86, 10:38].mean() < 0.75 and 0.25 < heat[10:86, 58:86].mean() < 0.45
    plain = Image.new("RGB", (96, 96), "red")
    assert np.allclose(occlusion_map(contrast_detector(), plain, grid=4), 0.5, atol=1e-3)


def test_only_the_crop_that_is_scored_has_evidence():
    detector = contrast_detector(do_resize=False, do_native_crop=True, crop_size={"height": 32, "width": 48})
    image = columns(0, (120, 80))
    assert scored_box(detector, image) == (36, 24, 84, 56)
    heat = occlusion_map(detector, image, grid=4)
    assert heat[26:54, 40:80].min() > 0.7
    heat[24:56, 36:84] = 0.5
    assert (heat == 0.5).all()
    full = contrast_detector(
        do_resize=False, do_native_crop=True, crops_per_side=2, crop_size={"height": 32, "width": 48}
    )
    assert scored_box(full, image) == (0, 0, 120, 80)
    assert scored_box(detector, Image.new("RGB", (20, 90))) == (0, 29, 20, 61)


def test_onnx_ensembles_and_any_size_are_mapped(tmp_path):
    detector, image = contrast_detector(), half_and_half()
    write_graph(detector.model, detector.process([image, image]), tmp_path / "model.onnx")
    onnx = Detector(OnnxModel(tmp_path / "model.onnx", detector.model.config), detector.processor, "onnx", "cpu")
    expected = occlusion_map(detector, image, grid=4)
    assert np.allclose(occlusion_map(onnx, image, grid=4), expected, atol=1e-3)
    model, processor = build_ensemble([(detector.model, detector.processor)] * 2)
    ensemble = Detector(model, processor, "both", "cpu")
    assert np.allclose(occlusion_map(ensemble, image, grid=4), expected, atol=1e-3)
    for size in [(8, 8), (9, 300)]:
        heat = occlusion_map(detector, make_image(*size), grid=12)
        assert heat.shape == size[::-1] and ((heat >= 0) & (heat <= 1)).all()


def test_what_cannot_be_mapped_is_refused():
    detector = contrast_detector()
    with pytest.raises(UserError, match="grid of at least 2 x 2"):
        occlusion_map(detector, half_and_half(), grid=1)
    torch.nn.init.constant_(detector.model.classifier.weight, float("nan"))
    with pytest.raises(UserError, match="not a number"):
        occlusion_map(detector, half_and_half())
