"""Every script answers `--help` with an example, and shows what a user can put right in one line."""

import os
import subprocess
import sys

import pytest

from tests.conftest import SCRIPTS

NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py") if path.stem != "demo")


def run(name, *arguments):
    environment = os.environ | {"COLUMNS": "200"}
    command = [sys.executable, SCRIPTS / f"{name}.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_an_example(name):
    done = run(name, "--help")
    assert done.returncode == 0 and f"python scripts/{name}.py " in done.stdout


WRONG = {
    "ablate": (["no.yaml", "--key", "seed", "--values", "1", "--output", "out"], "no.yaml"),
    "audit": (["--data", "no/where/at/all"], "no/where/at/all"),
    "calibrate": (["--model", "no/where/at/all", "--data", "sample", "--output", "out"], "no/where/at/all"),
    "evaluate": (["--model", "no/where/at/all", "--data", "sample", "--output", "out"], "no/where/at/all"),
    "leave_one_out": (["no.yaml", "--output", "out"], "no.yaml"),
    "predict": (["--model", "no/where/at/all", "--data", ".", "--output", "out.csv"], "no/where/at/all"),
    "prepare": (["--data", "no/where/at/all", "--output", "out"], "no/where/at/all"),
    "publish": (["--model", "no/where/at/all", "--repo-id", "a/b", "--dry-run", "out"], "no/where/at/all"),
    "reconstruct": (
        ["--data", "sample", "--autoencoder", "no.safetensors", "no.safetensors", "--output", "out"],
        "no.safetensors",
    ),
    "train": (["no.yaml"], "no.yaml"),
    "zoo": (["--jsn"], "unrecognized"),
}


@pytest.mark.parametrize("name", NAMES)
def test_what_a_user_can_put_right_is_one_line_and_exit_status_2(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, words = WRONG[name]
    done = run(name, *arguments)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith(name) and words in done.stderr
    assert "Traceback" not in done.stderr and not list(tmp_path.iterdir())
