"""The training degradations as batched torch operations, so that a batch can be degraded where it is trained on.

The operations of `fakelens.data.transforms`, an image at a time with Pillow and NumPy; tests hold the two
against each other. Tensors are float32 intensity levels in [0, 255], of shape `(batch_size, 3, height, width)`, on any
device. JPEG follows ITU-T T.81 (1992) as libjpeg implements it: level shift, 8 x 8 DCT, the standard's example tables
scaled by quality, chroma halved with a box filter and brought back with a triangle filter.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F

LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)
TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168735892, -0.331264108, 0.5), (0.5, -0.418687589, -0.081312411))
TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))
BANDS = 24


@lru_cache(maxsize=8)
def _dct(device: torch.device) -> torch.Tensor:
    """Return the orthonormal 8-point DCT-II as a matrix."""
    k, n = torch.arange(8, dtype=torch.float64)[:, None], torch.arange(8, dtype=torch.float64)[None]
    matrix = torch.cos(math.pi * (2 * n + 1) * k / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix.float().to(device)


def _tables(quality: torch.Tensor, table: tuple[tuple[int, ...], ...]) -> torch.Tensor:
    scale = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    base = torch.tensor(table, dtype=torch.float32, device=quality.device)
    return ((base * scale[:, None, None] + 50) / 100).floor().clamp(1, 255)


def _quantise(channel: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Send `(batch_size, height, width)`, through DCT, quantisation by `(batch_size, 8, 8)`, and back."""
    batch, height, width = channel.shape
    dct = _dct(channel.device)
    blocks = channel.reshape(batch, height // 8, 8, width // 8, 8).permute(0, 1, 3, 2, 4)
    table = table[:, None, None]
    coefficients = ((dct @ blocks @ dct.T) / table).round() * table
    blocks = dct.T @ coefficients @ dct
    return blocks.permute(0, 1, 3, 2, 4).reshape(batch, height, width)


def jpeg(pixels: torch.Tensor, quality: torch.Tensor, subsample: torch.Tensor) -> torch.Tensor:
    """Compress and decompress as baseline JPEG.

    Args:
        pixels: Whole intensity levels, sides multiples of 16.
        quality: Of shape `(batch_size,)`, 1 to 100, whole.
        subsample: Booleans of shape `(batch_size,)`: halve chroma in both directions (4:2:0) or keep it (4:4:4).
    """
    colour = torch.tensor(TO_YCBCR, device=pixels.device)
    ycc = torch.einsum("ij,bjhw->bihw", colour, pixels)
    ycc[:, 0] -= 128
    ycc = ycc.round()
    luma = _quantise(ycc[:, 0], _tables(quality, LUMINANCE))
    table = _tables(quality, CHROMINANCE)
    chroma = torch.empty_like(ycc[:, 1:])
    for halved in (False, True):
        chosen = subsample == halved
        if not bool(chosen.any()):
            continue
        part = ycc[chosen, 1:]
        if halved:
            part = F.avg_pool2d(part, 2).round()
        planes = torch.stack([_quantise(part[:, i], table[chosen]) for i in range(2)], dim=1).round()
        if halved:
            planes = F.interpolate(planes, scale_factor=2, mode="bilinear", align_corners=False)
        chroma[chosen] = planes
    ycc = torch.cat([(luma.round() + 128).clamp(0, 255)[:, None], chroma.clamp(-128, 127)], dim=1)
    return torch.einsum("ij,bjhw->bihw", torch.tensor(TO_RGB, device=pixels.device), ycc).round().clamp(0, 255)


def resize(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Scale square images to `side` pixels a side, bicubic with antialiasing."""
    return F.interpolate(pixels, size=(side, side), mode="bicubic", antialias=True).round().clamp(0, 255)


def noise(pixels: torch.Tensor, sigma: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Add Gaussian noise of a standard deviation an image, `(batch_size,)`, as a fraction of the range."""
    drawn = torch.randn(pixels.shape, generator=generator, device=pixels.device)
    return (pixels + drawn * (sigma * 255)[:, None, None, None]).round().clamp(0, 255)


@lru_cache(maxsize=16)
def _rings(side: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    radius = torch.hypot(torch.fft.fftfreq(side)[:, None].abs(), torch.fft.rfftfreq(side)[None])
    rings = (radius * 2 * BANDS).long().clamp(max=BANDS - 1).flatten()
    counts = torch.bincount(rings, minlength=BANDS).clamp(min=1).float()
    # Linear interpolation between the rings' middles, constant beyond the first and the last.
    position = (radius * 2 * BANDS - 0.5).clamp(0, BANDS - 1)
    low = position.floor().long().clamp(max=BANDS - 2)
    return rings.to(device), counts.to(device), low.to(device), (position - low).to(device)


def spectrum(pixels: torch.Tensor, slope: torch.Tensor, strongest: float = 3.0) -> torch.Tensor:
    """Let each image's power fall with frequency as f ** -slope, `(batch_size,)`; contrast and colours are kept.

    Unlike `Spectrum`, which mirrors sides to multiples of 32, sides here are transformed as they are, with 16
    pixels mirrored on.
    """
    batch, _, side, _ = pixels.shape
    grey = pixels.mean(dim=1)
    window = torch.hann_window(side, periodic=False, device=pixels.device)
    centred = (grey - grey.mean(dim=(1, 2), keepdim=True)) * window[:, None] * window[None]
    rings, counts, _, _ = _rings(side, pixels.device)
    power = torch.fft.rfft2(centred).abs().square().flatten(1) / side**2
    power = torch.zeros(batch, BANDS, device=pixels.device).index_add_(1, rings, power) / counts
    frequencies = (torch.arange(BANDS, device=pixels.device) + 0.5) / (2 * BANDS)
    gain = (-slope[:, None] * frequencies.log() - (power + 1e-4).log()) / 2
    gain = (gain - gain[:, 1:4].mean(dim=1, keepdim=True)).clamp(-strongest, strongest)
    gain[:, :1] = 0
    padded = F.pad(grey[:, None], (0, 16, 0, 16), mode="reflect")[:, 0]
    _, _, low, fraction = _rings(side + 16, pixels.device)
    amplitude = gain.exp() - 1
    amplitude = amplitude[:, low] * (1 - fraction) + amplitude[:, low + 1] * fraction
    added = torch.fft.irfft2(torch.fft.rfft2(padded) * amplitude, s=padded.shape[1:])[:, :side, :side]
    return (pixels + added[:, None]).round().clamp(0, 255)
