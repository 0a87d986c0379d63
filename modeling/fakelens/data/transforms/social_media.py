"""What people do to an image before it is scored: screenshots, posts on social media, text laid over it."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, features

from fakelens.data.transforms.codecs import recompress, reencode, rescale
from fakelens.data.transforms.transforms import Range, check_range, draw, draw_integer
from fakelens.errors import UserError

CAPTIONS = (
    "Breaking news",
    "Share this!",
    "Photo: staff",
    "(c) all rights reserved",
    "LIVE",
    "Seen today",
    "@somebody",
)


@dataclass(frozen=True)
class Screenshot:
    """A viewer scales the image for the screen, between two bars of its own, and the screen is saved.

    The width becomes `scale` times what it was, the height likewise and two bars more. The bars are near black or near
    white, with some marks where clock, title and buttons would be.

    Args:
        scale: Of both sides, 0.05 to 2, bilinear as browsers do it.
        bar: Height of each bar as a fraction of the scaled image's, 0 to 0.5.
        quality: Of the JPEG that is saved, 1 to 100; None saves losslessly.
    """

    scale: Range = (0.5, 1.0)
    bar: Range = (0.04, 0.1)
    quality: Range | None = (85, 95)

    def __post_init__(self) -> None:
        check_range("scale", self.scale, 0.05, 2)
        check_range("bar", self.bar, 0, 0.5)
        if self.quality is not None:
            check_range("quality", self.quality, 1, 100, integer=True)

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the screen."""
        shown = rescale(image, draw(rng, self.scale), "bilinear")
        above, below = (round(shown.height * draw(rng, self.bar)) for _ in range(2))
        level = int(rng.choice([16, 245]))
        screen = Image.new("RGB", (shown.width, above + shown.height + below), (level,) * 3)
        screen.paste(shown, (0, above))
        for top, height in ((0, above), (above + shown.height, below)):
            _draw_marks(screen, top, height, (255 - level,) * 3, rng)
        return screen if self.quality is None else reencode(screen, "JPEG", draw_integer(rng, self.quality))


@dataclass(frozen=True)
class SocialMedia:
    """An image is posted, and perhaps posted again: each time shrunk to a longest side, sharpened, saved as JPEG.

    The long side becomes at most `long_side`, and none is enlarged. That sites do these things, each with sizes and
    tables of its own, is in Giudice et al., "A Classification Engine for Image Ballistics of Social Data", ICIAP 2017;
    the ranges are ours, around what large sites are known to use.

    Args:
        long_side: Of what the site keeps, 64 to 8192 pixels.
        sharpen: Weight of an unsharp mask with a radius of one pixel, after shrinking, 0 to 2.
        quality: Of the JPEG, 1 to 100, with 4:2:0 colour.
        posts: How often, 1 to 5.
    """

    long_side: Range = (960, 1600)
    sharpen: Range = (0.0, 0.6)
    quality: Range = (65, 85)
    posts: Range = (1, 2)

    def __post_init__(self) -> None:
        check_range("long_side", self.long_side, 64, 8192, integer=True)
        check_range("sharpen", self.sharpen, 0, 2)
        check_range("quality", self.quality, 1, 100, integer=True)
        check_range("posts", self.posts, 1, 5, integer=True)

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the image as it is downloaded again."""
        for _ in range(draw_integer(rng, self.posts)):
            long_side = min(max(image.size), draw_integer(rng, self.long_side))
            percent = round(100 * draw(rng, self.sharpen))
            image = rescale(image, long_side / max(image.size))
            image = image.filter(ImageFilter.UnsharpMask(radius=1, percent=percent, threshold=0))
            image = recompress(image, long_side, draw_integer(rng, self.quality))
        return image


@dataclass(frozen=True)
class OverlayText:
    """Write a line over the image, anywhere, in white with a dark edge or the reverse. Keeps the size.

    Args:
        text: What is written; None draws one of `CAPTIONS`. The typeface is Pillow's own, which knows Latin letters.
        height: Of the letters, as a fraction of the image's short side, 0.01 to 0.5; less where the line would not
            fit.
        opacity: 0 to 1.
    """

    text: str | None = None
    height: Range = (0.05, 0.12)
    opacity: Range = (0.5, 1.0)

    def __post_init__(self) -> None:
        if not features.check("freetype2"):
            raise UserError("this Pillow was built without FreeType: leave the step out, or pip install pillow anew.")
        if self.text is not None and (not isinstance(self.text, str) or not self.text.strip()):
            raise ValueError(f"text is {self.text!r}; it is what is to be written.")
        check_range("height", self.height, 0.01, 0.5)
        check_range("opacity", self.opacity, 0, 1)

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the image with its line."""
        drawn_text = str(rng.choice(CAPTIONS))
        text = drawn_text if self.text is None else self.text
        pixels = max(6.0, draw(rng, self.height) * min(image.size))
        pixels = max(1.0, min(pixels, pixels * image.width / ImageFont.load_default(pixels).getlength(text)))
        font = ImageFont.load_default(pixels)
        edge = max(1, round(pixels / 15))
        inks = ("white", "black") if rng.random() < 0.5 else ("black", "white")
        left, top, right, bottom = font.getbbox(text, stroke_width=edge)
        x = rng.uniform(0, max(0, image.width - (right - left))) - left
        y = rng.uniform(0, max(0, image.height - (bottom - top))) - top
        written = image.copy()
        ImageDraw.Draw(written).text((x, y), text, fill=inks[0], font=font, stroke_width=edge, stroke_fill=inks[1])
        return Image.blend(image, written, draw(rng, self.opacity))


def _draw_marks(screen: Image.Image, top: int, height: int, ink: tuple[int, ...], rng: np.random.Generator) -> None:
    """Draw three marks, a third of the bar high, at positions of their own."""
    third = height // 3
    if third:
        for left in rng.uniform(0, 0.8, 3) * screen.width:
            right = left + rng.uniform(0.02, 0.2) * screen.width
            ImageDraw.Draw(screen).rounded_rectangle((left, top + third, right, top + 2 * third), third / 2, ink)
