"""The report's folder: its JSON, its page, every score, plots and gallery, put in place whole or not at all."""

import csv
import json
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

import fakelens
from fakelens.data.labels import ID2LABEL
from fakelens.data.sources import Source
from fakelens.errors import UserError
from fakelens.evaluation.attribution import UNKNOWN_BELOW, attribute, name_generators
from fakelens.evaluation.curves import draw_attacks
from fakelens.evaluation.gallery import Exhibit, write_gallery
from fakelens.evaluation.markdown import render_markdown
from fakelens.evaluation.plots import draw_attributions, draw_split
from fakelens.evaluation.predict import Predictions
from fakelens.evaluation.summary import summarise

SCHEMA_VERSION = 2  # of report.json; raise it when a reader of the old one would misread the new one
CONTENTS = frozenset({"report.json", "report.md", "predictions.csv", "plots", "gallery"})
CONTROL_THRESHOLD = 0.5


@dataclass(frozen=True)
class Judged:
    """One model and all that it said.

    Attributes:
        name: What the report calls it; no two models of a report share one.
        path: Folder or Hub repo, as it was given.
        architecture: Its class.
        parameters: Their number.
        threshold: P(fake) from which its verdict is "fake".
        device: What it ran on.
        predictions: One for each split, in one order for all models.
        attacks: What `attack_table` returned, by split and method; empty if no attack was asked for.
        attacks_skipped: Why it was not attacked, "" if it was or nobody asked.
        gallery: The images it was surest of, by split.
    """

    name: str
    path: str
    architecture: str
    parameters: int
    threshold: float
    device: str
    predictions: tuple[Predictions, ...]
    attacks: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)
    attacks_skipped: str = ""
    gallery: dict[str, list[Exhibit]] = field(default_factory=dict)

    @property
    def images_per_second(self) -> float:
        """Pictures scored per second, each view of an image being one, with reading and decoding."""
        pictures = sum(len(p.ids) * len(p.scores) for p in self.predictions)
        return pictures / sum(p.seconds for p in self.predictions)


@dataclass(frozen=True)
class Evaluation:
    """All that a report is made from.

    Attributes:
        sources: The splits, as they were opened.
        judged: The models' predictions on these splits.
        controls: What looks at no picture says of them, by split.
        audits: What `audit_source` returned by split, or `{"not_audited": reason}`; empty if no audit was asked for.
        unknown_below: The share of P(fake) that the likeliest generator must have to be named.
    """

    sources: Sequence[Source]
    judged: Sequence[Judged]
    controls: dict[str, list[Predictions]] = field(default_factory=dict)
    audits: dict[str, dict[str, Any]] = field(default_factory=dict)
    unknown_below: float = UNKNOWN_BELOW


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
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as work:
            new, old = Path(work) / "new", Path(work) / "old"
            new.mkdir()
            report["plots"] = [p.relative_to(new).as_posix() for p in _draw(report, evaluation.judged, new / "plots")]
            _show(report, evaluation.judged, new)
            _write_predictions(new / "predictions.csv", evaluation.judged, evaluation.unknown_below)
            (new / "report.md").write_text(render_markdown(report), encoding="utf-8")
            (new / "report.json").write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
            if output.exists():
                output.rename(old)
            try:
                new.rename(output)
            except OSError:
                if old.exists():
                    old.rename(output)
                raise
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


def build_report(evaluation: Evaluation) -> dict[str, Any]:
    """Compute the content of report.json, but for its plots and its gallery.

    Args:
        evaluation: What was found.

    Raises:
        UserError: If a score is not a number.
    """
    source, first = evaluation.sources[0], evaluation.judged[0]
    return {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "fakelens_version": fakelens.__version__,
        "environment": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
            "platform": platform.platform(),
            "device": first.device,
        },
        "data": {
            "source": source.spec,
            "revision": source.revision,
            "description": source.description,
            "splits": {
                p.split: {"rows": p.rows, "judged": len(p.ids), "skipped": p.skipped} for p in first.predictions
            },
            "audit": evaluation.audits,
        },
        "controls": {
            split: {control.model: summarise(control, CONTROL_THRESHOLD) for control in controls}
            for split, controls in evaluation.controls.items()
        },
        "models": [_model(model, evaluation.unknown_below) for model in evaluation.judged],
        "plots": [],
    }


def _model(model: Judged, unknown_below: float) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": model.name,
        "path": model.path,
        "architecture": model.architecture,
        "parameters": model.parameters,
        "decision_threshold": model.threshold,
        "images_per_second": model.images_per_second,
        "results": {p.split: summarise(p, model.threshold) for p in model.predictions},
    }
    if any(p.classes for p in model.predictions):
        entry["attribution"] = {
            p.split: {view: attribute(p, view, model.threshold, unknown_below) for view in p.scores}
            for p in model.predictions
        }
    if model.attacks:
        entry["attacks"] = model.attacks
    if model.attacks_skipped:
        entry["attacks_skipped"] = model.attacks_skipped
    return entry


def _show(report: dict[str, Any], judged: Sequence[Judged], folder: Path) -> None:
    """Write the galleries and put what they show into the report."""
    if shown := {model.name: model.gallery for model in judged if model.gallery}:
        said = write_gallery(folder, shown)
        for entry in report["models"]:
            entry["gallery"] = said.get(entry["name"], {})


def _draw(report: dict[str, Any], judged: Sequence[Judged], folder: Path) -> list[Path]:
    paths = []
    thresholds = [model.threshold for model in judged]
    for number, one in enumerate(judged[0].predictions):
        predictions = [model.predictions[number] for model in judged]
        for view in one.scores:
            results = [model["results"][one.split][view] for model in report["models"]]
            paths += draw_split(predictions, results, thresholds, view, folder)
            attributed = {m["name"]: m["attribution"][one.split][view] for m in report["models"] if "attribution" in m}
            if named := {name: found for name, found in attributed.items() if found}:
                paths.append(draw_attributions(named, one.split, view, folder))
        if attacked := {model.name: model.attacks[one.split] for model in judged if model.attacks}:
            paths.append(draw_attacks(attacked, one.split, folder))
    return paths


def _write_predictions(path: Path, judged: Sequence[Judged], unknown_below: float) -> None:
    """Write a row an image and model; where a model names generators, its answer on the first view too."""
    views = list(judged[0].predictions[0].scores)
    attributing = any(p.classes for model in judged for p in model.predictions)
    columns = ["id", "label", "generator", "source", "split", "model", *(f"score_{v}" for v in views)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*columns, "generator_predicted"] if attributing else columns)
        for threshold, p in ((model.threshold, p) for model in judged for p in model.predictions):
            answers = np.full(len(p.ids), "")
            if p.classes:
                answers = name_generators(p.probabilities[views[0]], p.classes, threshold, unknown_below)
            scores = zip(*(p.scores[view] for view in views), strict=True)
            for row_id, label, generator, source, row, answer in zip(
                p.ids, p.labels, p.generators, p.sources, scores, answers, strict=True
            ):
                # NumPy's text gives back the very number, in as few digits as that takes.
                cells = [row_id, ID2LABEL[int(label)], generator, source, p.split, p.model, *map(str, row)]
                writer.writerow([*cells, answer] if attributing else cells)
