"""Plots of accuracy and AUROC over something that was varied: the strength of an attack, or a key of a recipe."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from fakelens.evaluation.plots.plots import PANEL, STYLE, line, save

METRICS = {"accuracy": "Accuracy", "auroc": "AUROC"}
ATTACKED = METRICS | {"flipped": "Verdicts changed (fraction)"}
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
WIDE = 30  # values further apart than this factor stand on a logarithmic axis

Points = Sequence[tuple[float | str, Mapping[str, Any]]]  # what was varied, and the metrics there


def draw_attacks(attacks: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], split: str, folder: Path) -> Path:
    """Draw the models' metrics and how many verdicts change at each strength of attack, all models in one plot.

    Two checkpoints of one model, before and after adversarial training, make S4's before/after chart.

    Args:
        attacks: What `attack_table` returned, by model and method.
        split: The split's name.
        folder: Where to write `attacks_{split}.png`.
    """
    methods = list(dict.fromkeys(method for tables in attacks.values() for method in tables))
    lines = {}
    for method in methods:  # all models under one method stand beside each other in the legend
        for model, tables in attacks.items():
            name = f"{method.upper()}: {model}" if len(methods) > 1 else model
            lines[name] = [(row["eps"], row) for row in tables.get(method, [])]
    title = f"{', '.join(sorted(method.upper() for method in methods))} attack, {split}"
    path = folder / f"attacks_{split}.png"
    return draw_curves(lines, title, "eps (largest change of a pixel in [0, 1])", path, ATTACKED)


def draw_curves(
    lines: Mapping[str, Points], title: str, varied: str, path: Path, shown: Mapping[str, str] = METRICS
) -> Path:
    """Draw metrics side by side.

    Args:
        lines: By name; metrics that are None, or points that are not there, are left out.
        title: Of the plot.
        varied: What the horizontal axis is; numbers stand at their place, texts in order, evenly.
        path: The plot's file.
        shown: The metrics' keys and names.
    """
    values = list(dict.fromkeys(value for points in lines.values() for value, _ in points))
    numbers = [value for value in values if not isinstance(value, str)]
    numeric = len(numbers) == len(values)
    position = {value: value if numeric else number for number, value in enumerate(values)}
    with matplotlib.rc_context(STYLE):
        figure = Figure(
            figsize=(len(shown) * PANEL + 0.6, PANEL + 0.25 * math.ceil(len(lines) / 2)), layout="constrained"
        )
        figure.suptitle(title, fontsize=10)
        for number, (key, name) in enumerate(shown.items()):
            axes = figure.add_subplot(1, len(shown), number + 1)
            axes.set(title=name, xlabel=varied)
            for style, (label, points) in enumerate(lines.items()):
                drawn = sorted((position[value], row[key]) for value, row in points if row[key] is not None)
                look = line(style) | {"marker": MARKERS[style % len(MARKERS)], "markersize": 4}
                if not numeric:  # nothing lies between two words
                    look["linestyle"] = ""
                axes.plot([x for x, _ in drawn], [y for _, y in drawn], label=label, **look)
            if key in METRICS:
                axes.axhline(0.5, color="#888888", linewidth=0.8, linestyle=(0, (1, 3)))
            if not numeric:
                axes.set_xticks(range(len(values)), [str(value) for value in values], rotation=20, ha="right")
            elif min(numbers, default=0) > 0 and max(numbers) / min(numbers) > WIDE:
                axes.set_xscale("log")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        if len(lines) > 1:
            figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
        return save(figure, path)
