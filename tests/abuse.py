"""The images that users really send: damaged, odd, hostile. One list for every door they can come in by."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class Case:
    """A file, and what must be said of it.

    Attributes:
        name: The file's name.
        error: Words of its error; None if it must be scored.
        note: Words of the note that says what was done to it; None if there is nothing to say.
    """

    name: str
    error: str | None = None
    note: str | None = None


CASES = [
    Case("missing.jpg", error="no such file"),
    Case("empty.jpg", error="empty file"),
    Case("text.jpg", error="not an image"),
    Case("truncated.jpg", error="damaged image"),
    Case("one_pixel.png", error="too small"),
    Case("bomb.png", error="too large"),
    Case("cmyk.jpg", note="CMYK"),
    Case("sixteen_bit.png", note="16-bit"),
    Case("palette.png", note="transparency"),
    Case("animated.gif", note="first frame"),
    Case("animated.webp", note="first frame"),
    Case("rotated.jpg", note="upright"),
    Case("plain.jpg"),
]


def make_image(width: int = 48, height: int = 40, seed: int = 0) -> Image.Image:
    """Return a smooth random RGB image."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def write_cases(folder: Path) -> list[Case]:
    """Write every case into a folder and return the list."""
    folder.mkdir(parents=True, exist_ok=True)
    image = make_image()
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("this is no image")
    full = io.BytesIO()
    make_image(300, 300).save(full, format="JPEG", quality=95)
    (folder / "truncated.jpg").write_bytes(full.getvalue()[: len(full.getvalue()) // 2])
    Image.new("RGB", (1, 1), "red").save(folder / "one_pixel.png")
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")
    image.convert("CMYK").save(folder / "cmyk.jpg")
    grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
    Image.fromarray(grey).save(folder / "sixteen_bit.png")
    image.quantize(16).save(folder / "palette.png", transparency=0)
    frames = [make_image(seed=n) for n in range(3)]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "animated.webp", save_all=True, append_images=frames[1:], lossless=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "rotated.jpg", exif=exif)
    image.save(folder / "plain.jpg")
    return CASES
