"""Configuration of the residual network with squeeze-and-excitation (reference system S4's third member)."""

from typing import Any

from .configuration_detector import DetectorConfig


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


__all__ = ["ResNetSEConfig"]
