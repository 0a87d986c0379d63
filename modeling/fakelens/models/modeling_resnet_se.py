"""The residual network with squeeze-and-excitation of reference system S4, made for images of 32x32 pixels.

A 3x3 convolution to 64 channels; three stages of two residual blocks, 128, 256 and 512 channels, each stage halving
the side; global average pooling; two fully connected layers. Residual blocks are those of He et al. 2016
(https://arxiv.org/abs/1512.03385), squeeze-and-excitation that of Hu et al. 2018 (https://arxiv.org/abs/1709.01507).
"""

import torch
from torch import nn

from .configuration_resnet_se import ResNetSEConfig
from .modeling_detector import DetectorPreTrainedModel


class ResNetSESqueezeExcitation(nn.Module):
    """Weigh channels by a two-layer look at their means (Hu et al. 2018)."""

    def __init__(self, channels: int, reduction: int):
        super().__init__()
        bottleneck = max(1, channels // reduction)
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.excitation = nn.Sequential(
            nn.Linear(channels, bottleneck), nn.ReLU(), nn.Linear(bottleneck, channels), nn.Sigmoid()
        )

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        weights = self.excitation(self.squeeze(hidden_state).flatten(1))  # (batch_size, channels)
        return hidden_state * weights[:, :, None, None]


class ResNetSEBlock(nn.Module):
    """Two 3x3 convolutions, squeeze-and-excitation, and a shortcut around them all."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, reduction: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            ResNetSESqueezeExcitation(out_channels, reduction),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )
        self.activation = nn.ReLU()

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        return self.activation(self.layers(hidden_state) + self.shortcut(hidden_state))


class ResNetSEForImageClassification(DetectorPreTrainedModel):
    r"""The S4 network, its last layer one unit for each label, as S4 draws it.

    Args:
        config ([`ResNetSEConfig`]): Sizes and settings.
    """

    config_class = ResNetSEConfig
    base_model_prefix = "resnet_se"
    head_names = ("hidden", "classifier")

    def __init__(self, config: ResNetSEConfig):
        super().__init__(config)

        def scaled(width: int) -> int:
            return max(1, round(width * config.width_multiplier))

        channels = scaled(config.stem_size)
        self.stem = nn.Sequential(
            nn.Conv2d(config.num_channels, channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        stages = []
        for width in map(scaled, config.hidden_sizes):
            blocks = []
            for stride in (2, *(1 for _ in range(config.blocks_per_stage - 1))):
                blocks.append(ResNetSEBlock(channels, width, stride, config.reduction))
                channels = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.pooling = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(config.dropout)
        self.hidden = nn.Linear(channels, scaled(config.classifier_size))
        self.activation = nn.ReLU()
        self.classifier_dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(scaled(config.classifier_size), len(config.labels))
        self.post_init()

    def score(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Map images of shape `(batch_size, 3, height, width)` to logits of shape `(batch_size, num_labels)`."""
        features = self.pooling(self.stages(self.stem(pixel_values))).flatten(1)  # (batch_size, channels)
        hidden = self.activation(self.hidden(self.dropout(features)))
        return self.classifier(self.classifier_dropout(hidden))


__all__ = ["ResNetSEForImageClassification"]
