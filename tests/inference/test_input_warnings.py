import io

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw, ImageFilter
from sklearn.datasets import load_sample_image

from fakelens.data.transforms.social_media import Screenshot
from fakelens.inference.input_warnings import has_bar, jpeg_table, warnings_for

WORDS = {
    "Tiny": "Tiny",
    "long": "Very long or tall",
    "compressed": "Heavily compressed",
    "flat": "Large areas of exactly one colour",
    "bar": "A bar of one colour",
    "blurred": "Heavily blurred",
    "coarse": "Without fine detail",
}


def encoded(image, format="JPEG", **options):
    file = io.BytesIO()
    image.save(file, format=format, **options)
    return file.getvalue()


def found(image, data=None):
    """The warnings' names; each sentence must be a known one."""
    return [next(name for name, start in WORDS.items() if w.startswith(start)) for w in warnings_for(image, data)]


@pytest.fixture(scope="module", params=["china.jpg", "flower.jpg"])
def photo(request):
    return Image.fromarray(load_sample_image(request.param))


def test_an_ordinary_photograph_has_no_warnings(photo):
    assert found(photo, encoded(photo, quality=85)) == []
    assert found(photo, encoded(photo, "PNG")) == []
    assert found(photo, encoded(photo, quality=60)) == []


def test_images_unlike_photographs_are_warned_of(photo):
    assert found(photo, encoded(photo, quality=40)) == ["compressed"]
    assert found(photo.crop((0, 0, 100, 300))) == ["Tiny"]
    assert found(photo.crop((0, 0, 640, 160))) == ["long"]
    assert found(photo.filter(ImageFilter.GaussianBlur(6))) == ["blurred"]


@pytest.mark.parametrize("kernel", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
def test_enlarged_images_are_warned_of(kernel):
    # The other sample was taken with a shallow depth of field.
    photo = Image.fromarray(load_sample_image("china.jpg")).crop((100, 50, 500, 400))
    for factor in (2, 4):
        assert found(photo.resize((factor * photo.width, factor * photo.height), kernel)) == ["coarse"]
    assert found(photo.resize((photo.width // 2, photo.height // 2), kernel)) == []


@pytest.mark.parametrize("quality", [None, 90, 60])
def test_documents_drawings_and_screenshots_are_warned_of(quality):
    document = Image.new("RGB", (600, 800), "white")
    draw = ImageDraw.Draw(document)
    for line in range(30, 760, 22):
        draw.text(
            (40, line), f"Paragraph {line}: to whom it may concern, this is a page of text, {line * 7919}", "black"
        )
    drawing = Image.new("RGB", (500, 400), "skyblue")
    draw = ImageDraw.Draw(drawing)
    for x, y, r, colour in [(100, 300, 90, "green"), (250, 320, 120, "darkgreen"), (400, 80, 50, "yellow")]:
        draw.ellipse((x - r, y - r, x + r, y + r), colour, "black", 3)
    screenshot = Image.new("RGB", (900, 600), (32, 33, 36))
    screenshot.paste(Image.fromarray(load_sample_image("china.jpg")).resize((320, 210)), (60, 120))
    ImageDraw.Draw(screenshot).rounded_rectangle((450, 120, 850, 500), 12, (48, 49, 52))
    for image in (document, drawing, screenshot):
        seen = Image.open(io.BytesIO(encoded(image, quality=quality))).convert("RGB") if quality else image
        assert found(seen) == ["flat"]


def test_screenshots_of_photographs_are_warned_of(photo):
    """A viewer's bars with a clock and buttons in them; a page with the photograph in it; a film's frame."""
    for seed in range(4):
        shot = Screenshot(scale=0.8, bar=(0.05, 0.1))(photo, np.random.default_rng(seed))
        assert found(shot) == ["bar"]
    page = Image.new("RGB", (800, 560), (250, 250, 250))
    page.paste(photo, (130, 70))
    frame = photo.copy()
    for top in (0, 377):
        frame.paste("black", (0, top, 640, top + 50))
    for shot in (page, frame):
        for quality in (90, 60):
            assert has_bar(Image.open(io.BytesIO(encoded(shot, quality=quality))))


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_other_photographs_have_no_bars_and_are_no_documents(name):
    photo = Image.fromarray(getattr(skimage.data, name)())
    assert not has_bar(photo.point(lambda level: min(255, 2 * level)))  # skies and walls all white
    for seen in (photo, photo.crop((0, 0, photo.width // 2, photo.height // 2))):
        assert not set(found(seen, encoded(seen, quality=85))) & {"bar", "flat"}
    assert not has_bar(Image.new("RGB", (300, 200), "white"))


def test_any_image_is_measured():
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert found(Image.fromarray(noise)) == ["Tiny"]
    assert "flat" in found(Image.new("RGB", (3000, 200)))
    assert jpeg_table(encoded(Image.new("L", (9, 9)), quality=50)) == pytest.approx(57.6, abs=0.1)
    assert jpeg_table(encoded(Image.new("L", (9, 9)), "PNG")) == 0
