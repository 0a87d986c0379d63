"""The zoo and the models found here -> JSON lines, or tables for a person."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fakelens.hub.facts.local_models import Score, Trained
from fakelens.zoo.facts import Network

NOT_MEASURED = "not measured"
CODE = {True: "transformers", False: "fakelens"}  # whose class it is
HOW_TO_LOAD = "In transformers, a network of fakelens loads after `import fakelens`, or with trust_remote_code=True."


def write_json(networks: Sequence[Network], models: Sequence[Trained] = ()) -> None:
    """Print one JSON object a line: `kind` is "network" or "model".

    Args:
        networks: The zoo.
        models: What was found of trained models.
    """
    for network in networks:
        print(json.dumps({"kind": "network"} | asdict(network)))
    for model in models:
        print(json.dumps({"kind": "model"} | asdict(model), ensure_ascii=False))


def write_networks(networks: Sequence[Network]) -> None:
    """Print the zoo as a table.

    Args:
        networks: The zoo.
    """
    table = Table(title="The zoo")
    for heading in ("name", "class", "parameters", "MB", "class of", "pretrained backbone (ImageNet)"):
        table.add_column(heading, overflow="fold")
    for n in networks:
        code = CODE[n.native]
        weights = n.pretrained or "none: trained from scratch"
        table.add_row(n.name, n.architecture, f"{n.parameters:,}", f"{n.megabytes:.1f}", code, weights)
    console = Console()
    console.print(table)
    console.print(HOW_TO_LOAD, markup=False)


def write_models(models: Sequence[Trained]) -> None:
    """Print the models with what was measured of them, a line an evaluation.

    Args:
        models: What was found of trained models.
    """
    table = Table(title="Models here, with what their reports state")
    for heading in ("model", "data, split", "AUROC raw", "AUROC normalised", "generators held out"):
        table.add_column(heading, overflow="fold")
    for model in models:
        shown = _facts(model)
        if not model.scores:
            table.add_row(shown, escape(model.note or ""), NOT_MEASURED, NOT_MEASURED, "")
        for score in model.scores:
            where = escape(f"{score.data}, {score.split}")
            table.add_row(shown, where, _auroc(score, "raw"), _auroc(score, "normalised"), escape(_held_out(score)))
            shown = ""  # its further evaluations stand below
        table.add_section()
    Console().print(table)


def _facts(model: Trained) -> str:
    """Return what is known of a model, a line each."""
    facts = [model.path, model.network or model.architecture]
    if model.parameters is not None:
        facts.append(f"{model.parameters:,} parameters")
    if model.megabytes is not None:
        facts.append(f"{model.megabytes:.1f} MB")
    if model.native is not None:
        facts.append(f"class of {CODE[model.native]}")
    return escape("\n".join(filter(None, facts)))


def _auroc(score: Score, view: str) -> str:
    value, interval = score.auroc.get(view), score.intervals.get(view)
    if value is None:
        return NOT_MEASURED
    return f"{value:.3f}" + (escape(f"\n[{interval[0]:.3f}, {interval[1]:.3f}]") if interval else "")


def _held_out(score: Score) -> str:
    if score.held_out is None:
        return "not stated"
    return f"{len(score.held_out)} of {score.generators}" + (
        f": {', '.join(score.held_out)}" if score.held_out else ""
    )
