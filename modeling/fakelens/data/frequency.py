"""How an image's power is spread over its frequencies, in its centre at native resolution."""

import numpy as np
from PIL import Image
from scipy.fft import fft2, rfft2

WINDOW = 1024  # pixels a side, from the centre, at native resolution: resizing would change what is to be seen


def axis_profiles(image: Image.Image, bins: int = 40) -> np.ndarray:
    """Return the mean power at each horizontal and each vertical frequency.

    Enlarging cuts off each axis for itself, which a mean over all directions would blur.

    Args:
        image: An RGB image of any size; at most its central 1024 x 1024 pixels are seen.
        bins: How many ranges of equal width to average over, up to the highest frequency.

    Returns:
        The logarithm to base 10 of the power in squared intensity levels, of shape `(2, bins)`: along the rows, then
        along the columns, lowest frequency first; in an image too small for so many ranges, an empty one has that of
        the range before it.
    """
    grey, energy = _windowed(image)
    height, width = grey.shape
    rows, columns = (2 * np.abs(np.fft.fftfreq(side)) for side in grey.shape)
    # A real image's spectrum is the same at opposite frequencies: half of it is enough.
    power = np.abs(rfft2(grey)) ** 2 / energy
    opposite = -np.arange(height) % height
    # Only where the other axis varies slowly: most of an image's power lies there.
    along = power[rows < 0.25].mean(axis=0)[np.minimum(np.arange(width), width - np.arange(width))]
    slow = power[:, columns[: power.shape[1]] < 0.25]
    down = (slow.sum(axis=1) + slow[opposite, 1:].sum(axis=1)) / (2 * slow.shape[1] - 1)
    return np.stack([_averaged(columns, along, bins), _averaged(rows, down, bins)])


def power_spectrum(image: Image.Image) -> np.ndarray:
    """Return the power spectrum of the luminance under a Hann window.

    Args:
        image: An RGB image of any size; at most its central 1024 x 1024 pixels are seen.

    Returns:
        Squared intensity levels, frequency zero first, of the shape of what was seen. White noise has its variance
        everywhere, whatever the size.
    """
    grey, energy = _windowed(image)
    return np.abs(fft2(grey)) ** 2 / energy


def _windowed(image: Image.Image) -> tuple[np.ndarray, float]:
    """Return the centre's luminance, of mean zero, under a Hann window, and the window's energy."""
    grey = np.asarray(centre(image).convert("L"), dtype=np.float32)
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in grey.shape)).astype(np.float32)
    return (grey - np.average(grey, weights=window)) * window, float((window**2).sum())


def centre(image: Image.Image) -> Image.Image:
    """Return the part of an image that is looked at: its central 1024 x 1024 pixels, or all of a smaller one."""
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
