"""Robustness as tables to read: headings and rows for Markdown, of what `robustness_table` and others return."""

from collections.abc import Mapping
from typing import Any

STEP = {
    "auroc": "AUROC",
    "auroc_drop": "lost AUROC",
    "auroc_drop_interval": "95 %",
    "accuracy": "accuracy",
    "specificity": "specificity",
    "recall": "recall",
    "flipped": "verdicts changed",
    "real_to_fake": "real to fake",
    "fake_to_real": "fake to real",
}
SCENARIO = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "auroc": "AUROC",
    "misclassified": "misclassified",
    "count": "images",
}

Table = tuple[tuple[str, ...], list[tuple[Any, ...]]]  # headings, and as many cells a row; None is undefined


def stability_rows(tables: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a row a model: how stable its verdicts are, and its worst step.

    Args:
        tables: What `robustness_table` returned, by model.
    """
    headings = (
        "model",
        "images",
        "clean AUROC",
        "mean AUROC",
        "worst AUROC",
        "worst step",
        "verdict stability",
        "unstable images",
    )
    rows = []
    for model, table in tables.items():
        aurocs = {step["protocol"]: step["auroc"] for step in table["steps"] if step["auroc"] is not None}
        worst = min(aurocs, key=lambda protocol: aurocs[protocol], default=None)
        mean = sum(aurocs.values()) / len(aurocs) if aurocs else None
        clean, lowest = table["clean"], aurocs[worst] if worst is not None else None
        stability = table["verdict_stability"], table["unstable_images"]
        rows.append((model, clean["count"], clean["auroc"], mean, lowest, worst, *stability))
    return headings, rows


def step_rows(tables: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a row a step and model, the clean images first.

    Args:
        tables: What `robustness_table` returned, by model.
    """
    rows = [
        (model, step["protocol"], *(_cell(step.get(key)) for key in STEP))
        for model, table in tables.items()
        for step in ({"protocol": "clean"} | table["clean"], *table["steps"])
    ]
    return ("model", "step", *STEP.values()), rows


def scenario_rows(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a row a scenario and model.

    Args:
        found: What `fakelens.evaluation.attacks.scenarios.scenarios` returned, by model.
    """
    rows = []
    for model, one in found.items():
        fgsm = f"FGSM, eps {one['eps']:g}, {one['fraction']:.0%} of the images"
        names = {"clean": "clean", "fgsm": fgsm, "mixed": "both together"}
        rows += [
            (model, names[name], *(metrics[key] for key in SCENARIO)) for name, metrics in one["scenarios"].items()
        ]
    return ("model", "scenario", *SCENARIO.values()), rows


def _cell(value: Any) -> Any:
    """Write an interval as one text."""
    return f"{value[0]:.3f} to {value[1]:.3f}" if isinstance(value, list) else value
