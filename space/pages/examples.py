"""Three pictures drawn here, to try the page with: no file is shipped for them, and nobody's rights are in them.

They are neither photographs nor made by a generator, so they show what the page says, not how good a detector is.
"""

import io

import numpy as np
from PIL import Image, ImageDraw, PngImagePlugin

SIDE = (480, 320)  # pixels


def examples() -> dict[str, tuple[str, bytes]]:
    """Return the pictures' files by name, each with what it is to show."""
    return {
        "clouds.jpg": ("Noise like clouds, with a camera's name in it", clouds()),
        "letter.png": ("A page of text: not what a detector is for", letter()),
        "claimed.png": ("The same clouds, stating that a generator made them", claimed()),
    }


def clouds() -> bytes:
    """Draw noise whose power falls with frequency as a photograph's does, and save it as a camera would."""
    exif = Image.Exif()
    exif[271], exif[272] = "fakelens", "an example"  # make and model
    return _saved(_noise(), "JPEG", quality=92, exif=exif)


def letter() -> bytes:
    """Draw a page of lines that stand for text."""
    image = Image.new("RGB", SIDE, "white")
    draw, lengths = ImageDraw.Draw(image), np.random.default_rng(0).integers(150, 400, 16)
    for row, length in enumerate(lengths):
        for start in range(30, 30 + int(length), 14):
            draw.rectangle((start, 24 + 17 * row, start + 9, 30 + 17 * row), fill=(30, 30, 40))
    return _saved(image, "PNG")


def claimed() -> bytes:
    """Save the clouds as some generators' programs do, with their settings in the file."""
    text = PngImagePlugin.PngInfo()
    text.add_text(
        "parameters", "clouds over the sea\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 480x320"
    )
    return _saved(_noise(), "PNG", pnginfo=text)


def _noise() -> Image.Image:
    width, height = SIDE
    rows, columns = np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width) * width
    radius = np.hypot(rows, columns)
    radius[0, 0] = np.inf
    random = np.random.default_rng(1).normal(size=(height, width))
    field = np.fft.irfft2(np.fft.rfft2(random) / radius**1.4, s=(height, width))
    light = ((field - field.min()) / np.ptp(field))[..., None]
    pixels = (1 - light) * np.array([70, 110, 175]) + light * np.array([245, 240, 232])
    return Image.fromarray(pixels.round().astype(np.uint8))


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()
