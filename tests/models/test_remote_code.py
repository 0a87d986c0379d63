"""Saved detectors score the same in a process that has transformers and timm, but not fakelens."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from fakelens.zoo.ensembles import build_ensemble
from fakelens.zoo.registry import build_detector, build_processor
from tests.models.foreign_process import run_without_fakelens

NATIVE = {"timm", "mobilenet_v2"}
WEIGHTS = [0.5, 0.2, 0.1, 0.2]
MEMBERS = ["timm", "custom_cnn", "resnet_se", "timm_backbone"]

PIPELINES = """
import json
from transformers import pipeline
folders, images, native = json.loads({arguments!r})
scored = {{}}
for name, folder in folders.items():
    classifier = pipeline("image-classification", model=folder, trust_remote_code=name not in native)
    scored[name] = {{
        "scores": [{{row["label"]: row["score"] for row in rows}} for rows in classifier(images, batch_size=2)],
        "logits": [
            {{row["label"]: row["score"] for row in rows}} for rows in classifier(images, function_to_apply="none")
        ],
        "labels": classifier.model.config.id2label,
        "remote": type(classifier.model).__module__.startswith("transformers_modules."),
    }}
print(json.dumps(scored))
"""


def shaken(model, size):
    """Give every parameter a value of its own, so that a lost or swapped one shows, and fitting running statistics."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        for _ in range(10):
            model.train()(pixel_values=torch.randn(8, 3, size, size))
    return model.eval()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    paths = []
    for index, size in enumerate([(50, 70, 3), (33, 24, 3)]):
        paths.append(str(folder / f"{index}.png"))
        Image.fromarray(random.integers(0, 256, size, dtype=np.uint8)).save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def detectors():
    torch.manual_seed(0)
    generators = ["real", "gan", "diffusion"]
    built = {
        "custom_cnn": ("custom_cnn", 48, {"hidden_sizes": [4, 8], "classifier_size": 8, "logit_temperature": 2.5}),
        "generators": ("custom_cnn", 48, {"hidden_sizes": [4, 8], "classifier_size": 8, "labels": generators}),
        "resnet_se": ("resnet_se", 32, {"width_multiplier": 0.1}),
        "timm_backbone": ("efficientnet_b0_mlp", 40, {"backbone": "test_efficientnet", "hidden_sizes": [8]}),
        # Its backbone has position indices that timm keeps out of its files.
        "fixed_buffers": ("efficientnet_b2", 160, {"backbone": "test_vit_relpos"}),
        "timm": ("timm/test_efficientnet", 32, {"drop_rate": 0.1}),
        "mobilenet_v2": ("mobilenet_v2", 64, {"depth_multiplier": 0.1, "finegrained_output": False}),
    }
    return {
        key: (shaken(build_detector(name, **options), size), build_processor(name, size))
        for key, (name, size, options) in built.items()
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory, detectors):
    root = tmp_path_factory.mktemp("detectors")
    everything = {**detectors, "ensemble": build_ensemble([detectors[name] for name in MEMBERS], WEIGHTS)}
    for name, (model, processor) in everything.items():
        model.save_pretrained(root / name)
        processor.save_pretrained(root / name)
    return {name: str(root / name) for name in everything}


@pytest.fixture(scope="module")
def scored(folders, images):
    return json.loads(run_without_fakelens(PIPELINES.format(arguments=json.dumps([folders, images, list(NATIVE)]))))


def logits_here(model, processor, paths):
    # One at a time, as the pipeline does: batches of another size round otherwise.
    with torch.no_grad():
        inputs = [processor(images=Image.open(path), return_tensors="pt") for path in paths]
        return torch.cat([model(**image).logits for image in inputs])


def test_logits_are_the_same_in_a_foreign_process(detectors, scored, images):
    for name, (model, processor) in detectors.items():
        labels = list(model.config.id2label.values())
        there = torch.tensor([[row[label] for label in labels] for row in scored[name]["logits"]])
        torch.testing.assert_close(there, logits_here(model, processor, images), rtol=0, atol=1e-6)


def test_only_our_own_classes_run_code_from_the_repo(scored):
    assert {name for name, result in scored.items() if not result["remote"]} == NATIVE


def test_labels_survive(scored):
    for name, result in scored.items():
        expected = ["real", "gan", "diffusion"] if name == "generators" else ["real", "fake"]
        assert list(result["labels"].values()) == expected, name
        assert all(set(row) == set(expected) for row in result["scores"]), name


def test_fake_score_is_the_sigmoid_of_the_unit(scored):
    for name in ("custom_cnn", "timm_backbone"):
        for score, logit in zip(scored[name]["scores"], scored[name]["logits"], strict=True):
            assert logit["real"] == 0
            assert score["fake"] == pytest.approx(1 / (1 + np.exp(-logit["fake"])), abs=1e-6)


def test_scores_tell_the_images_apart(scored):
    # Otherwise every comparison above could pass on constants.
    for name, result in scored.items():
        assert abs(result["scores"][0]["real"] - result["scores"][1]["real"]) > 1e-6, name


def test_ensemble_is_the_weighted_mean_of_its_members_own_pipelines(scored):
    for index, row in enumerate(scored["ensemble"]["scores"]):
        for label in ("real", "fake"):
            votes = [scored[name]["scores"][index][label] for name in MEMBERS]
            assert row[label] == pytest.approx(np.dot(WEIGHTS, votes), abs=1e-5)


def test_our_processor_and_network_work_without_torchvision(folders, scored, images):
    code = PIPELINES.format(arguments=json.dumps([{"custom_cnn": folders["custom_cnn"]}, images, []]))
    without = json.loads(run_without_fakelens(code, "torchvision", "timm"))
    for row, expected in zip(without["custom_cnn"]["scores"], scored["custom_cnn"]["scores"], strict=True):
        assert row == pytest.approx(expected, abs=1e-6)


def test_fakelens_is_not_importable_there():
    with pytest.raises(AssertionError, match="No module named 'fakelens"):
        run_without_fakelens("import fakelens.models")
