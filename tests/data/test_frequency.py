"""The power of an image's frequencies along its rows and columns."""

import numpy as np
import pytest
from PIL import Image, ImageFilter
from sklearn.datasets import load_sample_image

from fakelens.data.frequency import axis_profiles


@pytest.fixture(scope="module")
def photo():
    return Image.fromarray(load_sample_image("china.jpg")).crop((0, 0, 256, 192))


def test_profiles_fall_with_blur_and_are_a_noises_variance(photo):
    sharp, soft = (axis_profiles(p) for p in (photo, photo.filter(ImageFilter.GaussianBlur(2))))
    assert (soft[:, 10:] < sharp[:, 10:] - 0.3).all() and soft.shape == (2, 40)
    for side in (48, 400):
        noise = np.random.default_rng(0).normal(128, 10, (side, side)).round().astype(np.uint8)
        profiles = axis_profiles(Image.fromarray(noise).convert("RGB"), bins=4)
        assert profiles[:, 1:] == pytest.approx(2, abs=0.15)  # log10(10**2), whatever the size


def test_enlarging_cuts_off_the_axis_that_was_enlarged(photo):
    wide = photo.resize((2 * photo.width, photo.height), Image.Resampling.BICUBIC)
    along, down = axis_profiles(wide)
    assert along[26:].mean() < down[26:].mean() - 1


@pytest.mark.parametrize("size", [(8, 8), (9, 300), (1500, 20)])
def test_any_size_has_profiles(size):
    assert np.isfinite(axis_profiles(Image.new("RGB", size, "teal"))).all()
