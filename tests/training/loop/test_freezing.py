import pytest
import torch

from fakelens.errors import UserError
from fakelens.training.loop.freezing import hold_frozen_statistics, layers_of, set_trainable
from fakelens.zoo.registry import build_detector

ARCHITECTURES = {
    "custom_cnn": {"hidden_sizes": [4, 8], "classifier_size": 4},
    "resnet_se": {"width_multiplier": 0.125},
    "mobilenet_v2": {"depth_multiplier": 0.25},
    "timm/test_efficientnet": {},
    "efficientnet_b0_mlp": {"backbone": "test_efficientnet"},
}


@pytest.fixture(params=ARCHITECTURES, scope="module")
def model(request):
    return build_detector(request.param, **ARCHITECTURES[request.param])


def trainable(model):
    return [name for name, p in model.named_parameters() if p.requires_grad]


def test_head_leaves_the_backbone_frozen(model):
    count = set_trainable(model, "head")
    names = trainable(model)
    assert names and all(
        n.split(".")[-2] == "classifier" or n.startswith(("hidden", "head", "timm_model.classifier")) for n in names
    )
    assert count == sum(p.numel() for p in model.parameters() if p.requires_grad) < model.num_parameters()


def test_last_layers_hold_the_head_and_grow_with_their_number(model):
    set_trainable(model, "head")
    head = set(trainable(model))
    set_trainable(model, 4)
    four = set(trainable(model))
    set_trainable(model, 6)
    six = set(trainable(model))
    assert head <= four < six
    set_trainable(model, len(layers_of(model)))
    assert len(trainable(model)) == len(list(model.parameters()))


def test_all_thaws_what_an_earlier_phase_froze(model):
    set_trainable(model, "head")
    assert set_trainable(model, "all") == model.num_parameters()


def test_a_phase_that_freezes_everything_is_refused(model):
    with pytest.raises(UserError, match="nothing to train"):
        set_trainable(model, 0)


def test_frozen_normalisations_keep_their_statistics(model):
    set_trainable(model, "head")
    before = {n: b.clone() for n, b in model.named_buffers() if "running" in n}
    model.train()
    hold_frozen_statistics(model)
    model(pixel_values=torch.rand(4, 3, 32, 32))
    assert before and all(torch.equal(before[n], b) for n, b in model.named_buffers() if n in before)
    assert model.training


def test_trained_normalisations_still_learn(model):
    set_trainable(model, "all")
    before = {n: b.clone() for n, b in model.named_buffers() if "running_mean" in n}
    model.train()
    hold_frozen_statistics(model)
    model(pixel_values=torch.rand(4, 3, 32, 32))
    assert any(not torch.equal(before[n], b) for n, b in model.named_buffers() if n in before)
