"""Configuration of the custom CNN (reference system S0's small network on OpenFake)."""

from typing import Any

from transformers import PreTrainedConfig


class CustomCNNConfig(PreTrainedConfig):
    r"""Sizes and settings of `CustomCNNForImageClassification`.

    The defaults are the published network: four blocks of 32, 64, 128 and 256 channels, dropout 0.5, a 128-unit
    hidden layer. Labels are always `{0: "real", 1: "fake"}`.

    Args:
        num_channels (`int`, *optional*, defaults to 3): Channels of the input image.
        hidden_sizes (`list[int]`, *optional*, defaults to `[32, 64, 128, 256]`): Channels after each block; each
            block halves height and width.
        classifier_size (`int`, *optional*, defaults to 128): Width of the hidden fully connected layer.
        dropout (`float`, *optional*, defaults to 0.5): Dropout rate before global average pooling, in [0, 1).
        logit_temperature (`float`, *optional*, defaults to 1.0): Logits are divided by it; fitted on validation data.
        decision_threshold (`float`, *optional*, defaults to 0.5): P(fake) from which a verdict is "fake".
        **kwargs: Passed to `PreTrainedConfig`.

    Raises:
        ValueError: If a size is not positive, or dropout, temperature or threshold is out of range.
    """

    model_type = "custom_cnn"

    def __init__(
        self,
        num_channels: int = 3,
        hidden_sizes: list[int] | None = None,
        classifier_size: int = 128,
        dropout: float = 0.5,
        logit_temperature: float = 1.0,
        decision_threshold: float = 0.5,
        **kwargs: Any,
    ):
        self.num_channels = num_channels
        self.hidden_sizes = [32, 64, 128, 256] if hidden_sizes is None else list(hidden_sizes)
        self.classifier_size = classifier_size
        self.dropout = dropout
        self.logit_temperature = logit_temperature
        self.decision_threshold = decision_threshold
        if not self.hidden_sizes or min(num_channels, classifier_size, *self.hidden_sizes) < 1:
            raise ValueError("num_channels, classifier_size and every one of hidden_sizes must be at least 1.")
        if not 0 <= dropout < 1 or logit_temperature <= 0 or not 0 <= decision_threshold <= 1:
            raise ValueError("dropout must lie in [0, 1), logit_temperature above 0 and decision_threshold in [0, 1].")
        kwargs.setdefault("id2label", {0: "real", 1: "fake"})
        kwargs.setdefault("label2id", {"real": 0, "fake": 1})
        super().__init__(**kwargs)
