"""`fakelens detect PATH...`, or `fakelens PATH...`: tell photographs from AI-generated images."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fakelens import __version__
from fakelens.cli.stop import silence_libraries, stopped
from fakelens.cli.verbs import VERBS
from fakelens.errors import UserError

if TYPE_CHECKING:  # they bring Pillow, NumPy and rich, and `fakelens --help` does without
    from fakelens.cli.detect import Drawing
    from fakelens.inference.verdict import Row

app = typer.Typer(add_completion=True, rich_markup_mode=None)


def _first_word(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the first word to a verb; paths are the shell's."""
    if ctx.params.get("paths"):
        return []
    return [(name, verb.about) for name, verb in VERBS.items() if incomplete and name.startswith(incomplete)]


def _say_version(asked: bool) -> None:
    """Print the version and stop."""
    if asked:
        typer.echo(f"fakelens {__version__}")
        raise typer.Exit()


@app.command(epilog="Example: fakelens detect holiday.jpg photos.zip downloads/ --json > verdicts.jsonl")
def detect(
    paths: Annotated[
        list[str],
        typer.Argument(
            autocompletion=_first_word,
            help="Image files, folders (with their subfolders), zips, http(s) addresses, or - for a list on stdin.",
        ),
    ],
    model: Annotated[
        str | None, typer.Option(help="Folder or Hub repo of the detector. Default: $FAKELENS_MODEL, then patch_lens.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line; the default into a pipe.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A CSV table with a header.")] = False,
    heatmap: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write each image with its evidence laid over it: red is fake."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE_OR_DIR",
            help="Write a figure of each verdict: evidence, score, warnings. out.png for one, a folder for more.",
        ),
    ] = None,
    visualize: Annotated[
        bool,
        typer.Option("--visualize", help="Open the figures in the desktop's viewer; without --save, temporary ones."),
    ] = False,
    max_fpr: Annotated[
        float | None,
        typer.Option(
            help="Predict fake for at most this fraction of real images, e.g. 0.01. Default: the model's own fraction."
        ),
    ] = None,
    label_map: Annotated[
        str | None,
        typer.Option(help="What the model's classes mean if their names do not say: real=NAME,fake=NAME,skip=NAME."),
    ] = None,
    real_label: Annotated[
        str | None, typer.Option(help="The model's class of real images; all that are not named are fake.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per forward pass.")] = 16,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps, ... Default: the fastest present.")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the code in a model's repo. Not needed for our models.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Print the version and stop.")
    ] = False,
) -> None:
    """Tell photographs from AI-generated images.

    The score is P(fake) between 0 and 1. The verdict is uncertain where the score lies in the band that the model was
    calibrated with. Exit status: 0, every input was scored; 1, some could not be read, and each
    has its row with the reason; 2, the call is wrong or the model does not load.
    """
    if as_json and as_csv:
        raise typer.BadParameter("say one of --json and --csv, not both")
    names = [line for path in paths for line in (sys.stdin.read().splitlines() if path == "-" else [path]) if line]
    try:
        from fakelens.cli.waiting import waiting

        with waiting("loading the detector"):
            from fakelens.cli.detect import detect_rows
            from fakelens.cli.inputs.expand import expand
            from fakelens.cli.output import printing
            from fakelens.inference.detector import load_detector

            silence_libraries()
            detector = load_detector(model, device, trust_remote_code, label_map, real_label)
            thresholds = detector.thresholds(max_fpr)
            inputs = list(expand(names))
        wanted: list[Drawing] = []
        if heatmap is not None or save is not None or visualize:
            from fakelens.cli.output import drawings

            look = drawings.Look(detector)
            if heatmap is not None:
                wanted.append(drawings.heatmaps(look, heatmap))
            if save is not None or visualize:
                wanted.append(drawings.figures(look, drawings.paths_in(save, len(inputs)), max_fpr))
        drawn: list[Path] = []
        rows = _with_figures(detect_rows(detector, inputs, max_fpr, batch_size, wanted), drawn)
        if as_csv:
            failed = printing.write_csv(rows)
        elif as_json or not sys.stdout.isatty():
            failed = printing.write_json(rows)
        else:
            failed = printing.write_table(rows, f"{detector.name}: {thresholds.in_words()}")
        if visualize:
            drawings.show(drawn)
    except UserError as error:
        raise stopped(error) from None
    raise typer.Exit(1 if failed else 0)


def _with_figures(rows: Iterator["Row"], figures: list[Path]) -> Iterator["Row"]:
    """Pass rows on, and keep where their figures are."""
    for row in rows:
        if "figure" in row:
            figures.append(Path(row["figure"]))
        yield row
