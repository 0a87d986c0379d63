"""A picture's frequencies, for the eye: its spectrum, its noise residual, and how its power falls with frequency.

Generators enlarge small feature maps, which can leave a regular grid that shows as peaks in the spectrum (Odena et
al., 2016, https://doi.org/10.23915/distill.00003; Zhang et al., 2019, https://arxiv.org/abs/1907.06515), and many
miss a photograph's power at high frequencies (Durall et al., 2020, https://arxiv.org/abs/2003.01826). All scales here
are fixed, so that two pictures can be compared. None of this enters a score.
"""

import matplotlib
import numpy as np
from PIL import Image
from scipy.fft import fft2, rfft2
from scipy.ndimage import median_filter

WINDOW = 1024  # pixels a side, from the centre, at native resolution: resizing would change what is to be seen
LOWEST, HIGHEST = -1.5, 6.0  # log10 of power that is drawn black and white; rounding to grey levels alone has -1.1
GAIN = 8  # a residual of 16 grey levels is drawn black or white
COLOURS = "magma"  # even steps, told apart by the colour-blind


def log_spectrum(image: Image.Image) -> Image.Image:
    """Draw the logarithm of the power spectrum, frequency zero in the centre and the finest detail at the edges.

    Args:
        image: An RGB picture of any size; at most its central 1024 x 1024 pixels are seen.

    Returns:
        An RGB picture of the size of what was seen; black is a power of 10^-1.5 and white 10^6.
    """
    levels = np.log10(np.fft.fftshift(power_spectrum(image)) + 1e-12)
    scaled = ((levels - LOWEST) / (HIGHEST - LOWEST)).clip(0, 1)
    return Image.fromarray((matplotlib.colormaps[COLOURS](scaled)[..., :3] * 255).round().astype(np.uint8))


def residual(image: Image.Image) -> Image.Image:
    """Draw what a 3 x 3 median filter takes out of the picture, its noise and finest detail, eight times as strong.

    Args:
        image: An RGB picture of any size; at most its central 1024 x 1024 pixels are seen.

    Returns:
        An RGB picture of the size of what was seen; middle grey is no residual.
    """
    pixels = np.asarray(_centre(image)).astype(np.int16)
    rest = pixels - median_filter(pixels, size=(3, 3, 1), mode="reflect")
    return Image.fromarray((128 + GAIN * rest).clip(0, 255).astype(np.uint8))


def radial_profile(image: Image.Image, bins: int = 64) -> np.ndarray:
    """Return the mean power at each frequency, whatever the direction.

    Args:
        image: An RGB picture of any size; at most its central 1024 x 1024 pixels are seen.
        bins: How many rings of equal width to average over, up to the highest frequency along an axis.

    Returns:
        The logarithm to base 10 of the power in squared grey levels, of shape `(bins,)`, lowest frequency first; in
        a picture too small for so many rings, an empty one has that of the ring before it.
    """
    power = power_spectrum(image)
    rows, columns = (2 * np.abs(np.fft.fftfreq(side)) for side in power.shape)
    return _averaged(np.hypot(rows[:, None], columns).ravel(), power.ravel(), bins)


def axis_profiles(image: Image.Image, bins: int = 40) -> np.ndarray:
    """Return the mean power at each horizontal and each vertical frequency.

    Enlarging cuts off each axis for itself, which shows here and is blurred in the radial profile.

    Args:
        image: As in `radial_profile`.
        bins: Likewise.

    Returns:
        As `radial_profile`, of shape `(2, bins)`: along the rows, then along the columns.
    """
    grey, energy = _windowed(image)
    height, width = grey.shape
    rows, columns = (2 * np.abs(np.fft.fftfreq(side)) for side in grey.shape)
    # A real picture's spectrum is the same at opposite frequencies: half of it is enough.
    power = np.abs(rfft2(grey)) ** 2 / energy
    opposite = -np.arange(height) % height
    # Only where the other axis varies slowly: most of a picture's power lies there.
    along = power[rows < 0.25].mean(axis=0)[np.minimum(np.arange(width), width - np.arange(width))]
    slow = power[:, columns[: power.shape[1]] < 0.25]
    down = (slow.sum(axis=1) + slow[opposite, 1:].sum(axis=1)) / (2 * slow.shape[1] - 1)
    return np.stack([_averaged(columns, along, bins), _averaged(rows, down, bins)])


def power_spectrum(image: Image.Image) -> np.ndarray:
    """Return the power spectrum of the luminance under a Hann window.

    Args:
        image: An RGB picture of any size; at most its central 1024 x 1024 pixels are seen.

    Returns:
        Squared grey levels, frequency zero first, of the shape of what was seen. White noise has its variance
        everywhere, whatever the size.
    """
    grey, energy = _windowed(image)
    return np.abs(fft2(grey)) ** 2 / energy


def what_to_look_for() -> dict[str, str]:
    """Return a sentence for each of the pictures: what in it may speak for a generator, and what else may cause it."""
    return {
        "spectrum": (
            "A photograph's spectrum fades evenly from the centre outwards. Bright points in a regular grid away from "
            "the centre come from enlarging, as many generators do inside; so does enlarging a photograph, and a "
            "JPEG's blocks leave points at every eighth of the width. Dark borders mean that fine detail is missing: "
            "the picture was enlarged, smoothed or strongly compressed, or generated."
        ),
        "residual": (
            "A camera's noise covers the whole picture, and changes with brightness alone. Look for areas without, "
            "for a repeated texture or a grid, and for parts whose noise differs from the rest, as where something "
            "was put in. Compression removes noise too, in squares of 8 x 8 pixels."
        ),
        "profile": (
            "Power falls steadily with frequency in a photograph. A sudden drop is the mark of enlarging, a rise at "
            "the end one of sharpening or of a generator's last layers. Resizing and compressing shift the curve as "
            "much as any generator does: compare it only with pictures that have been through the same."
        ),
    }


def _windowed(image: Image.Image) -> tuple[np.ndarray, float]:
    """Return the centre's luminance, of mean zero, under a Hann window, and the window's energy."""
    grey = np.asarray(_centre(image).convert("L"), dtype=np.float32)
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in grey.shape)).astype(np.float32)
    return (grey - np.average(grey, weights=window)) * window, float((window**2).sum())


def _centre(image: Image.Image) -> Image.Image:
    width, height = min(image.width, WINDOW), min(image.height, WINDOW)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _averaged(frequencies: np.ndarray, power: np.ndarray, bins: int) -> np.ndarray:
    """Return log10 of the mean power in each of `bins` equal ranges of frequencies in [0, 1)."""
    ring = np.minimum((frequencies * bins).astype(int), bins)  # the corners of the spectrum lie beyond the last
    count = np.bincount(ring, minlength=bins + 1)[:bins]
    total = np.bincount(ring, power, minlength=bins + 1)[:bins]
    filled = np.maximum.accumulate(np.where(count > 0, np.arange(bins), 0))
    return np.log10(total[filled] / count[filled] + 1e-3)
