"""The patch lens: what a place sees, that its places add up to its verdict, and that it survives being saved."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from fakelens.models import PatchLensConfig, PatchLensForImageClassification
from fakelens.models.modeling_patch_scores import PatchScores
from fakelens.weights import load_weights

TINY = "test_efficientnet"


def lens(**options):
    torch.manual_seed(0)
    return PatchLensForImageClassification(PatchLensConfig(backbone=TINY, stages=3, **options)).eval()


@pytest.mark.parametrize("high_pass", [False, True])
def test_places_average_to_the_verdict(high_pass):
    model = lens(high_pass=high_pass, logit_temperature=2.0)
    images = torch.rand(2, 3, 96, 64)
    with torch.inference_mode():
        places, logits = model.patch_logits(images), model(images).logits
    assert isinstance(model, PatchScores)
    assert places.ndim == 3 and places.shape[1] / places.shape[2] == 96 / 64
    assert torch.allclose(places.mean(dim=(1, 2)), logits[:, 1] - logits[:, 0], atol=1e-5)


def test_a_place_sees_its_neighbourhood_only():
    model, image = lens(), torch.rand(1, 3, 256, 256)
    changed = image.clone()
    changed[..., -16:, -16:] = 0
    with torch.inference_mode():
        differs = model.patch_logits(image) != model.patch_logits(changed)
    assert differs[0, -1, -1] and not differs[0, 0, 0]


def test_generators_are_scored_against_real():
    config = PatchLensConfig(backbone=TINY, stages=2, id2label={0: "real", 1: "a", 2: "b"})
    model, image = PatchLensForImageClassification(config).eval(), torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert model(image).logits.shape == (1, 3) and model.patch_logits(image).ndim == 3


@pytest.mark.parametrize("high_pass", [False, True])
def test_what_was_saved_comes_back(tmp_path, high_pass):
    model, image = lens(high_pass=high_pass), torch.rand(1, 3, 64, 64)
    model.save_pretrained(tmp_path)
    again = PatchLensForImageClassification.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        assert torch.equal(model(image).logits, again(image).logits)
    assert (tmp_path / "modeling_patch_lens.py").is_file()


def test_flat_images_have_no_second_differences():
    model = lens(high_pass=True)
    flat = torch.full((1, 3, 64, 64), 0.7)
    assert model.high_pass(flat).abs().max() < 1e-5
    assert model.high_pass(torch.rand(1, 3, 64, 64)).abs().max() > 1e-2


def test_a_whole_backbones_weights_fill_the_trunk(tmp_path):
    whole = timm.create_model(TINY, num_classes=7)
    save_file(whole.state_dict(), tmp_path / "whole.safetensors")
    model = lens(high_pass=True)
    load_weights(model, tmp_path / "whole.safetensors")
    stored = whole.state_dict()
    for name, tensor in model.backbone.state_dict().items():
        assert torch.equal(tensor, stored[name]), name


def test_what_it_cannot_be_cut_from_is_refused():
    with pytest.raises(ValueError, match="EfficientNet family"):
        PatchLensForImageClassification(PatchLensConfig(backbone="test_resnet"))
    with pytest.raises(ValueError, match="stages"):
        PatchLensForImageClassification(PatchLensConfig(backbone=TINY, stages=40))
    with pytest.raises(ValueError, match="stages"):
        PatchLensConfig(stages=0)
