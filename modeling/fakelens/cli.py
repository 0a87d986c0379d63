"""`fakelens PATH...`: judge images from the command line."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from fakelens.data.decode import ImageError
from fakelens.errors import UserError
from fakelens.inputs import Input, expand

if TYPE_CHECKING:  # torch and transformers take seconds to import: `--help` does without
    from fakelens.detector import Detector

# With --heatmap, `heatmap` (the path of the overlay) stands beside them.
FIELDS = (
    *("path", "verdict", "score", "model"),
    *("sentence", "warnings", "provenance", "disagreement", "notes", "error"),
)
EPILOG = "Example: fakelens holiday.jpg downloads/ --json > verdicts.jsonl"

app = typer.Typer(add_completion=True, rich_markup_mode=None)


@app.command(epilog=EPILOG)
def detect(
    paths: Annotated[
        list[str], typer.Argument(help="Image files, folders (walked), http(s) addresses, or - for a list on stdin.")
    ],
    model: Annotated[
        str | None, typer.Option(help="Folder or Hub repo of the detector. Default: $FAKELENS_MODEL, or the demo's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line; the default into a pipe.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A CSV table with a header.")] = False,
    heatmap: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write each picture with its evidence laid over it: red is fake."),
    ] = None,
    max_fpr: Annotated[
        float | None,
        typer.Option(help="Call at most this share of real images fake, e.g. 0.01. Default: the model's own share."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per forward pass.")] = 16,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps, ... Default: the fastest present.")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the code in a model's repo. Not needed for our models.")
    ] = False,
) -> None:
    """Tell photographs from AI-generated images.

    The score is P(fake) between 0 and 1. The verdict is uncertain where the score lies in the band that the model was
    calibrated with. Exit status: 0, every input was judged; 1, some could not be read, and each
    has its row with the reason; 2, the call is wrong or the model does not load.
    """
    if as_json and as_csv:
        raise typer.BadParameter("say one of --json and --csv, not both")
    names = [line for path in paths for line in (sys.stdin.read().splitlines() if path == "-" else [path]) if line]
    try:
        from fakelens.detector import load_detector

        silence_libraries()
        detector = load_detector(model, device, trust_remote_code)
        detector.fake_threshold(max_fpr)
        if heatmap is not None:
            detector.require_pytorch()
    except UserError as error:
        typer.echo(f"fakelens: {error}", err=True)
        raise typer.Exit(2) from None
    rows = judge(detector, list(expand(names)), max_fpr, batch_size, heatmap)
    if as_csv:
        failed = write_csv(rows)
    elif as_json or not sys.stdout.isatty():
        failed = write_json(rows)
    else:
        failed = write_table(rows)
    raise typer.Exit(1 if failed else 0)


def judge(
    detector: "Detector", inputs: list[Input], max_fpr: float | None, batch_size: int, heatmap: Path | None = None
) -> Iterator[dict[str, Any]]:
    """Yield one row an input, in order, as batches are done; a progress bar on a terminal's standard error."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("judging", total=len(inputs))
        for start in range(0, len(inputs), batch_size):
            batch = inputs[start : start + batch_size]
            errors: dict[int, str] = {}
            images: list[Path | bytes] = []
            for number, item in enumerate(batch):
                try:
                    if item.error:
                        raise ImageError(item.error)
                    images.append(item.read())
                except ImageError as error:
                    errors[number] = str(error)
            judged = iter(zip(images, detector(images, max_fpr, batch_size), strict=True))
            for number, item in enumerate(batch):
                row: dict[str, Any] = dict.fromkeys(FIELDS)
                row |= {"path": item.name, "model": detector.name, "warnings": [], "provenance": {}, "notes": []}
                if number in errors:
                    row["error"] = errors[number]
                else:
                    image, verdict = next(judged)
                    row["verdict"], row["score"], row["error"] = verdict.verdict, verdict.score, verdict.error
                    row["sentence"], row["disagreement"] = verdict.sentence, verdict.disagreement
                    row["warnings"], row["notes"] = list(verdict.warnings), list(verdict.notes)
                    row["provenance"] = verdict.provenance
                    if heatmap is not None and verdict.verdict is not None:
                        row["heatmap"] = draw(detector, image, heatmap, item.name)
                yield row
            progress.advance(task, len(batch))


def draw(detector: "Detector", image: Path | bytes, folder: Path, name: str) -> str:
    """Write the picture's heat map and return its path."""
    from fakelens.data.decode import decode_image
    from fakelens.explain.heatmap import save_overlay

    return str(save_overlay(detector, decode_image(image).image, folder, PurePosixPath(name).name))


def write_json(rows: Iterator[dict[str, Any]]) -> int:
    """Print one JSON object a line; return how many inputs failed."""
    failed = 0
    for row in rows:
        failed += row["error"] is not None
        print(json.dumps(row, ensure_ascii=False), flush=True)
    return failed


def write_csv(rows: Iterator[dict[str, Any]]) -> int:
    """Print a CSV table; return how many inputs failed."""
    writer = csv.DictWriter(sys.stdout, [*FIELDS, "heatmap"], lineterminator="\n")
    writer.writeheader()
    failed = 0
    for row in rows:
        failed += row["error"] is not None
        row["provenance"] = json.dumps(row["provenance"], ensure_ascii=False)
        row["warnings"], row["notes"] = " ".join(row["warnings"]), "; ".join(row["notes"])
        writer.writerow(row)
    return failed


def write_table(rows: Iterator[dict[str, Any]]) -> int:
    """Print a table for a person; return how many inputs failed."""
    table = Table("image", "verdict", "P(fake)", "remarks")
    colours = {"real": "green", "fake": "red", "uncertain": "yellow", None: "dim"}
    failed = 0
    for row in rows:
        failed += row["error"] is not None
        score = "" if row["score"] is None else f"{row['score']:.3f}"
        verdict = row["verdict"] or "not judged"
        remarks = row["error"] or "\n".join([*filter(None, [row["disagreement"]]), *row["warnings"], *row["notes"]])
        # What comes from a file or its name is not markup.
        table.add_row(escape(row["path"]), verdict, score, escape(remarks), style=colours[row["verdict"]])
    Console().print(table)
    return failed


def silence_libraries() -> None:
    """Keep transformers' log lines and bars off the terminal: what went wrong is said by us, in one line."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
