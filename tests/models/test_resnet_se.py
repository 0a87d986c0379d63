"""The S4 network is as drawn: channels, strides, squeeze-and-excitation and its true size."""

import pytest
import torch

from fakelens.models import ResNetSEConfig, ResNetSEForImageClassification
from fakelens.models.modeling_resnet_se import ResNetSESqueezeExcitation


@pytest.mark.parametrize(("width_multiplier", "parameters"), [(1.0, 11_240_626), (0.42, 1_990_152)])
def test_size(width_multiplier, parameters):
    with torch.device("meta"):
        model = ResNetSEForImageClassification(ResNetSEConfig(width_multiplier=width_multiplier))
    assert model.num_parameters() == parameters
    assert f"{parameters:,}" in ResNetSEConfig.__doc__


def test_shapes_are_the_drawn_ones():
    with torch.device("meta"):
        model = ResNetSEForImageClassification(ResNetSEConfig())
        hidden = model.stem(torch.empty(2, 3, 32, 32))
        assert hidden.shape == (2, 64, 32, 32)
        for stage, shape in zip(model.stages, [(128, 16, 16), (256, 8, 8), (512, 4, 4)], strict=True):
            assert len(stage) == 2
            hidden = stage(hidden)
            assert hidden.shape == (2, *shape)
    assert (model.dropout.p, model.classifier_dropout.p) == (0.4, 0.3)
    assert (model.hidden.in_features, model.hidden.out_features) == (512, 256)
    assert (model.classifier.in_features, model.classifier.out_features) == (256, 2)


def test_squeeze_excitation_weighs_whole_channels():
    torch.manual_seed(0)
    layer = ResNetSESqueezeExcitation(channels=32, reduction=16)
    hidden = torch.rand(2, 32, 5, 5) + 0.1
    ratio = layer(hidden) / hidden
    assert layer.excitation[0].out_features == 2
    assert ratio.min() > 0 and ratio.max() < 1
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio))  # one weight a channel
    assert not torch.allclose(ratio[:, 0], ratio[:, 1])


@pytest.mark.parametrize(
    "settings", [{"width_multiplier": 0}, {"reduction": 0}, {"hidden_sizes": []}, {"classifier_dropout": 1.0}]
)
def test_impossible_sizes_are_refused(settings):
    with pytest.raises(ValueError, match=r"must (be|lie)"):
        ResNetSEConfig(**settings)
