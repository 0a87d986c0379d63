"""CutMix: labels say how much of each class an image shows, the loss follows them, and a resumed run mixes alike."""

import pytest
import torch
import torch.nn.functional as F
from transformers import TrainingArguments

from fakelens.errors import UserError
from fakelens.models import CustomCNNConfig, CustomCNNForImageClassification, DetectorImageProcessor
from fakelens.training.cutmix import CutMix
from fakelens.training.loop.trainer import DetectorTrainer
from fakelens.training.recipe.recipe import load_recipe


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("crops", [(), (4,)])
def test_targets_are_the_areas_shown(crops):
    labels = torch.arange(32) % 3
    pixels = labels.float().reshape(-1, *[1] * (len(crops) + 3)).expand(-1, *crops, 3, 20, 30)
    mixed, targets = CutMix(1.0).apply(pixels, labels, 3, generator())
    for number in range(3):
        shown = (mixed == number).float().flatten(1).mean(dim=1)
        torch.testing.assert_close(targets[:, number], shown)
    assert (targets.max(dim=1).values < 1).float().mean() > 0.4  # a third has a partner of its own class
    assert torch.equal(pixels[:, ..., 0, 0].flatten(1)[:, 0], labels.float())  # the batch itself is as it was


def test_the_fraction_is_kept_and_none_is_none():
    pixels, labels = torch.rand(400, 3, 16, 16, generator=generator(1)), torch.arange(400) % 2
    mixed, targets = CutMix(0.25).apply(pixels, labels, 2, generator())
    changed = (mixed != pixels).flatten(1).any(dim=1).float().mean()
    assert 0.18 < changed < 0.32
    mixed, targets = CutMix(0.0).apply(pixels, labels, 2, generator())
    assert torch.equal(mixed, pixels) and torch.equal(targets, F.one_hot(labels, 2).float())


def weights_after(folder, steps, cutmix, resume=None, smoothing=0.0):
    torch.manual_seed(0)
    model = CustomCNNForImageClassification(CustomCNNConfig(hidden_sizes=[4], classifier_size=4))
    rows = [{"pixel_values": torch.rand(3, 8, 8, generator=generator(n)), "labels": n % 2} for n in range(64)]
    args = TrainingArguments(
        str(folder), max_steps=steps, per_device_train_batch_size=4, gradient_accumulation_steps=2, save_steps=3,
        use_cpu=True, report_to="none", remove_unused_columns=False, disable_tqdm=True, lr_scheduler_type="constant",
        label_smoothing_factor=smoothing,
    )  # fmt: skip
    trainer = DetectorTrainer(
        cutmix=cutmix, model=model, args=args, train_dataset=rows, processing_class=DetectorImageProcessor()
    )
    trainer.train(resume_from_checkpoint=resume)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_training_mixes_and_a_resumed_run_mixes_alike(tmp_path):
    full = weights_after(tmp_path / "whole", 6, CutMix(0.5))
    weights_after(tmp_path / "cut", 3, CutMix(0.5))
    rest = weights_after(tmp_path / "cut", 6, CutMix(0.5), resume=str(tmp_path / "cut" / "checkpoint-3"))
    assert torch.equal(rest, full)
    plain = weights_after(tmp_path / "plain", 6, None)
    assert not torch.allclose(plain, full, atol=1e-4)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_of_unmixed_images_the_loss_is_the_usual_one(tmp_path, smoothing):
    plain = weights_after(tmp_path / "plain", 2, None, smoothing=smoothing)
    none_mixed = weights_after(tmp_path / "none", 2, CutMix(0.0), smoothing=smoothing)
    torch.testing.assert_close(none_mixed, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("fraction", ["-0.1", "1.5"])
def test_a_fraction_out_of_range_is_refused(tmp_path, fraction):
    (tmp_path / "recipe.yaml").write_text(f"architecture: custom_cnn\ncutmix: {fraction}\n")
    with pytest.raises(UserError, match="cutmix is"):
        load_recipe(tmp_path / "recipe.yaml")
