"""An ablation's results as JSON, CSV, Markdown and a plot."""

import csv
import io
from pathlib import Path
from typing import Any

from fakelens.atomic import write_file, write_json
from fakelens.evaluation.plots.curves import draw_curves
from fakelens.evaluation.report.tables import table

COLUMNS = {
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "f1": "F1",
    "recall": "recall",
    "specificity": "specificity",
}
CSV_METRICS = (*COLUMNS, "precision", "average_precision", "count")


def write_tables(report: dict[str, Any], output: Path) -> None:
    """Write ablation.json, .csv, .md and .png, each whole or not at all.

    Args:
        report: What `fakelens.evaluation.ablation.ablation.ablate` returns, finished or not.
        output: The ablation's folder.

    Raises:
        UserError: If a file cannot be written.
    """
    write_json(output / "ablation.json", report)
    write_file(output / "ablation.csv", _csv(report))
    write_file(output / "ablation.md", _page(report))
    title = f"{Path(report['recipe']).stem}, {report['evaluation']['split']}"
    draw_curves(_lines(report), title, report["key"], output / ".new.png").replace(output / "ablation.png")


def result_table(report: dict[str, Any]) -> str:
    """Return the results as one Markdown table; a value that failed has dashes.

    Args:
        report: What `fakelens.evaluation.ablation.ablation.ablate` returns.
    """
    attacks = _attacks(report)
    header = (
        report["key"],
        *COLUMNS.values(),
        *(f"{m.upper()} {e:g}: {n}" for m, e in attacks for n in ("acc.", "AUROC")),
    )
    rows = []
    for one in report["results"]:
        metrics = one.get("metrics", {})
        attacked = (_under(one, *attack).get(key) for attack in attacks for key in ("accuracy", "auroc"))
        rows.append((str(one["value"]), *(metrics.get(key) for key in COLUMNS), *attacked))
    return table(header, rows)


def _attacks(report: dict[str, Any]) -> list[tuple[str, float]]:
    """Return every attack that there are results of, but for those of strength 0."""
    found = (
        (m, row["eps"]) for one in report["results"] for m, rows in one.get("attacks", {}).items() for row in rows
    )
    return [(method, eps) for method, eps in dict.fromkeys(found) if eps > 0]


def _under(result: dict[str, Any], method: str, eps: float) -> dict[str, Any]:
    rows = result.get("attacks", {}).get(method, [])
    return next((row for row in rows if row["eps"] == eps), {})


def _lines(report: dict[str, Any]) -> dict[str, list[tuple[float | str, dict[str, Any]]]]:
    """Return what the plot shows: the clean split, and each attack."""
    done = [one for one in report["results"] if one["status"] == "done"]
    text = any(isinstance(one["value"], str) for one in done)  # then they all stand evenly
    values = [str(one["value"]) if text else one["value"] for one in done]
    lines = {"clean": [(value, one["metrics"]) for value, one in zip(values, done, strict=True)]}
    for method, eps in _attacks(report):
        points = ((value, _under(one, method, eps)) for value, one in zip(values, done, strict=True))
        lines[f"{method.upper()}, eps {eps:g}"] = [(value, row) for value, row in points if row]
    return lines


def _csv(report: dict[str, Any]) -> str:
    attacks = _attacks(report)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"{method}_{eps:g}_{key}" for method, eps in attacks for key in ("accuracy", "auroc")]
    writer.writerow(["value", "status", "folder", "training_seconds", *CSV_METRICS, *columns, "error"])
    for one in report["results"]:
        metrics = one.get("metrics", {})
        attacked = [_under(one, *attack).get(key) for attack in attacks for key in ("accuracy", "auroc")]
        cells = [one["value"], one["status"], one["folder"], one.get("training_seconds")]
        writer.writerow([*cells, *(metrics.get(key) for key in CSV_METRICS), *attacked, one.get("error")])
    return text.getvalue()


def _page(report: dict[str, Any]) -> str:
    evaluation, results = report["evaluation"], report["results"]
    images = {one["metrics"]["count"] for one in results if one["status"] == "done"}
    parts = [
        f"# `{report['key']}` of `{Path(report['recipe']).name}`",
        f"Each value trained with everything else as it is, and evaluated on {' or '.join(map(str, sorted(images)))} "
        f"images of split `{evaluation['split']}` of `{report['base'].get('data', 'sample')}` (raw view).",
        result_table(report),
        "Accuracy, F1, recall and specificity count two verdicts, at each model's decision threshold.",
        *(f"**{one['value']} failed:** {one['error']}" for one in results if one["status"] == "failed"),
        "![ablation.png](ablation.png)",
    ]
    return "\n\n".join(parts) + "\n"
