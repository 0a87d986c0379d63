"""Runs that end half-way, killed or cut off from their data, go on and end as if nothing had been."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fakelens.training.data.progress import checkpoints
from tests.conftest import SCRIPTS
from tests.hub_fixture import hub
from tests.tiny_data import write_tiny_data

DRIVER = Path(__file__).with_name("train_and_break.py")
STEPS, EVERY = 24, 5
KEYS = {
    "architecture": "custom_cnn", "model_options": {"hidden_sizes": [4, 8], "classifier_size": 4, "dropout": 0.3},
    "image_size": 32, "per_device_train_batch_size": 4, "max_steps": STEPS, "eval_steps": EVERY, "shuffle_buffer": 7,
    "augmentation": [{"name": "horizontal_flip", "p": 0.5}, {"name": "rotation", "degrees": 10}],
    "degradations": [{"name": "jpeg", "quality": [30, 90], "p": 0.5}],
    "learning_rate": 0.01, "report_to": "none", "disable_tqdm": True, "use_cpu": True,
}  # fmt: skip


def write_recipe(folder, data, **keys):
    folder.mkdir()
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(KEYS | {"data": data, "output_dir": str(folder / "run")} | keys))
    return path


def run(recipe, *arguments, processes=1, **environment):
    python = [sys.executable]
    if processes > 1:
        python += ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPTS.parent)} | environment
    command = [*python, DRIVER, recipe, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)


def weights(recipe):
    return (recipe.parent / "run" / "model" / "model.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "workers"), [(1, 2), (2, 1)])
def test_a_run_killed_at_any_step_goes_on_to_the_same_weights(tmp_path, processes, workers):
    data = str(write_tiny_data(tmp_path / "data", {"train": 22, "validation": 9}))
    keys = {"dataloader_num_workers": workers}
    full, killed = (write_recipe(tmp_path / name, data, **keys) for name in ("whole", "killed"))
    done = run(full, processes=processes)
    assert done.returncode == 0, done.stderr

    step = random.randrange(EVERY + 1, STEPS)
    assert run(killed, processes=processes, DIE_AT=str(step)).returncode != 0
    assert not (tmp_path / "killed" / "run" / "model").exists(), step
    found = checkpoints(tmp_path / "killed" / "run" / "phases" / "00-train")
    assert found[-1].name == f"checkpoint-{(step - step % EVERY)}" or step % EVERY == 0, step
    # As if the kill had come while the last one was being written.
    if len(found) > 1:
        (found[-1] / f"progress-{processes - 1}.json").unlink()
        (found[-1] / "optimizer.pt").write_bytes(b"half of i")
    done = run(killed, "--resume", "true", processes=processes)
    assert done.returncode == 0, done.stderr
    assert weights(killed) == weights(full), step


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_hub_that_goes_away_mid_epoch_leaves_the_last_step_and_one_line(tmp_path, processes):
    folder = write_tiny_data(tmp_path / "data", {"train": 40, "validation": 8}, shards=8)
    with hub() as server:
        push = "import sys; from huggingface_hub import HfApi; a = HfApi(); a.create_repo('user/far', repo_type="
        push += "'dataset'); a.upload_folder(repo_id='user/far', repo_type='dataset', folder_path=sys.argv[1])"
        subprocess.run([sys.executable, "-c", push, folder], env=os.environ | server.env, check=True)
        keys = {"train_rows": 40, "eval_steps": STEPS, "dataloader_num_workers": 1}
        full, cut = (write_recipe(tmp_path / name, "user/far", **keys) for name in ("whole", "cut"))
        before = len(server.requests)
        done = run(full, processes=processes, **server.env)
        assert done.returncode == 0, done.stderr
        count = len(server.requests) - before

        server.fail_at(count // 2)  # once: tried again, and not a word of it
        server.die_at(count * 3 // 4)
        done = run(cut, processes=processes, **server.env)
        assert done.returncode == 2 or processes > 1  # torchrun has a status, and a traceback, of its own
        assert "Traceback" not in done.stderr or processes > 1
        said = next(line for line in done.stderr.splitlines() if line.startswith("train: Reading"))
        assert "the split 'train' of user/far: the connection" in said
        step = int(checkpoints(tmp_path / "cut" / "run" / "phases" / "00-train")[-1].name.split("-")[-1])
        assert 0 < step < STEPS and f"Step {step} is saved in" in said and "--resume true" in said

        server.revive()
        done = run(cut, "--resume", "true", processes=processes, **server.env)
        assert done.returncode == 0, done.stderr
        assert weights(cut) == weights(full)
