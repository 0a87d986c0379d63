"""CutMix: training images with a rectangle of another one, and labels that say how much of each they show.

Yun et al. 2019, https://arxiv.org/abs/1905.04899, per image: each draws its own partner and its own rectangle. A
detector that scores patches learns from it where an image is fake, and what an image shows tells it less.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

LEAST, MOST = 1 / 4, 3 / 4  # of each side


@dataclass(frozen=True)
class CutMix:
    """How images of a batch are mixed.

    Attributes:
        fraction: Of the images, in [0, 1], how many get a rectangle of another one.
    """

    fraction: float

    def apply(
        self, pixel_values: torch.Tensor, labels: torch.Tensor, classes: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mix a batch.

        Args:
            pixel_values: Of shape `(batch_size, ..., height, width)`, sides of 2 pixels or more; not changed.
            labels: Class indices, of shape `(batch_size,)`.
            classes: Number of classes.
            generator: Of the draws, on the processor.

        Returns:
            The mixed images, and how much of each class they show: of shape `(batch_size, classes)`, rows adding up
            to 1.
        """
        count, (height, width) = len(labels), pixel_values.shape[-2:]
        partners = torch.randperm(count, generator=generator).tolist()
        chosen = (torch.rand(count, generator=generator) < self.fraction).tolist()
        drawn = torch.rand(count, 4, generator=generator).tolist()
        own = F.one_hot(labels, classes).float()
        mixed, targets = pixel_values.clone(), own.clone()
        for at, partner in enumerate(partners):
            if not chosen[at]:
                continue
            rows, columns, part = rectangle(height, width, drawn[at])
            mixed[at][..., rows, columns] = pixel_values[partner][..., rows, columns]
            targets[at] = (1 - part) * own[at] + part * own[partner]
        return mixed, targets


def rectangle(height: int, width: int, draws: Sequence[float]) -> tuple[slice, slice, float]:
    """Return the rows and the columns of a rectangle within an image, and its fraction of it.

    Args:
        height: The image's, in pixels, at least 2.
        width: Likewise.
        draws: Four numbers from 0 to below 1, for the rectangle's height, width, top and left.
    """
    tall, wide, down, right = draws
    rows, columns = _side(height, tall), _side(width, wide)
    top, left = int(down * (height - rows + 1)), int(right * (width - columns + 1))
    return slice(top, top + rows), slice(left, left + columns), rows * columns / (height * width)


def _side(full: int, draw: float) -> int:
    """Return a rectangle's side for a draw from 0 to below 1."""
    return max(1, round(full * (LEAST + draw * (MOST - LEAST))))
