"""A timm backbone under a head of our own: fully connected layers with dropout, one unit for two labels.

EfficientNet-B2 with dropout and one unit is reference system S2's network; EfficientNet-B0 with a hidden layer of 256
is S3's. The backbone comes from PyTorch Image Models (Ross Wightman, https://github.com/huggingface/pytorch-image-models);
the head and the reading of its output are ours.
"""

from typing import Any, cast

import torch
from torch import nn

from .modeling_detector import DetectorConfig, DetectorPreTrainedModel, num_units


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

    Examples:
        >>> from fakelens import TimmBackboneConfig
        >>> TimmBackboneConfig(backbone="efficientnet_b2", dropout=0.3).backbone
        'efficientnet_b2'
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


def create_backbone(config: TimmBackboneConfig) -> nn.Module:
    """Build the backbone of `config` without its classifier; its output is `(batch_size, num_features)`."""
    # timm brings torchvision and takes seconds to import: only this class's users should wait for them.
    import timm

    backbone = timm.create_model(config.backbone, pretrained=False, num_classes=0, **config.backbone_args)
    # What timm computes once and keeps out of its files would come back from `from_pretrained` as garbage.
    for module in backbone.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            module.register_buffer(name, buffer, persistent=True)
    return backbone


class TimmBackboneForImageClassification(DetectorPreTrainedModel):
    r"""Backbone, pooled; hidden layers; one unit for two labels, a unit each for more.

    Source: timm (Ross Wightman, https://github.com/huggingface/pytorch-image-models); the heads are those of reference
    systems S2 and S3.

    Args:
        config ([`TimmBackboneConfig`]): Sizes and settings.

    Examples:
        >>> import torch
        >>> from fakelens import TimmBackboneConfig, TimmBackboneForImageClassification
        >>> config = TimmBackboneConfig(backbone="mobilenetv3_small_050", hidden_sizes=[16])
        >>> TimmBackboneForImageClassification(config).eval()(pixel_values=torch.zeros(1, 3, 32, 32)).logits.shape
        torch.Size([1, 2])
    """

    config_class = TimmBackboneConfig
    base_model_prefix = "backbone"
    head_names = ("head", "classifier")

    def __init__(self, config: TimmBackboneConfig):
        super().__init__(config)
        backbone = create_backbone(config)
        sizes = [cast(int, backbone.head_hidden_size), *config.hidden_sizes]
        layers: list[nn.Module] = []
        for in_size, out_size in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(in_size, out_size), nn.ReLU(), nn.Dropout(config.dropout)]
        self.head = nn.Sequential(*(layers or [nn.Dropout(config.dropout)]))
        self.classifier = nn.Linear(sizes[-1], num_units(config))
        self.post_init()
        # Only now, so that a new backbone keeps the initialisation timm gave it.
        self.backbone = backbone

    def score(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Map images of shape `(batch_size, 3, height, width)` to units of shape `(batch_size, num_units)`."""
        return self.classifier(self.head(self.backbone(pixel_values)))


__all__ = ["TimmBackboneConfig", "TimmBackboneForImageClassification"]
