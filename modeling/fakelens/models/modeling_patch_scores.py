"""What a network offers that scores the places of a picture itself: its heat map needs no gradients."""

from typing import Protocol, runtime_checkable

import torch


# A protocol, not a base class: a network that was loaded from its repo's own code would inherit from another copy.
@runtime_checkable
class PatchScores(Protocol):
    """Has scores of its own for every place."""

    def patch_logits(self, pixel_values: torch.Tensor) -> torch.Tensor:
        r"""Score every place of a batch of images.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch_size, 3, height, width)`): Normalised images.

        Returns:
            `torch.Tensor` of shape `(batch_size, rows, columns)`: logit(fake) - logit(real) of each place, divided by
            the configuration's temperature as the image's own logits are; rows and columns lie evenly over the image.
        """
        ...


__all__ = ["PatchScores"]
