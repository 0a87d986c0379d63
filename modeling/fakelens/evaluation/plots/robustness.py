"""Plots of robustness: metrics over the strength of each degradation, verdicts that change, S2's scenarios."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fakelens.evaluation.plots.curves import MARKERS, METRICS
from fakelens.evaluation.plots.plots import STYLE, draw_counts, line, save

COLUMNS = 3
WIDTH, HEIGHT = 2.6, 2.3  # inches, of a panel: three stand on a page's width
SCENARIO = 2.3  # inches, of a matrix
CHANGES = {
    "flipped": "verdicts changed,\n% of all images",
    "real_to_fake": "real to fake,\n% of real images",
    "fake_to_real": "fake to real,\n% of fakes",
}
SPREAD = 0.5  # of the room between two values on a scale of words, over which the models' dots are spread


def draw_robustness(tables: Mapping[str, Mapping[str, Any]], split: str, folder: Path) -> list[Path]:
    """Draw AUROC and accuracy, a plot each: a panel for every family of several strengths, one for all others.

    Args:
        tables: What `robustness_table` returned, by model, all of the same steps.
        split: The split's name.
        folder: Where to write `robustness_{auroc, accuracy}_{split}.png`.

    Returns:
        The plots written; without AUROC where one class alone leaves it undefined.
    """
    paths = []
    for key, name in METRICS.items():
        if any(table["clean"][key] is not None for table in tables.values()):
            path = folder / f"robustness_{key}_{split}.png"
            paths.append(_draw_metric(tables, key, f"{name} under degradations, {split}", path))
    return paths


def draw_changes(tables: Mapping[str, Mapping[str, Any]], split: str, folder: Path) -> Path:
    """Draw the fraction of images whose verdict each step changes, overall and in each class, as dots.

    Args:
        tables: What `robustness_table` returned, by model, all of the same steps.
        split: The split's name.
        folder: Where to write `verdict_changes_{split}.png`.
    """
    first = next(iter(tables.values()))["steps"]
    shown = {key: title for key, title in CHANGES.items() if first[0][key] is not None}
    positions = np.arange(len(first))
    with matplotlib.rc_context(STYLE):
        size = (1.3 + 2.1 * len(shown), 1.1 + len(first) * max(0.22, 0.1 * len(tables)) + 0.2 * (len(tables) > 1))
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(f"Verdicts that a degradation changes, {split}", fontsize=10)
        for number, (key, title) in enumerate(shown.items()):
            axes = figure.add_subplot(1, len(shown), number + 1)
            for position in range(len(first)):
                axes.axhline(position, color="#dddddd", linewidth=0.6, zorder=0)
            for model, (label, table) in enumerate(tables.items()):
                percentages = [100 * step[key] for step in table["steps"]]
                axes.plot(percentages, positions + _aside(model, len(tables)), label=label, **_dots(model))
            axes.set(xlabel=title, xlim=(-0.02 * axes.get_xlim()[1], max(1.0, axes.get_xlim()[1])))
            axes.set_yticks(positions, [_words(step["protocol"]) for step in first] if number == 0 else [])
            axes.set_ylim(len(first) - 0.5, -0.5)  # the first step on top
            axes.grid(axis="y", visible=False)
        _legend(figure, len(tables))
        return save(figure, folder / f"verdict_changes_{split}.png")


def draw_scenarios(found: Mapping[str, Mapping[str, Any]], split: str, folder: Path) -> Path:
    """Draw the confusion matrices of S2's scenarios, a row a model.

    Args:
        found: What `fakelens.evaluation.attacks.scenarios.scenarios` returned, by model.
        split: The split's name.
        folder: Where to write `scenarios_{split}.png`.
    """
    first = next(iter(found.values()))
    titles = {
        "clean": "clean",
        "fgsm": f"FGSM, eps {first['eps']:g},\non {first['fraction']:.0%} of the images",
        "mixed": "both together",
    }
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(SCENARIO * len(titles), (SCENARIO + 0.6) * len(found) + 0.3), layout="constrained")
        figure.suptitle(f"Clean and under attack, {split}", fontsize=10)
        parts = figure.subfigures(len(found), 1, squeeze=False)[:, 0]
        for part, (model, one) in zip(parts, found.items(), strict=True):
            part.suptitle(model, fontsize=9)
            for number, (name, title) in enumerate(titles.items()):
                metrics = one["scenarios"][name]
                axes = part.add_subplot(1, len(titles), number + 1)
                axes.set_title(f"{title}\naccuracy {metrics['accuracy']:.3f}", fontsize=8)
                _confusion(axes, metrics)
        return save(figure, folder / f"scenarios_{split}.png")


def _draw_metric(tables: Mapping[str, Mapping[str, Any]], key: str, title: str, path: Path) -> Path:
    families, others = _families(next(iter(tables.values()))["steps"])
    panels = [*families.items(), *([("others", others)] if others else [])]
    rows = math.ceil((len(panels) + (len(others) > 2)) / COLUMNS)  # the others are words, which need room
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(COLUMNS * WIDTH, rows * HEIGHT + 0.6))
        figure.suptitle(title, fontsize=10)
        figure.set_layout_engine("constrained", w_pad=0.1)
        grid = figure.add_gridspec(rows, COLUMNS)
        shared: Axes | None = None
        for number, (family, protocols) in enumerate(panels):
            row, column = divmod(number, COLUMNS)
            ends = COLUMNS if family == "others" else column + 1
            axes = shared = figure.add_subplot(grid[row, column:ends], sharey=shared)
            _draw_family(axes, tables, key, family, protocols)
            if column:
                axes.tick_params(labelleft=False)
        _legend(figure, len(tables))
        return save(figure, path)


def _draw_family(
    axes: Axes, tables: Mapping[str, Mapping[str, Any]], key: str, family: str, protocols: Sequence[str]
) -> None:
    """Draw one family over its strengths, the clean images first; of the others, each a family of its own, dots."""
    words: list[str] = []
    for number, (label, table) in enumerate(tables.items()):
        steps = [step for step in table["steps"] if step["protocol"] in protocols]
        values = [table["clean"][key], *(step[key] for step in steps)]
        positions = np.arange(len(values), dtype=float)
        if family == "others":
            words = ["clean", *(_words(step["protocol"]) for step in steps)]
            axes.plot(positions + _aside(number, len(tables)), values, label=label, **_dots(number))
        else:
            words = ["clean", *(f"{step['strength']:g}" for step in steps)]
            look = line(number) | {"marker": MARKERS[number % len(MARKERS)], "markersize": 4}
            axes.plot(positions, values, label=label, **look)
            axes.set_xlabel(steps[0]["parameter"])
    axes.axhline(0.5, color="#888888", linewidth=0.8, linestyle=(0, (1, 3)))
    axes.set_title(_words(family))
    axes.set_xticks(range(len(words)), words)
    if family == "others":
        axes.tick_params(axis="x", rotation=20)


def _families(steps: Sequence[Mapping[str, Any]]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the steps' names by family where several strengths make a curve, and the names of all others."""
    families: dict[str, list[str]] = {}
    for step in steps:
        if step["strength"] is not None:
            families.setdefault(step["family"], []).append(step["protocol"])
    families = {family: protocols for family, protocols in families.items() if len(protocols) > 1}
    drawn = {protocol for protocols in families.values() for protocol in protocols}
    return families, [step["protocol"] for step in steps if step["protocol"] not in drawn]


def _confusion(axes: Axes, metrics: Mapping[str, Any]) -> None:
    """Draw a confusion matrix from its four counts."""
    cells = (("true_negatives", "false_positives"), ("false_negatives", "true_positives"))
    counts = np.array([[metrics[cell] for cell in row] for row in cells])
    draw_counts(axes, counts)


def _dots(model: int) -> dict[str, Any]:
    colour = line(model)["color"]
    return {"color": colour, "marker": MARKERS[model % len(MARKERS)], "markersize": 5, "linestyle": ""}


def _aside(model: int, models: int) -> float:
    """Return how far from its place a model's dot stands, so that none hides another."""
    return SPREAD * ((model + 0.5) / models - 0.5)


def _words(protocol: str) -> str:
    return protocol.replace("_", " ")


def _legend(figure: Figure, models: int) -> None:
    if models > 1:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
