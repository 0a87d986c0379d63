"""The report's folder: its JSON, its page, every score, plots and gallery, put in place whole or not at all."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fakelens.atomic import atomic_directory
from fakelens.data.sources.labels import ID2LABEL
from fakelens.errors import UserError
from fakelens.evaluation.analysis.attribution import name_generators
from fakelens.evaluation.analysis.comparison import draw_comparison
from fakelens.evaluation.analysis.coverage import draw_coverage
from fakelens.evaluation.analysis.reliability import draw_reliability
from fakelens.evaluation.attacks.attack_panels import draw_panels
from fakelens.evaluation.plots.curves import draw_attacks
from fakelens.evaluation.plots.plots import draw_attributions, draw_split
from fakelens.evaluation.plots.robustness import draw_changes, draw_robustness, draw_scenarios
from fakelens.evaluation.report.gallery import write_gallery
from fakelens.evaluation.report.markdown import render_markdown
from fakelens.evaluation.report.report import EvaluatedModel, Evaluation, build_report

CONTENTS = frozenset({"report.json", "report.md", "predictions.csv", "plots", "gallery", "compare.md"})


def write_report(output: Path, evaluation: Evaluation) -> dict[str, Any]:
    """Compute the numbers, draw the plots and put the report in place of the one that is there.

    Args:
        output: The report's folder. What it holds stays as it is until the new report is complete.
        evaluation: What was found.

    Returns:
        The content of report.json.

    Raises:
        UserError: If a score is not a number, the folder holds other files, or it cannot be written.
    """
    check_output(output)
    report = build_report(evaluation)
    try:
        with atomic_directory(output) as new:
            report["plots"] = [p.relative_to(new).as_posix() for p in _draw(report, evaluation.models, new / "plots")]
            _show(report, evaluation.models, new)
            _write_predictions(new / "predictions.csv", evaluation.models, evaluation.unknown_below)
            (new / "report.md").write_text(render_markdown(report), encoding="utf-8")
            (new / "report.json").write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"The report could not be written to {output}: {error.strerror or error}. What was there is unchanged. "
            "Free some space or name another folder with --output."
        ) from error
    return report


def check_output(output: Path) -> None:
    """Refuse to put a report in place of anything but a report; worth knowing before the work begins.

    Args:
        output: The report's folder.

    Raises:
        UserError: If it is a file, or holds other files than a report's.
    """
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is a file. Name a folder for the report with --output.")
    foreign = sorted(path.name for path in output.iterdir() if path.name not in CONTENTS) if output.exists() else []
    if foreign:
        raise UserError(
            f"{output} holds other files than a report's ({', '.join(foreign[:3])}), and a report replaces all. "
            "Name a new one with --output."
        )


def _draw(report: dict[str, Any], evaluated: Sequence[EvaluatedModel], folder: Path) -> list[Path]:
    paths = []
    for number, split in enumerate(report["data"]["splits"]):
        for view in evaluated[0].predictions[number].scores:
            paths += _draw_view(report, evaluated, number, view, folder)
        if attacked := {model.name: model.attacks[split] for model in evaluated if model.attacks}:
            paths.append(draw_attacks(attacked, split, folder))
        if panels := {model.name: model.panels[split] for model in evaluated if model.panels}:
            paths += draw_panels(panels, split, folder)
        if scenarios := {model.name: model.scenarios[split] for model in evaluated if model.scenarios}:
            paths.append(draw_scenarios(scenarios, split, folder))
        if robustness := {model.name: model.robustness[split] for model in evaluated if model.robustness}:
            paths += [*draw_robustness(robustness, split, folder), draw_changes(robustness, split, folder)]
        if compared := draw_comparison(report["comparison"], split, folder):
            paths.append(compared)
    return paths


def _draw_view(
    report: dict[str, Any], evaluated: Sequence[EvaluatedModel], number: int, view: str, folder: Path
) -> list[Path]:
    predictions = [model.predictions[number] for model in evaluated]
    split, models = predictions[0].split, report["models"]
    paths = draw_split(
        predictions, [m["results"][split][view] for m in models], [m.thresholds for m in evaluated], view, folder
    )
    calibrated = {m["name"]: m["reliability"][split][view] for m in models}
    title = f"Reliability, {split}, {view} view"
    paths.append(draw_reliability(calibrated, title, folder / f"reliability_{split}_{view}.png"))
    paths.append(draw_coverage({m["name"]: m["coverage"][split][view] for m in models}, split, view, folder))
    attributed = {m["name"]: m["attribution"][split][view] for m in models if "attribution" in m}
    if named := {name: found for name, found in attributed.items() if found}:
        paths.append(draw_attributions(named, split, view, folder))
    return paths


def _show(report: dict[str, Any], evaluated: Sequence[EvaluatedModel], folder: Path) -> None:
    """Write the galleries and put what they show into the report."""
    if shown := {model.name: model.gallery for model in evaluated if model.gallery}:
        said = write_gallery(folder, shown)
        for entry in report["models"]:
            entry["gallery"] = said.get(entry["name"], {})


def _write_predictions(path: Path, evaluated: Sequence[EvaluatedModel], unknown_below: float) -> None:
    """Write a row an image and model; where a model names generators, its answer on the first view too."""
    views = list(evaluated[0].predictions[0].scores)
    attributing = any(p.classes for model in evaluated for p in model.predictions)
    columns = ["id", "label", "generator", "source", "split", "model"]
    columns += [f"{kind}_{view}" for kind in ("score", "verdict") for view in views]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*columns, "generator_predicted"] if attributing else columns)
        for limits, p in ((model.thresholds, p) for model in evaluated for p in model.predictions):
            answers = np.full(len(p.ids), "")
            if p.classes:
                answers = name_generators(p.probabilities[views[0]], p.classes, limits.decision, unknown_below)
            scores = zip(*(p.scores[view] for view in views), strict=True)
            for row_id, label, generator, source, row, answer in zip(
                p.ids, p.labels, p.generators, p.sources, scores, answers, strict=True
            ):
                # NumPy's text gives back the very number, in as few digits as that takes.
                cells = [row_id, ID2LABEL[int(label)], generator, source, p.split, p.model, *map(str, row)]
                cells += map(limits.verdict, row)
                writer.writerow([*cells, answer] if attributing else cells)
