"""The tiny FLUX.2 autoencoder: an image to 32 channels at an eighth of its side, and back.

TAEF2 of the TAESD family, MIT (https://github.com/madebyollin/taesd): the small twin of the autoencoder that FLUX.2
draws with. Diffusers' `AutoencoderTiny` lacks its middle blocks. State-dict keys are those of the published files.
"""

import torch
from torch import nn

CHANNELS = 64
LATENT_CHANNELS = 32


class Block(nn.Module):
    """Three convolutions with a skip; a middle block first adds a branch normalised over the whole image."""

    def __init__(self, middle: bool = False):
        super().__init__()
        self.conv = nn.Sequential(_conv(), nn.ReLU(), _conv(), nn.ReLU(), _conv())
        self.pool = (
            nn.Sequential(
                nn.Conv2d(CHANNELS, 4 * CHANNELS, 1, bias=False),
                nn.GroupNorm(4, 4 * CHANNELS),
                nn.ReLU(),
                nn.Conv2d(4 * CHANNELS, CHANNELS, 1, bias=False),
            )
            if middle
            else None
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map features of shape `(batch_size, 64, height, width)` to the same shape."""
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class SoftClamp(nn.Module):
    """Keep latents within 3 of zero."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the same shape."""
        return 3 * torch.tanh(x / 3)


def tiny_encoder() -> nn.Sequential:
    """Build the encoder: `(batch_size, 3, height, width)` in [0, 1] to `(batch_size, 32, height / 8, width / 8)`."""
    layers: list[nn.Module] = [_conv(3), Block()]
    for level in range(3):
        layers += [_conv(stride=2, bias=False), *(Block(middle=level == 2) for _ in range(3))]
    return nn.Sequential(*layers, _conv(out=LATENT_CHANNELS))


def tiny_decoder() -> nn.Sequential:
    """Build the decoder, from the encoder's latents to images, to be clamped to [0, 1]."""
    layers = [SoftClamp(), _conv(LATENT_CHANNELS), nn.ReLU(), *(Block(middle=True) for _ in range(3))]
    for level in range(3):
        layers += [nn.Upsample(scale_factor=2), _conv(bias=False), *(Block() for _ in range(1 if level == 2 else 3))]
    return nn.Sequential(*layers, _conv(out=3))


def _conv(channels: int = CHANNELS, out: int = CHANNELS, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=bias)
