"""How fine an image's detail is, as a radial power spectrum, and images given another one's.

Generators, scaling, cameras and compression all change how fast power falls with frequency, and a detector that learns
"soft means fake" from one collection is wrong on the next. Images whose spectra are made alike, or drawn at random
for both classes, leave it only what is not a matter of sharpness. Natural images fall about as f ** -2 (Field 1987,
https://doi.org/10.1364/JOSAA.4.002379); what generators leave in the spectrum: Durall et al. (2020),
https://arxiv.org/abs/2003.01826; frequencies of pairs made alike: Chen et al. (2025), https://arxiv.org/abs/2505.14359.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image
from scipy import fft

from fakelens.data.transforms.transforms import Range, check_range, draw

BANDS = 24  # rings of one width between frequency 0 and half a cycle a pixel
# Of each ring, in cycles a pixel; corners of the spectrum, beyond .5, are taken for the last ring.
FREQUENCIES = (np.arange(BANDS) + 0.5) / (2 * BANDS)
BORDER = 16  # pixels at least, mirrored on
COARSE = slice(1, 4)  # rings whose power is kept: contrast is not a matter of sharpness
STRONGEST = 3.0  # a ring's amplitude is changed by at most e ** 3, up or down


def radial_spectrum(pixels: np.ndarray) -> np.ndarray:
    """Return the natural logarithm of the mean power in each ring of frequencies, of shape `(24,)`.

    Args:
        pixels: Of shape `(height, width, 3)`, in intensity levels 0 to 255; any type. Sides of 8 or more.
    """
    return _ring_power(_grey(pixels))


def with_spectrum(pixels: np.ndarray, target: np.ndarray, strongest: float = STRONGEST) -> np.ndarray:
    """Filter an image so that its power falls with frequency as another's does; contrast and colours are kept.

    Args:
        pixels: Of shape `(height, width, 3)`, in intensity levels 0 to 255. Sides of 8 or more.
        target: What `radial_spectrum` returns of the other.
        strongest: Natural logarithm of the most that an amplitude is raised or lowered by.

    Returns:
        The same shape in 32-bit floats, not cut off at 0 and 255.
    """
    grey = _grey(pixels)
    gain = (target - _ring_power(grey)) / 2
    gain = np.clip(gain - gain[COARSE].mean(), -strongest, strongest)
    gain[: COARSE.start] = 0
    height, width = grey.shape
    shape = _roomy(height + BORDER), _roomy(width + BORDER)
    # Mirrored on, until the sides are of few kinds, so that opposite edges do not meet and rings are looked up.
    padded = np.pad(grey, ((0, shape[0] - height), (0, shape[1] - width)), mode="symmetric")
    amplitude = np.interp(_rings(*shape)[2], FREQUENCIES, np.exp(gain) - 1).astype(np.float32)
    added = fft.irfft2(fft.rfft2(padded) * amplitude, s=shape)[:height, :width]
    return np.asarray(pixels, dtype=np.float32) + added[..., None]


@dataclass(frozen=True)
class Spectrum:
    """Let the image's power fall with frequency as f ** -slope: soft images get sharper, or sharp ones softer.

    Args:
        slope: The exponent, 0 to 8. Most photographs and generated images lie between 1.6 and 4.5.
    """

    slope: Range = (1.6, 4.5)

    def __post_init__(self) -> None:
        check_range("slope", self.slope, 0, 8)

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the filtered image, of the same size."""
        slope = draw(rng, self.slope)
        if min(image.size) < 8:
            return image
        pixels = with_spectrum(np.asarray(image), -slope * np.log(FREQUENCIES))
        return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def _grey(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(pixels, dtype=np.float32).mean(axis=-1)


def _ring_power(grey: np.ndarray) -> np.ndarray:
    height, width = grey.shape
    window = (np.hanning(height)[:, None] * np.hanning(width)[None]).astype(np.float32)
    shape = _roomy(height), _roomy(width)
    power = np.abs(fft.rfft2((grey - grey.mean()) * window, s=shape)) ** 2 / (height * width)
    rings, counts, _ = _rings(*shape)
    # The small number is below the rounding of bytes, and keeps a flat image's logarithm finite.
    return np.log(np.bincount(rings, power.ravel(), BANDS) / counts + 1e-4)


def _roomy(side: int) -> int:
    """Return the next multiple of 32: quick to transform, and of few kinds."""
    return -(-side // 32) * 32


@lru_cache(maxsize=64)
def _rings(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ring of each frequency of a real transform, flat, how many each ring has, and the frequencies."""
    radius = np.hypot(fft.fftfreq(height)[:, None], fft.rfftfreq(width)[None])
    rings = np.minimum((radius * 2 * BANDS).astype(int), BANDS - 1).ravel()
    return rings, np.maximum(np.bincount(rings, minlength=BANDS), 1), radius


__all__ = ["BANDS", "FREQUENCIES", "Spectrum", "radial_spectrum", "with_spectrum"]
