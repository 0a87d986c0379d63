"""Our image processor: what it makes of an image, and that its settings survive."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor

from fakelens.models import DetectorImageProcessor

PLAIN = {"do_normalize": False, "do_rescale": False}


def make_image(height, width, mode="RGB"):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def crops_of(image, **settings):
    processor = DetectorImageProcessor(do_resize=False, do_native_crop=True, **PLAIN, **settings)
    return processor(image, return_tensors="np")["pixel_values"][0]


def test_whole_image_is_resized_and_normalised():
    processor = DetectorImageProcessor(size={"height": 8, "width": 8}, image_mean=[0.5] * 3, image_std=[0.25] * 3)
    white = Image.new("RGB", (30, 20), "white")
    pixels = processor([white, make_image(9, 40)], return_tensors="pt")["pixel_values"]
    assert pixels.shape == (2, 3, 8, 8)
    torch.testing.assert_close(pixels[0], torch.full((3, 8, 8), 2.0))  # (1 - 0.5) / 0.25


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_every_colour_mode_becomes_three_channels(mode):
    assert DetectorImageProcessor()(make_image(20, 20, mode), return_tensors="pt")["pixel_values"].shape == (
        1,
        3,
        224,
        224,
    )


def test_central_native_crop_is_the_image_as_it_is():
    image = make_image(20, 30)
    crop = crops_of(image, crop_size={"height": 8, "width": 10})
    assert np.array_equal(crop, np.asarray(image).transpose(2, 0, 1)[:, 6:14, 10:20])


def test_several_native_crops_reach_from_edge_to_edge():
    image = make_image(20, 30)
    crops = crops_of(image, crop_size={"height": 8, "width": 10}, crops_per_side=2)
    pixels = np.asarray(image).transpose(2, 0, 1)
    assert crops.shape == (4, 3, 8, 10)
    assert np.array_equal(crops[0], pixels[:, :8, :10])
    assert np.array_equal(crops[3], pixels[:, -8:, -10:])


def test_an_image_smaller_than_a_crop_is_mirrored():
    image = make_image(6, 9)
    crop = crops_of(image, crop_size={"height": 16, "width": 9})
    pixels = np.asarray(image).transpose(2, 0, 1)
    assert np.array_equal(crop[:, 5:11], pixels)
    assert np.array_equal(crop[:, 4], pixels[:, 0]) and np.array_equal(crop[:, 11], pixels[:, -1])


def test_settings_survive_saving(tmp_path):
    settings = {
        "do_resize": False,
        "do_native_crop": True,
        "crops_per_side": 3,
        "crop_size": {"height": 16, "width": 16},
        "image_mean": [0.1, 0.2, 0.3],
        "image_std": [0.4, 0.5, 0.6],
    }
    processor = DetectorImageProcessor(**settings)
    processor.save_pretrained(tmp_path)
    again = AutoImageProcessor.from_pretrained(tmp_path)
    assert type(again) is DetectorImageProcessor
    assert again.to_dict() == processor.to_dict()
    assert (tmp_path / "image_processing_detector.py").exists()
    image = make_image(40, 50)
    assert np.array_equal(
        again(image, return_tensors="np")["pixel_values"], processor(image, return_tensors="np")["pixel_values"]
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"do_native_crop": True}, "exactly one"),
        ({"do_resize": False}, "exactly one"),
        ({"crops_per_side": 0}, "crops_per_side"),
    ],
)
def test_contradictions_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        DetectorImageProcessor(**settings)
