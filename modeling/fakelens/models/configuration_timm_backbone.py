"""Configuration of a timm backbone under a head of our own (reference systems S2 and S3)."""

from typing import Any

from .configuration_detector import DetectorConfig


class TimmBackboneConfig(DetectorConfig):
    r"""Sizes and settings of `TimmBackboneForImageClassification`.

    Args:
        backbone (`str`, *optional*, defaults to `"efficientnet_b0"`): Name of the architecture in timm.
        backbone_args (`dict[str, Any]`, *optional*): Further arguments of `timm.create_model`, such as
            `{"drop_path_rate": 0.1}`.
        hidden_sizes (`list[int]`, *optional*, defaults to `[]`): Widths of the fully connected layers between the
            pooled features and the last layer; each is followed by ReLU and dropout.
        dropout (`float`, *optional*, defaults to 0.0): Dropout rate after every hidden layer, or on the pooled
            features where there is none, in [0, 1).
        **kwargs: Passed to [`DetectorConfig`]: labels, `logit_temperature`, `decision_threshold`.

    Raises:
        ValueError: If a hidden size is not positive, or dropout is out of range.
    """

    model_type = "timm_backbone_detector"

    def __init__(
        self,
        backbone: str = "efficientnet_b0",
        backbone_args: dict[str, Any] | None = None,
        hidden_sizes: list[int] | None = None,
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        self.backbone = backbone
        self.backbone_args = dict(backbone_args or {})
        self.hidden_sizes = list(hidden_sizes or [])
        self.dropout = dropout
        if min(self.hidden_sizes, default=1) < 1:
            raise ValueError("Every one of hidden_sizes must be at least 1.")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), not {dropout}.")
        super().__init__(**kwargs)


__all__ = ["TimmBackboneConfig"]
