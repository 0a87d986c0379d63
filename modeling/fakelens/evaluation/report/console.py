"""report.json as a few tables on a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from fakelens.evaluation.analysis.summary import shortcut_gap
from fakelens.inference.thresholds import Thresholds


def print_summary(report: dict[str, Any]) -> None:
    """Print the main numbers as tables, and what was skipped.

    Args:
        report: The content of report.json.
    """
    console = Console(markup=False)  # a path may have brackets in it
    if not console.is_terminal:
        console = Console(markup=False, width=120)  # a file has room
    scores = _table(
        report["data"]["description"], "split", "view", "AUROC (95 %)", "recall", "FPR", "coverage", "gap", "images"
    )
    robust = _table("Robustness", "split", "worst step", "AUROC lost", "stability", "unstable")
    attacks = _table("Under attack", "split", "attack", "eps", "AUROC", "accuracy")
    makers = _table("Who made it", "split", "view", "right", "macro", "open-set AUROC")
    for model in report["models"]:
        name = model["name"]
        for split, views in model["results"].items():
            for view, result in views.items():
                gap = shortcut_gap(views) if view == "normalised" else None
                overall = result["overall"]
                covered = model["coverage"][split][view]["band"]["coverage"]
                verdicts = overall["verdicts"]
                numbers = _cells(verdicts["recall"], verdicts["false_positive_rate"], covered, gap)
                scores.add_row(name, split, view, _ranked(overall), *numbers, str(overall["count"]))
        for split, found in model.get("robustness", {}).items():
            steps = [step for step in found["steps"] if step["auroc_drop"] is not None]
            worst = max(steps, key=lambda step: step["auroc_drop"], default=None)
            named = (worst["protocol"], worst["auroc_drop"]) if worst else ("", None)
            stability = _cells(named[1], found["verdict_stability"], found["unstable_images"])
            robust.add_row(name, split, named[0], *stability)
        for split, methods in model.get("attacks", {}).items():
            for method, rows in methods.items():
                for row in rows:
                    attacks.add_row(name, split, method, f"{row['eps']:g}", *_cells(row["auroc"], row["accuracy"]))
        for split, views in model.get("attribution", {}).items():
            for view, found in ((view, found) for view, found in views.items() if found):
                numbers = _cells(*(found[key] for key in ("accuracy", "macro_recall", "open_set_auroc")))
                makers.add_row(name, split, view, *numbers)
    for table in (scores, robust, attacks, makers):
        if table.rows:
            console.print(table)
    for model in report["models"]:
        console.print(f"{model['name']}: {Thresholds(**model['thresholds']).in_words()}")
    console.print("recall: fakes predicted fake; FPR: real images predicted fake; accuracy: at the decision threshold")
    console.print(
        "coverage: fraction of images outside the uncertain band; gap: the shortcut gap, AUROC raw - normalised"
    )
    for model in report["models"]:
        if "attacks_skipped" in model:
            console.print(f"{model['name']} was not attacked. {model['attacks_skipped']}")
    for split, counts in report["data"]["splits"].items():
        if counts["skipped"]:
            reasons = ", ".join(f"{count} {reason}" for reason, count in counts["skipped"].items())
            console.print(f"{split}: {sum(counts['skipped'].values())} of {counts['rows']} rows skipped ({reasons})")


def _table(title: str, *columns: str) -> Table:
    """Return a table whose first column is the model."""
    table = Table(title=title)
    table.add_column("model", overflow="fold", min_width=10)
    for column in columns:
        words = column in ("split", "view", "attack", "worst step")
        table.add_column(column, justify="left" if words else "right", no_wrap=True)
    return table


def _ranked(overall: dict[str, Any]) -> str:
    """Return the AUROC with its interval, nothing where it is undefined."""
    ends = overall["intervals"]["auroc"]
    interval = f" ({ends[0]:.2f}-{ends[1]:.2f})" if ends else ""
    return "" if overall["auroc"] is None else f"{overall['auroc']:.3f}{interval}"


def _cells(*numbers: float | None) -> list[str]:
    """Return numbers with three digits, nothing for None."""
    return ["" if number is None else f"{number:.3f}" for number in numbers]
