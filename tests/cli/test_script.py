"""Every script answers `--help` with an example, and shows what a user can put right in one line."""

import os
import platform
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from fakelens.cli.verbs import VERBS
from tests.conftest import SCRIPTS

NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py") if path.stem != "demo")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a script as `__main__` in this process: a dozen interpreters would each import torch and transformers."""

    def run_script(name, *arguments):
        monkeypatch.setattr(sys, "argv", [str(SCRIPTS / f"{name}.py"), *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
        said = capsys.readouterr()
        return stopped.value.code or 0, said.out, said.err

    return run_script


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_an_example(run, name):
    code, out, _ = run(name, "--help")
    verb = name.replace("_", "-")
    assert code == 0 and (f"fakelens {verb} " if verb in VERBS else f"python scripts/{name}.py ") in out


WRONG = {
    "ablate": (["no.yaml", "--key", "seed", "--values", "1", "--output", "out"], "no.yaml"),
    "audit": (["--data", "no/where/at/all"], "no/where/at/all"),
    "build_browser_space": (["--model", "no/where/at/all", "--output", "out"], "no/where/at/all"),
    "calibrate": (["--model", "no/where/at/all", "--data", "sample", "--output", "out"], "no/where/at/all"),
    "compare": (["--model", "no/where/at/all", "b", "--data", "sample", "--output", "out"], "no/where/at/all"),
    "evaluate": (["--model", "no/where/at/all", "--data", "sample", "--output", "out"], "no/where/at/all"),
    "export": (["--model", "no/where/at/all", "--output", "out"], "no/where/at/all"),
    "leave_one_out": (["no.yaml", "--output", "out"], "no.yaml"),
    "predict": (["--model", "no/where/at/all", "--data", ".", "--output", "out.csv"], "no/where/at/all"),
    "prepare": (["--data", "no/where/at/all", "--output", "out"], "no/where/at/all"),
    "publish": (["--model", "no/where/at/all", "--repo-id", "a/b", "--dry-run", "out"], "no/where/at/all"),
    "reconstruct": (
        ["--data", "sample", "--autoencoder", "no.safetensors", "no.safetensors", "--output", "out"],
        "no.safetensors",
    ),
    "score": (["no/where/at/all", "--output", "out"], "no/where/at/all"),
    "train": (["no.yaml"], "no.yaml"),
    "zoo": (["--jsn"], "unrecognized"),
}


@pytest.mark.parametrize("name", NAMES)
def test_what_a_user_can_put_right_is_one_line_and_exit_status_2(run, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, words = WRONG[name]
    code, _, err = run(name, *arguments)
    assert code == 2
    assert err.strip().splitlines()[-1].startswith((name, name.replace("_", "-"))) and words in err
    assert "Traceback" not in err and not list(tmp_path.iterdir())


def test_a_process_of_its_own_finds_the_libraries_and_not_the_scripts_beside_it(tmp_path):
    # `scripts/evaluate.py` has the name of a library that training and evaluation import.
    arguments, words = WRONG["evaluate"]
    command = [sys.executable, SCRIPTS / "evaluate.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"COLUMNS": "200"})
    assert done.returncode == 2 and words in done.stderr.strip().splitlines()[-1]


TOGETHER = """
from accelerate import PartialState
from accelerate.utils import gather_object
from fakelens.cli.script import script

with script("together"):
    print(gather_object([PartialState(cpu=True).process_index]))
"""


@pytest.mark.slow
def test_processes_launched_together_end_well(tmp_path):
    """Left connected, one of eight that end at once aborts in gloo's threads nearly every time."""
    program = tmp_path / "together.py"
    program.write_text(TOGETHER)
    launch = [Path(sys.executable).parent / "torchrun", "--standalone", "--nproc_per_node", "8", program]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(launch, capture_output=True, text=True, timeout=280, env=environment)
    assert done.returncode == 0 and "terminate" not in done.stderr, done.stderr
    assert done.stdout.count("[0, 1, 2, 3, 4, 5, 6, 7]") == 8


FAULTS = """
import resource, sys, torch
from fakelens.cli.script import keep_memory
if sys.argv[1] == "kept":
    keep_memory()
torch.set_num_threads(1)
def work():
    for _ in range(5):
        torch.ones(16, 1024, 1024).mul(2)  # 64 MiB, twice
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory in its own way")
def test_memory_that_a_batch_frees_is_there_for_the_next():
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "given back")
    )
    assert given_back > 1000 and kept < given_back / 20
