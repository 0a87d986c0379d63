"""How well a recipe finds a generator it never saw: trained once without each, evaluated on the one left out.

An ablation (`fakelens.evaluation.ablation.ablation`) over `exclude_generators`, read by generator. The folder:
    runs/                every training and its report, as the ablation leaves them
    leave_one_out.json   settings and results; leave_one_out.md and leave_one_out.png show the same
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from fakelens.atomic import write_file, write_json
from fakelens.data.sources.opening import open_source
from fakelens.data.sources.reading import read
from fakelens.data.splits.protocols import among, name_key, unite
from fakelens.errors import UserError
from fakelens.evaluation.ablation.ablation import Ablation, ablate
from fakelens.evaluation.plots.curves import draw_curves
from fakelens.evaluation.report.tables import table
from fakelens.training.recipe.recipe import Recipe, load_recipe

KEY = "exclude_generators"


@dataclass(frozen=True)
class LeaveOneOut:
    """What is trained, and what it is evaluated on.

    Attributes:
        recipe: The YAML file.
        overrides: Keys of it, `["--key", "value", ...]`.
        split: The split of the recipe's data to evaluate on. It holds fakes of the generators that are trained on.
        generators: Those to leave out, each in turn; all of the split if None.
        limit: Evaluate on this many rows from the start of the split; all if None.
    """

    recipe: str
    overrides: Sequence[str] = ()
    split: str = "validation"
    generators: Sequence[str] | None = None
    limit: int | None = None


def leave_one_out(asked: LeaveOneOut, output: Path, say: Callable[[str], object] = print) -> dict[str, Any]:
    """Train with all generators and without each, and score every training on the generator that it left out.

    What an earlier call finished is taken up, not repeated.

    Args:
        asked: What to do.
        output: Its folder.
        say: Told what begins and what failed.

    Returns:
        The content of leave_one_out.json: `recipe`, `data`, `split`, `results` (one a generator: `generator`,
        `fakes`, `held_out` and `seen`, each the metrics of its fakes against all real images of the split, by the
        training without it and the one with all; None where that failed, with `error`), `macro` (mean AUROC over the
        generators that both scored: `held_out`, `seen`, `generators`).

    Raises:
        UserError: Before any work, if the recipe, the data or a generator will not do, or the folder holds something
            else; at the end, if every training failed.
    """
    if any(word.partition("=")[0].lstrip("-").replace("-", "_") == "only_generators" for word in asked.overrides):
        raise UserError("only_generators and leaving generators out contradict each other. Use --generators.")
    recipe = load_recipe(asked.recipe, list(asked.overrides))
    generators = _generators(asked, recipe)
    kept_out = recipe.data.exclude_generators or []
    values = [json.dumps(kept_out)] + [json.dumps(unite([*kept_out, one])) for one in generators]
    runs = output / "runs"
    ablation = Ablation(asked.recipe, KEY, values, asked.overrides, asked.split, limit=asked.limit)
    everything, *without = ablate(ablation, runs, say)["results"]
    seen = _per_generator(runs, everything, asked.split)
    results = []
    for generator, run in zip(generators, without, strict=True):
        held_out = _per_generator(runs, run, asked.split).get(generator)
        metrics = held_out or seen.get(generator) or {}
        one = {"generator": generator, "fakes": metrics.get("fake"), "held_out": held_out, "seen": seen.get(generator)}
        errors = [result["error"] for result in (run, everything) if result["status"] == "failed"]
        results.append(one | ({"error": errors[0]} if errors else {}))
    report = {
        "recipe": asked.recipe,
        "data": recipe.data.data,
        "split": asked.split,
        "limit": asked.limit,
        "results": results,
        "macro": _macro(results),
    }
    _write(report, output)
    return report


def result_table(report: dict[str, Any]) -> str:
    """Return the results as one Markdown table, the mean last; what failed has dashes.

    Args:
        report: What `leave_one_out` returns.
    """
    rows: list[tuple[Any, ...]] = []
    for one in report["results"]:
        held_out, seen = (_auroc(one, column) for column in ("held_out", "seen"))
        recall = (one["held_out"] or {}).get("verdicts", {}).get("recall")
        rows.append((one["generator"], one["fakes"], held_out, seen, _less(held_out, seen), recall))
    macro = report["macro"]
    mean = (macro["held_out"], macro["seen"])
    rows.append((f"mean of {macro['generators']}", None, *mean, _less(*mean), None))
    return table(("generator", "fakes", "AUROC held out", "AUROC seen", "difference", "recall held out"), rows)


def _generators(asked: LeaveOneOut, recipe: Recipe) -> list[str]:
    """Return the generators to leave out, as the data spell them."""
    source = open_source(recipe.data.data, asked.split, recipe.data.read)
    found = {row["generator"] for row in islice(read(source), asked.limit)} - {"real", "unstated"}
    there = sorted(name for name in found if not among(name, recipe.data.excluded))
    if len(there) < 2:
        raise UserError(
            f"The split {asked.split!r} of {source.spec} names {len(there)} generators that are trained on; leaving "
            "one out needs two or more (the data's `model` column). Name another split with --split."
        )
    if asked.generators is None:
        return there
    spelt = {name_key(name): name for name in there}
    for name in asked.generators:
        if name_key(name) not in spelt:
            raise UserError(f"The split {asked.split!r} has no generator {name!r} to leave out: {', '.join(there)}.")
    return list(dict.fromkeys(spelt[name_key(name)] for name in asked.generators))


def _per_generator(runs: Path, result: dict[str, Any], split: str) -> dict[str, dict[str, Any]]:
    if result["status"] == "failed":
        return {}
    report = json.loads((runs / result["folder"] / "report" / "report.json").read_text(encoding="utf-8"))
    return report["models"][0]["results"][split]["raw"]["per_generator"]


def _auroc(one: dict[str, Any], column: str) -> float | None:
    return one[column] and one[column]["auroc"]


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _macro(results: list[dict[str, Any]]) -> dict[str, Any]:
    pairs = [(_auroc(one, "held_out"), _auroc(one, "seen")) for one in results]
    both = [(held_out, seen) for held_out, seen in pairs if held_out is not None and seen is not None]
    held_out, seen = np.mean(both, axis=0).tolist() if both else (None, None)
    return {"held_out": held_out, "seen": seen, "generators": len(both)}


def _write(report: dict[str, Any], output: Path) -> None:
    title = f"{Path(report['recipe']).stem}, {report['split']}"
    lines = {
        name: [(one["generator"], one[column]) for one in report["results"] if one[column]]
        for name, column in (("held out of training", "held_out"), ("trained on", "seen"))
    }
    page = [
        f"# Leave one generator out: `{Path(report['recipe']).name}`",
        f"Trained with all generators, and again without each. A row is that generator's fakes in split "
        f"`{report['split']}` of `{report['data']}` against all real images there (raw view), by the training without "
        "it (*held out*) and by the one with all (*seen*). Few fakes say little.",
        result_table(report),
        *(f"**{one['generator']}:** {one['error']}" for one in report["results"] if "error" in one),
        "![leave_one_out.png](leave_one_out.png)",
    ]
    write_json(output / "leave_one_out.json", report)
    write_file(output / "leave_one_out.md", "\n\n".join(page) + "\n")
    draw_curves(lines, title, "generator", output / ".new.png").replace(output / "leave_one_out.png")
