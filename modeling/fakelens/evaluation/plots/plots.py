"""The plots of a report and of a training run.

Colours are Okabe and Ito's (2008), which colour-blind readers tell apart, and no colour stands alone: line styles,
hatches and printed numbers say the same in black and white.
"""

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn import metrics

from fakelens.data.sources.labels import FAKE, REAL
from fakelens.evaluation.plots.curve_data import BINS
from fakelens.evaluation.scoring.predict import Predictions
from fakelens.inference.thresholds import WORDS, Thresholds

Scored = Mapping[str, tuple[np.ndarray, np.ndarray]]  # a model's name -> labels, P(fake)
Panel = Callable[[Axes, np.ndarray, np.ndarray, Thresholds], None]  # axes, labels, P(fake), thresholds

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)  # without yellow, which paper swallows
DASHES = ("-", "--", "-.", ":")
PANEL = 3.6  # inches, width and height
PANELS_A_ROW = 4
CELL = 0.36  # inches, of a matrix over generators
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "savefig.dpi": 150,
}

# What a panel of the learning curves shows: its title, and key in the log -> name in the legend.
LEARNING_PANELS: tuple[tuple[str, dict[str, str]], ...] = (
    ("Loss", {"loss": "training", "eval_loss": "validation"}),
    ("Accuracy (validation)", {"eval_accuracy": ""}),
    ("AUROC (validation)", {"eval_auroc": ""}),
    ("F1, precision, recall (validation)", {"eval_f1": "F1", "eval_precision": "precision", "eval_recall": "recall"}),
    ("Learning rate", {"learning_rate": ""}),
    ("Gradient norm", {"grad_norm": ""}),
    ("Evaluation time (s)", {"eval_runtime": ""}),
    ("Evaluation speed (images/s)", {"eval_samples_per_second": ""}),
)


def draw_split(
    predictions: Sequence[Predictions],
    results: Sequence[Mapping[str, Any]],
    thresholds: Sequence[Thresholds],
    view: str,
    folder: Path,
) -> list[Path]:
    """Draw every plot of one view of one split, all models in each.

    Args:
        predictions: Of each model.
        results: What `summarise_view` made of them, of each model.
        thresholds: Where each model's verdict changes.
        view: The view's name.
        folder: Where to write `roc_{split}_{view}.png` and so on.

    Returns:
        The plots written. ROC, PR and generators are left out where one class alone leaves them undefined.
    """
    split, first = predictions[0].split, predictions[0]
    named = {p.model: (p.labels, p.scores[view]) for p in predictions}
    marks = dict(zip(named, thresholds, strict=True))
    title = f"{split}, {view} view"
    figures: dict[str, Figure] = {}
    with matplotlib.rc_context(STYLE):
        if len(np.unique(first.labels)) == 2:
            figures["roc"] = _roc(named, marks, title)
            figures["pr"] = _precision_recall(named, marks, title)
            aurocs = {
                p.model: {g: (n["auroc"], n["fake"]) for g, n in r["per_generator"].items()}
                for p, r in zip(predictions, results, strict=True)
            }
            figures["generators"] = _generators(aurocs, title)
        for kind, heading, draw in (
            ("confusion", "Confusion matrix", _confusion),
            ("histogram", "P(fake) by class", _histogram),
        ):
            figures[kind] = _panels(named, marks, draw, f"{heading}, {title}")
        return [save(figure, folder / f"{kind}_{split}_{view}.png") for kind, figure in figures.items()]


def draw_attributions(attributions: Mapping[str, Mapping[str, Any]], split: str, view: str, folder: Path) -> Path:
    """Draw who made the images against who the models say made them, a matrix a model.

    Args:
        attributions: What `attribute` returned, by model.
        split: The split's name.
        view: The view's name.
        folder: Where to write `attribution_{split}_{view}.png`.
    """
    widths = [len(found["labels"]) for found in attributions.values()]
    heights = [len(found["rows"]) for found in attributions.values()]
    with matplotlib.rc_context(STYLE):
        size = (max(4.5, 2.4 + CELL * max(widths)), sum(2.0 + CELL * height for height in heights) + 0.3)
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(f"Who made it, {split}, {view} view", fontsize=10)
        grid = figure.add_gridspec(len(heights), 1, height_ratios=[2.0 + CELL * height for height in heights])
        for number, (name, found) in enumerate(attributions.items()):
            axes = figure.add_subplot(grid[number])
            axes.set_title(f"{name}: {found['accuracy']:.1%} right")
            _matrix(axes, np.array(found["confusion"]), found["rows"], found["labels"])
        return save(figure, folder / f"attribution_{split}_{view}.png")


def learning_curves(record: Path, folder: Path) -> Path:
    """Draw a training run's record, a CSV with a row an evaluation, to `learning_curves.png`.

    Args:
        record: The CSV that training wrote (`metrics.csv`).
        folder: Where the plot goes.
    """
    with record.open(newline="", encoding="utf-8") as file:
        return draw_history(list(csv.DictReader(file)), folder / "learning_curves.png")


def draw_history(history: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Draw loss, accuracy, AUROC, F1, learning rate, gradient norm, evaluation time and speed over steps.

    Args:
        history: The rows of a run's `metrics.csv`, or the Trainer's `log_history`. Steps that start again with another
            `phase` are put behind the phase before.
        path: The plot's file.
    """
    starts, steps = _steps(history)
    shown = [panel for panel in LEARNING_PANELS if any(_has(row, key) for row in history for key in panel[1])]
    with matplotlib.rc_context(STYLE):
        columns = min(PANELS_A_ROW, max(1, len(shown)))
        rows = math.ceil(len(shown) / columns) or 1
        figure = Figure(figsize=(PANEL * columns, 0.75 * PANEL * rows), layout="constrained")
        for number, (title, keys) in enumerate(shown):
            axes = figure.add_subplot(rows, columns, number + 1)
            axes.set(title=title, xlabel="step")
            for style, (key, name) in enumerate(keys.items()):
                points = [(x, float(row[key])) for x, row in zip(steps, history, strict=True) if _has(row, key)]
                if points:
                    marker = "o" if len(points) <= 40 else ""
                    axes.plot(*zip(*points, strict=True), label=name, marker=marker, markersize=3, **line(style))
            for start in starts[1:]:
                axes.axvline(start, color="#888888", linestyle=":", linewidth=1)
            if len(keys) > 1:
                axes.legend()
        return save(figure, path)


def _steps(history: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    """Return where each phase starts, and every row's step, phases one behind the other."""
    starts, steps, phase = [0.0], [], None
    for row in history:
        if phase is not None and row.get("phase") != phase:
            starts.append(max(steps))
        phase = row.get("phase")
        steps.append(starts[-1] + float(row["step"]))
    return starts, steps


def _has(row: Mapping[str, Any], key: str) -> bool:
    return row.get(key) not in (None, "")


def _roc(named: Scored, marks: Mapping[str, Thresholds], title: str) -> Figure:
    figure, axes = _square(f"ROC, {title}", "false-positive rate", "true-positive rate")
    axes.plot([0, 1], [0, 1], color="#888888", linewidth=0.8, linestyle=(0, (1, 3)))
    for number, (name, (labels, scores)) in enumerate(named.items()):
        label = f"{name}: {metrics.roc_auc_score(labels, scores):.3f}"
        predicted_fake = marks[name].verdicts(scores) == "fake"
        axes.plot(*metrics.roc_curve(labels, scores)[:2], label=label, **line(number))
        dot = predicted_fake[labels == REAL].mean(), predicted_fake[labels == FAKE].mean()
        axes.plot(*dot, "o", color=line(number)["color"], markersize=5)
    _legend(figure, axes, len(named), "AUROC (dot: predicted fake)")
    return figure


def _precision_recall(named: Scored, marks: Mapping[str, Thresholds], title: str) -> Figure:
    figure, axes = _square(f"Precision and recall, {title}", "recall", "precision")
    for number, (name, (labels, scores)) in enumerate(named.items()):
        if number == 0:
            axes.axhline(labels.mean(), color="#888888", linewidth=0.8, linestyle=(0, (1, 3)))
        precision, recall, _ = metrics.precision_recall_curve(labels, scores)
        label = f"{name}: {metrics.average_precision_score(labels, scores):.3f}"
        axes.plot(recall, precision, drawstyle="steps-post", label=label, **line(number))
        predicted_fake = marks[name].verdicts(scores) == "fake"
        if predicted_fake.any():
            dot = predicted_fake[labels == FAKE].mean(), labels[predicted_fake].mean()
            axes.plot(*dot, "o", color=line(number)["color"], markersize=5)
    _legend(figure, axes, len(named), "average precision (dot: predicted fake)")
    return figure


def _generators(aurocs: Mapping[str, Mapping[str, tuple[float, int]]], title: str) -> Figure:
    first = next(iter(aurocs.values()))
    order = sorted(first, key=lambda name: first[name][0])
    thickness = 0.8 / len(aurocs)
    height = max(2.0, 0.9 + len(order) * max(0.35, 0.16 * len(aurocs)))
    figure = Figure(figsize=(6.4, height), layout="constrained")
    axes = figure.add_subplot()
    for number, (model, values) in enumerate(aurocs.items()):
        at = np.arange(len(order)) + (number - (len(aurocs) - 1) / 2) * thickness
        widths = [values[name][0] for name in order]
        colour, hatch = COLOURS[number % len(COLOURS)], ("", "///", "...", "\\\\\\")[number % 4]
        axes.barh(at, widths, thickness * 0.92, color=colour, hatch=hatch, edgecolor="white", label=model)
        for y, width in zip(at, widths, strict=True):
            axes.text(width + 0.01, y, f"{width:.2f}", va="center", fontsize=7)
    axes.axvline(0.5, color="#888888", linewidth=0.8, linestyle=(0, (1, 3)))
    axes.set(
        title=f"AUROC by generator, against all real images, {title}", xlim=(0, 1.08), xlabel="AUROC (0.5 is chance)"
    )
    axes.set_yticks(np.arange(len(order)), [f"{name} ({first[name][1]})" for name in order])
    axes.invert_yaxis()  # the worst generator first
    axes.grid(axis="y", visible=False)
    if len(aurocs) > 1:
        figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure


def _confusion(axes: Axes, labels: np.ndarray, scores: np.ndarray, thresholds: Thresholds) -> None:
    words = thresholds.verdicts(scores)
    shown = WORDS if thresholds.has_band else ("real", "fake")
    counts = np.array([[(words[labels == label] == word).sum() for word in shown] for label in (REAL, FAKE)])
    draw_counts(axes, counts, fontsize=11, verdicts=shown)
    band = f"real below {thresholds.real_below:.3g}, " if thresholds.has_band else ""
    axes.set(xlabel=f"verdict ({band}fake from {thresholds.fake_from:.3g})")


def draw_counts(
    axes: Axes, counts: np.ndarray, fontsize: float | None = None, verdicts: Sequence[str] = ("real", "fake")
) -> None:
    """Draw a confusion matrix, each count with its fraction of the truth.

    Args:
        axes: Where.
        counts: Images, of shape `(2, len(verdicts))`: truth, then verdict, real first.
        fontsize: Of the counts, in points; matplotlib's own if None.
        verdicts: The columns' names.
    """
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if fractions[row, column] > 0.55 else "black"
        text = f"{count}\n{fractions[row, column]:.1%}" if counts[row].sum() else f"{count}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=fontsize)
    axes.set_xticks(range(len(verdicts)), verdicts)
    axes.set_yticks([REAL, FAKE], ["real", "fake"], rotation=90, va="center")
    axes.set(xlabel="verdict", ylabel="truth")
    axes.grid(visible=False)


def _matrix(axes: Axes, counts: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> None:
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if fractions[row, column] > 0.55 else "black"
        axes.text(column, row, str(count or ""), ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(np.arange(len(columns)), columns, rotation=40, ha="right", rotation_mode="anchor", fontsize=8)
    # What the model does not know has no right answer but the last column.
    axes.set_yticks(np.arange(len(rows)), [r if r in columns else f"{r} (not known)" for r in rows], fontsize=8)
    axes.set(xlabel="answer", ylabel="truth")
    axes.grid(visible=False)


def _histogram(axes: Axes, labels: np.ndarray, scores: np.ndarray, thresholds: Thresholds) -> None:
    for label, name, colour, hatch in ((REAL, "real", BLUE, ""), (FAKE, "fake", VERMILLION, "////")):
        counts, _ = np.histogram(scores[labels == label], BINS)
        if total := counts.sum():
            look: dict[str, Any] = {"facecolor": (colour, 0.35), "edgecolor": colour, "hatch": hatch, "linewidth": 1.2}
            axes.stairs(100 * counts / total, BINS, fill=True, label=f"{name} ({total})", **look)
    for end in {thresholds.real_below, thresholds.fake_from}:
        axes.axvline(end, color="black", linestyle="--", linewidth=1)
    axes.set(xlabel="P(fake); dashed: where the verdict changes", ylabel="% of the class", xlim=(0, 1))
    axes.legend(fontsize=8)


def _panels(named: Scored, marks: Mapping[str, Thresholds], draw: Panel, title: str) -> Figure:
    """Draw one panel a model."""
    columns = min(PANELS_A_ROW, len(named))
    rows = math.ceil(len(named) / columns)
    figure = Figure(figsize=(PANEL * columns, PANEL * rows + 0.3), layout="constrained")
    figure.suptitle(title, fontsize=10)
    for number, (name, (labels, scores)) in enumerate(named.items()):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.set_title(name)
        draw(axes, labels, scores, marks[name])
    return figure


def _square(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), box_aspect=1)
    return figure, axes


def line(number: int) -> dict[str, Any]:
    """Return the look of the n-th line; colour and dashes change together, so that either tells lines apart.

    Args:
        number: From 0.
    """
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)], "linewidth": 1.6}


def _legend(figure: Figure, axes: Axes, lines: int, title: str) -> None:
    if lines <= 5:
        axes.legend(title=title, fontsize=8, title_fontsize=8)
    else:
        figure.set_size_inches(8, 5)
        figure.legend(title=title, loc="outside right upper", fontsize=8, title_fontsize=8)


def save(figure: Figure, path: Path) -> Path:
    """Write a figure, its folder too where there is none, and return the path.

    Args:
        figure: The figure.
        path: The plot's file; its suffix is the format.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
