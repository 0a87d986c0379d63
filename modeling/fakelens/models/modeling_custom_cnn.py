"""The custom CNN of reference system S0: four convolutional blocks and one logit.

Conv blocks of 32, 64, 128 and 256 channels, each with batch normalisation and max pooling; dropout before global
average pooling; two fully connected layers ending in one unit, trained with binary cross-entropy.
"""

from typing import Any

import torch
from torch import nn

from .modeling_detector import DetectorConfig, DetectorPreTrainedModel, num_units


class CustomCNNConfig(DetectorConfig):
    r"""Sizes and settings of `CustomCNNForImageClassification`.

    The defaults are the published network: four blocks of 32, 64, 128 and 256 channels, dropout 0.5, a 128-unit
    hidden layer.

    Args:
        num_channels (`int`, *optional*, defaults to 3): Channels of the input image.
        hidden_sizes (`list[int]`, *optional*, defaults to `[32, 64, 128, 256]`): Channels after each block; each
            block halves height and width.
        classifier_size (`int`, *optional*, defaults to 128): Width of the hidden fully connected layer.
        dropout (`float`, *optional*, defaults to 0.5): Dropout rate before global average pooling, in [0, 1).
        **kwargs: Passed to [`DetectorConfig`]: labels, `logit_temperature`, `decision_threshold`.

    Raises:
        ValueError: If a size is not positive, or dropout is out of range.

    Examples:
        >>> from fakelens import CustomCNNConfig
        >>> CustomCNNConfig(hidden_sizes=[8, 16]).id2label
        {0: 'real', 1: 'fake'}
    """

    model_type = "custom_cnn"

    def __init__(
        self,
        num_channels: int = 3,
        hidden_sizes: list[int] | None = None,
        classifier_size: int = 128,
        dropout: float = 0.5,
        **kwargs: Any,
    ):
        self.num_channels = num_channels
        self.hidden_sizes = [32, 64, 128, 256] if hidden_sizes is None else list(hidden_sizes)
        self.classifier_size = classifier_size
        self.dropout = dropout
        if not self.hidden_sizes or min(num_channels, classifier_size, *self.hidden_sizes) < 1:
            raise ValueError("num_channels, classifier_size and every one of hidden_sizes must be at least 1.")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), not {dropout}.")
        super().__init__(**kwargs)


class CustomCNNBlock(nn.Module):
    """3x3 convolution, batch normalisation, ReLU, 2x2 max pooling: twice the depth, half the side."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        # The bias would be cancelled by the normalisation that follows.
        self.convolution = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.normalization = nn.BatchNorm2d(out_channels)
        self.activation = nn.ReLU()
        # ceil_mode keeps at least one pixel, so that inputs smaller than 16 pixels are still scored.
        self.pooling = nn.MaxPool2d(kernel_size=2, ceil_mode=True)

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        return self.pooling(self.activation(self.normalization(self.convolution(hidden_state))))


class CustomCNNForImageClassification(DetectorPreTrainedModel):
    r"""The S0 network with its one-unit head, or with one unit for each of more than two labels.

    Source: reference system S0, three CNNs on OpenFake; the code is ours.

    Args:
        config ([`CustomCNNConfig`]): Sizes and settings.

    Examples:
        >>> import torch
        >>> from fakelens import CustomCNNConfig, CustomCNNForImageClassification
        >>> model = CustomCNNForImageClassification(CustomCNNConfig(hidden_sizes=[8, 16])).eval()
        >>> model(pixel_values=torch.zeros(4, 3, 64, 64)).logits.shape
        torch.Size([4, 2])
    """

    config_class = CustomCNNConfig
    base_model_prefix = "custom_cnn"
    head_names = ("hidden", "classifier")

    def __init__(self, config: CustomCNNConfig):
        super().__init__(config)
        sizes = [config.num_channels, *config.hidden_sizes]
        self.blocks = nn.Sequential(*(CustomCNNBlock(i, o) for i, o in zip(sizes, sizes[1:], strict=False)))
        self.dropout = nn.Dropout(config.dropout)
        self.pooling = nn.AdaptiveAvgPool2d(1)
        self.hidden = nn.Linear(sizes[-1], config.classifier_size)
        self.activation = nn.ReLU()
        self.classifier = nn.Linear(config.classifier_size, num_units(config))
        self.post_init()

    def score(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Map images of shape `(batch_size, 3, height, width)` to units of shape `(batch_size, num_units)`."""
        features = self.pooling(self.dropout(self.blocks(pixel_values))).flatten(1)  # (batch_size, channels)
        return self.classifier(self.activation(self.hidden(features)))


__all__ = ["CustomCNNConfig", "CustomCNNForImageClassification"]
