"""One recipe, one key of it over a list of values: each trained and evaluated, one table and one plot out.

Reference system S4 ablates the fraction of adversarial batches. The folder of an ablation:
    VALUE/          each value's run, as `fakelens.training.loop.run` leaves it, with its `report/`
    ablation.json   settings and results; ablation.csv, ablation.md and ablation.png show the same
"""

import json
import math
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakelens.data.sources.opening import open_source
from fakelens.errors import UserError
from fakelens.evaluation.ablation.tables import write_tables
from fakelens.evaluation.attacks.adversarial import STRENGTHS, check_attack
from fakelens.evaluation.run import Options, evaluate_models
from fakelens.training.loop.run import train
from fakelens.training.recipe.keys import current_keys, current_name
from fakelens.training.recipe.recipe import Recipe, load_recipe, overrides_of

RECORD = "ablation.json"
OURS = ("output_dir", "resume")  # keys of a recipe that an ablation sets itself


@dataclass(frozen=True)
class Ablation:
    """What is varied, and how it is scored.

    Args:
        recipe: The YAML file.
        key: The key, dotted where it lies in a phase: `phases.1.adversarial.fraction`.
        values: Its values, as YAML.
        overrides: Other keys of the recipe, `["--key", "value", ...]`.
        split: The split to evaluate on, of the recipe's data.
        attacks: Methods of attack, see `fakelens.evaluation.attacks.adversarial`.
        strengths: Of the attacks.
        attack_limit: Attack this many images, half of them of each class; all if None.
        limit: Evaluate on this many rows from the start of the split; all if None.
    """

    recipe: str
    key: str
    values: Sequence[str]
    overrides: Sequence[str] = ()
    split: str = "test"
    attacks: Sequence[str] = ()
    strengths: Sequence[float] = STRENGTHS
    attack_limit: int | None = None
    limit: int | None = None

    @property
    def evaluation(self) -> dict[str, Any]:
        """What two results must share to stand in one table."""
        attack = {"eps": list(self.strengths), "attack_limit": self.attack_limit} if self.attacks else {}
        return {"split": self.split, "limit": self.limit, "attack": list(self.attacks), **attack}


def ablate(ablation: Ablation, output: Path, say: Callable[[str], object] = print) -> dict[str, Any]:
    """Train and evaluate every value; what an earlier call finished is taken up, not repeated.

    Args:
        ablation: What to do.
        output: Its folder. The tables and the plot there are brought up to date after every value.
        say: Told what begins and what failed.

    Returns:
        The content of ablation.json: `recipe`, `key`, `base` (the recipe's keys before it is varied), `evaluation`,
        and `results`, one a value: `value`, `folder`, `status` and, if that is "done", `training_seconds`,
        `validation`, `metrics`, `attacks`; if it is "failed", `error`.

    Raises:
        UserError: Before any work, if the recipe, the key, the data or an option will not do, or the folder holds an
            ablation of something else; at the end, if every value failed.
    """
    folders = {text: output / folder_name(text) for text in ablation.values}
    base = load_recipe(ablation.recipe, list(ablation.overrides))
    if base.run.world_size > 1:
        raise UserError("An ablation runs in one process: start it with python, without torchrun or accelerate.")
    recipes = {text: _read(ablation, text, output) for text in folders}
    _check(ablation, list(recipes.values()))
    report: dict[str, Any] = {
        "recipe": ablation.recipe,
        "key": ablation.key,
        "base": json.loads(json.dumps(base.keys, default=str)),
        "evaluation": ablation.evaluation,
        "results": [],
    }
    earlier = _earlier(output, report)
    for text, recipe in recipes.items():
        say(f"{ablation.key} = {text}")
        folder = folders[text]
        finished = (folder / "model" / "run.json").exists()
        result = earlier[folder.name] if finished and folder.name in earlier else _run(ablation, recipe, folder)
        report["results"].append({"value": _value(text), "folder": folder.name} | result)
        if result["status"] == "failed":
            say(f"{ablation.key} = {text} failed: {result['error']}")
        if any(one["status"] == "done" for one in report["results"]):
            write_tables(report, output)
    if all(one["status"] == "failed" for one in report["results"]):
        raise UserError(f"Every value failed; {ablation.values[0]}: {report['results'][0]['error']}")
    return report


def folder_name(text: str) -> str:
    """Name a value's folder by the value, as far as file names go.

    Args:
        text: The value as it was given.
    """
    plain = re.sub(r"[^\w.=+-]+", "_", text)[:40].strip("._")
    return text if text and plain == text else f"{plain or 'value'}-{zlib.crc32(text.encode()):08x}"


def recipe_of(ablation: Ablation, text: str, output: Path) -> Recipe:
    """Return the recipe with one value in it, as `ablate` runs it.

    Args:
        ablation: What to do.
        text: The value, as YAML.
        output: The ablation's folder.

    Raises:
        UserError: If the recipe does not take the value.
    """
    folder = output / folder_name(text)
    ours = {"output_dir": str(folder), "resume": True, "run_name": f"{Path(ablation.recipe).stem}-{folder.name}"}
    return load_recipe(ablation.recipe, [*ablation.overrides, *overrides_of(ours), f"--{ablation.key}={text}"])


def _read(ablation: Ablation, text: str, output: Path) -> Recipe | UserError:
    """Return the recipe with one value in it, or why it does not take it."""
    try:
        return recipe_of(ablation, text, output)
    except UserError as error:
        return error


def _check(ablation: Ablation, recipes: list[Recipe | UserError]) -> None:
    """Refuse what can be known to fail: hours of training lie between here and the evaluation."""
    named = {word[2:].partition("=")[0].replace("-", "_") for word in ablation.overrides if word.startswith("--")}
    if taken := sorted(({ablation.key} | named) & set(OURS)):
        raise UserError(f"An ablation sets {taken[0]} itself; its folder is named by --output.")
    if ablation.attacks:
        check_attack(ablation.attacks, ablation.strengths, ablation.attack_limit)
    if ablation.limit is not None and ablation.limit < 1:
        raise UserError("The limit must be at least 1.")
    read = [recipe for recipe in recipes if isinstance(recipe, Recipe)]
    if not read:
        raise UserError(f"{ablation.recipe} takes none of the values of {ablation.key}: {recipes[0]}")
    for recipe in read:
        open_source(recipe.data.data, ablation.split, recipe.data.read)


def _earlier(output: Path, report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the results in the folder that were got in the same way, by their folders' names."""
    path = output / RECORD
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is a file. Name a folder with --output.")
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        there = current_name(found["key"]), current_keys(found["base"])
        same = there == (current_name(report["key"]), report["base"])
        results = {one["folder"]: one for one in found["results"] if one["status"] == "done"}
        evaluation = found["evaluation"] if "evaluation" in found else found["judging"]  # of an older record
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}). Remove it, or name another --output.") from None
    if not same:
        raise UserError(
            f"{output} holds an ablation of another key or recipe ({found['key']} of {found['recipe']}, or with other "
            "overrides). Name another --output, or remove it."
        )
    return results if evaluation == report["evaluation"] else {}


def _run(ablation: Ablation, recipe: Recipe | UserError, folder: Path) -> dict[str, Any]:
    """Train and evaluate one value; what goes wrong with it is its result, and the others still have their turn."""
    if isinstance(recipe, UserError):
        return {"status": "failed", "error": str(recipe)}
    try:
        model = train(recipe)
        evaluated = evaluate_models(
            [str(model)],
            recipe.data.data,
            folder / "report",
            [ablation.split],
            Options(
                views=["raw"],
                batch_size=recipe.run.per_device_eval_batch_size,
                device=str(recipe.run.device),
                limit=ablation.limit,
                attacks=ablation.attacks,
                strengths=ablation.strengths,
                attack_limit=ablation.attack_limit,
                read=recipe.data.read,
                audit=False,
                gallery=0,
            ),
        )["models"][0]
    except (ValueError, RuntimeError, OSError) as error:  # UserErrors, a memory that is full, a disk that is
        return {"status": "failed", "error": " ".join(str(error).split()) or type(error).__name__}
    record = json.loads((model / "run.json").read_text(encoding="utf-8"))
    return {
        "status": "done",
        "training_seconds": record["duration_s"],
        "validation": record["validation"],
        "metrics": evaluated["results"][ablation.split]["raw"]["overall"],
        "attacks": evaluated.get("attacks", {}).get(ablation.split, {}),
    }


def _value(text: str) -> int | float | str:
    """Return a number where the text is one, for the plot's axis."""
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):
        return text
    return int(number) if number.is_integer() and text.lstrip("+-").isdecimal() else number
