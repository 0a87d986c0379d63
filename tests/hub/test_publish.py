"""The real script, as a person runs it, over HTTP to a Hub on this machine."""

import json
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fakelens.hub.publish import ALLOWED, assemble
from tests.abuse import picture
from tests.hub.records import OPENFAKE, entry, write_report, write_run
from tests.hub_fixture import READER

REPO = "user/tiny"


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def pushed(server, revision="main"):
    files = server.repo(REPO).files(revision)
    del files[".gitattributes"]  # the Hub's own, from the repo's first commit
    return files


def shift_weights(model):
    weights = load_file(model / "model.safetensors")
    weights["classifier.bias"] += 1
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})


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
        picture(seed=number).save(path)
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


def test_a_second_push_updates_the_repo_in_one_more_commit(server, publish, model, tmp_path):
    arguments = ("--model", model, "--repo-id", REPO)
    assert publish(*arguments, "--report", write_report(tmp_path / "report", model)).returncode == 0
    first = server.repo(REPO).at()
    strangers = {"handler.py": b"pass\n", ".eval_results/theirs.yaml": b"[]\n"}
    for path, content in strangers.items():
        first.tree[path] = type(first.tree["README.md"])(content)

    again = publish(*arguments, "--report", tmp_path / "report")
    assert again.stdout.endswith(f"commit {first.sha} (nothing to change)\n")

    shift_weights(model)
    second = publish(*arguments)
    assert second.returncode == 0, second.stderr
    assert len(server.repo(REPO).history()) == 3
    header = json.loads(server.requests[-1].body.splitlines()[0])["value"]
    assert header["parentCommit"] == first.sha  # so that a change meanwhile is not overwritten unseen
    files = pushed(server)
    assert files["model.safetensors"] == (model / "model.safetensors").read_bytes()
    # The old report's plot and results would belie the new weights; what others put there is not ours to remove.
    assert not [path for path in files if path.startswith(("plots/", ".eval_results/fakelens-"))]
    assert files.items() >= strangers.items()
    # The old revision is still there, whole.
    assert server.repo(REPO).at(first.sha) == first


def test_a_pull_request_leaves_the_repo_as_it_is(server, publish, model):
    assert publish("--model", model, "--repo-id", REPO).returncode == 0
    before = server.repo(REPO).at()
    shift_weights(model)
    run = publish("--model", model, "--repo-id", REPO, "--create-pr", HF_TOKEN=READER)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"{server.url}/{REPO}/discussions/1\ncommit ")
    assert server.repo(REPO).at() == before
    assert pushed(server, "refs/pr/1")["model.safetensors"] == (model / "model.safetensors").read_bytes()


def test_a_private_repo_is_private_from_the_start(server, publish, model):
    assert publish("--model", model, "--repo-id", REPO, "--private").returncode == 0
    assert server.repo(REPO).private
    creation = next(r for r in server.requests if r.path == "/api/repos/create")
    assert creation.json()["visibility"] == "private"


# The requests of a push onto a repo that is there already.
STEPS = ("create", "info", "validate", "preupload", "batch", "put", "verify", "commit")


@pytest.mark.parametrize("step", ["validate", "commit"])
def test_a_hub_that_dies_leaves_the_old_revision(server, publish, model, step):
    assert publish("--model", model, "--repo-id", REPO).returncode == 0
    before = server.repo(REPO).at()
    shift_weights(model)
    server.die_at(STEPS.index(step))
    run = publish("--model", model, "--repo-id", REPO)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].startswith(
        f"publish: The push to {REPO} failed: {server.url} cannot be reached"
    )
    assert "Traceback" not in run.stderr
    assert step in server.requests[-1].path
    assert server.repo(REPO).at() == before

    server.revive()
    assert publish("--model", model, "--repo-id", REPO).returncode == 0
    assert pushed(server)["model.safetensors"] == (model / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("step", "status", "words"),
    [
        ("put", 403, "403"),
        ("commit", 412, "The repo changed meanwhile. Run the same command again."),
        ("commit", 503, "503"),
    ],
)
def test_a_refusal_on_the_way_is_one_line(server, publish, model, step, status, words):
    server.fail_at(STEPS.index(step), status)
    run = publish("--model", model, "--repo-id", REPO)
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"publish: The push to {REPO} failed: the Hub answered {status}")
    assert words in line
    assert "Traceback" not in run.stderr
    assert set(server.repo(REPO).files()) == {".gitattributes"}


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
    "no such report": ({"--report": "no/such/folder"}, {}, ["No report.json in no/such/folder"]),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_line_and_push_nothing(server, publish, model, case):
    arguments, environment, words = ERRORS[case]
    arguments = {"--model": model, "--repo-id": REPO} | arguments
    assert_refused(publish(*(part for pair in arguments.items() for part in pair), **environment), words)
    assert server.repos == {}


def assert_refused(run, words):
    assert run.returncode == 2
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert line.startswith("publish: ")
    for word in words:
        assert word in line


def test_a_pickle_is_refused(server, publish, model):
    pickle_the_weights(model)
    assert_refused(publish("--model", model, "--repo-id", REPO), ["pytorch_model.bin is a pickle", "save_pretrained"])
    assert server.requests == []


def test_a_report_of_another_model_is_refused(server, publish, model, tmp_path):
    report = write_report(tmp_path / "report", model, models=[entry(tmp_path / "other")])
    assert_refused(publish("--model", model, "--repo-id", REPO, "--report", report), ["is about other", "Evaluate"])
    assert server.requests == []


def test_a_card_that_the_hub_refuses_is_told(server, publish, model):
    write_run(model, "sample", license="no-such-licence")
    assert_refused(
        publish("--model", model, "--repo-id", REPO), [f"The push to {REPO} failed", '"license" must be one of']
    )
    assert set(server.repo(REPO).files()) == {".gitattributes"}


def test_a_public_repo_is_not_pushed_to_as_a_private_one(server, publish, model):
    assert publish("--model", model, "--repo-id", REPO).returncode == 0
    assert_refused(publish("--model", model, "--repo-id", REPO, "--private"), ["is public", f"{REPO}/settings"])
    assert len(server.repo(REPO).history()) == 2


def test_help_has_an_example(publish):
    run = publish("--help")
    assert run.returncode == 0
    assert "python scripts/publish.py --model runs/" in run.stdout


# Dry runs, without the script around them


def test_a_dry_run_replaces_an_earlier_one(model, tmp_path):
    assemble(model, tmp_path / "dry", REPO, write_report(tmp_path / "report", model))
    assert (tmp_path / "dry" / "plots").is_dir()
    files = assemble(model, tmp_path / "dry", REPO)
    assert set(tree(tmp_path / "dry")) == set(files)
    assert all(ALLOWED.fullmatch(name) for name in files)


@pytest.mark.parametrize("place", ["model", "its parent", "work", "file"])
def test_a_dry_run_touches_no_folder_of_others(model, tmp_path, place):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.docx").write_text("years of it")
    (tmp_path / "file").write_text("")
    before = tree(tmp_path)
    folder = {"model": model, "its parent": tmp_path}.get(place, tmp_path / place)
    with pytest.raises(ValueError, match=r"Name a new folder"):
        assemble(model, folder, REPO)
    assert tree(tmp_path) == before


def test_a_dry_run_that_fails_leaves_nothing(model, tmp_path):
    (model / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="holds no weights"):
        assemble(model, tmp_path / "new" / "dry", REPO)
    assert not (tmp_path / "new").exists()


def test_importing_the_hub_does_not_import_torch():
    code = "import sys, fakelens.hub.publish; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
