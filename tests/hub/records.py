"""Reports and run records, as evaluation and training write them."""

import json
from pathlib import Path

from fakelens.inference.detector import load_detector
from fakelens.inference.identity import identity

OPENFAKE = "ComplexDataLab/OpenFake:core"
CUSTOM_CNN = "CustomCNNForImageClassification"

AUDIT = {
    "chance": 0.0202, "advice": "Train with degradations on both classes.",
    "views": {
        "raw": {"auroc": 0.96543, "auroc_format": 0.95432, "leaks": [{"fact": "JPEG luma table", "auroc": 0.88765}]},
        "normalised": {"auroc": 0.71234, "auroc_format": 0.51234, "leaks": [{"fact": "mean red", "auroc": 0.61234}]},
    },
}  # fmt: skip

BAND = {
    "low": 0.3, "high": 0.8, "coverage": 0.71717, "error": 0.05151, "error_without_band": 0.15151,
    "false_positive_rate": 0.03131, "miss_rate": 0.04141,
}  # fmt: skip
ROBUSTNESS = {
    "clean": {"count": 400, "auroc": 0.91919, "accuracy": 0.81818},
    "verdict_stability": 0.87878,
    "unstable_images": 0.34343,
    "steps": [
        {"protocol": "jpeg 50", "auroc": 0.85858, "auroc_drop": 0.06061, "accuracy": 0.77777, "flipped": 0.1212}
    ],
}


VERDICTS = {
    "real": {"real": 900, "uncertain": 181, "fake": 19}, "fake": {"real": 62, "uncertain": 565, "fake": 373},
    "recall": 0.37373, "false_positive_rate": 0.01717, "miss_rate": 0.06262,
    "intervals": {"recall": [0.34343, 0.40404], "false_positive_rate": [0.01111, 0.02727], "miss_rate": None},
}  # fmt: skip


def numbers(auroc=0.912345678, **changes):
    """Metrics of a view; every value differs, so that a swapped column is seen."""
    return {
        "count": 2100, "real": 1100, "fake": 1000, "accuracy": 0.81111, "precision": 0.72222, "recall": 0.93333,
        "f1": 0.74444, "specificity": 0.65555, "auroc": auroc, "average_precision": 0.86666, "tpr_at_5_fpr": 0.27777,
        "tpr_at_1_fpr": 0.08888, "ece": 0.18888, "brier": 0.19999, "true_negatives": 1061, "false_positives": 39,
        "false_negatives": 67, "true_positives": 933, "misclassified": 106,
        "intervals": {"auroc": None if auroc is None else [auroc - 0.01, auroc + 0.02]}, "verdicts": VERDICTS,
    } | changes  # fmt: skip


def view(auroc=0.912345678, **changes):
    generators = {
        "sd-3.5": numbers(0.51111, fake=600, recall=0.41111, verdicts=VERDICTS | {"recall": 0.31313}),
        "flux|dev": numbers(None, fake=400),
    }
    return {"overall": numbers(auroc, **changes), "per_generator": generators, "per_source": {}}


def write_report(folder: Path, model: Path, **changes) -> Path:
    """Write a report about one model; `changes` replace its top-level entries."""
    (folder / "plots").mkdir(parents=True)
    (folder / "plots" / "roc_test_raw.png").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    report = {
        "schema_version": 4,
        "created": "2026-05-01T12:00:00+00:00",
        "fakelens_version": "0.0.9",
        "environment": {"python": "3.11.0", "torch": "2.15.0", "device": "cpu"},
        "data": {
            "source": OPENFAKE,
            "description": "Hub data set ComplexDataLab/OpenFake",
            "splits": {"test": {"rows": 2101, "scored": 2100, "skipped": {"damaged image": 1}}},
            "audit": {"test": AUDIT, "wild": {"not_audited": "only fakes (3 read)"}},
        },
        "models": [entry(model)],
        "plots": ["plots/roc_test_raw.png"],
    }
    (folder / "report.json").write_text(json.dumps(report | changes))
    return folder


def entry(model: Path, **changes):
    """A report's entry for a model, be it there or not."""
    return {
        "name": model.name,
        "path": str(model),
        "architecture": CUSTOM_CNN,
        "parameters": 12345,
        "weights_sha256": identity(load_detector(model, "cpu"))["weights"] if model.is_dir() else "0" * 64,
        "thresholds": {"real_below": 0.5, "fake_from": 0.5, "decision": 0.5, "max_fpr": None},
        "decision_threshold": 0.5,
        "images_per_second": 55.5,
        "temperature": 1.75,
        "unseen_generators": ["SD 3.5"],
        "results": {"test": {"raw": view(), "normalised": view(0.612345678)}},
        "coverage": {"test": {name: {"band": BAND} for name in ("raw", "normalised")}},
        "reliability": {
            "test": {name: {"before": {"ece": 0.28281}, "after": {"ece": 0.18181}} for name in ("raw", "normalised")}
        },
    } | changes


def write_run(model: Path, source: str, **changes) -> None:
    """Write the record that training leaves in a model's folder."""
    run = {
        "name": "custom_cnn",
        "recipe": {"architecture": "custom_cnn", "data": source, "learning_rate": 0.001},
        "started": "2026-04-30T12:00:00+00:00",
        "duration_s": 61.5,
        "environment": {"python": "3.11.0", "torch": "2.15.0", "device": "NVIDIA H200", "cuda": None},
        "data": {"source": source, "description": "what it is", "skipped": {"empty file": 2}},
        "seed": 42,
        "license": "apache-2.0",
        "parameters": 12345,
        "steps": 1234,
        "phases": [{"name": "all"}],
        "validation": {"accuracy": 0.75},
        "notes": [],
    }
    (model / "run.json").write_text(json.dumps(run | changes))
