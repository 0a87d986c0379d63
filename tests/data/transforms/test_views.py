"""The views: one size and format whatever came in."""

import numpy as np
import pytest
from PIL import Image

from fakelens.data.transforms.views import VIEWS, apply_view
from fakelens.errors import UserError

SIDES = {"normalised": 256, "hard": 128}


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_raw_is_untouched():
    image = noise(300, 100)
    assert apply_view("raw", image) is image


@pytest.mark.parametrize("view", ["normalised", "hard"])
@pytest.mark.parametrize("size", [(1024, 768), (256, 256), (64, 40), (8, 8), (90, 2000), (255, 257)])
def test_every_size_ends_at_one_long_side(view, size):
    seen = apply_view(view, noise(*size))
    assert max(seen.size) == SIDES[view]
    assert min(seen.size) == pytest.approx(min(size) * SIDES[view] / max(size), abs=0.51)
    assert (seen.mode, seen.format) == ("RGB", "JPEG")


@pytest.mark.parametrize("view", ["normalised", "hard"])
def test_size_format_and_quality_are_the_same_the_second_time(view):
    once = apply_view(view, noise(300, 211))
    twice = apply_view(view, once)
    other = apply_view(view, noise(2000, 1406))
    assert once.size == twice.size == other.size
    assert once.format == twice.format == other.format
    assert once.quantization == twice.quantization == other.quantization


def test_hard_is_coarser_than_normalised():
    tables = [sum(apply_view(view, noise(300, 300)).quantization[0]) for view in ("normalised", "hard")]
    assert tables[0] < tables[1]


def test_nothing_of_the_file_is_left(tmp_path):
    """A photograph's JPEG with EXIF and a generator's PNG leave as files of one kind."""
    image, exif = noise(600, 400), Image.Exif()
    exif[0x0110] = "A camera"
    image.save(tmp_path / "a.jpg", quality=98, subsampling=0, exif=exif)
    image.save(tmp_path / "a.png")
    jpeg, png = (apply_view("normalised", Image.open(tmp_path / name).convert("RGB")) for name in ("a.jpg", "a.png"))
    assert (jpeg.size, jpeg.mode, jpeg.format, jpeg.quantization) == (png.size, png.mode, png.format, png.quantization)
    assert jpeg.info == png.info
    assert not jpeg.getexif()


def test_a_view_that_is_not_there():
    with pytest.raises(UserError, match=f"'blurred'.*{', '.join(VIEWS)}"):
        apply_view("blurred", noise(20, 20))
