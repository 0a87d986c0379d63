"""The custom CNN of reference system S0: four convolutional blocks and one logit.

Conv blocks of 32, 64, 128 and 256 channels, each with batch normalisation and max pooling; dropout before global
average pooling; two fully connected layers ending in one unit, trained with binary cross-entropy.
"""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutputWithNoAttention

from .configuration_custom_cnn import CustomCNNConfig


class CustomCNNBlock(nn.Module):
    """3x3 convolution, batch normalisation, ReLU, 2x2 max pooling: twice the depth, half the side."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        # The bias would be cancelled by the normalisation that follows.
        self.convolution = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.normalization = nn.BatchNorm2d(out_channels)
        self.activation = nn.ReLU()
        # ceil_mode keeps at least one pixel, so that inputs smaller than 16 pixels are still judged.
        self.pooling = nn.MaxPool2d(kernel_size=2, ceil_mode=True)

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        return self.pooling(self.activation(self.normalization(self.convolution(hidden_state))))


class CustomCNNPreTrainedModel(PreTrainedModel):
    """What every custom CNN shares: its configuration class and its input."""

    config_class = CustomCNNConfig
    base_model_prefix = "custom_cnn"
    main_input_name = "pixel_values"


class CustomCNNForImageClassification(CustomCNNPreTrainedModel):
    """The S0 network with its one-unit head.

    The head's one logit z leaves as the pair [0, z]: softmax gives sigmoid(z) for "fake", cross-entropy on the pair
    is binary cross-entropy on z, and an `image-classification` pipeline shows both labels.

    Args:
        config ([`CustomCNNConfig`]): Sizes and settings.
    """

    def __init__(self, config: CustomCNNConfig):
        super().__init__(config)
        sizes = [config.num_channels, *config.hidden_sizes]
        self.blocks = nn.Sequential(*(CustomCNNBlock(i, o) for i, o in zip(sizes, sizes[1:], strict=False)))
        self.dropout = nn.Dropout(config.dropout)
        self.pooling = nn.AdaptiveAvgPool2d(1)
        self.hidden = nn.Linear(sizes[-1], config.classifier_size)
        self.activation = nn.ReLU()
        self.classifier = nn.Linear(config.classifier_size, 1)
        self.post_init()

    def forward(
        self,
        pixel_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> ImageClassifierOutputWithNoAttention:
        r"""Score a batch of images.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch_size, 3, height, width)`): Normalised images; or
                `(batch_size, num_crops, 3, height, width)`, whose crops' logits are averaged.
            labels (`torch.Tensor` of shape `(batch_size,)`, *optional*): 0 for real, 1 for fake.
            **kwargs: Accepted for the pipelines' sake, unused.

        Returns:
            [`ImageClassifierOutputWithNoAttention`]: `logits` of shape `(batch_size, 2)`, real then fake, and `loss`
            if labels were given.
        """
        num_crops = pixel_values.shape[1] if pixel_values.ndim == 5 else 1
        hidden_state = self.blocks(pixel_values.flatten(0, 1) if pixel_values.ndim == 5 else pixel_values)
        features = self.pooling(self.dropout(hidden_state)).flatten(1)  # (batch_size * num_crops, channels)
        fake = self.classifier(self.activation(self.hidden(features)))
        fake = fake.view(-1, num_crops).mean(dim=1) / self.config.logit_temperature  # (batch_size,)
        logits = torch.stack([torch.zeros_like(fake), fake], dim=1)

        loss = None if labels is None else self.loss_function(labels, logits, self.config)
        return ImageClassifierOutputWithNoAttention(loss=loss, logits=logits)


__all__ = ["CustomCNNForImageClassification", "CustomCNNPreTrainedModel"]
