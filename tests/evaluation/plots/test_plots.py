"""Plots: the right ones are drawn, from the numbers given."""

import csv

import numpy as np
import pytest
from PIL import Image

from fakelens.evaluation.analysis.summary import summarise
from fakelens.evaluation.plots.plots import draw_history, draw_split, learning_curves
from fakelens.evaluation.scoring.predict import Predictions
from fakelens.inference.thresholds import Thresholds

HALF = Thresholds(0.5, 0.5)
HISTORY = [
    {"step": 10, "loss": 0.7, "learning_rate": 1e-3, "grad_norm": 1.5},
    {"step": 10, "eval_loss": 0.6, "eval_accuracy": 0.7, "eval_auroc": 0.8, "eval_f1": 0.7, "eval_runtime": 2.0},
    {"step": 20, "loss": 0.5, "learning_rate": 5e-4, "grad_norm": 1.1},
    {"step": 20, "eval_loss": 0.5, "eval_accuracy": 0.8, "eval_auroc": 0.9, "eval_f1": 0.8, "eval_runtime": 2.1},
    {"step": 20, "train_runtime": 60.0},
]


def predictions(name, labels):
    rng = np.random.default_rng(len(name))
    generators = np.where(labels == 1, "alpha", "real")
    scores = (labels * 0.2 + rng.random(len(labels))) / 1.2
    return Predictions(name, "test", labels.astype(str), labels, generators, generators, {"raw": scores}, {}, 1.0)


@pytest.mark.parametrize(("count", "thresholds"), [(1, HALF), (6, HALF), (2, Thresholds(0.3, 0.9))])
def test_two_classes_have_all_plots(tmp_path, count, thresholds):
    models = [predictions("m" * (i + 1), np.arange(60) % 2) for i in range(count)]
    results = [summarise(model, thresholds)["raw"] for model in models]
    paths = draw_split(models, results, [thresholds] * count, "raw", tmp_path)
    kinds = ("roc", "pr", "generators", "confusion", "histogram")
    assert [p.name for p in paths] == [f"{kind}_test_raw.png" for kind in kinds]
    for path in paths:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        assert min(pixels.shape[:2]) > 200
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_the_plots_that_are_defined(tmp_path, label):
    model = predictions("m", np.full(20, label))
    paths = draw_split([model], [summarise(model, HALF)["raw"]], [HALF], "raw", tmp_path)
    assert [p.name.split("_")[0] for p in paths] == ["confusion", "histogram"]


def test_learning_curves_from_the_trainers_log(tmp_path):
    assert Image.open(draw_history(HISTORY, tmp_path / "curves.png")).width > 500


def test_learning_curves_from_a_record_of_phases(tmp_path):
    """A CSV has text and gaps, and a second phase counts its steps from the start."""
    columns = sorted({key for row in HISTORY for key in row} | {"phase"})
    with (tmp_path / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(row | {"phase": phase} for phase in ("head", "all") for row in HISTORY)
    path = learning_curves(tmp_path / "metrics.csv", tmp_path / "plots")
    assert path == tmp_path / "plots" / "learning_curves.png"
    assert Image.open(path).width > 500


def test_an_empty_record_is_an_empty_image(tmp_path):
    (tmp_path / "metrics.csv").write_text("phase,step,loss\n")
    assert learning_curves(tmp_path / "metrics.csv", tmp_path).exists()
