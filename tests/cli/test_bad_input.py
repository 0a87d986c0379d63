"""What users really do wrong, through the doors they use: each gets a row or one line that names the thing.

Never a traceback, nothing half-written, and the other inputs are still scored.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import datasets
import pytest
from typer.testing import CliRunner

from fakelens.cli.app import app
from tests import abuse
from tests.conftest import SCRIPTS

GOOD = "plain.jpg"


@dataclass(frozen=True)
class Case:
    """Something wrong, and the words that must name it; no words where it must be scored, and said what was done."""

    name: str
    error: str | None
    note: str | None = None


IMAGES = [Case(case.name, case.error, case.note) for case in abuse.CASES]
CASES = [
    *IMAGES,
    Case("a folder with no images", "no images in this folder"),
    Case("a model kept as a pickle", "pytorch_model.bin, a pickle, which can run any code when it is read, so it is"),
    Case("a recipe with a misspelt key", "unknown key 'learning_rat'. Did you mean learning_rate"),
    Case("a recipe for a column that is not there", "has no column 'label'; it has: image, verdict"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("abuse")
    abuse.write_cases(folder)
    return folder


def predict(model, *paths):
    """Return the command's exit status, its rows and what it said on standard error."""
    result = CliRunner().invoke(app, [*map(str, paths), "--model", str(model), "--json"])
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()], result.stderr


def train(folder, text):
    """Return the training script's exit status and its standard error for a recipe of this text."""
    (folder / "recipe.yaml").write_text(text)
    command = [sys.executable, SCRIPTS / "train.py", folder / "recipe.yaml", "--output_dir", folder / "run"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_named_and_the_rest_goes_on(case, folder, tiny_model, tmp_path):
    if case in IMAGES:
        code, (row, good), said = predict(tiny_model, folder / case.name, folder / GOOD)
        assert code == (1 if case.error else 0) and good["verdict"] in ("real", "fake")
        assert (case.error in row["error"]) if case.error else row["verdict"] in ("real", "fake")
        assert not case.note or any(case.note in note for note in row["notes"])
    elif "folder" in case.name:
        code, (row, good), said = predict(tiny_model, tmp_path, folder / GOOD)
        assert code == 1 and case.error in row["error"] and good["verdict"] in ("real", "fake")
    elif "model" in case.name:
        shutil.copytree(tiny_model, tmp_path / "m")
        (tmp_path / "m" / "model.safetensors").rename(tmp_path / "m" / "pytorch_model.bin")
        code, rows, said = predict(tmp_path / "m", folder / GOOD)
        assert code == 2 and not rows and case.error in said
    elif "misspelt" in case.name:
        code, said = train(tmp_path, "learning_rat: 0.1\n")
        assert code == 2 and case.error in said.splitlines()[-1] and not (tmp_path / "run").exists()
    else:
        rows = [{"image": {"bytes": (folder / GOOD).read_bytes(), "path": None}, "verdict": "real"}]
        for split in ("train", "validation"):
            datasets.Dataset.from_list(rows).to_parquet(tmp_path / "data" / f"{split}.parquet")
        code, said = train(tmp_path, f"data: {tmp_path / 'data'}\n")
        assert code == 2 and case.error in said.splitlines()[-1] and not (tmp_path / "run").exists()
    assert "Traceback" not in said


def test_every_case_of_the_list_is_written(folder):
    written = {path.name for path in Path(folder).iterdir()}
    assert {case.name for case in IMAGES} - written == {"missing.jpg"}
