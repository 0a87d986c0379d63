"""An image's frequencies, for the eye: its spectrum, its noise residual, and how its power falls with frequency.

Generators enlarge small feature maps, which can leave a regular grid that shows as peaks in the spectrum (Odena et
al., 2016, https://doi.org/10.23915/distill.00003; Zhang et al., 2019, https://arxiv.org/abs/1907.06515), and many
miss a photograph's power at high frequencies (Durall et al., 2020, https://arxiv.org/abs/2003.01826). All scales here
are fixed, so that two images can be compared. None of this enters a score.
"""

import matplotlib
import numpy as np
from PIL import Image
from scipy.ndimage import median_filter

from fakelens.data.frequency import centre, power_spectrum

LOWEST, HIGHEST = -1.5, 6.0  # log10 of power drawn black and white; rounding to intensity levels alone has -1.1
GAIN = 8  # a residual of 16 intensity levels is drawn black or white
COLOURS = "magma"  # even steps, told apart by the colour-blind


def log_spectrum(image: Image.Image) -> Image.Image:
    """Draw the logarithm of the power spectrum, frequency zero in the centre and the finest detail at the edges.

    Args:
        image: An RGB image of any size; at most its central 1024 x 1024 pixels are seen.

    Returns:
        An RGB image of the size of what was seen; black is a power of 10^-1.5 and white 10^6.
    """
    levels = np.log10(np.fft.fftshift(power_spectrum(image)) + 1e-12)
    scaled = ((levels - LOWEST) / (HIGHEST - LOWEST)).clip(0, 1)
    return Image.fromarray((matplotlib.colormaps[COLOURS](scaled)[..., :3] * 255).round().astype(np.uint8))


def residual(image: Image.Image) -> Image.Image:
    """Draw what a 3 x 3 median filter takes out of the image, its noise and finest detail, eight times as strong.

    Args:
        image: An RGB image of any size; at most its central 1024 x 1024 pixels are seen.

    Returns:
        An RGB image of the size of what was seen; middle grey is no residual.
    """
    pixels = np.asarray(centre(image)).astype(np.int16)
    rest = pixels - median_filter(pixels, size=(3, 3, 1), mode="reflect")
    return Image.fromarray((128 + GAIN * rest).clip(0, 255).astype(np.uint8))


def what_to_look_for() -> dict[str, str]:
    """Return a sentence for each of the images: what in it may speak for a generator, and what else may cause it."""
    return {
        "spectrum": (
            "A photograph's spectrum fades evenly from the centre outwards. Bright points in a regular grid away from "
            "the centre come from enlarging, as many generators do inside; so does enlarging a photograph, and a "
            "JPEG's blocks leave points at every eighth of the width. Dark borders mean that fine detail is missing: "
            "the image was enlarged, smoothed or strongly compressed, or generated."
        ),
        "residual": (
            "A camera's noise covers the whole image, and changes with brightness alone. Look for areas without, "
            "for a repeated texture or a grid, and for parts whose noise differs from the rest, as where something "
            "was put in. Compression removes noise too, in squares of 8 x 8 pixels."
        ),
        "profile": (
            "Power falls steadily with frequency in a photograph. A sudden drop is the mark of enlarging, a rise at "
            "the end one of sharpening or of a generator's last layers. Resizing and compressing shift the curve as "
            "much as any generator does: compare it only with images that have been through the same."
        ),
    }
