"""`scripts/predict.py`: a folder of images into S4's submission and a CSV."""

import csv
import json
import subprocess
import sys

import pytest
import torch

from fakelens.atomic import write_file
from fakelens.cli import submission as module
from fakelens.cli.submission import natural, predict_folder, submission
from fakelens.cli.verbs.evaluation import predict as predict_verb
from fakelens.errors import UserError
from fakelens.inference.detector import load_detector
from tests.abuse import make_image
from tests.conftest import SCRIPTS


@pytest.fixture(scope="module")
def script():
    return predict_verb


@pytest.fixture
def images(tmp_path):
    """Twelve numbered images; the third is no image."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(1, 13):
        make_image(seed=number).save(folder / f"{number}.png")
    (folder / "3.png").write_text("not an image")
    return folder


def call(*arguments):
    command = [sys.executable, str(SCRIPTS / "predict.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_script_writes_both_files_and_says_what_it_could_not_read(images, tiny_model, tmp_path):
    json_file, csv_file = tmp_path / "new" / "submission.json", tmp_path / "predictions.csv"
    done = call("--model", tiny_model, "--data", images, "--submission", json_file, "--output", csv_file)
    assert done.returncode == 1, done.stderr
    assert "predict: image 3, 3.png: not an image" in done.stderr
    assert "1 of 12 images could not be scored" in done.stderr and "11 images scored" in done.stdout
    entries = json.loads(json_file.read_text())
    assert all(list(entry) == ["index", "prediction"] for entry in entries)
    assert [entry["index"] for entry in entries] == [1, 2, *range(4, 13)]
    with csv_file.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [f"{number}.png" for number in range(1, 13)]
    assert [row["index"] for row in rows] == [str(number) for number in range(1, 13)]
    assert rows[2]["verdict"] == rows[2]["score"] == "" and "not an image" in rows[2]["error"]
    detector = load_detector(tiny_model, device="cpu")
    expected = detector([images / row["path"] for row in rows])
    scored = {entry["index"]: entry["prediction"] for entry in entries}
    for number, (row, verdict) in enumerate(zip(rows, expected, strict=True), 1):
        if number != 3:
            assert float(row["score"]) == pytest.approx(verdict.score, abs=1e-6)
            assert row["verdict"] == verdict.verdict and row["prediction"] == scored[number]
            assert row["generator"] == row["error"] == ""


def test_all_well_is_exit_status_0_and_the_very_text_of_a_submission(images, tiny_model, tmp_path, script):
    (images / "3.png").unlink()
    out = tmp_path / "submission.json"
    assert (
        script.main(
            script.PredictArguments(model=str(tiny_model), data=str(images), submission=str(out), device="cpu")
        )
        == 0
    )
    rows = predict_folder(load_detector(tiny_model, device="cpu"), images)
    expected = ", ".join(f'{{"index": {row.index}, "prediction": "{row.prediction}"}}' for row in rows)
    assert out.read_text() == f"[{expected}]\n" == submission(rows)


def test_natural_order(tmp_path):
    names = [
        "b/1.png",
        "10.png",
        "2.png",
        "a/b10.png",
        "a/B9.png",
        "1.png",
        "a10/1.png",
        "a9/2.png",
        "1²2.png",
        "x.png",
    ]
    found = sorted((tmp_path / name for name in names), key=natural)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "1.png", "1²2.png", "2.png", "10.png", "a/B9.png", "a/b10.png", "a9/2.png", "a10/1.png", "b/1.png", "x.png",
    ]  # fmt: skip


@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_batches_change_nothing(images, tiny_model, batch_size):
    rows = predict_folder(load_detector(tiny_model, device="cpu"), images, batch_size=batch_size)
    full = predict_folder(load_detector(tiny_model, device="cpu"), images, batch_size=16)
    assert [(r.index, r.path, r.verdict, r.error) for r in rows] == [
        (r.index, r.path, r.verdict, r.error) for r in full
    ]
    assert len({row.score for row in rows}) == 12


def test_generators_are_named_and_unknown_ones_too(images, tmp_path):
    from fakelens.models import DetectorImageProcessor
    from fakelens.zoo.registry import build_detector

    torch.manual_seed(0)
    model = build_detector("custom_cnn", labels=["real", "alpha", "beta"], hidden_sizes=[4], classifier_size=4)
    torch.nn.init.zeros_(model.classifier.weight)
    model.classifier.bias.data = torch.tensor([0.0, 2.0, 1.0])
    model.save_pretrained(tmp_path / "model")
    DetectorImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path / "model")
    detector = load_detector(tmp_path / "model", device="cpu")
    scored = [row for row in predict_folder(detector, images, unknown_below=0.7) if not row.error]
    assert {(row.verdict, row.generator) for row in scored} == {("fake", "alpha")}  # alpha's fraction is .73
    scored = [row for row in predict_folder(detector, images, unknown_below=0.75) if not row.error]
    assert {(row.verdict, row.generator) for row in scored} == {("fake", "unknown generator")}
    detector.threshold, detector.uncertain_band = 0.95, (0.5, 0.99)
    scored = [row for row in predict_folder(detector, images) if not row.error]
    assert {(row.verdict, row.prediction, row.generator) for row in scored} == {("uncertain", "real", "real")}


def test_a_score_that_is_no_number_is_an_error(images, tiny_model):
    detector = load_detector(tiny_model, device="cpu")
    with torch.no_grad():
        detector.model.classifier.weight.fill_(float("nan"))
    rows = predict_folder(detector, images)
    assert len(rows) == 12 and all(row.error and row.verdict is None for row in rows)


def test_nothing_readable_writes_nothing(images, tiny_model, tmp_path, script):
    for path in images.iterdir():
        path.write_text("not an image")
    arguments = script.PredictArguments(model=str(tiny_model), data=str(images), submission=str(tmp_path / "s.json"))
    with pytest.raises(UserError, match="None of the 12 images"):
        script.main(arguments)
    assert list(tmp_path.iterdir()) == [images]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"submission": None}, "Say where to write"),
        ({"output": "{}/s.json"}, "name the same file"),
        ({"output": "{}/images"}, "is a folder"),
        ({"output": "{}/images/1.png/x.csv"}, "1.png is a file"),
        ({"data": "{}/nowhere"}, "not a folder"),
        ({"data": "{}/images/1.png"}, "not a folder"),
        ({"data": "{}/empty"}, "no images in this folder"),
        ({"model": "{}/nowhere"}, "no model at"),
        ({"unknown_below": 2.0}, "fraction of P"),
        ({"batch_size": 0}, "at least 1"),
    ],
)
def test_wrong_calls_are_named_and_write_nothing(images, tiny_model, tmp_path, script, changes, message):
    (tmp_path / "empty").mkdir()
    arguments = {"model": str(tiny_model), "data": str(images), "submission": str(tmp_path / "s.json")}
    arguments |= {key: value.format(tmp_path) if isinstance(value, str) else value for key, value in changes.items()}
    with pytest.raises(UserError, match=message):
        script.main(script.PredictArguments(**arguments))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "images"]


def test_a_full_disk_keeps_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "submission.json"
    path.write_text("before")

    def disk_is_full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.Path, "write_text", disk_is_full)
    with pytest.raises(UserError, match="No space left on device.*unchanged"):
        write_file(path, "after")
    monkeypatch.undo()
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
