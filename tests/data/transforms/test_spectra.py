"""Spectra: measured as they are, given as asked, the same for both classes, and nothing but sharpness is changed."""

import numpy as np
import pytest
import skimage.data
from PIL import Image
from scipy.ndimage import gaussian_filter

from fakelens.data.transforms.degradations import degrade
from fakelens.data.transforms.spectra import BANDS, FREQUENCIES, radial_spectrum, with_spectrum
from fakelens.errors import UserError


@pytest.fixture(scope="module")
def photograph():
    return np.asarray(Image.fromarray(skimage.data.coffee()).resize((320, 213)).crop((60, 40, 220, 160)))


def slope(pixels):
    middle = slice(2, BANDS - 2)
    return -np.polyfit(np.log(FREQUENCIES[middle]), radial_spectrum(pixels)[middle], 1)[0]


@pytest.mark.parametrize("exponent", [1.5, 3.0])
def test_a_power_law_is_measured_as_one(exponent):
    rng = np.random.default_rng(0)
    radius = np.maximum(np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None]), 1 / 256)
    waves = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((256, 256))) * radius ** (-exponent / 2), s=(256, 256))
    pixels = np.repeat((128 + 40 * waves / waves.std())[..., None], 3, axis=-1)
    assert slope(pixels) == pytest.approx(exponent, abs=0.15)


@pytest.mark.parametrize("asked", [2.5, 3.5, 4.5])
def test_a_image_gets_the_slope_asked_for_and_keeps_its_contrast(photograph, asked):
    pixels = np.asarray(degrade(Image.fromarray(photograph), [{"name": "spectrum", "slope": asked}], seed=0))
    assert slope(pixels) == pytest.approx(asked, abs=0.35)
    assert pixels.std() == pytest.approx(photograph.std(), rel=0.1)
    assert pixels.mean() == pytest.approx(photograph.mean(), abs=2)


def test_a_blurred_image_is_brought_back_to_the_sharp_ones_spectrum(photograph):
    blurred = gaussian_filter(photograph.astype(float), (1, 1, 0))
    asked = radial_spectrum(photograph)
    before = np.abs(radial_spectrum(blurred) - asked).mean()
    assert np.abs(radial_spectrum(with_spectrum(blurred, asked)) - asked).mean() < before / 5


def test_its_own_spectrum_leaves_a_image_as_it_is(photograph):
    assert np.abs(with_spectrum(photograph, radial_spectrum(photograph)) - photograph).max() < 0.01


def test_no_ring_is_changed_by_more_than_what_is_allowed(photograph):
    target = radial_spectrum(photograph) + 20 * (np.arange(BANDS) > 12)
    raised = radial_spectrum(with_spectrum(photograph, target, strongest=1.0)) - radial_spectrum(photograph)
    assert raised.max() < 2.3  # of power: twice the 1 of amplitude, and what leaks from ring to ring


@pytest.mark.parametrize("size", [(7, 40), (8, 8), (33, 9)])
def test_small_and_odd_sizes_are_kept(size):
    image = Image.effect_noise(size, 40).convert("RGB")
    assert degrade(image, [{"name": "spectrum"}], seed=1).size == size


def test_a_flat_image_stays_flat():
    flat = Image.new("RGB", (64, 64), (90, 120, 30))
    assert degrade(flat, [{"name": "spectrum"}], seed=1).tobytes() == flat.tobytes()


def test_a_slope_that_no_image_has_is_refused():
    with pytest.raises(UserError, match="slope is 9; it is a number from 0 to 8"):
        degrade(Image.new("RGB", (8, 8)), [{"name": "spectrum", "slope": 9}], seed=0)
