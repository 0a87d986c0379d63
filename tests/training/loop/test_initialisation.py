"""What training starts from: a stranger's detector too, whose two classes get our names and order."""

import pytest
import torch
import yaml

from fakelens import load_detector
from fakelens.errors import UserError
from fakelens.training.loop.initialisation import first_model
from fakelens.training.loop.run import train
from fakelens.training.recipe.recipe import ModelArguments, load_recipe
from tests.abuse import make_image
from tests.inference.test_foreign_detectors import convnext, saved, swin, vit
from tests.tiny_data import write_tiny_data


@pytest.mark.parametrize("family", [swin, convnext], ids=lambda family: family.__name__)
@pytest.mark.parametrize(
    ("names", "label_map"), [(["artificial", "human"], None), (["LABEL_0", "LABEL_1"], "real=LABEL_1,fake=LABEL_0")]
)
def test_a_strangers_two_classes_are_renamed_and_put_in_order(tmp_path, family, names, label_map):
    home = saved(family(names), tmp_path / "m")
    stranger = load_detector(home, "cpu", label_map=label_map)
    model, processor = first_model(ModelArguments(start_from=str(home), start_label_map=label_map), ["real", "fake"])
    assert model.config.id2label == {0: "real", 1: "fake"}
    with torch.no_grad():
        score = model(**processor(make_image(seed=1), return_tensors="pt")).logits.softmax(-1)[0, 1].item()
    assert score == pytest.approx(stranger.scores([make_image(seed=1)])[0], abs=1e-5)


def test_a_stranger_with_other_classes_is_no_start(tmp_path):
    home = saved(vit(["real", "sdxl", "flux"]), tmp_path / "m")
    with pytest.raises(UserError, match="tells real, sdxl, flux apart, and this recipe real, fake"):
        first_model(ModelArguments(start_from=str(home)), ["real", "fake"])


def test_a_strangers_detector_is_trained_further(tmp_path):
    saved(swin(["artificial", "human"]), tmp_path / "m")
    data = write_tiny_data(tmp_path / "data", {"train": 16, "validation": 8})
    keys = {"start_from": str(tmp_path / "m"), "data": str(data), "output_dir": str(tmp_path / "run")}
    keys |= {"per_device_train_batch_size": 8, "max_steps": 2, "report_to": "none", "disable_tqdm": True}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(keys | {"use_cpu": True, "eval_steps": 2}))
    detector = load_detector(train(load_recipe(tmp_path / "recipe.yaml")), "cpu")
    assert detector.readout.labels == {"real": "real", "fake": "fake"}
    assert detector([make_image(seed=1)])[0].error is None
