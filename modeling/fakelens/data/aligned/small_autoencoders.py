"""Small autoencoders of many kinds, each trained in under a minute, as makers of content-aligned fakes.

Pairs as in Rajan et al. (2024), https://arxiv.org/abs/2410.11835, made by one autoencoder teach its decoder alone.
Each way of enlarging features leaves a periodic trace of its own: Zhang, Karaman and Chang (2019),
https://arxiv.org/abs/1907.06515, and Durall et al. (2020), https://arxiv.org/abs/2003.01826. So the kinds differ in
that first, then in depth, in what is between encoder and decoder, and in normalisation.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from fakelens.data.aligned.autoencoders import Autoencoder, ready, run

CROP = 64  # pixels, side of what a training step sees
BATCH_SIZE = 16
LEARNING_RATE = 3e-3
MULTIPLE = 8  # pixels; the deepest kind needs it, and JPEG's blocks are as large
NOISE = 0.15  # of the latents' standard deviation
LARGEST = 3  # quantised latents are whole numbers from -3 to 3


@dataclass(frozen=True)
class Kind:
    """One kind of small autoencoder.

    Attributes:
        name: What data made with it calls its generator.
        levels: Times that the sides are halved and doubled again, at most 3.
        upsampler: What doubles the sides.
        latent_channels: At the bottleneck; super-resolvers have none.
        bottleneck: What happens between encoder and decoder: nothing, rounding, or noise. A super-resolver has the
            halved image there instead, and draws the whole image or what a bicubic enlargement lacks.
        normalised: Whether group normalisation follows the inner convolutions.
        activation: Class of the non-linearities.
        width: Channels after the first convolution; each further level doubles them.
    """

    name: str
    levels: int
    upsampler: Literal["nearest", "bilinear", "transposed3", "transposed4", "shuffle"]
    latent_channels: int
    bottleneck: Literal["plain", "quantised", "noisy", "super", "super-residual"] = "plain"
    normalised: bool = False
    activation: type[nn.Module] = nn.SiLU
    width: int = 24

    @property
    def is_super_resolver(self) -> bool:
        """Whether it sees a halved image in place of encoding it."""
        return self.bottleneck.startswith("super")


KINDS = {
    kind.name: kind
    for kind in (
        Kind("small-1-transposed4", 1, "transposed4", 6, activation=nn.ReLU),
        Kind("small-1-shuffle", 1, "shuffle", 6, activation=nn.ReLU),
        Kind("small-2-nearest", 2, "nearest", 16, activation=nn.ReLU),
        Kind("small-2-bilinear", 2, "bilinear", 16, activation=nn.ReLU),
        Kind("small-2-transposed4", 2, "transposed4", 16, activation=nn.ReLU),
        Kind("small-2-shuffle", 2, "shuffle", 16, activation=nn.ReLU),
        Kind("small-3-nearest", 3, "nearest", 48, activation=nn.ReLU),
        Kind("small-3-transposed3", 3, "transposed3", 48, activation=nn.ReLU),
        Kind("small-1-bilinear-normalised", 1, "bilinear", 8, normalised=True),
        Kind("small-2-shuffle-normalised", 2, "shuffle", 32, normalised=True),
        Kind("small-1-transposed3-quantised", 1, "transposed3", 8, "quantised"),
        Kind("small-2-nearest-quantised", 2, "nearest", 32, "quantised", normalised=True),
        Kind("small-1-nearest-noisy", 1, "nearest", 8, "noisy"),
        Kind("small-2-transposed4-noisy", 2, "transposed4", 32, "noisy", normalised=True),
        Kind("small-super-shuffle", 1, "shuffle", 0, "super-residual"),
        Kind("small-super-nearest", 1, "nearest", 0, "super-residual", normalised=True),
        Kind("small-super-transposed4", 1, "transposed4", 0, "super"),
    )
}


class SmallNetwork(nn.Module):
    """The network of one kind.

    Args:
        kind: Which.
    """

    def __init__(self, kind: Kind):
        super().__init__()
        self.kind = kind
        channels = kind.width
        if kind.is_super_resolver:
            self.encoder = nn.Sequential(_conv(3, channels), kind.activation(), *_inner(kind, channels, channels))
            decoder: list[nn.Module] = []
        else:
            encoder: list[nn.Module] = [_halving(3, channels), kind.activation()]
            for _ in range(kind.levels - 1):
                encoder += _then(kind, _halving(channels, 2 * channels), 2 * channels)
                channels *= 2
            self.encoder = nn.Sequential(*encoder, _conv(channels, kind.latent_channels))
            decoder = [*_inner(kind, kind.latent_channels, channels), *_inner(kind, channels, channels)]
        for _ in range(kind.levels - 1):
            decoder += _then(kind, _doubling(kind, channels, channels // 2), channels // 2)
            channels //= 2
        self.decoder = nn.Sequential(*decoder, _doubling(kind, channels, 16), kind.activation(), _conv(16, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Reconstruct images.

        Args:
            images: Of shape `(batch_size, 3, height, width)` in [0, 1], sides multiples of 8.

        Returns:
            The same shape, about in [0, 1].
        """
        if self.kind.is_super_resolver:
            images = F.interpolate(images, scale_factor=0.5, mode="bicubic", antialias=True)
        drawn = self.decoder(self._bottleneck(self.encoder(images - 0.5)))
        if self.kind.bottleneck == "super-residual":
            return drawn + F.interpolate(images, scale_factor=2, mode="bicubic")
        return drawn + 0.5

    def _bottleneck(self, latents: torch.Tensor) -> torch.Tensor:
        if self.kind.bottleneck == "quantised":
            latents = LARGEST * torch.tanh(latents)
            return latents + (latents.round() - latents).detach()  # straight through: gradients pass the rounding
        if self.kind.bottleneck == "noisy":
            # Drawn by the processor whatever the device: one seed gives one noise.
            return latents + NOISE * latents.std() * torch.randn(latents.shape).to(latents)
        return latents


def train_autoencoder(
    kind: Kind, images: Sequence[np.ndarray], steps: int, seed: int, device: str | None = None
) -> SmallNetwork:
    """Train one small autoencoder; on one thread of a CPU, the same weights each time.

    The loss is the mean absolute error of pixels, and half of that of their horizontal differences: blur costs more.

    Args:
        kind: Which.
        images: What it learns from, each of shape `(height, width, 3)` in bytes, sides of 64 pixels or more.
        steps: Batches of 16 crops; the learning rate falls to nothing over the second half.
        seed: Of the first weights and of the crops.
        device: As torch names devices; a GPU if there is one, if None.

    Raises:
        UserError: If the device cannot be used.
    """
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ready(SmallNetwork(kind), device).train().requires_grad_(True)
        network_device = next(network.parameters()).device
        optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, 2 * (1 - step / steps)))
        for _ in tqdm(range(steps), desc=kind.name, unit="step", leave=False, disable=None):
            batch = _batch(images, rng).to(network_device)
            loss = reconstruction_loss(network(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval().requires_grad_(False)


def as_autoencoder(network: SmallNetwork) -> Autoencoder:
    """Return a trained network as what makes pairs. One image always gives the same, noise or not."""

    def round_trip(images: torch.Tensor) -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(zlib.crc32(images.numpy().tobytes()))
            return run(network, images).clamp(0, 1)

    return Autoencoder(network.kind.name, MULTIPLE, round_trip)


def reconstruction_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute error of pixels and half of that of their horizontal differences.

    Args:
        output: Images of shape `(batch_size, 3, height, width)`.
        target: What they should be, of the same shape.
    """
    error = output - target
    return error.abs().mean() + 0.5 * error.diff(dim=-1).abs().mean()


def _batch(images: Sequence[np.ndarray], rng: np.random.Generator) -> torch.Tensor:
    crops = []
    for number in rng.integers(len(images), size=BATCH_SIZE):
        height, width = images[number].shape[:2]
        top, left = rng.integers(height - CROP + 1), rng.integers(width - CROP + 1)
        crops.append(images[number][top : top + CROP, left : left + CROP])
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255


def _conv(channels: int, out: int) -> nn.Module:
    return nn.Conv2d(channels, out, 3, padding=1)


def _halving(channels: int, out: int) -> nn.Module:
    return nn.Conv2d(channels, out, 4, stride=2, padding=1)


def _doubling(kind: Kind, channels: int, out: int) -> nn.Module:
    if kind.upsampler == "transposed3":
        return nn.ConvTranspose2d(channels, out, 3, stride=2, padding=1, output_padding=1)
    if kind.upsampler == "transposed4":
        return nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1)
    if kind.upsampler == "shuffle":
        return nn.Sequential(_conv(channels, 4 * out), nn.PixelShuffle(2))
    return nn.Sequential(nn.Upsample(scale_factor=2, mode=kind.upsampler), _conv(channels, out))


def _inner(kind: Kind, channels: int, out: int) -> list[nn.Module]:
    return _then(kind, _conv(channels, out), out)


def _then(kind: Kind, layer: nn.Module, channels: int) -> list[nn.Module]:
    """Return a layer with the normalisation and the non-linearity that follow it."""
    norms = [nn.GroupNorm(4, channels)] if kind.normalised else []
    return [layer, *norms, kind.activation()]
