"""What an evaluation found -> the content of report.json."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import torch
import transformers

import fakelens
from fakelens.data.sources.opening import Source
from fakelens.evaluation.analysis.attribution import UNKNOWN_BELOW, attribute
from fakelens.evaluation.analysis.comparison import compare
from fakelens.evaluation.analysis.coverage import coverage
from fakelens.evaluation.analysis.reliability import before_and_after
from fakelens.evaluation.analysis.summary import summarise
from fakelens.evaluation.attacks.attack_panels import AttackPanel
from fakelens.evaluation.plots.curve_data import curve_data
from fakelens.evaluation.report.gallery import Exhibit
from fakelens.evaluation.scoring.predict import Predictions
from fakelens.inference.thresholds import Thresholds

SCHEMA_VERSION = 4  # of report.json; raise it when a reader of the old one would misread the new one
CONTROLS = Thresholds(0.5, 0.5)  # where controls, which have no other scores than 0 and 1, change their verdict


@dataclass(frozen=True)
class EvaluatedModel:
    """One model and all that was found of it. What was not asked for, or cannot be done to it, is empty.

    Attributes:
        name: What the report calls it; no two models of a report share one.
        path: Folder or Hub repo, as it was given.
        architecture: Its class.
        parameters: Their number.
        weights: The SHA-256 of its weights.
        thresholds: Where its verdict changes.
        temperature: What its logits are divided by.
        device: What it ran on.
        input_size: Height and width in pixels of what its network takes; None if it takes several.
        labels: Its own classes, and what each was taken for: "real", "fake" or "skip".
        unseen: Generators that it is known to have been trained without; None if its record does not say.
        predictions: One for each split, in one order for all models.
        attacks: What `attack_table` returned, by split and method.
        panels: What `attack_panel` returned, likewise.
        attacks_skipped: Why it was not attacked, "" if it was or nobody asked.
        scenarios: What `scenarios` returned, by split.
        robustness: What `robustness_table` returned, by split.
        gallery: The images it was surest of, by split.
    """

    name: str
    path: str
    architecture: str
    parameters: int
    weights: str
    thresholds: Thresholds
    temperature: float
    device: str
    predictions: tuple[Predictions, ...]
    unseen: tuple[str, ...] | None = None
    input_size: tuple[int, int] | None = None
    labels: dict[str, str] = field(default_factory=dict)
    attacks: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)
    panels: dict[str, dict[str, AttackPanel]] = field(default_factory=dict)
    attacks_skipped: str = ""
    scenarios: dict[str, dict[str, Any]] = field(default_factory=dict)
    robustness: dict[str, dict[str, Any]] = field(default_factory=dict)
    gallery: dict[str, list[Exhibit]] = field(default_factory=dict)

    @property
    def images_per_second(self) -> float:
        """Images scored per second, each view of an image being one, with reading and decoding."""
        images = sum(len(p.ids) * len(p.scores) for p in self.predictions)
        return images / sum(p.seconds for p in self.predictions)


@dataclass(frozen=True)
class Evaluation:
    """All that a report is made from.

    Attributes:
        sources: The splits, as they were opened.
        models: The models' predictions on these splits.
        controls: What looks at no image says of them, by split.
        audits: What `audit_source` returned by split, or `{"not_audited": reason}`; empty if no audit was asked for.
        unknown_below: The fraction of P(fake) that the likeliest generator must have to be named.
    """

    sources: Sequence[Source]
    models: Sequence[EvaluatedModel]
    controls: dict[str, list[Predictions]] = field(default_factory=dict)
    audits: dict[str, dict[str, Any]] = field(default_factory=dict)
    unknown_below: float = UNKNOWN_BELOW


def build_report(evaluation: Evaluation) -> dict[str, Any]:
    """Compute the content of report.json, but for its plots and its gallery.

    Args:
        evaluation: What was found.

    Raises:
        UserError: If a score is not a number.
    """
    source, models = evaluation.sources[0], evaluation.models
    return {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "fakelens_version": fakelens.__version__,
        "environment": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
            "platform": platform.platform(),
            "device": models[0].device,
        },
        "data": {
            "source": source.spec,
            "revision": source.revision,
            "description": source.description,
            "read_as": source.said,
            "splits": {
                p.split: {"rows": p.rows, "scored": len(p.ids), "skipped": p.skipped} for p in models[0].predictions
            },
            "audit": evaluation.audits,
        },
        "controls": {
            split: {control.model: summarise(control, CONTROLS) for control in controls}
            for split, controls in evaluation.controls.items()
        },
        "models": [_model(model, evaluation.unknown_below) for model in models],
        "comparison": compare(
            {m.name: m.predictions for m in models}, {m.name: m.thresholds.decision for m in models}
        ),
        "plots": [],
    }


def _model(model: EvaluatedModel, unknown_below: float) -> dict[str, Any]:
    decision, band = model.thresholds.decision, (model.thresholds.real_below, model.thresholds.fake_from)
    entry: dict[str, Any] = {
        "name": model.name,
        "path": model.path,
        "architecture": model.architecture,
        "parameters": model.parameters,
        "weights_sha256": model.weights,
        "thresholds": asdict(model.thresholds),
        "decision_threshold": model.thresholds.decision,
        "uncertain_band": [model.thresholds.real_below, model.thresholds.fake_from],
        "temperature": model.temperature,
        "labels": model.labels,
        "input_size": None if model.input_size is None else list(model.input_size),
        "unseen_generators": None if model.unseen is None else list(model.unseen),
        "images_per_second": model.images_per_second,
        "results": {p.split: summarise(p, model.thresholds) for p in model.predictions},
        "points": {p.split: {v: curve_data(s, p.labels) for v, s in p.scores.items()} for p in model.predictions},
        "coverage": {p.split: coverage(p, decision, band) for p in model.predictions},
        "reliability": {p.split: before_and_after(p, model.temperature) for p in model.predictions},
    }
    if any(p.classes for p in model.predictions):
        entry["attribution"] = {
            p.split: {view: attribute(p, view, decision, unknown_below) for view in p.scores}
            for p in model.predictions
        }
    panels = {split: {m: one.samples for m, one in methods.items()} for split, methods in model.panels.items()}
    further = {
        "attacks": model.attacks,
        "panels": panels,
        "attacks_skipped": model.attacks_skipped,
        "scenarios": model.scenarios,
        "robustness": model.robustness,
    }
    return entry | {key: value for key, value in further.items() if value}
