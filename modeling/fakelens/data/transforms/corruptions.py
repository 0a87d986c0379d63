"""What optics, sensors and weather do to an image: blur, noise, speckle, fog, snow.

The families of Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019, from their formulas; the code is ours. Pixels x are in [0, 1] as they are stored (sRGB), and
all results are cut off at 0 and 1. Weather is drawn for an image with a long side of 224 pixels, as theirs, and
stretched over larger and smaller ones, so that the same scene has the same weather at every size. Every size is kept.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from skimage.filters import gaussian

from fakelens.data.transforms.transforms import Range, check_range, draw, draw_integer

SIDE = 224  # pixels: the long side that weather is drawn for
FOG_MAP = 256  # pixels: the power of two above it
# Severity 1 to 5 of the paper's code. Fog: thickness, and how fast its detail fades.
FOG = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))
# Snow: mean and deviation of the noise, its zoom, the level above which it is a flake, the reach and deviation of its
# motion in pixels, and the fraction of the image that is not whitened.
SNOW = (
    (0.1, 0.3, 3.0, 0.5, 10, 4.0, 0.8),
    (0.2, 0.3, 2.0, 0.5, 12, 4.0, 0.7),
    (0.55, 0.3, 4.0, 0.9, 12, 8.0, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8.0, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12.0, 0.55),
)


@dataclass(frozen=True)
class Blur:
    """Blur by a Gaussian, cut off at four standard deviations; beyond the border, the outermost pixels go on.

    Args:
        sigma: Standard deviation in pixels, 0 to 50.
    """

    sigma: Range = 1.0

    def __post_init__(self) -> None:
        check_range("sigma", self.sigma, 0, 50)

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the blurred image."""
        return _to_image(gaussian(_to_array(image), draw(rng, self.sigma), mode="nearest", channel_axis=-1))


@dataclass(frozen=True)
class Noise:
    """Add Gaussian noise, x + sigma * n, with n standard normal in each pixel and channel.

    Args:
        sigma: Standard deviation, 0 to 1, where 1 is white.
    """

    sigma: Range = 0.05

    def __post_init__(self) -> None:
        check_range("sigma", self.sigma, 0, 1)

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the noisy image."""
        pixels = _to_array(image)
        sigma = np.float32(draw(rng, self.sigma))
        return _to_image(pixels + sigma * rng.standard_normal(pixels.shape, dtype=np.float32))


@dataclass(frozen=True)
class Speckle:
    """Multiply by noise, x + x * sigma * n, with n standard normal in each pixel and channel.

    Args:
        sigma: Standard deviation, 0 to 1. The paper's severities are 0.15, 0.2, 0.35, 0.45 and 0.6.
    """

    sigma: Range = 0.35

    def __post_init__(self) -> None:
        check_range("sigma", self.sigma, 0, 1)

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the speckled image."""
        pixels = _to_array(image)
        sigma = np.float32(draw(rng, self.sigma))
        return _to_image(pixels + pixels * sigma * rng.standard_normal(pixels.shape, dtype=np.float32))


@dataclass(frozen=True)
class Fog:
    """Lay fog over the image: (x + t * f) * m / (m + t), with m the brightest x, t the thickness, f a fog in [0, 1].

    f is a plasma fractal, made by the diamond-square algorithm (Fournier, Fussell & Carpenter, 1982): each new point
    is the mean of its four neighbours and a random number, `decay ** 2` times smaller at every halving of the grid.

    Args:
        severity: A whole number from 1 to 5, see `FOG`.
    """

    severity: Range = 3

    def __post_init__(self) -> None:
        check_range("severity", self.severity, 1, 5, integer=True)

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the foggy image."""
        thickness, decay = FOG[draw_integer(rng, self.severity) - 1]
        width, height = _weather_size(image)
        fog = _stretch(_plasma(rng, decay)[:height, :width], image.size)
        pixels = _to_array(image)
        brightest = pixels.max()
        return _to_image((pixels + thickness * fog[..., None]) * (brightest / (brightest + thickness)))


@dataclass(frozen=True)
class Snow:
    """Let it snow: whitened + s + s turned by 180 degrees, with s the flakes.

    whitened = k * x + (1 - k) * max(x, 1.5 * grey(x) + 0.5). The flakes are Gaussian noise, enlarged, of which only
    what is above a level stays, blurred along a line between 45 and 135 degrees.

    Args:
        severity: A whole number from 1 to 5, see `SNOW`.
    """

    severity: Range = 3

    def __post_init__(self) -> None:
        check_range("severity", self.severity, 1, 5, integer=True)

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return the snowy image."""
        mean, deviation, zoom, level, reach, spread, kept = SNOW[draw_integer(rng, self.severity) - 1]
        width, height = _weather_size(image)
        noise = rng.normal(mean, deviation, (int(np.ceil(height / zoom)), int(np.ceil(width / zoom))))
        flakes = _stretch(noise.astype(np.float32), (width, height))
        flakes = np.where(flakes < level, 0, flakes).clip(0, 1)
        flakes = _smear(flakes, int(reach), spread, rng.uniform(0.25 * np.pi, 0.75 * np.pi))
        flakes = _stretch(flakes + flakes[::-1, ::-1], image.size)[..., None]
        pixels = _to_array(image)
        grey = pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        whitened = kept * pixels + (1 - kept) * np.maximum(pixels, 1.5 * grey[..., None] + 0.5)
        return _to_image(whitened + flakes)


def _weather_size(image: Image.Image) -> tuple[int, int]:
    """Return the width and height of the weather map that is stretched over an image."""
    scale = SIDE / max(image.size)
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _plasma(rng: np.random.Generator, decay: float) -> np.ndarray:
    """Return a plasma fractal in [0, 1], of shape `(256, 256)`; its edges meet, as on a torus."""
    grid = np.zeros((FOG_MAP, FOG_MAP), dtype=np.float32)
    amplitude, step = 1.0, FOG_MAP
    while step > 1:
        half = step // 2
        corners = grid[::step, ::step]
        pairs = corners + np.roll(corners, -1, axis=0)
        middles = _displaced(pairs + np.roll(pairs, -1, axis=1), amplitude, rng)
        grid[half::step, half::step] = middles
        across = corners + np.roll(corners, -1, axis=1) + middles + np.roll(middles, 1, axis=0)
        grid[::step, half::step] = _displaced(across, amplitude, rng)
        grid[half::step, ::step] = _displaced(pairs + middles + np.roll(middles, 1, axis=1), amplitude, rng)
        amplitude, step = amplitude / decay**2, half
    return (grid - grid.min()) / (grid.max() - grid.min())


def _displaced(sums: np.ndarray, amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """Return the mean of four neighbours, given their sums, and a random number beside it."""
    return sums / 4 + amplitude * rng.uniform(-1, 1, sums.shape)


def _smear(flakes: np.ndarray, reach: int, spread: float, angle: float) -> np.ndarray:
    """Blur along a line, to one side, with the weights of half a Gaussian over `2 * reach + 1` pixels."""
    distances = np.arange(2 * reach + 1)
    weights = np.exp(-(distances**2) / (2 * spread**2))
    weights /= weights.sum()
    height, width = flakes.shape
    padded = np.pad(flakes, 2 * reach, mode="edge")
    result = np.zeros_like(flakes)
    for distance, weight in zip(distances, weights, strict=True):
        down = 2 * reach + round(distance * np.sin(angle))
        right = 2 * reach + round(distance * np.cos(angle))
        result += np.float32(weight) * padded[down : down + height, right : right + width]
    return result


def _stretch(layer: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an array of shape `(height, width)` and floats to an image's `(width, height)`."""
    return np.asarray(Image.fromarray(layer).resize(size, Image.Resampling.BILINEAR))


def _to_array(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=np.float32) / 255


def _to_image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray((pixels.clip(0, 1) * 255).round().astype(np.uint8))
