"""What saving and resizing do to an image: JPEG, WebP, AVIF, scaling down and up, cutting.

Views and degradations alike; those of a degradation draw from the generator that they are given.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, features

from fakelens.data.transforms.transforms import Range, check_range, draw, draw_integer
from fakelens.errors import UserError

# Pillow's name of a format -> what it asks its build for, and the longest side that the format or its reader takes.
FORMATS = {"JPEG": ("jpg", 65500), "WEBP": ("webp", 16383), "AVIF": ("avif", 32768)}
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")  # of colour; the last is what phones, sites and messengers write
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def check_format(name: str) -> None:
    """Refuse a format that this machine's Pillow was built without.

    Args:
        name: As Pillow spells it: `JPEG`, `WEBP` or `AVIF`.

    Raises:
        UserError: With the way out.
    """
    if not features.check(FORMATS[name][0]):
        raise UserError(f"this Pillow was built without {name}: leave the step out, or pip install --upgrade pillow.")


def reencode(image: Image.Image, format: str, quality: int, subsampling: str = "4:2:0") -> Image.Image:
    """Save an image in a lossy format and read it back.

    Args:
        image: An RGB image of any size.
        format: `JPEG`, `WEBP` or `AVIF`.
        quality: Of the file, 1 to 100, as the format's library counts it.
        subsampling: Of colour: `4:4:4`, `4:2:2` or `4:2:0`. WebP knows the last alone.

    Returns:
        An image of the same size, unless the format cannot hold it (WebP ends at 16,383 pixels): then as large as it
        can. It is as Pillow read it, with its `format`, and for JPEG its tables.
    """
    longest = FORMATS[format][1]
    if max(image.size) > longest:
        image = rescale(image, longest / max(image.size))
    options: dict[str, str | int] = {} if format == "WEBP" else {"subsampling": subsampling}
    if format == "AVIF":
        options |= {"speed": 8, "max_threads": 1}  # of 0 (slow) to 10; loader workers share the cores already
    file = io.BytesIO()
    # A copy, for Pillow keeps a save's options on the image meanwhile: two threads that save one would mix theirs.
    image.copy().save(file, format=format, quality=quality, **options)
    result = Image.open(file)
    result.load()
    return result


def rescale(image: Image.Image, scale: float, filter: str = "lanczos") -> Image.Image:
    """Resize an image by a factor, each side to the nearest pixel and none below one; 1 leaves it as it is.

    Args:
        image: An image of any size.
        scale: Above 0.
        filter: `nearest`, `bilinear`, `bicubic` or `lanczos`.
    """
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image if image.size == (width, height) else image.resize((width, height), FILTERS[filter])


def recompress(image: Image.Image, long_side: int, quality: int) -> Image.Image:
    """Resize an image to a given long side, save it as JPEG with 4:2:0 colour and read it back.

    Args:
        image: An RGB image of any size.
        long_side: Of the result, in pixels; the short side keeps the proportion.
        quality: Of the JPEG file, 1 to 95.
    """
    return reencode(rescale(image, long_side / max(image.size)), "JPEG", quality)


@dataclass(frozen=True)
class Jpeg:
    """Save as JPEG and read back. Keeps the size.

    Args:
        quality: Of libjpeg, 1 to 100.
        subsampling: Of colour: `4:4:4`, `4:2:2` or `4:2:0`.
    """

    quality: Range = 75
    subsampling: str = "4:2:0"

    def __post_init__(self) -> None:
        check_range("quality", self.quality, 1, 100, integer=True)
        _check_choice("subsampling", self.subsampling, SUBSAMPLINGS)

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the image that is read back."""
        return reencode(image, "JPEG", draw_integer(rng, self.quality), self.subsampling)


@dataclass(frozen=True)
class WebP:
    """Save as lossy WebP and read back. Keeps the size, up to the format's 16,383 pixels a side.

    Args:
        quality: Of libwebp, 1 to 100.
    """

    quality: Range = 75

    def __post_init__(self) -> None:
        check_format("WEBP")
        check_range("quality", self.quality, 1, 100, integer=True)

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the image that is read back."""
        return reencode(image, "WEBP", draw_integer(rng, self.quality))


@dataclass(frozen=True)
class Avif:
    """Save as AVIF and read back. Keeps the size.

    Args:
        quality: Of libavif, 1 to 100; 50 looks about as good as a JPEG of 75.
    """

    quality: Range = 50

    def __post_init__(self) -> None:
        check_format("AVIF")
        check_range("quality", self.quality, 1, 100, integer=True)

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the image that is read back."""
        return reencode(image, "AVIF", draw_integer(rng, self.quality))


@dataclass(frozen=True)
class Resize:
    """Resize, and back again. Keeps the size; without `back`, it becomes `scale` times what it was.

    Args:
        scale: Of both sides, 0.05 to 2: below 1 down and up, above 1 up and down.
        back: Whether to bring it back to the size it had.
        filter: Of both ways: `nearest`, `bilinear`, `bicubic` or `lanczos`.
    """

    scale: Range = 0.5
    back: bool = True
    filter: str = "bicubic"

    def __post_init__(self) -> None:
        check_range("scale", self.scale, 0.05, 2)
        _check_choice("back", self.back, (True, False))
        _check_choice("filter", self.filter, tuple(FILTERS))

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the resized image."""
        resized = rescale(image, draw(rng, self.scale), self.filter)
        return resized.resize(image.size, FILTERS[self.filter]) if self.back else resized


@dataclass(frozen=True)
class Crop:
    """Cut out a rectangle of the same proportions, anywhere. The size becomes `fraction` times what it was.

    Args:
        fraction: Of each side, 0.1 to 1.
    """

    fraction: Range = (0.5, 1.0)

    def __post_init__(self) -> None:
        check_range("fraction", self.fraction, 0.1, 1)

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return what is cut out."""
        fraction = draw(rng, self.fraction)
        width, height = (max(1, round(side * fraction)) for side in image.size)
        left, top = draw_integer(rng, (0, image.width - width)), draw_integer(rng, (0, image.height - height))
        return image.crop((left, top, left + width, top + height))


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it is one of {', '.join(map(str, choices))}.")
