"""A dry run: what it says, what it refuses, and that it leaves nothing."""

import re
import tempfile
from pathlib import Path

import pytest
import torch

from fakelens.cli.verbs.training.train import VERB
from fakelens.errors import UserError
from fakelens.training.dry_run import dry_run as dry_run_module
from fakelens.training.dry_run.dry_run import STEPS, dry_run
from fakelens.training.loop.run import train
from fakelens.training.recipe.recipe import load_recipe
from tests.conftest import SCRIPTS
from tests.tiny_data import write_tiny_data
from tests.training.loop.test_distributed import ACCELERATE, TORCHRUN, run_two
from tests.training.loop.test_run import write_recipe

ROWS = 48


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_tiny_data(tmp_path_factory.mktemp("data") / "tiny", {"train": ROWS, "validation": 12})


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Work in an empty folder, with the temporary folders in another; return both."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    # Short, because loader workers send tensors through sockets in it, whose paths have at most some 100 letters:
    # with a longer one they wait for ever.
    with tempfile.TemporaryDirectory(prefix="fl-", ignore_cleanup_errors=True) as temporary:
        monkeypatch.setenv("TMPDIR", temporary)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield tmp_path / "here", Path(temporary)


def files_in(folders):
    # The launchers' own, and sockets of the loader's workers.
    return [p for folder in folders for p in folder.iterdir() if not p.name.startswith(("torchelastic_", "pymp-"))]


def test_the_script_tries_every_phase_says_what_it_found_and_keeps_nothing(data, tmp_path, nowhere, capsys):
    phases = [{"name": "head", "trainable": "head", "steps": 100}, {"name": "all", "epochs": 2, "batch_size": 8}]
    recipe = write_recipe(
        tmp_path, data, phases=phases, dataloader_num_workers=2, report_to="trackio", output_dir="run", eval_steps=6
    )
    VERB.run([str(recipe), "--dry_run", "true"])
    said = " ".join(capsys.readouterr().out.split())
    assert "phase head: pixel_values (4, 3, 32, 32) float32, labels (4,) int64" in said
    assert "phase all: pixel_values (8, 3, 32, 32) float32" in said
    assert "Shards: 2 for 2 readers; each reads all rows and decodes its own." in said
    assert "100 steps of 4 images at" in said and "12 steps of 8 images at" in said and "2 evaluations of 12" in said
    assert "The whole run: 112 steps, about" in said and said.endswith("Nothing was kept.")
    assert not files_in(nowhere)


def test_the_facts_are_those_of_the_network_and_its_data(data, tmp_path):
    phases = [{"name": "head", "trainable": "head"}, {"name": "all", "batch_size": 8}]
    recipe = load_recipe(write_recipe(tmp_path, data, phases=phases, gradient_accumulation_steps=2))
    head, full = dry_run(recipe)
    assert full.parameter_bytes == full.gradient_bytes == 4 * full.parameters
    assert 0 < head.gradient_bytes < full.gradient_bytes
    # AdamW: two numbers for each trainable one, and a count for each tensor.
    assert 2 * head.gradient_bytes <= head.optimiser_bytes < 2 * full.gradient_bytes <= full.optimiser_bytes
    for phase, batch in ((head, 4), (full, 8)):
        (process,) = phase.processes
        assert phase.images == 2 * batch and len(process.rows) == STEPS * 2 * batch
        assert len({name for name, _, _ in process.rows}) == len(process.rows)
        assert 0 < process.fakes < len(process.rows)
        assert process.image_s > 0 and process.step_s > 0 and phase.seconds > phase.steps * phase.step_s
        assert process.peak > phase.parameter_bytes and process.cuda_peak is None
    assert not (tmp_path / "run").exists()


def test_rows_that_two_workers_train_on_are_found(data, tmp_path, monkeypatch):
    recipe = load_recipe(write_recipe(tmp_path, data, dataloader_num_workers=2))
    dry_run(recipe)
    # Each worker takes itself for the only one.
    monkeypatch.setattr(torch.utils.data, "get_worker_info", lambda: None)
    with pytest.raises(UserError, match="4 of 8 rows came more than once .* process 0, worker [01] and process 0,"):
        dry_run(recipe)


def test_rows_of_a_short_source_come_again_and_that_is_no_fault(data, tmp_path):
    short = write_tiny_data(tmp_path / "short", {"train": 2})
    recipe = load_recipe(write_recipe(tmp_path, data, extra_data=[str(short)], extra_fraction=0.5))
    (found,) = dry_run(recipe)
    names = [name for name, _, _ in found.processes[0].rows]
    assert len(set(names)) < len(names)


def test_processes_that_do_not_learn_together_are_found(data, tmp_path, monkeypatch):
    recipe = load_recipe(write_recipe(tmp_path, data))
    (found,) = dry_run(recipe)
    (process,) = found.processes
    other = dry_run_module.dataclasses.replace(process, index=1, rows=[], weights=process.weights * 1.001)
    monkeypatch.setattr(dry_run_module, "gather_object", lambda found: [*found, other])
    with pytest.raises(UserError, match="they do not train together"):
        dry_run(recipe)


def test_what_a_dry_run_cannot_do_is_said(data, tmp_path):
    recipe = load_recipe(write_recipe(tmp_path, data), ["--dry_run", "true"])
    assert "dry_run" not in recipe.keys  # it is no part of a run's record
    with pytest.raises(UserError, match="dry_run is for"):
        train(recipe)
    with pytest.raises(UserError, match="member by member"):
        dry_run(load_recipe(SCRIPTS.parent / "recipes/s4_ensemble.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [TORCHRUN, ACCELERATE], ids=["torchrun", "accelerate"])
def test_two_processes_share_rows_and_the_first_reports(data, tmp_path, nowhere, launcher):
    recipe = write_recipe(tmp_path, data, dataloader_num_workers=2, output_dir="run")
    done = run_two(launcher, SCRIPTS / "train.py", recipe, "--dry_run", "true")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert said.count("The whole run:") == 1
    assert len(re.findall(rf"│ [01] │ {STEPS * 4} │", said)) == 2
    assert "2 shards in its split 'train' for 2 processes x 2 loader workers" in said
    assert not files_in(nowhere)
