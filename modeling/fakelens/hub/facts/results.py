"""A report's numbers in the two forms that the Hub reads: `model-index` in the card, and `.eval_results/*.yaml`.

`.eval_results` is the newer form and belongs to a benchmark: it can only name a data set on the Hub, so an evaluation
on local data has none. One file a split and view, because a file is one leaderboard entry.
https://huggingface.co/docs/hub/eval-results
"""

import re

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, eval_result_entries_to_yaml

from fakelens.hub.facts.report import METRICS, Report

FOLDER = ".eval_results"
PREFIX = f"{FOLDER}/fakelens-"  # results that others submitted to the repo are not ours to replace
HEADLINE = "auroc"  # the one number of a leaderboard entry, because it depends on no threshold
DIGITS = 6  # of a stored value; what lies behind them is noise
# Names under which the Hub knows the metrics. The rest stays in the card's tables.
HUB_METRICS = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "f1", "auroc": "roc_auc"}


def eval_results(report: Report) -> list[EvalResult]:
    """Return the overall numbers as `model-index` entries; undefined ones are left out."""
    return [
        EvalResult(
            task_type="image-classification",
            task_name="Detection of AI-generated images",
            dataset_type=report.origin.hub_id or report.origin.public,
            dataset_name=report.description,
            dataset_config=report.origin.config or None,
            dataset_split=split,
            dataset_revision=report.origin.revision or None,
            metric_type=HUB_METRICS[key],
            metric_name=f"{report.title(key)}, {view} view",
            metric_value=round(value, DIGITS),
        )
        for split, views in report.results.items()
        for view, result in views.items()
        for key in HUB_METRICS
        if (value := result.overall[key]) is not None
    ]


def eval_result_files(report: Report) -> dict[str, bytes]:
    """Return the `.eval_results` files by their path in the repo; none for data that is not on the Hub."""
    if not report.origin.hub_id:
        return {}
    files = {}
    for split, views in report.results.items():
        for view, result in views.items():
            value = result.overall[HEADLINE]
            if value is None:
                continue
            entry = EvalResultEntry(
                dataset_id=report.origin.hub_id,
                task_id=report.origin.config or "default",
                dataset_revision=report.origin.revision or None,
                value=round(value, DIGITS),
                date=report.created,
                notes=f"{METRICS[HEADLINE]} of fake against real, split {split}, {view} view",
            )
            name = "-".join(p for p in (report.origin.hub_id, report.origin.config, split, view) if p)
            text = yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True)
            files[f"{PREFIX}{re.sub(r'[^A-Za-z0-9_.]+', '-', name).lower()}.yaml"] = text.encode()
    return files
