"""A run that is killed goes on where it stopped, to the very same numbers, and never with another run's."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch

from fakelens.data.sources.opening import open_source
from fakelens.errors import UserError
from fakelens.evaluation.scoring import row_scorer
from fakelens.evaluation.scoring.predict import predict
from fakelens.evaluation.scoring.prediction_cache import Part, PredictionCache
from fakelens.inference.detector import load_detector
from fakelens.inference.identity import identity
from tests.conftest import SCRIPTS
from tests.tiny_data import write_tiny_data

VIEWS = ("raw", "hard")
PART = Part(3, ["a", "b"], [0, 1], ["real", "x"], ["", ""], ["", "damaged image"], {"raw": [[0.1 + 0.2, 1e-300]]})


@pytest.fixture
def decoded(monkeypatch):
    """Every row that is decoded is counted."""
    count = []

    def counting(data, decode=row_scorer.decode_image):
        count.append(data)
        return decode(data)

    monkeypatch.setattr(row_scorer, "decode_image", counting)
    return count


def same(one, other):
    assert one.ids.tolist() == other.ids.tolist() and one.skipped == other.skipped
    for name in ("labels", "generators", "sources"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()
    for view in VIEWS:
        assert one.scores[view].dtype == np.float64 and np.array_equal(one.scores[view], other.scores[view])


def test_a_killed_run_goes_on_where_it_stopped(tiny_model, class_folders, tmp_path, decoded):
    partial = tmp_path / "report.partial"
    script = Path(__file__).with_name("predict_and_write.py")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPTS.parent)}
    command = [sys.executable, str(script), "slowly", str(tiny_model), str(class_folders), str(partial)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not any(path.read_bytes().count(b"\n") >= 3 for path in partial.glob("*.jsonl")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    (cache,) = partial.iterdir()
    with cache.open("a") as file:
        file.write('{"number": 4, "ids": ["test/Re')  # what a kill in the midst of writing leaves
    kept = cache.read_bytes().count(b"\n") - 1
    assert 2 <= kept < 5  # of 5 parts: 18 rows, 4 at a time
    detector, source = load_detector(tiny_model, device="cpu"), open_source(str(class_folders), "test")
    resumed = predict(detector, source, VIEWS, partial=partial)
    assert len(decoded) == 18 - 4 * kept
    same(resumed, predict(detector, source, VIEWS))
    decoded.clear()
    again = predict(detector, source, VIEWS, partial=partial)
    assert decoded == [] and again.seconds == pytest.approx(resumed.seconds)
    same(again, resumed)


def test_another_model_setting_or_image_is_scored_anew(tiny_model, tmp_path, decoded):
    data = write_tiny_data(tmp_path / "data", {"test": 10}, shards=1)
    source, partial = open_source(str(data), "test"), tmp_path / "partial"
    detector = load_detector(tiny_model, device="cpu")
    before = predict(detector, source, partial=partial)
    assert len(decoded) == 10
    predict(detector, source, limit=9, partial=partial)
    predict(detector, source, ("hard",), partial=partial)
    predict(detector, source, batch_size=2, partial=partial)
    detector.processor.image_mean = [0.1, 0.2, 0.3]
    predict(detector, source, partial=partial)
    assert len(decoded) == 10 + 9 + 10 + 10 + 10
    detector = load_detector(tiny_model, device="cpu")
    with torch.no_grad():
        detector.model.classifier.bias.add_(1)
    assert (predict(detector, source, partial=partial).scores["raw"] > before.scores["raw"]).all()
    # The same file with other images from its sixth row on: the part that holds it and those after it are done anew.
    decoded.clear()
    other = write_tiny_data(tmp_path / "other", {"test": 10, "tests": 10}, shards=1)
    rows = [list(open_source(str(other), split).stream) for split in ("test", "tests")]
    mixed = [*rows[0][:5], *rows[1][5:]]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    cells = [{"image": row["image"], "label": ["real", "fake"][row["label"]]} for row in mixed]
    datasets.Dataset.from_list(cells, features=features).to_parquet(data / "test-00000-of-00001.parquet")
    changed = predict(load_detector(tiny_model, device="cpu"), open_source(str(data), "test"), partial=partial)
    assert len(decoded) == 6
    assert changed.ids.tolist() == [row["id"] for row in mixed]
    assert changed.scores["raw"][:4].tolist() == before.scores["raw"][:4].tolist()
    assert (changed.scores["raw"][5:] != before.scores["raw"][5:]).all()


def test_parts_come_back_as_they_were_from_every_processes_file(tmp_path):
    for rank in (0, 1):
        cache = PredictionCache(tmp_path, {"model": "m"}, rank)
        cache.add(Part(**(vars(PART) | {"number": rank})))
        cache.close()
    cache = PredictionCache(tmp_path, {"model": "m"})
    assert [vars(cache.done[n]) for n in (0, 1)] == [vars(PART) | {"number": n} for n in (0, 1)]
    cache.close()
    cache.path.write_bytes(b'{"mod')  # killed at the very first line
    cache = PredictionCache(tmp_path, {"model": "m"})
    cache.add(PART)
    cache.close()
    assert PredictionCache(tmp_path, {"model": "m"}).done[3] == PART


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "report.partial").write_text("a file")
    with pytest.raises(UserError, match=r"report\.partial.*name another folder"):
        PredictionCache(tmp_path / "report.partial", {})


def test_identity_is_the_weights_and_not_only_the_name(tiny_model):
    one, two = (load_detector(tiny_model, device="cpu") for _ in range(2))
    assert identity(one) == identity(two)
    with torch.no_grad():
        next(two.model.buffers()).add_(1)
    assert identity(one)["weights"] != identity(two)["weights"]
