"""`fakelens PATH...`: detect AI-generated images; `fakelens models`: list the detectors there are."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from fakelens.cli.detect import Drawing, detect_rows
from fakelens.cli.inputs.expand import expand
from fakelens.cli.output import printing
from fakelens.errors import UserError
from fakelens.inference.verdict import Row

VERBS = {"models": "list the zoo, and the models found here with what was measured of them"}
EPILOG = "Example: fakelens holiday.jpg photos.zip downloads/ --json > verdicts.jsonl\n\nBeside it: " + "; ".join(
    f"`fakelens {verb}`, to {does} (a file of that name is ./{verb})" for verb, does in VERBS.items()
)
MODELS_EPILOG = "Example: fakelens models --runs /data/runs"

app = typer.Typer(add_completion=True, rich_markup_mode=None)
models_app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Detect(TyperCommand):
    """A command that needs no verb, with verbs beside it: help and completion stay those of one plain command."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Hand the rest of the words to the verb's command if the first is one."""
        if args and args[0] in VERBS:
            verb = typer.main.get_command(models_app)
            return verb.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the words were for."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)


@app.command(cls=Detect, epilog=EPILOG)
def detect(
    paths: Annotated[
        list[str],
        typer.Argument(help="Image files, folders (walked), zips, http(s) addresses, or - for a list on stdin."),
    ],
    model: Annotated[
        str | None, typer.Option(help="Folder or Hub repo of the detector. Default: $FAKELENS_MODEL, then patch_lens.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line; the default into a pipe.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A CSV table with a header.")] = False,
    heatmap: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write each picture with its evidence laid over it: red is fake."),
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
        typer.Option(help="Call at most this share of real images fake, e.g. 0.01. Default: the model's own share."),
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
        from fakelens.inference.detector import load_detector

        silence_libraries()
        detector = load_detector(model, device, trust_remote_code, label_map, real_label)
        detector.fake_threshold(max_fpr)
        inputs = list(expand(names))
        wanted: list[Drawing] = []
        if heatmap is not None or save is not None or visualize:
            from fakelens.cli.output import drawings

            if heatmap is not None:
                wanted.append(drawings.heatmaps(detector, heatmap))
            if save is not None or visualize:
                wanted.append(drawings.figures(detector, drawings.places(save, len(inputs)), max_fpr))
        drawn: list[Path] = []
        rows = _with_figures(detect_rows(detector, inputs, max_fpr, batch_size, wanted), drawn)
        if as_csv:
            failed = printing.write_csv(rows)
        elif as_json or not sys.stdout.isatty():
            failed = printing.write_json(rows)
        else:
            failed = printing.write_table(rows)
        if visualize:
            drawings.show(drawn)
    except UserError as error:
        raise _stopped(error) from None
    raise typer.Exit(1 if failed else 0)


@models_app.command(epilog=MODELS_EPILOG)
def models(
    runs: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Look here too: a model, a run, or a folder of runs. May be said again."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line; the default into a pipe.")] = False,
) -> None:
    """List the networks of the zoo, and the trained models found here with what was measured of them.

    Looked at are the model inside this package, $FAKELENS_MODEL, runs/*/model, and what --runs names. Scores are those
    of reports about these very weights beside the model or among the runs, or of its card: AUROC by data set, split
    and view, and which of its generators were held out of the training data.
    """
    from fakelens.cli.output import model_tables
    from fakelens.hub.facts import local_models
    from fakelens.zoo.facts import networks

    silence_libraries()
    try:
        folders = local_models.find_models(runs or [])
        found = [local_models.trained(folder) for folder in folders]
    except UserError as error:
        raise _stopped(error) from None
    built = list(networks())
    if as_json or not sys.stdout.isatty():
        model_tables.write_json(built, found)
        return
    model_tables.write_networks(built)
    model_tables.write_models(found)


def _with_figures(rows: Iterator[Row], figures: list[Path]) -> Iterator[Row]:
    """Pass rows on, and keep where their figures are."""
    for row in rows:
        if "figure" in row:
            figures.append(Path(row["figure"]))
        yield row


def _stopped(error: UserError) -> typer.Exit:
    """Say what is wrong and return the end of the run."""
    typer.echo(f"fakelens: {error}", err=True)
    return typer.Exit(2)


def silence_libraries() -> None:
    """Keep transformers' log lines and bars off the terminal: what went wrong is said by us, in one line."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
