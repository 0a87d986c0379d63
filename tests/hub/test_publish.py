"""The real script, as a person runs it, over HTTP to a Hub on this machine."""

import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fakelens.hub.preflight import ALLOWED
from fakelens.hub.publish import assemble, collect_files
from tests.abuse import make_image
from tests.hub.pushing import REPO, assert_refused, pushed, shift_weights, tree
from tests.hub.records import OPENFAKE, entry, write_report, write_run
from tests.hub_fixture import READER


def test_a_pushed_model_is_loaded_back_without_fakelens(server, publish, model, tmp_path):
    from transformers import pipeline

    write_run(model, OPENFAKE)
    (model / "optimizer.pt").write_bytes(pickle.dumps({}))
    report = write_report(tmp_path / "report", model)
    run = publish("--model", model, "--repo-id", REPO, "--report", report)
    assert run.returncode == 0, run.stderr
    head = server.repo(REPO).at()
    assert run.stdout == f"{server.url}/{REPO}\ncommit {head.sha}\n"
    # One commit on top of the empty repo's first.
    assert len(server.repo(REPO).history()) == 2
    assert set(pushed(server)) == {
        "config.json",
        "preprocessor_config.json",
        "model.safetensors",
        "README.md",
        "plots/roc_test_raw.png",
        ".eval_results/fakelens-complexdatalab-openfake-core-test-raw.yaml",
        ".eval_results/fakelens-complexdatalab-openfake-core-test-normalised.yaml",
        *(p.name for p in model.glob("*.py")),
    }
    assert head.tree["model.safetensors"].is_lfs

    images = [str(tmp_path / f"{number}.png") for number in range(3)]
    for number, path in enumerate(images):
        make_image(seed=number).save(path)
    foreign = subprocess.run(
        [sys.executable, Path(__file__).parent / "foreign.py", REPO, *images],
        env=os.environ | server.env,
        capture_output=True,
        text=True,
    )
    assert foreign.returncode == 0, foreign.stderr
    local = pipeline("image-classification", model=str(model), trust_remote_code=True)
    for there, here in zip(json.loads(foreign.stdout), local(images), strict=True):
        assert set(there) == {"real", "fake"}
        assert there == pytest.approx({row["label"]: row["score"] for row in here}, abs=1e-6)


def test_a_dry_run_writes_what_a_push_sends_and_needs_no_token(server, publish, model, tmp_path):
    report = write_report(tmp_path / "report", model)
    arguments = ("--model", model, "--repo-id", REPO, "--report", report)
    dry = publish(*arguments, "--dry-run", tmp_path / "dry", HF_TOKEN=None, HF_HUB_OFFLINE="1")
    assert dry.returncode == 0, dry.stderr
    assert server.requests == []
    assert publish(*arguments).returncode == 0
    assert tree(tmp_path / "dry") == pushed(server)
    assert sorted(dry.stdout.splitlines()[:-1]) == sorted(pushed(server))
    # Nothing of the work is left beside it.
    assert {p.name for p in tmp_path.iterdir()} == {"tiny", "report", "dry"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pickle_the_weights(model):
    torch.save({}, model / "pytorch_model.bin")


# what is wrong -> arguments that differ, environment that differs, words of the one line
ERRORS = {
    "invalid name": ({"--repo-id": "user/ti ny"}, {}, ["'user/ti ny' is no repo name", "Write it as USER/NAME"]),
    "name without user": ({"--repo-id": "tiny"}, {}, ["'tiny' is no full repo name", "Write it as USER/NAME"]),
    "no token": ({}, {"HF_TOKEN": None}, ["No Hub token", "huggingface.co/settings/tokens", "hf auth login"]),
    "bad token": ({}, {"HF_TOKEN": "hf_wrong"}, ["401", "token is not valid", "settings/tokens"]),
    "read-only token": ({}, {"HF_TOKEN": READER}, ["403", "may not write there"]),
    "another's name": ({"--repo-id": "guest/tiny"}, {}, ["The push to guest/tiny failed", "403"]),
    "no connection": ({}, {"HF_ENDPOINT": f"http://127.0.0.1:{free_port()}"}, ["cannot be reached", "--dry-run"]),
    "offline mode": ({}, {"HF_HUB_OFFLINE": "1"}, ["cannot be reached", "HF_HUB_OFFLINE"]),
    "no such model": ({"--model": "no/such/folder"}, {}, ["No model folder at no/such/folder"]),
    "no version": ({"--version": "new"}, {}, ["'new' is no version", "1.2.0"]),
    "no such images": ({"--examples": "no/such/folder"}, {}, ["No folder of example images at no/such/folder"]),
    "no such report": ({"--report": "no/such/folder"}, {}, ["No report.json in no/such/folder"]),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_line_and_push_nothing(server, publish, model, case):
    arguments, environment, words = ERRORS[case]
    arguments = {"--model": model, "--repo-id": REPO} | arguments
    assert_refused(publish(*(part for pair in arguments.items() for part in pair), **environment), *words)
    assert server.repos == {}


def test_a_pickle_is_refused(server, publish, model):
    pickle_the_weights(model)
    assert_refused(publish("--model", model, "--repo-id", REPO), "pytorch_model.bin is a pickle", "save_pretrained")
    assert server.requests == []


def test_a_report_of_another_model_is_refused(server, publish, model, tmp_path):
    report = write_report(tmp_path / "report", model, models=[entry(tmp_path / "other")])
    arguments = ("--model", model, "--repo-id", REPO, "--report", report)
    assert_refused(publish(*arguments), "is about other", "Evaluate")
    report = shutil.move(write_report(tmp_path / "fresh", model), tmp_path / "report" / "fresh")
    shift_weights(model)
    assert_refused(publish(*arguments[:-1], report), "is about other weights than", "Evaluate this one")
    assert server.requests == []


def test_help_has_an_example(publish):
    run = publish("--help")
    assert run.returncode == 0
    assert "fakelens publish --model runs/" in run.stdout


# Dry runs, without the script around them


def dry_run(model, folder, report=None):
    files = collect_files(model, REPO, report)
    assemble(files, folder, [model])
    return files


def test_a_dry_run_repatches_an_earlier_one(model, tmp_path):
    dry_run(model, tmp_path / "dry", write_report(tmp_path / "report", model))
    assert (tmp_path / "dry" / "plots").is_dir()
    files = dry_run(model, tmp_path / "dry")
    assert set(tree(tmp_path / "dry")) == set(files)
    assert all(ALLOWED.fullmatch(name) for name in files)


@pytest.mark.parametrize("location", ["model", "its parent", "work", "file"])
def test_a_dry_run_touches_no_folder_of_others(model, tmp_path, location):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.docx").write_text("years of it")
    (tmp_path / "file").write_text("")
    before = tree(tmp_path)
    folder = {"model": model, "its parent": tmp_path}.get(location, tmp_path / location)
    with pytest.raises(ValueError, match=r"Name a new folder"):
        dry_run(model, folder)
    assert tree(tmp_path) == before


def test_importing_the_hub_does_not_import_torch():
    code = "import sys, fakelens.hub.push; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
