"""The whole script, killed and started again, and as two processes: the same report."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakelens.errors import UserError
from fakelens.evaluation.scoring.prediction_cache import cached
from tests.conftest import SCRIPTS

TORCHRUN = [Path(sys.executable).parent / "torchrun", "--standalone", "--nproc_per_node", "2"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def command(model, data, output):
    arguments = ["--model", model, "--data", data, "--output", output, "--robustness", "--robustness_limit", 4]
    return [str(word) for word in (SCRIPTS / "evaluate.py", *arguments, "--attack", "fgsm", "--attack_limit", 4)]


def numbers(output):
    """What a report says, but for when and how fast it was made."""
    report = json.loads((output / "report.json").read_text())
    for model in report["models"]:
        del model["images_per_second"]
    return {key: value for key, value in report.items() if key != "created"}


@pytest.fixture(scope="module")
def alone(learned, tiny_data, tmp_path_factory):
    output = tmp_path_factory.mktemp("alone") / "report"
    subprocess.run([sys.executable, *command(learned, tiny_data, output)], env=ENVIRONMENT, check=True)
    return output


@pytest.mark.slow
def test_two_processes_write_the_report_of_one(alone, learned, tiny_data, tmp_path):
    output = tmp_path / "report"
    done = subprocess.run(
        [*TORCHRUN, *command(learned, tiny_data, output)], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (output / "predictions.csv").read_bytes() == (alone / "predictions.csv").read_bytes()
    assert numbers(output) == numbers(alone)
    assert done.stdout.count("The report is in") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.slow
def test_a_killed_evaluation_goes_on_and_ends_with_the_same_report(alone, learned, tiny_data, tmp_path):
    output, partial = tmp_path / "report", tmp_path / "report.partial"
    process = subprocess.Popen([sys.executable, *command(learned, tiny_data, output)], env=ENVIRONMENT)
    deadline = time.monotonic() + 200
    # Scores lie in a cache, and the first of the tables stands: what comes after it is not done yet.
    while not (partial.is_dir() and list(partial.glob("*.jsonl")) and list(partial.glob("*.json"))):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not output.exists()
    subprocess.run([sys.executable, *command(learned, tiny_data, output)], env=ENVIRONMENT, check=True)
    assert (output / "predictions.csv").read_bytes() == (alone / "predictions.csv").read_bytes()
    assert numbers(output) == numbers(alone)
    assert not partial.exists()


def test_what_was_computed_is_not_computed_again(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"auroc": 0.1 + 0.2, "nothing": None}

    first = cached(tmp_path / "kept", {"model": "a", "rows": 3}, compute)
    assert (
        cached(tmp_path / "kept", {"rows": 3, "model": "a"}, compute) == first == {"auroc": 0.1 + 0.2, "nothing": None}
    )
    assert len(calls) == 1
    cached(tmp_path / "kept", {"model": "b", "rows": 3}, compute)
    assert len(calls) == 2
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be kept"):
        cached(tmp_path / "file", {}, compute)
