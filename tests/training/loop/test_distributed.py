"""Two processes really started, on uneven shards: what each saw, what they learnt, and that both end."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from fakelens.data.decode import decode_image
from fakelens.data.sources.opening import open_source, row_bytes
from fakelens.training.loop.run import train
from fakelens.training.recipe.recipe import load_recipe
from fakelens.zoo.registry import build_processor
from tests.conftest import SCRIPTS
from tests.tiny_data import write_tiny_data
from tests.training.data.test_stream import write_shards
from tests.training.loop.train_and_note import name_of

pytestmark = pytest.mark.slow

ROOT = SCRIPTS.parent
BIN = Path(sys.executable).parent
TORCHRUN = [BIN / "torchrun", "--standalone", "--nproc_per_node", "2"]
ACCELERATE = [BIN / "accelerate", "launch", "--config_file", ROOT / "recipes/accelerate/two_cpu_processes.yaml"]
SHARDS = [13, 5, 2]
STEPS = 8  # of 2 x 4 images: three passes and a part
COMMON = {
    "image_size": 32, "per_device_train_batch_size": 4, "max_steps": STEPS, "eval_steps": STEPS, "shuffle_buffer": 6,
    "optim": "sgd", "learning_rate": 0.05, "weight_decay": 0.0, "lr_scheduler_type": "linear",
    "report_to": "none", "disable_tqdm": True, "use_cpu": True,
}  # fmt: skip
# A step of two processes is a step of one with both batches where a loss is a mean over images: batch normalisation
# that takes its statistics from the batch is no such thing, so these have none, or hold it still.
NETWORKS = {
    "all": {"architecture": "timm/test_convnext"},
    # Takes any keyword, which transformers takes for more; and has two phases.
    "head": {
        "architecture": "mobilenet_v2",
        "model_options": {"classifier_dropout_prob": 0.0},
        "phases": [
            {"name": "one", "trainable": "head", "steps": 3, "label_smoothing": 0.1},
            {"name": "two", "trainable": "head", "steps": 5},
        ],
    },
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uneven")
    write_shards(folder, SHARDS)
    # An odd number of rows for two processes to evaluate.
    for path in write_tiny_data(folder / "rest", {"validation": 13}, shards=1).iterdir():
        path.rename(folder / "data" / path.name)
    return folder / "data"


def write_recipe(folder, data, name, **keys):
    keys = COMMON | {"data": str(data), "output_dir": str(folder / name)} | NETWORKS[name] | keys
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(keys))
    return path


def run_two(launcher, *command):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    return subprocess.run([*launcher, *command], env=environment, capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def two(data, tmp_path_factory):
    """Every network, trained by two processes with two loader workers each."""
    folder = tmp_path_factory.mktemp("two")
    recipes = [write_recipe(folder, data, name, dataloader_num_workers=2) for name in NETWORKS]
    done = run_two(TORCHRUN, Path(__file__).with_name("train_and_note.py"), *recipes)
    assert done.returncode == 0, done.stderr
    return folder


def record_of(run):
    return json.loads((run / "model" / "run.json").read_text())


@pytest.mark.parametrize("name", NETWORKS)
def test_two_processes_train_as_one_with_both_batches(two, data, tmp_path, name):
    assert record_of(two / name)["processes"] == 2
    one = train(load_recipe(write_recipe(tmp_path, data, name, per_device_train_batch_size=8)))
    expected, result = load_file(one / "model.safetensors"), load_file(two / name / "model" / "model.safetensors")
    difference = max(float((result[k].double() - expected[k].double()).abs().max()) for k in expected)
    assert expected.keys() == result.keys() and difference < 1e-5
    start = train(load_recipe(write_recipe(tmp_path, data, name, output_dir=str(tmp_path / "0"), learning_rate=0.0)))
    moved = load_file(start / "model.safetensors")
    assert any((moved[k] - expected[k]).abs().max() > 1e-3 for k in expected)
    ours, theirs = ([phase["best"] for phase in record_of(run)["phases"]] for run in (two / name, one.parent))
    assert ours == pytest.approx(theirs)  # each validation image counted once


def test_accumulated_batches_are_a_step_of_their_images_too(two, data, tmp_path):
    one = train(load_recipe(write_recipe(tmp_path, data, "head", gradient_accumulation_steps=2)))
    expected, result = load_file(one / "model.safetensors"), load_file(two / "head" / "model" / "model.safetensors")
    assert all(torch.allclose(expected[k], result[k], rtol=0, atol=1e-5) for k in expected)


def test_no_image_is_seen_twice_in_an_epoch_by_two_processes(two, data):
    processor = build_processor("timm/test_convnext", 32)
    images = [decode_image(row_bytes(row["image"])).image for row in open_source(str(data), "train").stream]
    names = [name_of(processor(images=image, return_tensors="pt")["pixel_values"][0]) for image in images]
    assert len(set(names)) == sum(SHARDS)
    ranks = [(two / "all" / f"seen-{rank}.jsonl").read_text().splitlines() for rank in (0, 1)]
    assert [len(batches) for batches in ranks] == [STEPS, STEPS]
    order = [name for step in zip(*ranks, strict=True) for batch in step for name in json.loads(batch)]
    rows = sum(SHARDS)
    epochs = [order[start : start + rows] for start in range(0, len(order) - rows + 1, rows)]
    assert len(epochs) == 3 and all(sorted(epoch) == sorted(names) for epoch in epochs)
    assert not set(order[:8][:4]) & set(order[:8][4:])


@pytest.mark.parametrize("launcher", [TORCHRUN, ACCELERATE], ids=["torchrun", "accelerate"])
def test_the_script_runs_on_two_processes_of_which_one_writes(data, tmp_path, launcher):
    """The recipe does not say that it is for CPUs: no GPU is there."""
    recipe = write_recipe(tmp_path, data, "all", eval_steps=4, use_cpu=False)
    script = [SCRIPTS / "train.py", recipe]
    done = run_two(launcher, *script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The model is in") == 1
    record = record_of(tmp_path / "all")
    assert record["processes"] == 2 and record["steps"] == STEPS
    with (tmp_path / "all" / "metrics.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [4, 8]
    before = (tmp_path / "all" / "model" / "model.safetensors").stat().st_mtime_ns
    again = run_two(launcher, *script)
    assert again.returncode != 0 and "holds a run already" in again.stderr
    assert (tmp_path / "all" / "model" / "model.safetensors").stat().st_mtime_ns == before


def test_two_processes_whose_loss_diverges_both_end_and_say_so(data, tmp_path):
    phases = [{"name": "bad", "learning_rate": 1e30, "schedule": "constant"}]
    recipe = write_recipe(tmp_path, data, "all", phases=phases, max_grad_norm=0.0)
    done = run_two(TORCHRUN, SCRIPTS / "train.py", recipe)
    assert done.returncode != 0 and "The loss is not a number, at step" in done.stderr
    assert not (tmp_path / "all" / "model").exists()
