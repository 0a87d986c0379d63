"""Where a detector is out of its depth: images unlike the photographs that it was trained and measured on.

A warning changes no score. The thresholds were set on photographs of ImageNet and BSDS500, so that each warning comes
up for one in fifty of them or fewer. Faces collected from the web, many of them enlarged to a common size, get the one
on fine detail far more often. Enlarging by half or less is not found, and a JPEG saved after enlarging hides some.
Screenshots are known by a bar, a frame or large areas of one colour, and documents by the last; a page that was
photographed or scanned with its paper's texture is not found, nor is a screenshot of nothing but a photograph.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, JpegImagePlugin

from fakelens.data.frequency import axis_profiles

TINY = 128  # pixels of the shorter side
LONGEST = 3.0  # longer side over shorter
COARSE_TABLE = 57.0  # mean entry of a JPEG's luminance table; 57.6 at quality 50
FLAT, COMMON = 0.4, 0.5  # fractions of an image's pixels, see `Measures` and `common_fraction`
SUDDEN, FAINT = 1.05, -2.2  # powers of ten, see `Measures`
SOFT = -2.6  # likewise
BAR, DEEPEST = 0.03, 0.45  # of a side's length: what counts as a bar along an edge
SOLID, BROKEN = 0.6, 0.25  # fractions of a row that have the bar's colour: within it, and behind its end
NEAR = 6  # intensity levels that compression may shift a colour by
WINDOW = 1024  # pixels a side, from the centre, that are looked at for flat areas


@dataclass(frozen=True)
class Measures:
    """What the warnings about an image's pixels go by.

    Attributes:
        flat: The fraction of pixels that equal both their right and their lower neighbour exactly, in [0, 1].
        drop: How much the power falls, in powers of ten, at its steepest within a fifth of the frequencies; of both
            axes the smaller.
        fine: The power at 65 to 95 % of the highest frequency over that at 13 to 25 %, in powers of ten; of both axes
            the larger.
        middle: The power at 13 to 25 % of the highest frequency over that below 8 %, likewise.
    """

    flat: float
    drop: float
    fine: float
    middle: float


def warnings_for(image: Image.Image, data: bytes | None = None) -> tuple[str, ...]:
    """Say in what an image differs from ordinary photographs, and what that means for its verdict.

    Args:
        image: The decoded RGB image.
        data: Its file's bytes; without them, compression is not looked at.

    Returns:
        A sentence or two for each warning; empty for an ordinary photograph.
    """
    found = []
    if min(image.size) < TINY:
        found.append(
            f"Tiny: {image.width} x {image.height} pixels. There is little for a detector to go by, "
            "and its error rates were measured on larger images."
        )
    if max(image.size) > LONGEST * min(image.size):
        found.append(
            "Very long or tall. It is cropped or squeezed to be scored, so parts of it may not have been seen."
        )
    if data is not None and jpeg_table(data) > COARSE_TABLE:
        found.append(
            "Heavily compressed. Such compression removes the fine traces that a detector looks for: "
            "a generated image may pass for a photograph, and the other way round."
        )
    measures = measure(image)
    if measures.flat > FLAT and common_fraction(image) > COMMON:
        found.append(
            "Large areas of exactly one colour: a document, a drawing, a screenshot or something cut out. "
            "The detector tells photographs from generated ones; of anything else its verdict means nothing."
        )
    elif has_bar(image):
        found.append(
            "A bar of one colour along an edge: a screenshot, a frame of a film or an image with a border. The bar "
            "is scored along with the rest; cut out the image itself or, better, score the file that was shown."
        )
    elif measures.middle < SOFT:
        found.append("Heavily blurred. Without fine detail, the verdict rests on little.")
    elif measures.drop > SUDDEN and measures.fine < FAINT:
        found.append(
            "Without fine detail for its size: it was enlarged, blurred or smoothed. Enlarging leaves traces like a "
            "generator's and hides others; score the original, smaller file if there is one."
        )
    return tuple(found)


def measure(image: Image.Image) -> Measures:
    """Measure an image's flat areas and its fine detail, in its central 1024 x 1024 pixels.

    Args:
        image: An RGB image of any size from 8 x 8 pixels.
    """
    colours = _colours(image)
    here = colours[:-1, :-1]
    profiles = axis_profiles(image)  # (2, 40)
    # Means over a tenth of the frequencies, and those a fifth further on; below 0.2, every image falls steeply.
    tenths = np.stack([profiles[:, start : start + 4].mean(axis=1) for start in range(8, 37)])  # (29, 2)
    middle = profiles[:, 5:10].mean(axis=1)
    return Measures(
        flat=float(((here == colours[:-1, 1:]) & (here == colours[1:, :-1])).mean()),
        drop=float((tenths[:-8] - tenths[8:]).max(axis=0).min()),
        fine=float((profiles[:, 26:38].mean(axis=1) - middle).max()),
        middle=float((middle - profiles[:, 1:3].mean(axis=1)).max()),
    )


def common_fraction(image: Image.Image) -> float:
    """Return the fraction, in [0, 1], of the central 1024 x 1024 pixels that have one of the 16 commonest colours.

    Args:
        image: An RGB image.
    """
    colours = np.sort(_colours(image), axis=None)
    counts = np.diff(np.flatnonzero(np.diff(colours)), prepend=-1, append=colours.size - 1)
    return float(np.sort(counts)[-16:].sum() / colours.size)


def has_bar(image: Image.Image) -> bool:
    """Tell whether a bar of one colour, as around a screenshot's content, runs along one of an image's edges.

    A bar may have marks in it, such as a clock or buttons, and ends in a straight line, as a bright sky does not.

    Args:
        image: An RGB image.
    """
    pixels = np.asarray(image)
    turned = pixels.transpose(1, 0, 2)
    for rows in (pixels, pixels[::-1], turned, turned[::-1]):
        colour = np.median(rows[0], axis=0)
        if _same(rows[:1], colour)[0] <= SOLID:
            continue  # no bar begins here: known from one row, for nearly every edge of a photograph
        same = _same(rows[: len(rows) // 2 + 1], colour)
        depth = int(np.argmin(same > SOLID))  # 0 also where all of the half is solid
        behind = same[depth : depth + max(3, len(rows) // 50)]
        if BAR <= depth / len(rows) <= DEEPEST and behind.mean() < BROKEN:
            return True
    return False


def jpeg_table(data: bytes) -> float:
    """Return the mean entry of a JPEG's luminance table, the coarser the higher; 0 for other files.

    Args:
        data: A file's bytes; they decode.
    """
    with Image.open(io.BytesIO(data)) as file:  # reads the header alone
        if not isinstance(file, JpegImagePlugin.JpegImageFile) or 0 not in file.quantization:
            return 0.0
        return float(np.mean(file.quantization[0]))


def _same(rows: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Return the fraction, in [0, 1], of each row's pixels that are near a colour."""
    # A colour's channels one by one: over an axis of three, NumPy is slow.
    red, green, blue = (np.abs(rows[..., at].astype(np.float32) - np.float32(colour[at])) <= NEAR for at in range(3))
    return (red & green & blue).mean(axis=1)


def _colours(image: Image.Image) -> np.ndarray:
    """Return a number for the colour of each pixel in the centre."""
    width, height = min(image.width, WINDOW), min(image.height, WINDOW)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    pixels = np.asarray(image.crop((left, top, left + width, top + height))).astype(np.int32)
    return (pixels[..., 0] << 16) | (pixels[..., 1] << 8) | pixels[..., 2]
