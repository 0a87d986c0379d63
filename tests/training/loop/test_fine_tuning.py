"""`recipes/finetune.yaml`: the detector inside the package trained further on somebody's own images."""

import json

import pytest

from fakelens import load_detector
from fakelens.cli.verbs.training import train as verb
from fakelens.errors import UserError
from fakelens.training.data.training_data import open_training_data
from fakelens.training.loop.run import train
from fakelens.training.recipe.recipe import DataArguments, load_recipe, overrides_of
from tests.abuse import make_image
from tests.tiny_data import write_tiny_data

QUIET = {"report_to": "none", "disable_tqdm": True, "use_cpu": True}


def call(*arguments):
    verb.main(*verb.make_parser().parse_known_args(["finetune", *map(str, arguments)]))


@pytest.fixture(scope="module")
def tuned(sample, tmp_path_factory):
    """Fine-tuned on the embedded sample, for fewer steps than the recipe takes."""
    out = tmp_path_factory.mktemp("tuned")
    keys = {"data": "sample", "output_dir": str(out), "per_device_train_batch_size": 16, "max_validation_rows": 40}
    # Faster than one would with images of one's own, and without what is done to them: seconds, not minutes.
    keys |= {"phases.0.steps": 10, "phases.1.steps": 60, "phases.1.learning_rate": 1e-3, "eval_steps": 60}
    keys |= {"degradations": [], **QUIET}
    model = train(load_recipe("finetune", overrides_of(keys)))
    return model, json.loads((model / "run.json").read_text())


def test_it_improves_on_the_owners_held_back_images(tuned):
    model, record = tuned
    found = record["fine_tuning"]
    assert found["start_from"] == "patch_lens"
    assert found["after"]["auroc"] > found["before"]["auroc"] + 0.1
    assert found["before"]["real"] == found["after"]["real"] >= 10
    frozen, everything = record["phases"]
    assert frozen["trainable_parameters"] < 1000 and everything["trainable_parameters"] == record["parameters"]
    assert record["license"] == "cc-by-nc-4.0" and record["base_model"] == "fakelens/patch_lens"
    # The shipped processor and a band are there for whoever loads it.
    detector, shipped = load_detector(model, "cpu"), load_detector("patch_lens", "cpu")
    assert detector.processor.to_dict() | {"auto_map": None} == shipped.processor.to_dict() | {"auto_map": None}
    assert detector.uncertain_band[0] <= detector.threshold <= detector.uncertain_band[1]
    assert detector.uncertain_band == tuple(record["calibration"]["uncertain_band"])


def test_few_images_leave_the_shipped_calibration_and_it_is_said(tmp_path, capsys):
    """Class folders without splits: a quarter is held back, too few for a band."""
    for number, kind in enumerate(("real", "fake")):
        (tmp_path / "mine" / kind).mkdir(parents=True)
        for image in range(30):
            make_image(96, 80, 100 * number + image).save(tmp_path / "mine" / kind / f"{image}.png")
    short = {"phases.0.steps": 2, "phases.1.steps": 2, "per_device_train_batch_size": 4, **QUIET}
    call("--data", tmp_path / "mine", "--output_dir", tmp_path / "run", *overrides_of(short))
    shown = capsys.readouterr()
    detector, shipped = load_detector(tmp_path / "run" / "model", "cpu"), load_detector("patch_lens", "cpu")
    for name in ("uncertain_band", "threshold", "temperature", "fpr_thresholds"):
        assert getattr(detector, name) == getattr(shipped, name)
    record = json.loads((tmp_path / "run" / "model" / "run.json").read_text())
    assert "an uncertain band takes 19" in record["calibration"]["kept"]["why"][0]
    for said in (
        "Started from patch_lens. The result, made from fakelens/patch_lens, has licence cc-by-nc-4.0.",
        "Phase head: 2 steps",
        "Phase all: 2 steps, 700,881 parameters (all)",
        "fake images held back from training:",
        "AUROC: ",
        "Calibration: that of patch_lens was kept. The new one failed: ",
    ):
        assert said in shown.out
    assert "note: the calibration that it brought was kept" in shown.err


def test_six_images_are_refused_in_one_line(tmp_path):
    for number, kind in enumerate(("real", "fake")):
        (tmp_path / "six" / kind).mkdir(parents=True)
        for image in range(3):
            make_image(96, 80, 100 * number + image).save(tmp_path / "six" / kind / f"{image}.png")
    with pytest.raises(UserError, match="images to train on.*needed") as caught:
        call("--data", tmp_path / "six", "--output_dir", tmp_path / "run", *overrides_of(QUIET))
    assert "\n" not in str(caught.value) and not (tmp_path / "run" / "model").exists()
    tiny = write_tiny_data(tmp_path / "tiny", {"train": 16, "validation": 12})
    with pytest.raises(UserError, match="has 8 real and 8 fake images .* 20 of each are needed"):
        call("--data", tiny, "--output_dir", tmp_path / "run", *overrides_of(QUIET))


def test_a_validation_split_is_used_where_there_is_one(tmp_path):
    tiny = write_tiny_data(tmp_path / "tiny", {"train": 16, "validation": 12})
    without = write_tiny_data(tmp_path / "without", {"train": 40})
    options = {"holdout": 0.4, "holdout_if_unsplit": True}
    opened = open_training_data(DataArguments(data=str(tiny), **options), 42)
    assert (opened.validation.split, len(list(opened.train.stream))) == ("validation", 16)
    opened = open_training_data(DataArguments(data=str(without), **options), 42)
    counts = [len(list(part.stream)) for part in (opened.train, opened.validation)]
    assert opened.validation.split == "train" and sum(counts) == 40 and min(counts) > 5
