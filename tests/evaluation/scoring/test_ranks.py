"""Two processes really started: every row is scored by one of them, and both end with what one process finds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest

from fakelens.data.sources.opening import open_source
from fakelens.evaluation.scoring.predict import predict
from fakelens.evaluation.scoring.ranks import Ranks
from fakelens.inference.detector import load_detector
from tests.conftest import SCRIPTS
from tests.evaluation.scoring.predict_and_write import CASES, case
from tests.tiny_data import write_tiny_data

ROOT = SCRIPTS.parent
BIN = Path(sys.executable).parent
LAUNCHERS = {
    "torchrun": [BIN / "torchrun", "--standalone", "--nproc_per_node", "2"],
    "accelerate": [BIN / "accelerate", "launch", "--config_file", ROOT / "recipes/accelerate/two_cpu_processes.yaml"],
}
SHARDS = (13, 5, 2)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """A `test` split of 20 rows in three shards of different sizes, one row damaged."""
    full = write_tiny_data(tmp_path_factory.mktemp("whole"), {"test": sum(SHARDS)}, shards=1)
    cells = [
        {"image": row["image"], "label": ["real", "fake"][row["label"]], "model": row["generator"]}
        for row in open_source(str(full), "test").stream
    ]
    cells[14]["image"]["bytes"] = cells[14]["image"]["bytes"][:100]
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.Value("string"), "model": datasets.Value("string")}
    )
    folder = tmp_path_factory.mktemp("uneven")
    for number, size in enumerate(SHARDS):
        rows = cells[sum(SHARDS[:number]) :][:size]
        path = folder / f"test-{number:05d}-of-{len(SHARDS):05d}.parquet"
        datasets.Dataset.from_list(rows, features=features).to_parquet(path)
    return folder


def run_two(launcher, model, data, out):
    for name in CASES:
        (out / name).mkdir()
    script = Path(__file__).with_name("predict_and_write.py")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    command = [*LAUNCHERS[launcher], script, "together", model, data, out]
    done = subprocess.run([str(c) for c in command], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("launcher", ["torchrun", pytest.param("accelerate", marks=pytest.mark.slow)])
def test_two_processes_find_what_one_does(launcher, tiny_model, uneven, tmp_path):
    run_two(launcher, tiny_model, uneven, tmp_path)
    detector = load_detector(tiny_model, device="cpu")
    for name in CASES:
        source, arguments = case(name, str(uneven))
        alone = predict(detector, source, ("raw", "hard"), **arguments)
        for rank in (0, 1):
            found = np.load(tmp_path / name / f"{rank}.npz")
            assert int(found["processes"]) == 2 and int(found["rows"]) == alone.rows
            assert found["ids"].tolist() == alone.ids.tolist()
            assert found["labels"].tolist() == alone.labels.tolist()
            assert found["generators"].tolist() == alone.generators.tolist()
            for view in ("raw", "hard"):
                if name == "by_files":  # other images are in a batch with it
                    np.testing.assert_allclose(found[f"score_{view}"], alone.scores[view], rtol=0, atol=1e-6)
                else:
                    assert np.array_equal(found[f"score_{view}"], alone.scores[view])
        read = []
        for path in sorted((tmp_path / name / "partial").glob("*.jsonl")):
            parts = [json.loads(line) for line in path.read_text().splitlines()[1:]]
            read.append([row for part in parts for row in part["ids"]])
        expected = [row["id"] for row in source.stream][: arguments.get("limit")]
        sizes = {"dealt": [12, 8], "limited": [8, 6], "by_files": [13 + 5, 2]}  # four at a time, or whole files
        assert [len(ids) for ids in read if ids] in (sizes[name], sizes[name][::-1])
        assert sorted(read[0] + read[1]) == sorted(expected)
        if name == "dealt":  # one process goes on with what two have begun
            resumed = predict(detector, source, ("raw", "hard"), partial=tmp_path / name / "partial")
            assert resumed.scores["raw"].tolist() == alone.scores["raw"].tolist()
            assert len(list((tmp_path / name / "partial").glob("*-0.jsonl"))) == 1
            assert sum(path.read_text().count('"number"') for path in (tmp_path / name / "partial").iterdir()) == 5


def test_ranks_alone():
    assert Ranks.launched() == Ranks(0, 1)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_shares_are_disjoint_and_complete(uneven, count):
    source = open_source(str(uneven), "test")
    names = [row["id"] for row in source.stream]
    chunks = [list(Ranks(index, count).own_chunks(source, 3)) for index in range(count)]
    numbered = sorted((part for own_chunks in chunks for part in own_chunks), key=lambda part: part[0])
    assert [number for number, _ in numbered] == list(range(7))
    assert [row["id"] for _, rows in numbered for row in rows] == names
