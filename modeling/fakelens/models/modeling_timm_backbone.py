"""A timm backbone under a head of our own: fully connected layers with dropout, one unit for two labels.

EfficientNet-B2 with dropout and one unit is reference system S2's network; EfficientNet-B0 with a hidden layer of 256
is S3's. The backbone comes from PyTorch Image Models (Ross Wightman, https://github.com/huggingface/pytorch-image-models);
the head and the reading of its output are ours.
"""

from typing import cast

import torch
from torch import nn

from .configuration_timm_backbone import TimmBackboneConfig
from .modeling_detector import DetectorPreTrainedModel, num_units


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

    Args:
        config ([`TimmBackboneConfig`]): Sizes and settings.
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


__all__ = ["TimmBackboneForImageClassification"]
