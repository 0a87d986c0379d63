"""Results on collections left out, as JSON and Markdown."""

from pathlib import Path
from typing import Any

import numpy as np

from fakelens.atomic import write_file, write_json
from fakelens.evaluation.report.tables import table


def write_left_out(report: dict[str, Any], output: Path) -> None:
    """Write left_out.json and left_out.md, each atomically.

    Args:
        report: What `fakelens.evaluation.ablation.leave_groups_out.leave_groups_out` returns, finished or not.
        output: The folder.

    Raises:
        UserError: If a file cannot be written.
    """
    page = [
        "# On collections left out",
        f"Each recipe trained on `{report['data']}` without each group in turn, and scored on what that training left "
        "out (images as they are). Cells are AUROC of a collection's fakes against a collection of real images.",
        left_out_page(report),
    ]
    write_json(output / "left_out.json", report)
    write_file(output / "left_out.md", "\n\n".join(page) + "\n")


def left_out_page(report: dict[str, Any]) -> str:
    """Return every table as Markdown: by collection, real images predicted fake, and what each recipe comes to.

    Args:
        report: What `fakelens.evaluation.ablation.leave_groups_out.leave_groups_out` returns.
    """
    parts = []
    recipes = [row["recipe"] for row in report["summary"]]
    for recipe in recipes:
        done = [one for one in report["results"] if one["recipe"] == recipe and "error" not in one]
        failed = [one for one in report["results"] if one["recipe"] == recipe and "error" in one]
        parts += [f"## `{Path(recipe).stem}`"] if len(recipes) > 1 else []
        parts += [_auroc_table(done), _false_positives(done)] if done else []
        notes = [f"* without {' '.join(one['group'])}: {note}" for one in done for note in one["notes"]]
        notes += [f"* **without {' '.join(one['group'])} failed:** {one['error']}" for one in failed]
        parts += ["\n".join(notes)] if notes else []
    parts.append(_summary(report))
    if len(recipes) > 1 and report["chosen"]:
        parts.append(f"Chosen, by the macro AUROC over what was left out: **{Path(report['chosen']).stem}**.")
    return "\n\n".join(parts)


def _auroc_table(done: list[dict[str, Any]]) -> str:
    kinds = list(dict.fromkeys(real for one in done for values in one["pairs"].values() for real in values))
    rows = [
        (fake, one["images"][fake], *(values.get(real) for real in kinds), float(np.mean(list(values.values()))))
        for one in done
        for fake, values in one["pairs"].items()
    ]
    return table(("fakes left out", "images", *(f"against {real}" for real in kinds), "mean"), rows)


def _false_positives(done: list[dict[str, Any]]) -> str:
    counts: dict[str, list[int]] = {}
    for one in done:
        for real, count in one["predicted_fake"].items():
            known = counts.setdefault(real, [0, 0])
            known[0] += one["images"][real]
            known[1] += count
    rows = [(real, images, count, count / images) for real, (images, count) in counts.items()]
    return table(("real images", "images", "predicted fake at .5", "false-positive rate"), rows)


def _summary(report: dict[str, Any]) -> str:
    header = ("recipe", "macro AUROC", "worst", "worst collection", "real images predicted fake", "trainings")
    rows = [
        (
            Path(row["recipe"]).stem, row["macro"], row["worst"], row["worst_name"], row["predicted_fake"],
            f"{row['trainings'] - row['failed']} of {len(report['groups'])}",
        )
        for row in report["summary"]
    ]  # fmt: skip
    return table(header, rows)
