"""Adversarial attacks in pixel space, and how a training phase mixes them into its batches.

FGSM: Goodfellow et al., "Explaining and Harnessing Adversarial Examples", ICLR 2015, https://arxiv.org/abs/1412.6572.
PGD: Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018,
https://arxiv.org/abs/1706.06083. The mixes are those of reference systems S2 (samples) and S4 (batches).

An attack moves the pixels of the picture, in [0, 1]; the processor's normalisation happens inside it, so that eps means
the same for every model: 8/255 is eight grey levels.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from transformers import TimmWrapperImageProcessor
from transformers.image_processing_utils import BaseImageProcessor

from fakelens.errors import UserError

# A sign is the same for any scale, but in fp16 the gradient at the pixels is often too small for a number: it becomes
# zero and leaves a fifth of a 224 x 224 image untouched. Same scale as a GradScaler's first one at a batch of 128.
_LOSS_SCALE = 512.0
# How far beyond [0, 1] the rounding of half-precision pixel values may lead; anything more is the wrong normalisation.
_PIXEL_TOLERANCE = 0.01


@dataclass(frozen=True)
class Normalisation:
    """The step from pixels in [0, 1] to a model's `pixel_values`, per channel, both ways.

    Args:
        mean: Subtracted from the pixels, one number a channel.
        std: Divides what remains, one number a channel, above 0.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, processor: BaseImageProcessor) -> "Normalisation":
        """Read the normalisation of an image processor.

        Args:
            processor: One of ours, any of transformers with the usual `do_rescale`, `do_normalize`, `image_mean` and
                `image_std`, or the timm wrapper's.

        Raises:
            UserError: If the processor has no such settings.
        """
        if isinstance(processor, TimmWrapperImageProcessor):
            return cls(tuple(processor.data_config["mean"]), tuple(processor.data_config["std"]))
        settings = processor.to_dict()
        try:
            # What a pixel of 1.0 becomes before the mean is subtracted: 1, or 255 where nothing is rescaled.
            white = 255 * settings["rescale_factor"] if settings["do_rescale"] else 255.0
            mean, std = settings["image_mean"], settings["image_std"]
            if not settings["do_normalize"]:
                mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        except KeyError as error:
            kind = type(processor).__name__
            raise UserError(f"Image processor {kind} has no {error}: give an attack Normalisation(mean, std).") from None
        return cls(tuple(m / white for m in mean), tuple(s / white for s in std))

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalise `pixels` of shape `(..., channels, height, width)`, values in [0, 1]."""
        return (pixels - self._per_channel(self.mean, pixels)) / self._per_channel(self.std, pixels)

    def invert(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Take normalised `pixel_values` of shape `(..., channels, height, width)` back to pixels in [0, 1]."""
        return pixel_values * self._per_channel(self.std, pixel_values) + self._per_channel(self.mean, pixel_values)

    @staticmethod
    def _per_channel(numbers: tuple[float, ...], like: torch.Tensor) -> torch.Tensor:
        return torch.tensor(numbers, dtype=like.dtype, device=like.device).view(-1, 1, 1)


def fgsm(
    model: nn.Module,
    pixels: torch.Tensor,
    labels: torch.Tensor,
    eps: float | torch.Tensor,
    normalisation: Normalisation,
) -> torch.Tensor:
    """Attack with one step of `eps` along the sign of the loss's gradient (Goodfellow et al. 2015).

    The model is judged in eval mode and left as it was: modes, batch statistics and gradients.

    Args:
        model: Called as `model(pixel_values=...)`, returns `.logits` of shape `(batch_size, classes)`.
        pixels: Shape `(batch_size, 3, height, width)` or `(batch_size, num_crops, 3, height, width)`, in [0, 1].
        labels: True class of each image, shape `(batch_size,)`.
        eps: Largest change of a pixel, in [0, 1]; one for all, or one an image, shape `(batch_size,)`.
        normalisation: From pixels to `pixel_values`.

    Returns:
        The attacked pixels, in [0, 1], detached, of the shape and dtype of `pixels`.

    Raises:
        UserError: If `eps` lies outside [0, 1].
        ValueError: If `pixels` do.
    """
    return _ascend(model, pixels, labels, eps, normalisation)


def pgd(
    model: nn.Module,
    pixels: torch.Tensor,
    labels: torch.Tensor,
    eps: float | torch.Tensor,
    normalisation: Normalisation,
    *,
    step_size: float | None = None,
    steps: int = 10,
    random_start: bool = True,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Attack with small signed steps, each brought back within `eps` of the image (Madry et al. 2018).

    The model is judged in eval mode and left as it was: modes, batch statistics and gradients.

    Args:
        model: Called as `model(pixel_values=...)`, returns `.logits` of shape `(batch_size, classes)`.
        pixels: Shape `(batch_size, 3, height, width)` or `(batch_size, num_crops, 3, height, width)`, in [0, 1].
        labels: True class of each image, shape `(batch_size,)`.
        eps: Largest change of a pixel, in [0, 1]; one for all, or one an image, shape `(batch_size,)`.
        normalisation: From pixels to `pixel_values`.
        step_size: Change of a pixel in one step; a quarter of `eps` if not given.
        steps: Number of steps, at least 1.
        random_start: Begin at a random point within `eps` of the image, instead of at the image.
        generator: Source of the random start; torch's global one if not given.

    Returns:
        The attacked pixels, in [0, 1], detached, of the shape and dtype of `pixels`.

    Raises:
        UserError: If `eps` lies outside [0, 1] or `steps` is below 1.
        ValueError: If `pixels` lie outside [0, 1].
    """
    if steps < 1:
        raise UserError(f"steps of an attack must be at least 1, not {steps}.")
    offset = torch.zeros_like(pixels)
    if random_start:
        device = pixels.device if generator is None else generator.device
        offset = torch.rand(pixels.shape, generator=generator, device=device).to(pixels.device) * 2 - 1
    return _ascend(model, pixels, labels, eps, normalisation, 0.25 if step_size is None else step_size, steps, offset)
