"""Views: the same image as uploaded, brought to one size and format, or made hard.

In most data sets real images and fakes differ in format, size and compression, and a detector may read these instead
of the content. What a score loses between the `raw` and the `normalised` view is that shortcut.
"""

from collections.abc import Callable

from PIL import Image

from fakelens.data.transforms.codecs import recompress
from fakelens.errors import UserError

# Up as well as down: were small images left as they are, their size would still give their class away. What no view
# can hide is that an enlarged image has no fine detail. 256 is the smallest side that the field's data share.
NORMAL_SIDE = 256  # pixels
# At or below the quality of nearly all published JPEGs, so that this compression outweighs whatever came before it.
NORMAL_QUALITY = 75
HARD_SIDE = 128  # pixels: a thumbnail, as messengers and search pages make them
HARD_QUALITY = 50


def raw(image: Image.Image) -> Image.Image:
    """Return the image as it was decoded."""
    return image


def normalised(image: Image.Image) -> Image.Image:
    """Bring any image to a long side of 256 pixels and JPEG quality 75."""
    return recompress(image, NORMAL_SIDE, NORMAL_QUALITY)


def hard(image: Image.Image) -> Image.Image:
    """Bring any image to a long side of 128 pixels and JPEG quality 50."""
    return recompress(image, HARD_SIDE, HARD_QUALITY)


VIEWS: dict[str, Callable[[Image.Image], Image.Image]] = {"raw": raw, "normalised": normalised, "hard": hard}


def apply_view(name: str, image: Image.Image) -> Image.Image:
    """Return one view of an image.

    Args:
        name: `raw`, `normalised` or `hard`.
        image: A decoded RGB image of any size.

    Raises:
        UserError: If there is no such view.
    """
    check_views([name])
    return VIEWS[name](image)


def check_views(names: list[str]) -> None:
    """Refuse names that are no views.

    Args:
        names: As a person typed them.

    Raises:
        UserError: With the views that there are.
    """
    unknown = [name for name in names if name not in VIEWS]
    if unknown:
        raise UserError(f"There is no view {unknown[0]!r}. The views are: {', '.join(VIEWS)}.")
