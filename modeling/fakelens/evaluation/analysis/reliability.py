"""What a temperature did for P(fake): calibration on a split before it and after it, as numbers and as an image."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from fakelens.evaluation.plots.plots import BLUE, PANEL, PANELS_A_ROW, STYLE, VERMILLION, save
from fakelens.evaluation.scoring.predict import Predictions
from fakelens.training.calibration.calibration import measure
from fakelens.training.calibration.temperature import uncalibrated

LOOKS = {
    "before": {"color": VERMILLION, "linestyle": "--", "marker": "s"},
    "after": {"color": BLUE, "linestyle": "-", "marker": "o"},
}


def before_and_after(predictions: Predictions, temperature: float) -> dict[str, dict[str, Any]]:
    """Return how well a model is calibrated on a split, with its temperature and without.

    Args:
        predictions: The model's scores, as it gives them.
        temperature: What it divides its logits by (`Detector.temperature`); 1 if it was never calibrated.

    Returns:
        By view: `before` and `after`, each `ece`, `brier`, `nll` and `bins` as `measure` returns them.

    Raises:
        UserError: If scores are not numbers.
    """
    found = {}
    for view, scores in predictions.scores.items():
        was = uncalibrated(predictions.probabilities[view] if predictions.classes else scores, temperature)
        found[view] = {
            "before": measure(_pair(was), predictions.labels),
            "after": measure(_pair(scores), predictions.labels),
        }
    return found


def draw_reliability(found: Mapping[str, Mapping[str, Any]], title: str, path: Path) -> Path:
    """Draw reliability before and after calibration, a panel a model.

    Args:
        found: By model, `before` and `after`: a view of what `before_and_after` returned, or a run's `calibration`.
        title: Of the image.
        path: The image's file.
    """
    columns = min(PANELS_A_ROW, len(found))
    rows = math.ceil(len(found) / columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(PANEL * columns, PANEL * rows + 0.3), layout="constrained")
        figure.suptitle(title, fontsize=10)
        for number, (model, one) in enumerate(found.items()):
            axes = figure.add_subplot(rows, columns, number + 1)
            axes.plot([0, 1], [0, 1], color="#888888", linewidth=0.8, linestyle=(0, (1, 3)))
            most = max(b["count"] for when in LOOKS for b in one[when]["bins"])
            for when, look in LOOKS.items():
                scores, rates, counts = (
                    np.array([b[key] for b in one[when]["bins"]]) for key in ("score", "fake_fraction", "count")
                )
                axes.plot(scores, rates, look["linestyle"], color=look["color"], linewidth=1)
                dots: dict[str, Any] = {"color": look["color"], "marker": look["marker"]}
                label = f"{when}: ECE {one[when]['ece']:.3f}"
                axes.scatter(scores, rates, 10 + 120 * counts / most, alpha=0.6, linewidth=0, label=label, **dots)
            axes.set(title=model, xlabel="mean P(fake) of a bin", ylabel="fraction of fakes in it", box_aspect=1)
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
            axes.legend(fontsize=8, loc="upper left", markerscale=0.6)
        return save(figure, path)


def _pair(scores: np.ndarray) -> np.ndarray:
    return np.stack([1 - scores, scores], axis=1)
