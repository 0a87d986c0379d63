"""`fakelens models`: the networks of the zoo, and the trained models found here."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from fakelens.cli.stop import stopped
from fakelens.errors import UserError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog="Example: fakelens models --runs /data/runs")
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
    from fakelens.zoo.facts import NETWORKS

    try:
        folders = local_models.find_models(runs or [])
        found = [local_models.trained(folder) for folder in folders]
    except UserError as error:
        raise stopped(error) from None
    if as_json or not sys.stdout.isatty():
        model_tables.write_json(NETWORKS, found)
        return
    model_tables.write_networks(NETWORKS)
    model_tables.write_models(found)
