"""A timm backbone under our head: its initialisation, its buffers and the shapes of S2's and S3's heads."""

import pytest
import timm
import torch
from torch import nn

from fakelens.models import TimmBackboneConfig, TimmBackboneForImageClassification


def test_backbone_keeps_the_initialisation_timm_gives():
    torch.manual_seed(0)
    model = TimmBackboneForImageClassification(TimmBackboneConfig(backbone="test_efficientnet"))
    torch.manual_seed(0)
    for name, tensor in timm.create_model("test_efficientnet", num_classes=0).state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], tensor), name


def test_fixed_buffers_are_saved():
    model = TimmBackboneForImageClassification(TimmBackboneConfig(backbone="test_vit_relpos"))
    assert any(name.endswith("relative_position_index") for name in model.state_dict())
    assert not list(model.named_non_persistent_buffers())


def test_head_without_hidden_layers_drops_features_out():
    model = TimmBackboneForImageClassification(TimmBackboneConfig(backbone="test_efficientnet", dropout=0.4))
    assert [type(layer) for layer in model.head] == [nn.Dropout]
    assert model.head[0].p == 0.4
    assert model.classifier.out_features == 1


def test_head_with_hidden_layers():
    config = TimmBackboneConfig(backbone="test_efficientnet", hidden_sizes=[16, 8], dropout=0.5)
    model = TimmBackboneForImageClassification(config)
    assert [type(layer) for layer in model.head] == [nn.Linear, nn.ReLU, nn.Dropout] * 2
    assert [layer.out_features for layer in model.head if isinstance(layer, nn.Linear)] == [16, 8]
    assert model.classifier.in_features == 8


def test_backbone_arguments_reach_timm():
    config = TimmBackboneConfig(backbone="test_efficientnet", backbone_args={"in_chans": 1})
    model = TimmBackboneForImageClassification(config).eval()
    assert model(torch.zeros(1, 1, 32, 32)).logits.shape == (1, 2)


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="hidden_sizes"):
        TimmBackboneConfig(hidden_sizes=[8, 0])
