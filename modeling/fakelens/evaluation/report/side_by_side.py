"""report.json as one table of several detectors, a column each: the report's numbers on another page.

On the terminal, where a page's width ends, the columns go on in a second table below.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fakelens.atomic import write_file
from fakelens.errors import UserError
from fakelens.evaluation.analysis.verdicts import at
from fakelens.evaluation.report.tables import table
from fakelens.inference.thresholds import Thresholds

PAGE = "compare.md"
DASH = "–"
WIDTH = 100  # characters, where nobody looks on
FIRST_COLUMN, COLUMN = 26, 23  # characters at most, borders with them
NOTES = (
    "Intervals are 95 %. Macro is the mean AUROC over generators, each against all real images. Recall at 5 % and "
    "1 % is at the threshold from which so many of these real images are predicted fake. Recall and false "
    "positives count each detector's own verdicts, which may be uncertain; accuracy counts two, divided at its "
    "decision threshold. Images/s counts every view, with reading and decoding, in this run: they compare with "
    "each other alone. Stability is the fraction of verdicts that JPEG, resizing, blur, noise and their like "
    "leave as they were. The difference is AUROC less that of the first detector, with DeLong's p, adjusted by "
    "Holm's method for all pairs, splits and views of the run."
)


def side_by_side(report: dict[str, Any], split: str, cameras: Sequence[str] = ()) -> tuple[list[str], list[list[str]]]:
    """Return the table of one split: a header, and a row for each measure with a cell for each detector.

    Args:
        report: The content of report.json.
        split: Whose numbers.
        cameras: Collections (the data's `source`) of photographs straight from cameras, for their false positives.

    Raises:
        UserError: If the data has no such collection.
    """
    models = report["models"]
    views = list(models[0]["results"][split])
    first = views[0]
    of_sources = models[0]["results"][split][first]["per_source"]
    if missing := [name for name in cameras if name not in of_sources]:
        raise UserError(
            f"--cameras names {missing[0]}, which is no collection of split {split!r}. There are: "
            f"{', '.join(of_sources) or 'none'}."
        )

    def row(name: str, cell: Any) -> list[str]:
        return [name, *(cell(model) for model in models)]

    def result(model: dict[str, Any], view: str = first) -> dict[str, Any]:
        return model["results"][split][view]

    def overall(model: dict[str, Any]) -> dict[str, Any]:
        return result(model)["overall"]

    rows = [
        row("parameters", lambda m: _parameters(m["parameters"])),
        row("input, pixels", lambda m: " x ".join(map(str, m["input_size"])) if m["input_size"] else DASH),
        row("images/s", lambda m: f"{m['images_per_second']:.1f}"),
    ]
    for view in views:
        rows.append(row(f"AUROC, {view}", lambda m, view=view: _ranked(result(m, view)["overall"])))
    rows += [
        row("macro over generators", lambda m: _number(result(m)["macro_auroc_over_generators"])),
        row("worst generator", lambda m: _worst(result(m)["worst_generator"])),
        row("recall at 5 % FPR", lambda m: _number(overall(m)["tpr_at_5_fpr"])),
        row("recall at 1 % FPR", lambda m: _number(overall(m)["tpr_at_1_fpr"])),
        row("verdict", lambda m: Thresholds(**m["thresholds"]).in_words()),
        row("recall", lambda m: _number(overall(m)["verdicts"]["recall"])),
        row("false positives", lambda m: _alarms([overall(m)])),
    ]
    if cameras:
        rows.append(row("... of cameras", lambda m: _alarms([result(m)["per_source"][name] for name in cameras])))
    rows += [
        row("accuracy, two verdicts", lambda m: f"{_number(overall(m)['accuracy'])} {at(m['decision_threshold'])}"),
        row("ECE", lambda m: _number(overall(m)["ece"])),
        row("verdict stability", lambda m: _number(m.get("robustness", {}).get(split, {}).get("verdict_stability"))),
        row("AUROC less the first's", lambda m: _difference(report, split, first, models[0]["name"], m["name"])),
    ]
    return ["", *(model["name"] for model in models)], rows


def print_side_by_side(report: dict[str, Any], cameras: Sequence[str] = ()) -> None:
    """Print the table of every split on the terminal, as many detectors beside each other as fit.

    Args:
        report: The content of report.json.
        cameras: As of `side_by_side`.
    """
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, width=WIDTH)
    beside = max(1, (console.width - FIRST_COLUMN) // COLUMN)
    for split in report["data"]["splits"]:
        header, rows = side_by_side(report, split, cameras)
        console.print(f"{report['data']['description']}: {split}, {_images(report, split)}")
        for start in range(1, len(header), beside):
            part = slice(start, start + beside)
            shown = Table()
            for name in (header[0], *header[part]):
                shown.add_column(name, overflow="fold", justify="right" if name else "left")
            for row in rows:
                shown.add_row(row[0], *row[part])
            console.print(shown)
    console.print("\n".join(notes(report)))


def write_side_by_side(report: dict[str, Any], folder: Path, cameras: Sequence[str] = ()) -> Path:
    """Write the table of every split as Markdown beside the report.

    Args:
        report: The content of report.json.
        folder: The report's.
        cameras: As of `side_by_side`.

    Returns:
        The page.
    """
    lines = [f"# {report['data']['description']}", "", f"`{report['data']['source']}`, {report['created']}"]
    for split in report["data"]["splits"]:
        header, rows = side_by_side(report, split, cameras)
        lines += ["", f"## {split}, {_images(report, split)}", "", table(header, rows)]
    write_file(folder / PAGE, "\n".join([*lines, "", *notes(report), ""]))
    return folder / PAGE


def notes(report: dict[str, Any]) -> list[str]:
    """Return what stands below a table, as lines of Markdown: how to read it, and what classes were taken for.

    Args:
        report: The content of report.json.
    """
    labels = [f"* {m['name']}: {', '.join(f'`{k}` is {v}' for k, v in m['labels'].items())}" for m in report["models"]]
    return [NOTES, "", "What the detectors' classes were taken for:", "", *labels]


def _images(report: dict[str, Any], split: str) -> str:
    return f"{report['data']['splits'][split]['scored']} images"


def _parameters(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count / 1e3:.1f} k"


def _number(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}"


def _ranked(overall: dict[str, Any]) -> str:
    if overall["auroc"] is None:
        return DASH
    ends = overall["intervals"]["auroc"]
    return f"{overall['auroc']:.3f}" + ("" if ends is None else f" ({ends[0]:.3f}–{ends[1]:.3f})")


def _worst(worst: dict[str, Any] | None) -> str:
    return DASH if worst is None else f"{worst['name']} {worst['auroc']:.3f}"


def _alarms(groups: Sequence[dict[str, Any]]) -> str:
    real = sum(group["real"] for group in groups)
    wrong = sum(group["verdicts"]["real"]["fake"] for group in groups)
    return f"{wrong / real:.3f} ({wrong} of {real})" if real else DASH


def _difference(report: dict[str, Any], split: str, view: str, first: str, name: str) -> str:
    for row in report["comparison"]:
        if (row["split"], row["view"], row["model_a"], row["model_b"]) == (split, view, first, name):
            if row["difference"] is None:
                return DASH
            p = row["p_adjusted"]
            return f"{-row['difference']:+.3f}" + (
                "" if p is None else f" (p {p:.3f})" if p >= 0.001 else " (p < 0.001)"
            )
    return DASH
