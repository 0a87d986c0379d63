"""Configuration of the custom CNN (reference system S0's small network on OpenFake)."""

from typing import Any

from .configuration_detector import DetectorConfig


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


__all__ = ["CustomCNNConfig"]
