"""Recipes run through `scripts/train.py`'s own path, at tiny size."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from fakelens import load_detector
from fakelens.errors import UserError
from fakelens.training.loop.run import train
from fakelens.training.recipe.recipe import load_recipe, overrides_of
from tests.conftest import SCRIPTS
from tests.tiny_data import GENERATORS, write_tiny_data

RECIPES = sorted((SCRIPTS.parent / "recipes").glob("*.yaml"))
TINY_CNN = {"hidden_sizes": [4, 8], "classifier_size": 4}
QUIET = {"report_to": "none", "disable_tqdm": True, "use_cpu": True}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_tiny_data(tmp_path_factory.mktemp("data") / "tiny")


def write_recipe(folder, tiny, **keys):
    keys = {
        "architecture": "custom_cnn", "image_size": 32, "model_options": TINY_CNN, "data": str(tiny),
        "output_dir": str(folder / "run"), "per_device_train_batch_size": 4, "num_train_epochs": 1,
        "learning_rate": 1e-3, **QUIET, **keys,
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(keys))
    return path


def tiny_keys(path, data, out):
    """Return the overrides that make a recipe tiny and change nothing of what it does."""
    recipe = yaml.safe_load(path.read_text())
    keys = {"data": str(data), "output_dir": str(out), "pretrained": False, "image_size": 32, "fp16": False, **QUIET}
    keys |= {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 1, "num_train_epochs": 0.5}
    keys |= {"eval_steps": 2, "save_only_model": True}
    if "holdout" in recipe:
        keys["holdout"] = 0.5  # so that both halves of sixteen images have both classes
    small = {"extra_data": [str(data)], "max_steps": 2, "dataloader_num_workers": 0, "warmup_steps": 0}
    small |= {"train_crop": 16, "bf16": False}
    keys |= {key: value for key, value in small.items() if key in recipe}
    keys |= {f"phases.{number}.epochs": 0.5 for number in range(len(recipe.get("phases", [])))}
    return keys


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [p for p in RECIPES if p.stem not in ("s4_ensemble", "continual", "finetune")], ids=lambda path: path.stem
)
def test_every_recipe_runs_all_its_phases(path, data, tmp_path):
    recipe = load_recipe(path, overrides_of(tiny_keys(path, data, tmp_path / "run")))
    model = train(recipe)
    record = json.loads((model / "run.json").read_text())
    assert [phase["name"] for phase in record["phases"]] == [phase.name for phase in recipe.phases]
    assert all(phase["steps"] >= 1 for phase in record["phases"])
    verdict = load_detector(model)(["tests/none.jpg", data.parent / "none.jpg"])
    assert all("no such file" in v.error for v in verdict)
    assert record["validation"]["auroc"] is not None


@pytest.mark.slow
def test_the_ensemble_recipe_trains_its_members_and_joins_them(data, tmp_path, monkeypatch):
    monkeypatch.chdir(SCRIPTS.parent)
    path = SCRIPTS.parent / "recipes" / "s4_ensemble.yaml"
    member = SCRIPTS.parent / "recipes" / "s4_resnet_se.yaml"
    overrides = tiny_keys(member, data, "") | {"save_only_model": True}
    for key in ("data", "output_dir", "holdout", "report_to"):
        del overrides[key]
    keys = {"data": str(data), "output_dir": str(tmp_path / "run"), "holdout": 0.5, "member_overrides": overrides}
    model = train(load_recipe(path, overrides_of(keys | {"report_to": "none", "use_cpu": True})))
    members = json.loads((model / "run.json").read_text())["members"]
    assert [Path(m["model"]).parent.name for m in members] == [
        "s4_convnext_tiny",
        "s4_efficientnet_b0",
        "s4_resnet_se",
    ]
    total = sum(m["validation_accuracy"] for m in members)
    assert [m["weight"] for m in members] == pytest.approx([m["validation_accuracy"] / total for m in members])


def test_a_run_leaves_a_model_its_record_and_pushable_checkpoints(data, tmp_path):
    model = train(load_recipe(write_recipe(tmp_path, data, num_train_epochs=2, license="apache-2.0")))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["seed"] == 42 and record["steps"] == 8 and record["license"] == "apache-2.0"
    assert record["data"]["source"] == str(data) and record["data"]["rows"] == 16
    assert {"python", "torch", "transformers", "device", "cpus"} <= record["environment"].keys()
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["epoch"]) for row in rows] == [1, 2]  # a row an epoch
    assert all(float(row[key]) >= 0 for row in rows for key in ("eval_auroc", "eval_f1", "eval_loss", "learning_rate"))
    checkpoint = next((tmp_path / "run" / "phases" / "00-train").glob("checkpoint-*"))
    for folder in (model, checkpoint, tmp_path / "run" / "phases" / "00-train" / "model"):
        files = {p.name for p in folder.iterdir()}
        assert {"model.safetensors", "config.json", "preprocessor_config.json", "modeling_custom_cnn.py"} <= files
    config = json.loads((model / "config.json").read_text())
    assert config["id2label"] == {"0": "real", "1": "fake"} and config["decision_threshold"] == 0.5


def test_the_best_checkpoint_is_kept_not_the_last(data, tmp_path):
    """A learning rate that soon ruins the network: the best came before the end."""
    path = write_recipe(tmp_path, data, num_train_epochs=6, learning_rate=0.3, lr_scheduler_type="constant")
    model = train(load_recipe(path))
    phase = json.loads((model / "run.json").read_text())["phases"][0]
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    best = max(rows, key=lambda row: float(row["eval_auroc"]))
    assert phase["best"] == pytest.approx(float(best["eval_auroc"])) and phase["best_step"] == int(best["step"])
    kept = load_file(
        tmp_path / "run" / "phases" / "00-train" / f"checkpoint-{phase['best_step']}" / "model.safetensors"
    )
    result = load_file(model / "model.safetensors")
    assert all(torch.equal(kept[name], result[name]) for name in kept)


def test_a_detector_learns_what_there_is_to_learn(data, tmp_path):
    path = write_recipe(tmp_path, data, num_train_epochs=12, learning_rate=0.01, processor_options={"resample": 0})
    model = train(load_recipe(path))
    assert json.loads((model / "run.json").read_text())["validation"]["auroc"] > 0.9


def test_generators_are_classes_of_their_own(data, tmp_path):
    model = train(load_recipe(write_recipe(tmp_path, data, classes="generator")))
    detector = load_detector(model)
    assert list(detector.model.config.id2label.values()) == ["real", *GENERATORS]
    from PIL import Image

    image = Image.new("RGB", (40, 40), "grey")
    odds = detector.probabilities([image])[0]
    assert detector.scores([image])[0] == pytest.approx(1 - odds[0], abs=1e-6)


def test_frozen_layers_do_not_move_and_later_phases_thaw_them(data, tmp_path):
    phases = [{"name": "head", "trainable": "head", "steps": 3}, {"name": "all", "steps": 3}]
    model = train(load_recipe(write_recipe(tmp_path, data, phases=phases, seed=3)))
    from fakelens.zoo.registry import build_detector

    torch.manual_seed(3)
    from transformers import set_seed

    set_seed(3)
    start = build_detector("custom_cnn", **TINY_CNN).state_dict()
    head = load_file(tmp_path / "run" / "phases" / "00-head" / "model" / "model.safetensors")
    end = load_file(model / "model.safetensors")
    name = "blocks.0.convolution.weight"
    assert torch.equal(start[name], head[name]) and not torch.equal(head[name], end[name])
    assert not torch.equal(start["classifier.weight"], head["classifier.weight"])


def test_best_f1_threshold_is_stored_with_the_model(data, tmp_path):
    model = train(load_recipe(write_recipe(tmp_path, data, decision_threshold="best_f1")))
    assert load_detector(model).threshold not in (0.5, 0.0)


def test_a_finished_run_is_not_repeated_and_another_recipe_is_refused(data, tmp_path):
    path = write_recipe(tmp_path, data)
    model = train(load_recipe(path))
    before = (model / "model.safetensors").stat().st_mtime_ns
    with pytest.raises(UserError, match="holds a run already.*--resume true"):
        train(load_recipe(path))
    assert train(load_recipe(path, ["--resume", "true"])) == model
    assert (model / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="these keys differ: learning_rate"):
        train(load_recipe(path, ["--resume", "true", "--learning_rate", "0.5"]))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"phases": [{"trainable": 0}]}, "nothing to train"),
        ({"data": "no/such/place/at/all"}, "No data at"),
        ({"validation_split": "elsewhere"}, "no parquet file for split 'elsewhere'"),
        ({"architecture": "timm/tf_efficientnet_lite9", "model_options": {}}, "Did you mean timm/tf_eff"),
        ({"augmentation": [{"name": "rotashun"}]}, "rotation"),
        ({"degradations": [{"name": "jpg"}]}, "degradations: unknown name 'jpg'. Did you mean jpeg"),
        ({"classes": "generator", "exclude_generators": list(GENERATORS)}, "no generators"),
    ],
)
def test_bad_recipes_stop_before_training_with_one_message(data, tmp_path, keys, message):
    with pytest.raises(UserError, match=message):
        train(load_recipe(write_recipe(tmp_path, data, **keys)))
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize(("eval_steps", "step"), [(1, 1), (5, 2)], ids=["met in evaluation", "met in training"])
def test_a_diverged_run_stops_names_the_step_and_keeps_what_was_good(data, tmp_path, eval_steps, step):
    phases = [{"name": "good", "steps": 2}, {"name": "bad", "steps": 9, "learning_rate": 1e30, "schedule": "constant"}]
    path = write_recipe(tmp_path, data, phases=phases, eval_steps=eval_steps, max_grad_norm=0.0)
    with pytest.raises(UserError, match=rf"not .*numbers?.*, at step {step}\. .*lower learning_rate"):
        train(load_recipe(path))
    good = load_file(tmp_path / "run" / "phases" / "00-good" / "model" / "model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in good.values())
    assert not list((tmp_path / "run" / "phases" / "01-bad").glob("checkpoint-*"))
    assert not (tmp_path / "run" / "model").exists()


def test_degradations_are_done_to_training_images_and_repeat_with_the_seed(data, tmp_path):
    def weights(name, **keys):
        (tmp_path / name).mkdir()
        keys |= {"phases": [{"steps": 2}], "augmentation": [{"name": "horizontal_flip"}]}
        return load_file(train(load_recipe(write_recipe(tmp_path / name, data, **keys))) / "model.safetensors")

    steps = [{"name": "jpeg", "quality": [10, 30], "p": 0.5}, {"name": "noise", "sigma": 0.2}]
    clean, noisy = weights("clean"), weights("noisy", degradations=steps)
    again = weights("again", degradations=steps, dataloader_num_workers=1)
    assert all(torch.equal(noisy[name], again[name]) for name in noisy)
    assert any(not torch.equal(clean[name], noisy[name]) for name in clean)


@pytest.mark.slow
def test_a_run_killed_in_its_second_phase_goes_on_there_and_ends_the_same(data, tmp_path):
    phases = [{"name": "one", "trainable": "head", "epochs": 1}, {"name": "two", "epochs": 60, "schedule": "cosine"}]
    augmentation = [{"name": "horizontal_flip", "p": 0.5}]
    keys = {"phases": phases, "augmentation": augmentation, "shuffle_buffer": 5, "save_total_limit": 3}
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    full = write_recipe(tmp_path / "whole", data, **keys)
    killed = write_recipe(tmp_path / "killed", data, **keys)
    expected = load_file(train(load_recipe(full)) / "model.safetensors")

    command = [sys.executable, SCRIPTS / "train.py", killed]
    run = tmp_path / "killed" / "run"
    process = subprocess.Popen(command, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}, start_new_session=True)
    deadline = time.monotonic() + 200
    while not list((run / "phases").glob("01-two/checkpoint-*/trainer_state.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (run / "model").exists()
    first = (run / "phases" / "00-one" / "phase.json").stat().st_mtime_ns

    done = subprocess.run([*command, "--resume", "true"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (run / "phases" / "00-one" / "phase.json").stat().st_mtime_ns == first
    result = load_file(run / "model" / "model.safetensors")
    assert all(torch.equal(expected[name], result[name]) for name in expected)


def test_the_script_says_bad_input_in_one_line(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("archtecture: custom_cnn\n")
    done = subprocess.run([sys.executable, SCRIPTS / "train.py", recipe], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("train: ") and "architecture" in done.stderr
    assert "Traceback" not in done.stderr and list(tmp_path.iterdir()) == [recipe]


@pytest.mark.slow
def test_runs_are_tracked_locally_by_default(data, tmp_path):
    """In a process of its own: trackio reads where to keep its files when it is imported."""
    path = write_recipe(tmp_path, data, run_name="tracked")
    recipe = yaml.safe_load(path.read_text())
    del recipe["report_to"]
    path.write_text(yaml.safe_dump(recipe))
    code = """
import sys
from trackio import Api
from trackio.sqlite_storage import SQLiteStorage
from fakelens.training.recipe.recipe import load_recipe
from fakelens.training.loop.run import train
train(load_recipe(sys.argv[1]))
name = next(iter(Api().runs("fakelens"))).name
print(name, {key for row in SQLiteStorage.get_logs("fakelens", name) for key in row})
"""
    environment = os.environ | {"TRACKIO_DIR": str(tmp_path / "trackio")}
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    name, _, logged = done.stdout.strip().splitlines()[-1].partition(" ")
    assert name == "tracked"
    assert all(f"'{key}'" in logged for key in ("train/loss", "train/grad_norm", "train/learning_rate", "eval/auroc"))
