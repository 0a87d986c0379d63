import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from fakelens.explain.maps import frequency


@pytest.fixture(scope="module")
def photo():
    return Image.fromarray(load_sample_image("china.jpg")).crop((0, 0, 256, 192))


def test_an_upsampling_grid_shows_as_peaks_at_its_own_frequency(photo):
    """Every fourth column a little lighter, as a transposed convolution of stride four leaves them."""
    pixels = np.asarray(photo).astype(int)
    pixels[:, ::4] += 6
    grid = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    before, after = (np.asarray(frequency.log_spectrum(p).convert("L")).astype(int) for p in (photo, grid))
    assert after.shape == (192, 256)
    # A quarter and half of the sampling rate from the centre, which is at row 96 and column 128.
    for peak in [(96, 64), (96, 192), (96, 0)]:
        assert after[peak] > before[peak] + 40
    away = after.copy()
    away[:, 90:167] = 0
    assert np.unravel_index(away.argmax(), away.shape) in [(96, 64), (96, 192), (96, 0)]


def test_the_residual_is_grey_where_nothing_is_and_the_scale_is_fixed():
    pixels = np.full((40, 40, 3), 100, dtype=np.uint8)
    pixels[20, 20] += 5
    residual = np.asarray(frequency.residual(Image.fromarray(pixels)))
    assert (residual[20, 20] == 128 + 5 * frequency.GAIN).all()
    residual = np.delete(residual.reshape(-1, 3), 20 * 40 + 20, axis=0)
    assert (residual == 128).all()


def test_any_size_is_drawn_and_large_images_are_bounded():
    for size in [(8, 8), (9, 300), (1500, 20)]:
        image = Image.new("RGB", size, "teal")
        seen = min(size[0], 1024), min(size[1], 1024)
        assert frequency.log_spectrum(image).size == frequency.residual(image).size == seen
    assert set(frequency.what_to_look_for()) == {"spectrum", "residual", "profile"}
