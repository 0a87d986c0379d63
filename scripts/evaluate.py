r"""Evaluate detectors: numbers, plots and every score, as a report.

    python scripts/evaluate.py --model runs/custom_cnn/model --data path/to/folder --output runs/custom_cnn/report
    python scripts/evaluate.py --model USER/NAME runs/custom_cnn/model --data ComplexDataLab/OpenFake:core \
        --split validation test --views raw normalised hard --limit 2000 --output runs/compared

Writes report.json, report.md, predictions.csv and plots. Numbers are given for the files as they are (raw) and with
both classes at one size, format and quality (normalised), to show how much of a score rests on these.
"""

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fakelens.data.views import VIEWS
from fakelens.script import parse, script


@dataclass
class EvaluateArguments:
    """What to evaluate, on what."""

    model: list[str] = field(
        metadata={"help": "Folders of models, folders of checkpoints (every checkpoint-* is evaluated), or Hub repos."}
    )
    data: str = field(
        metadata={"help": "Hub data set USER/NAME[:CONFIG], folder of parquet files or of class folders, or `sample`."}
    )
    output: str = field(metadata={"help": "Folder for the report. One that holds a report is replaced at the end."})
    split: list[str] = field(default_factory=lambda: ["test"], metadata={"help": "Splits to evaluate on."})
    views: list[str] = field(
        default_factory=lambda: ["raw", "normalised"], metadata={"help": f"Any of: {', '.join(VIEWS)}."}
    )
    batch_size: int = field(default=32, metadata={"help": "Images per forward pass."})
    device: str | None = field(default=None, metadata={"help": "cpu, cuda, cuda:1, mps; default: the fastest there."})
    limit: int | None = field(
        default=None,
        metadata={"help": "Read only this many rows from the start of each split; they may be one class."},
    )
    trust_remote_code: bool = field(
        default=False, metadata={"help": "Run a repo's own code, for an architecture that is not installed here."}
    )


def main(args: EvaluateArguments) -> None:
    """Evaluate, and print a summary and where the report is."""
    from fakelens.evaluation.run import evaluate_models
    from fakelens.evaluation.summary import shortcut_gap

    output = Path(args.output)
    report = evaluate_models(
        args.model,
        args.data,
        output,
        splits=args.split,
        views=args.views,
        batch_size=args.batch_size,
        device=args.device,
        limit=args.limit,
        trust_remote_code=args.trust_remote_code,
    )
    table = Table(title=report["data"]["description"])
    table.add_column("model", overflow="fold")
    for title in ("split", "view", "AUROC", "accuracy", "F1", "gap", "images"):
        table.add_column(title, justify="left" if title in ("split", "view") else "right", no_wrap=True)
    for model in report["models"]:
        for split, views in model["results"].items():
            for view, result in views.items():
                gap = shortcut_gap(views) if view == "normalised" else None
                numbers = (*(result["overall"][key] for key in ("auroc", "accuracy", "f1")), gap)
                cells = ("" if number is None else f"{number:.3f}" for number in numbers)
                table.add_row(model["name"], split, view, *cells, str(result["overall"]["count"]))
    console = Console()
    console.print(table)
    console.print("gap: the shortcut gap, AUROC raw - normalised")
    for split, counts in report["data"]["splits"].items():
        if counts["skipped"]:
            reasons = ", ".join(f"{count} {reason}" for reason, count in counts["skipped"].items())
            console.print(f"{split}: {sum(counts['skipped'].values())} of {counts['rows']} rows skipped ({reasons})")
    print(f"The report is in {output}: start with {output / 'report.md'}.")


if __name__ == "__main__":
    arguments = parse(EvaluateArguments, __doc__)
    with script("evaluate"):
        main(arguments)
