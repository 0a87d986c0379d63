"""The patch lens: what a patch sees, that its patches add up to its verdict, and that it survives being saved."""

import json

import pytest
import timm
import torch
from safetensors.torch import save_file

from fakelens.models import PatchLensConfig, PatchLensForImageClassification
from fakelens.models.modeling_detector import PatchScores
from fakelens.zoo.pretrained import load_weights

TINY = "test_efficientnet"


def lens(**options):
    torch.manual_seed(0)
    return PatchLensForImageClassification(PatchLensConfig(backbone=TINY, stages=3, **options)).eval()


@pytest.mark.parametrize("high_pass", [False, True])
def test_patches_average_to_the_verdict(high_pass):
    model = lens(high_pass=high_pass, logit_temperature=2.0)
    images = torch.rand(2, 3, 96, 64)
    with torch.inference_mode():
        patches, logits = model.patch_logits(images), model(images).logits
    assert isinstance(model, PatchScores)
    assert patches.ndim == 3 and patches.shape[1] / patches.shape[2] == 96 / 64
    assert torch.allclose(patches.mean(dim=(1, 2)), logits[:, 1] - logits[:, 0], atol=1e-5)


def rough(side=64, levels=60, count=1):
    """Images of noise, `levels` intensity levels strong, between -1 and 1."""
    noise = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1)) - 0.5
    return (noise * 2 * levels / 127.5).clamp(-1, 1)


def test_a_blank_image_scores_one_half_whatever_the_network_learnt():
    model, plain = lens(), lens(patch_weight_contrast=0.0)
    with torch.no_grad():
        for network in (model, plain):
            network.classifier.bias.fill_(9.0)
    blank = torch.full((1, 3, 64, 64), -1.0)
    with torch.inference_mode():
        assert model(blank).logits.softmax(-1)[0, 1] == pytest.approx(0.5, abs=0.01)
        assert plain(blank).logits.softmax(-1)[0, 1] > 0.9
        # Half an image's patches count half of what all of them do; all of a rough one count in full.
        half = rough()
        half[..., 32:] = 0.3
        full, less = (model(x).logits[0, 1].item() for x in (rough(), half))
        assert torch.allclose(model(rough()).logits, plain(rough()).logits, atol=1e-5) and 0.4 < less / full < 0.75
    with torch.no_grad():  # in training every patch is learnt from, even where there is nothing to be seen
        model.train().dropout.p = 0.0
        assert model(blank).logits[0, 1] > 2


def test_detail_counts_up_to_the_limit():
    model = lens(patch_weight_contrast=4.0)
    weights = [model.patch_weights(rough(levels=levels), (8, 8)) for levels in (0, 2, 4, 60)]
    means = [float(weight.mean()) for weight in weights]
    assert means[0] < 1e-3 and means[-1] == 1 and means[1] < means[2] < 1
    assert means[2] / means[1] == pytest.approx(2, rel=0.01)  # in proportion
    assert lens(patch_weight_contrast=8.0).patch_weights(rough(levels=4), (8, 8)).mean() == pytest.approx(
        means[2] / 2, rel=0.01
    )


@pytest.mark.parametrize("options", [{}, {"patch_weight_contrast": 0.0}, {"stages": 4}])
def test_what_a_bias_does_is_known(options):
    model = PatchLensForImageClassification(PatchLensConfig(**{"backbone": TINY, "stages": 3} | options)).eval()
    images = torch.cat([rough(72), rough(72, 1), rough(72, 0), rough(72, 3)])
    with torch.inference_mode():
        before = model(images).logits[:, 1]
        model.classifier.bias.add_(1.0)
        torch.testing.assert_close(model(images).logits[:, 1] - before, model.bias_effect(images))


def test_a_blank_image_has_gradients_that_are_numbers():
    blank = torch.zeros(1, 3, 64, 64, requires_grad=True)
    lens()(blank).logits[0, 1].backward()
    assert torch.isfinite(blank.grad).all()


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
    full = timm.create_model(TINY, num_classes=7)
    save_file(full.state_dict(), tmp_path / "whole.safetensors")
    model = lens(high_pass=True)
    load_weights(model, tmp_path / "whole.safetensors")
    stored = full.state_dict()
    for name, tensor in model.backbone.state_dict().items():
        assert torch.equal(tensor, stored[name]), name


def test_what_it_cannot_be_cut_from_is_refused():
    with pytest.raises(ValueError, match="EfficientNet family"):
        PatchLensForImageClassification(PatchLensConfig(backbone="test_resnet"))
    with pytest.raises(ValueError, match="stages"):
        PatchLensForImageClassification(PatchLensConfig(backbone=TINY, stages=40))
    with pytest.raises(ValueError, match="stages"):
        PatchLensConfig(stages=0)
    with pytest.raises(ValueError, match="patch_weight_contrast"):
        PatchLensConfig(patch_weight_contrast=-1)


@pytest.mark.parametrize(("stages", "side"), [(4, 16), (6, 32), (7, 32)])
def test_every_stage_of_the_backbone_may_be_kept(stages, side):
    model = PatchLensForImageClassification(PatchLensConfig(stages=stages))
    assert model.side == side and model.training and model.backbone.training
    assert model.eval().patch_logits(torch.zeros(1, 3, 96, 128)).shape == (1, 96 // side, 128 // side)


def test_an_older_config_is_read_with_the_same_meaning(tmp_path):
    model = lens(patch_weight_contrast=9.0)
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["evidence"] = config.pop("patch_weight_contrast")  # its name in configs of before
    (tmp_path / "config.json").write_text(json.dumps(config))
    again = PatchLensForImageClassification.from_pretrained(tmp_path)
    assert again.config.patch_weight_contrast == 9.0 and "evidence" not in again.config.to_dict()
    with torch.inference_mode():
        assert torch.equal(again(rough(levels=4)).logits, model(rough(levels=4)).logits)
