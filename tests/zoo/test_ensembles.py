"""Ensembles: the vote, its weights, its members' inputs, and what cannot be joined."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    TimmWrapperImageProcessor,
    Trainer,
    TrainingArguments,
)

from fakelens.errors import UserError
from fakelens.models import EnsembleConfig, EnsembleForImageClassification, EnsembleImageProcessor
from fakelens.zoo.ensembles import build_ensemble
from fakelens.zoo.registry import build_detector, build_processor

TINY = {"hidden_sizes": [4, 8], "classifier_size": 8}


@pytest.fixture(scope="module")
def members():
    torch.manual_seed(0)
    crops = {"do_resize": False, "do_native_crop": True, "crops_per_side": 2}
    return [
        (build_detector("timm/test_efficientnet"), build_processor("timm/test_efficientnet", 32)),
        (build_detector("custom_cnn", **TINY, logit_temperature=0.1), build_processor("custom_cnn", 16, **crops)),
        (build_detector("resnet_se", width_multiplier=0.1), build_processor("resnet_se", image_mean=[0.0] * 3)),
    ]


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)) for _ in range(3)]


def probabilities(model, processor, images):
    with torch.no_grad():
        return model(**processor(images=images, return_tensors="pt")).logits.softmax(dim=-1)


@pytest.mark.parametrize(
    ("weights", "accuracies", "normalised"),
    [
        ("equal", None, [1 / 3, 1 / 3, 1 / 3]),
        ("accuracy", [0.9, 0.6, 0.5], [0.45, 0.3, 0.25]),
        ([1, 0, 3], None, [0.25, 0.0, 0.75]),
    ],
)
def test_the_vote_is_the_weighted_mean(members, images, weights, accuracies, normalised):
    ensemble, processor = build_ensemble(members, weights, accuracies)
    assert ensemble.config.member_weights == pytest.approx(normalised)
    votes = torch.stack([probabilities(*member, images) for member in members])
    expected = (torch.tensor(normalised)[:, None, None] * votes).sum(dim=0)
    torch.testing.assert_close(probabilities(ensemble, processor, images), expected, rtol=0, atol=1e-6)


def test_members_have_their_own_pixels(members, images):
    inputs = build_ensemble(members)[1](images=images, return_tensors="pt")
    shapes = {name: tuple(tensor.shape) for name, tensor in inputs.items()}
    assert shapes == {
        "pixel_values_0": (3, 3, 32, 32),
        "pixel_values_1": (3, 4, 3, 16, 16),
        "pixel_values_2": (3, 3, 32, 32),
    }
    for index, (_, processor) in enumerate(members):
        expected = processor(images=images, return_tensors="pt")["pixel_values"]
        assert torch.equal(inputs[f"pixel_values_{index}"], expected)


def test_ensemble_of_saved_detectors_is_saved_with_everything_it_needs(members, images, tmp_path):
    paths = []
    for index, (model, processor) in enumerate(members):
        paths.append(tmp_path / f"member{index}")
        model.save_pretrained(paths[-1])
        processor.save_pretrained(paths[-1])
    ensemble, processor = build_ensemble(paths, [5, 3, 2])
    ensemble.save_pretrained(tmp_path / "ensemble")
    processor.save_pretrained(tmp_path / "ensemble")

    again = AutoModelForImageClassification.from_pretrained(tmp_path / "ensemble")
    assert type(again) is EnsembleForImageClassification
    assert again.config.member_weights == pytest.approx([0.5, 0.3, 0.2])
    again_processor = AutoImageProcessor.from_pretrained(tmp_path / "ensemble")
    assert again_processor.to_dict()["members"] == processor.to_dict()["members"]
    expected = probabilities(*build_ensemble(members, [5, 3, 2]), images)
    torch.testing.assert_close(probabilities(again, again_processor, images), expected, rtol=0, atol=1e-6)
    files = {path.name for path in (tmp_path / "ensemble").glob("*.py")}
    for name in ("ensemble", "detector", "custom_cnn", "resnet_se", "timm_backbone"):
        assert f"modeling_{name}.py" in files
    assert {"image_processing_ensemble.py", "image_processing_detector.py"} <= files


def test_ensemble_has_copies_of_its_members_weights(members):
    ensemble, _ = build_ensemble(members)
    before = members[1][0].classifier.bias.clone()
    with torch.no_grad():
        ensemble.members[1].classifier.bias += 1
    assert torch.equal(members[1][0].classifier.bias, before)


def test_temperature_and_loss(members, images):
    ensemble, processor = build_ensemble(members)
    inputs = processor(images=images, return_tensors="pt")
    labels = torch.tensor([0, 1, 1])
    with torch.no_grad():
        plain = ensemble(**inputs, labels=labels)
        ensemble.config.logit_temperature = 2.0
        calibrated = ensemble(**inputs)
    torch.testing.assert_close(calibrated.logits, plain.logits / 2)
    fake = plain.logits.softmax(dim=-1)[range(3), labels]
    torch.testing.assert_close(plain.loss, -fake.log().mean())


def test_trainer_evaluates_it_as_it_is(members, tmp_path):
    trainer = Trainer(build_ensemble(members)[0], TrainingArguments(str(tmp_path), report_to=[], use_cpu=True))
    assert not trainer.model_accepts_loss_kwargs
    assert trainer.label_names == ["labels"]


def test_a_missing_input_is_named(members, images):
    ensemble, processor = build_ensemble(members)
    inputs = processor(images=images, return_tensors="pt")
    del inputs["pixel_values_1"]
    with pytest.raises(ValueError, match="pixel_values_1 is missing"):
        ensemble(**inputs)


def test_members_that_disagree_on_labels_are_named(members, tmp_path):
    other = build_detector("custom_cnn", **TINY, labels=["real", "gan", "diffusion"])
    other.save_pretrained(tmp_path / "attribution")
    build_processor("custom_cnn").save_pretrained(tmp_path / "attribution")
    with pytest.raises(UserError, match=r"TimmWrapperForImageClassification has .*attribution \['real', 'gan'"):
        build_ensemble([members[0], tmp_path / "attribution"])


@pytest.mark.parametrize(
    ("weights", "accuracies", "message"),
    [
        ("accuracy", None, "pass accuracies"),
        ("accuracy", [0.5, 0.5], "2 accuracies for 3 members"),
        ([1, 2], None, "2 weights for 3 members"),
        ([1, -1, 1], None, "must not be negative"),
        ([0, 0, 0], None, "nor all zero"),
        ("best", None, "called 'best'"),
    ],
)
def test_weights_that_do_not_fit_are_refused(members, weights, accuracies, message):
    with pytest.raises(UserError, match=message):
        build_ensemble(members, weights, accuracies)


def test_what_is_not_a_detector_is_refused(members, tmp_path):
    with pytest.raises(UserError, match="at least one member"):
        build_ensemble([])
    with pytest.raises(UserError, match="empty does not load"):
        (tmp_path / "empty").mkdir()
        build_ensemble([tmp_path / "empty"])
    with pytest.raises(UserError, match="EnsembleForImageClassification, which is not of the zoo"):
        build_ensemble([build_ensemble(members)])
    processor = TimmWrapperImageProcessor({"input_size": (3, 32, 32), "mean": (0.5,) * 3, "std": (0.5,) * 3})
    with pytest.raises(UserError, match="image processor of the ensemble's member TimmWrapper"):
        build_ensemble([(members[0][0], processor)])


def test_an_ensemble_without_members_is_refused():
    with pytest.raises(ValueError, match="at least one member"):
        EnsembleForImageClassification(EnsembleConfig())
    with pytest.raises(ValueError, match="2 weights for 1 members"):
        EnsembleConfig(members=[{"model_type": "custom_cnn"}], member_weights=[1, 2])
    with pytest.raises(ValueError, match="neither an image processor of transformers"):
        EnsembleImageProcessor([{"image_processor_type": "NoSuchProcessor"}])
