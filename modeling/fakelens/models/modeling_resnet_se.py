"""The residual network with squeeze-and-excitation of reference system S4, made for images of 32x32 pixels.

A 3x3 convolution to 64 channels; three stages of two residual blocks, 128, 256 and 512 channels, each stage halving
the side; global average pooling; two fully connected layers. Residual blocks are those of He et al. 2016
(https://arxiv.org/abs/1512.03385), squeeze-and-excitation that of Hu et al. 2018 (https://arxiv.org/abs/1709.01507).
"""

from typing import Any

import torch
from torch import nn

from .modeling_detector import DetectorConfig, DetectorPreTrainedModel


class ResNetSEConfig(DetectorConfig):
    r"""Sizes and settings of `ResNetSEForImageClassification`.

    The defaults are the network as S4 draws it. With two labels it has 11,240,626 parameters; a `width_multiplier`
    of 0.42 leaves 1,990,152, about the two million that S4 states.

    Args:
        num_channels (`int`, *optional*, defaults to 3): Channels of the input image.
        stem_size (`int`, *optional*, defaults to 64): Channels after the first convolution, before the multiplier.
        hidden_sizes (`list[int]`, *optional*, defaults to `[128, 256, 512]`): Channels after each stage, before the
            multiplier; each stage halves height and width.
        blocks_per_stage (`int`, *optional*, defaults to 2): Residual blocks in each stage.
        classifier_size (`int`, *optional*, defaults to 256): Width of the hidden fully connected layer, before the
            multiplier.
        width_multiplier (`float`, *optional*, defaults to 1.0): Factor on all the widths above, as in MobileNet.
        reduction (`int`, *optional*, defaults to 16): How much narrower than its block a squeeze-and-excitation
            bottleneck is.
        dropout (`float`, *optional*, defaults to 0.4): Dropout rate on the pooled features, in [0, 1).
        classifier_dropout (`float`, *optional*, defaults to 0.3): Dropout rate before the last layer, in [0, 1).
        **kwargs: Passed to [`DetectorConfig`]: labels, `logit_temperature`, `decision_threshold`.

    Raises:
        ValueError: If a size is not positive, or a dropout rate is out of range.

    Examples:
        >>> from fakelens import ResNetSEConfig
        >>> ResNetSEConfig(width_multiplier=0.42).hidden_sizes
        [128, 256, 512]
    """

    model_type = "resnet_se"

    def __init__(
        self,
        num_channels: int = 3,
        stem_size: int = 64,
        hidden_sizes: list[int] | None = None,
        blocks_per_stage: int = 2,
        classifier_size: int = 256,
        width_multiplier: float = 1.0,
        reduction: int = 16,
        dropout: float = 0.4,
        classifier_dropout: float = 0.3,
        **kwargs: Any,
    ):
        self.num_channels = num_channels
        self.stem_size = stem_size
        self.hidden_sizes = [128, 256, 512] if hidden_sizes is None else list(hidden_sizes)
        self.blocks_per_stage = blocks_per_stage
        self.classifier_size = classifier_size
        self.width_multiplier = width_multiplier
        self.reduction = reduction
        self.dropout = dropout
        self.classifier_dropout = classifier_dropout
        widths = (num_channels, stem_size, classifier_size, blocks_per_stage, reduction, *self.hidden_sizes)
        if not self.hidden_sizes or min(widths) < 1 or width_multiplier <= 0:
            raise ValueError(
                "Every size, blocks_per_stage and reduction must be at least 1, width_multiplier above 0."
            )
        if not (0 <= dropout < 1 and 0 <= classifier_dropout < 1):
            raise ValueError("dropout and classifier_dropout must lie in [0, 1).")
        super().__init__(**kwargs)


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

    Source: reference system S4; residual blocks of He et al. 2016 (https://arxiv.org/abs/1512.03385),
    squeeze-and-excitation of Hu et al. 2018 (https://arxiv.org/abs/1709.01507).

    Args:
        config ([`ResNetSEConfig`]): Sizes and settings.

    Examples:
        >>> import torch
        >>> from fakelens import ResNetSEConfig, ResNetSEForImageClassification
        >>> model = ResNetSEForImageClassification(ResNetSEConfig(width_multiplier=0.1)).eval()
        >>> model(pixel_values=torch.zeros(1, 3, 32, 32)).logits.shape
        torch.Size([1, 2])
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


__all__ = ["ResNetSEConfig", "ResNetSEForImageClassification"]
