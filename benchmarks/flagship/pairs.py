"""Content-aligned pairs that are made where a training runs, from the bundle's real images and its autoencoder.

Used by train.py and folds.py. After Rajan et al. (2024), https://arxiv.org/abs/2410.11835, as scripts/reconstruct.py
makes them on disk: here they need no room in a bundle.
"""

from pathlib import Path

import torch
from crops import Images
from degradations import resize

from fakelens.data.aligned.autoencoders import Autoencoder, open_autoencoder

SIDE = 160  # pixels, of both halves of a pair
SCALES = (0.4, 0.9)  # below 1, so that the compression of the real image is worn off both
AT_ONCE = 64  # images of one forward pass


def bundled_autoencoder(folder: Path, device: torch.device) -> Autoencoder | None:
    """Return a bundle's autoencoder, or None if it has none."""
    files = [folder / "encoder.safetensors", folder / "decoder.safetensors"]
    return open_autoencoder([str(path) for path in files], str(device)) if files[0].exists() else None


def make(images: Images, autoencoder: Autoencoder | None, per_image: int, seed: int) -> Images:
    """Return real images, each followed by its reconstruction, on the device of `images`.

    Args:
        images: Real ones and fakes; of the fakes nothing is made.
        autoencoder: What draws the second half; without one there are no pairs.
        per_image: Pairs of each real image, each at a scale and a place of its own.
        seed: Of scales and positions.
    """
    made = Images([], images.pixels.device)
    if autoencoder is None:
        return made
    real = [number for number, row in enumerate(images.rows) if row["label"] == 0] * per_image
    pairs: list[torch.Tensor] = []
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, len(real), AT_ONCE):
        numbers = real[start : start + AT_ONCE]
        low, high = SCALES
        side = round(SIDE / (low + (high - low) * torch.rand((), generator=generator).item()))
        draws = torch.rand(len(numbers), 3, generator=generator)
        first = resize(images.windows(torch.tensor(numbers), side, draws), SIDE)
        with torch.inference_mode():
            drawn = autoencoder.round_trip(first / 255)
        second = (drawn * 255).round().clamp(0, 255).to(first.device)
        pairs.append(torch.stack([first, second], dim=1).flatten(0, 1).byte())
        made.rows += [images.rows[number] | {"label": label} for number in numbers for label in (0, 1)]
    made.pixels = torch.cat(pairs)
    made.sizes = torch.full((len(made), 2), SIDE)
    made.index = torch.arange(len(made))
    return made
