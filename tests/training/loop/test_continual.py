"""A trained detector taught a new generator, at tiny size: what it gains, what it loses, and what is said of both."""

import io
import json
from collections import Counter
from pathlib import Path

import datasets
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from fakelens import load_detector
from fakelens.errors import UserError
from fakelens.evaluation.scoring.predict import predict
from fakelens.metrics.detection import detection_metrics
from fakelens.training.data.training_data import open_training_data
from fakelens.training.loop.initialisation import first_model, never_seen
from fakelens.training.loop.run import train
from fakelens.training.recipe.recipe import load_recipe, overrides_of
from tests.conftest import SCRIPTS
from tests.tiny_data import image

RECIPE = SCRIPTS.parent / "recipes" / "continual.yaml"
QUIET = {"report_to": "none", "disable_tqdm": True, "use_cpu": True, "per_device_train_batch_size": 8}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Images as they are, brighter ones by "lamp" and darker ones by "dusk": to learn one is to doubt the other."""
    root = tmp_path_factory.mktemp("data")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.Value("string"), "model": datasets.Value("string")}
    )
    for split, count, first in (("train", 64, 0), ("validation", 40, 1000)):
        rows = []
        for number in range(count):
            model = (None, "lamp", None, "dusk")[number % 4]
            made = Image.open(io.BytesIO(image(first + number, None)["bytes"]))
            made = made.point(lambda level, by={None: 0, "lamp": 40, "dusk": -40}[model]: level + by)
            rows.append({"image": made, "label": "fake" if model else "real", "model": model})
        datasets.Dataset.from_list(rows, features=features).to_parquet(root / f"{split}-00000-of-00001.parquet")
    return str(root)


@pytest.fixture(scope="module")
def base(tmp_path_factory, data):
    """A detector of what "lamp" made that never saw what "dusk" made; its input is a crop of 24 pixels."""
    folder = tmp_path_factory.mktemp("base")
    keys = {
        "architecture": "custom_cnn", "model_options": {"hidden_sizes": [8, 16], "classifier_size": 8},
        "image_size": 24, "processor_options": {"do_resize": False, "do_native_crop": True},
        "data": data, "exclude_generators": ["Dusk"], "output_dir": str(folder / "run"), "max_steps": 60,
        "learning_rate": 0.01, **QUIET,
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(keys))
    return str(train(load_recipe(folder / "recipe.yaml")))


def continual(base, data, out, **keys):
    keys = {"start_from": base, "data": data, "rehearsal": data, "only_generators": "dusk", **QUIET, **keys}
    return load_recipe(RECIPE, overrides_of(keys | {"output_dir": str(out)}))


def test_rehearsal_keeps_the_old_while_the_new_is_learnt_and_the_record_tells_the_truth(base, data, tmp_path):
    keys = {"max_steps": 80, "eval_steps": 80, "learning_rate": 0.01, "measure_forgetting": True}
    found = {}
    for fraction in (0.5, 0.0):
        model = train(continual(base, data, tmp_path / str(fraction), rehearsal_fraction=fraction, **keys))
        record = json.loads((model / "run.json").read_text())
        found[fraction] = record["continual"]
        assert json.loads((tmp_path / str(fraction) / "continual.json").read_text()) == record["continual"]
        assert record["data"]["held_out"] == []  # dusk no longer
    assert json.loads(Path(base, "run.json").read_text())["data"]["held_out"] == ["Dusk"]
    kept, alone = found[0.5], found[0.0]
    assert kept["old"]["before"] == alone["old"]["before"] and kept["old"]["before"]["auroc"] > 0.9
    assert kept["new"]["after"]["auroc"] > 0.9 and kept["old"]["after"]["auroc"] > 0.9
    assert kept["new"]["after"]["auroc"] > kept["new"]["before"]["auroc"] + 0.1
    assert (
        alone["new"]["after"]["auroc"] > 0.9 and alone["forgetting"]["auroc"] > 0.3 > kept["forgetting"]["auroc"] + 0.2
    )
    assert (kept["new"]["fake"], kept["new"]["real"], kept["old"]["fake"], kept["old"]["real"]) == (10, 20, 10, 20)
    # What is said of the model is what the model left in the folder does.
    opened = open_training_data(continual(base, data, tmp_path / "x").data, 42, ["Dusk"])
    for where, times in ((tmp_path / "0.0" / "model", "after"), (base, "before")):
        detector = load_detector(where, "cpu")
        said = predict(detector, opened.apart["old"])
        metrics = detection_metrics(said.scores["raw"], said.labels, detector.threshold)
        assert alone["old"][times]["auroc"] == pytest.approx(metrics["auroc"])
        assert alone["old"][times]["recall"] == metrics["recall"]
        assert alone["old"][times]["false_positive_rate"] == pytest.approx(1 - metrics["specificity"])
    for name in ("auroc", "accuracy"):
        lost = alone["old"]["before"][name] - alone["old"]["after"][name]
        assert alone["forgetting"][name] == pytest.approx(lost)
    page = (tmp_path / "0.0" / "continual.md").read_text()
    assert f"| old: 10 fake, 20 real | after | {alone['old']['after']['auroc']:.4f} |" in page


def test_a_trained_detector_brings_its_head_its_settings_and_its_processor(base, data, tmp_path):
    recipe = continual(base, data, tmp_path / "run")
    model, processor = first_model(recipe.model, ["real", "fake"])
    saved = load_file(f"{base}/model.safetensors")
    assert all(torch.equal(saved[name], tensor) for name, tensor in model.state_dict().items())
    assert model.config.hidden_sizes == [8, 16]
    assert processor.do_native_crop and processor.crop_size.height == 24
    assert never_seen(recipe.model) == ["Dusk"]
    opened = open_training_data(recipe.data, 42, never_seen(recipe.model))
    assert Counter(row["generator"] for row in opened.apart["old"].stream) == {"real": 20, "lamp": 10}
    with pytest.raises(UserError, match="tells real, fake apart, and this recipe real, dusk"):
        first_model(recipe.model, ["real", "dusk"])
    with pytest.raises(UserError, match="There is no model at no/where/at/all"):
        first_model(continual("no/where/at/all", data, tmp_path).model, ["real", "fake"])


def test_a_detector_without_a_record_has_seen_who_knows_what(tiny_model, data, tmp_path):
    recipe = continual(str(tiny_model), data, tmp_path / "run")
    assert (
        never_seen(recipe.model) == [] and never_seen(load_recipe(SCRIPTS.parent / "recipes/demo.yaml").model) is None
    )


def test_rehearsal_that_is_not_trained_on_is_not_read(base, data, tmp_path):
    """`continual.yaml` alone names OpenFake, which a machine without a network cannot open."""
    keys = {"start_from": base, "data": data, "only_generators": "dusk", "rehearsal_share": 0, **QUIET}
    recipe = load_recipe(RECIPE, overrides_of(keys | {"output_dir": str(tmp_path)}))
    assert recipe.data.rehearsal == ["ComplexDataLab/OpenFake:core"]
    opened = open_training_data(recipe.data, 42, ["Dusk"])
    assert opened.apart == {} and opened.train.spec == opened.validation.spec == data
    recipe.data.measure_forgetting = True
    with pytest.raises(UserError, match="OpenFake"):
        open_training_data(recipe.data, 42, ["Dusk"])
