"""How recipes do on collections that they never met: trained once without each group, scored on what it left out.

Collections that are left out are abroad, as what users bring is; a validation split is not. So the mean AUROC over
collections left out is the number to choose a recipe by. The folder:
    runs/RECIPE/GROUP/   every training, as `fakelens.training.loop.run` leaves it
    left_out.json        settings and results; left_out.md shows the same
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

from fakelens.data.decode import ImageError, decode_image
from fakelens.data.sources.labels import FAKE, REAL
from fakelens.data.sources.opening import row_bytes
from fakelens.errors import UserError
from fakelens.evaluation.ablation.ablation import folder_name
from fakelens.evaluation.ablation.left_out import LABELS, TRAINED_ON, Group, find_groups, stand_ins
from fakelens.evaluation.ablation.left_out_tables import write_left_out
from fakelens.inference.detector import BATCH_SIZE, Detector, load_detector
from fakelens.training.loop.run import train
from fakelens.training.recipe.recipe import Recipe, load_recipe, overrides_of

AT_LEAST = 20  # images of a collection, for an AUROC of its own
PER_COLLECTION = 200


@dataclass(frozen=True)
class LeaveGroupsOut:
    """What is trained, and what is left out.

    Attributes:
        recipes: YAML files, at least one, all of the same data.
        groups: Names and patterns of sources and generators; those of a group are left out together.
        overrides: Keys of the recipes, `["--key", "value", ...]`.
        per_collection: Images of a collection that are scored, at most.
        at_least: Images that a collection needs to be scored by itself.
    """

    recipes: Sequence[str]
    groups: Sequence[Sequence[str]]
    overrides: Sequence[str] = ()
    per_collection: int = PER_COLLECTION
    at_least: int = AT_LEAST


def leave_groups_out(asked: LeaveGroupsOut, output: Path, say: Callable[[str], object] = print) -> dict[str, Any]:
    """Train every recipe without each group, and score every training on what it left out.

    A training that an earlier call finished is taken up, not repeated.

    Args:
        asked: What to do.
        output: Its folder. The tables there are brought up to date after every training.
        say: Told what begins, what stands in for what, and what failed.

    Returns:
        The content of left_out.json: `data`, `groups`, `results` (one a recipe and group: `recipe`, `group`, and
        `pairs` (AUROC of each collection of fakes against each of real images), `images`, `predicted_fake` (at a
        P(fake) of .5, how many of each real collection) and `notes`; or `error`), `summary` (one a recipe: `recipe`,
        `macro`, `worst`, `worst_name`, `predicted_fake`, `trainings`, `failed`), `chosen` (the recipe with the highest
        macro AUROC of those without failures; None if there is none).

    Raises:
        UserError: Before any work, if recipes, data or groups will not do; at the end, if every training failed.
    """
    if asked.at_least < 1 or asked.per_collection < asked.at_least:
        raise UserError("--at_least is 1 or more, and --per_collection no fewer.")
    recipes = {name: load_recipe(name, list(asked.overrides)) for name in dict.fromkeys(asked.recipes)}
    _check(recipes)
    data = next(iter(recipes.values())).data
    groups = find_groups(data, asked.groups, asked.per_collection, asked.at_least)
    for name, recipe in recipes.items():
        if recipe.model.start_from:
            say(f"{name} starts from {recipe.model.start_from}: what that was trained on is not new to it")
    report: dict[str, Any] = {"data": data.data, "groups": [list(group.names) for group in groups], "results": []}
    for name, recipe in recipes.items():
        for group in groups:
            said = " ".join(group.names)
            say(f"{recipe.name} without {said}")
            folder = output / "runs" / recipe.name / folder_name("+".join(group.names))
            result = {"recipe": name, "group": list(group.names)} | _run(asked, name, group, folder)
            report["results"].append(result)
            for note in [*result.get("notes", []), *([result["error"]] if "error" in result else [])]:
                say(f"{recipe.name} without {said}: {note}")
            report |= _summary(report["results"])
            write_left_out(report, output)
    if all("error" in result for result in report["results"]):
        raise UserError(f"Every training failed; the first: {report['results'][0]['error']}")
    return report


def _check(recipes: dict[str, Recipe]) -> None:
    first, *others = recipes.values()
    if first.run.world_size > 1:
        raise UserError(
            "Leaving groups out runs in one process: start it with python, without torchrun or accelerate."
        )
    for recipe in others:
        if (recipe.data.data, recipe.data.train_split, recipe.data.validation_split) != (
            first.data.data, first.data.train_split, first.data.validation_split,
        ):  # fmt: skip
            raise UserError(f"{recipe.name} and {first.name} read different data; name the same for all with --data.")
    if len({recipe.name for recipe in recipes.values()}) < len(recipes):
        raise UserError("Two of the recipes have the same file name, which their runs are kept by. Rename one.")


def _run(asked: LeaveGroupsOut, name: str, group: Group, folder: Path) -> dict[str, Any]:
    """Train one recipe without one group and score it; what goes wrong is its result, and the others go on."""
    try:
        recipe = _without(asked, name, group, folder)
        detector = load_detector(train(recipe), str(recipe.run.device))
        sides, notes = _sides(asked, recipe, group)
        scores = {label: {key: _scores(detector, rows) for key, rows in sides[label].items()} for label in LABELS}
    except (ValueError, RuntimeError, OSError) as error:  # UserErrors, a memory that is full, a disk that is
        return {"error": " ".join(str(error).split()) or type(error).__name__}
    return {
        "pairs": {
            fake: {real: _auroc(others, own) for real, others in scores[REAL].items()}
            for fake, own in scores[FAKE].items()
        },
        "images": {key: len(values) for side in scores.values() for key, values in side.items()},
        "predicted_fake": {real: int((values >= 0.5).sum()) for real, values in scores[REAL].items()},
        "notes": notes,
    }


def _without(asked: LeaveGroupsOut, name: str, group: Group, folder: Path) -> Recipe:
    data = load_recipe(name, list(asked.overrides)).data
    keys = {
        "output_dir": str(folder),
        "resume": True,
        "run_name": f"{Path(name).stem}-{folder.name}",
        "exclude_generators": [*(data.exclude_generators or ()), *group.names],
        "exclude_sources": [*(data.exclude_sources or ()), *group.names],
    }
    return load_recipe(name, [*asked.overrides, *overrides_of(keys)])


def _sides(
    asked: LeaveGroupsOut, recipe: Recipe, group: Group
) -> tuple[dict[int, dict[str, list[dict[str, Any]]]], list[str]]:
    """Return the collections of each class to be scored, and what to know of them."""
    notes = [
        f"{name} has {count} images, too few for an AUROC of its own"
        for (_, name), count in group.counts.items()
        if count < asked.at_least
    ]
    sides = {label: group.large(label, asked.at_least) for label in LABELS}
    for label, kind in LABELS.items():
        if not sides[label]:
            rows = stand_ins(recipe.data, recipe.run.seed, label, asked.per_collection)
            if len(rows) < asked.at_least:
                raise UserError(
                    f"no {kind} images are left out, and the validation split has {len(rows)} to stand in for them, "
                    f"fewer than --at_least {asked.at_least}"
                )
            sides[label] = {f"{kind}, {TRAINED_ON}": rows}
            notes.append(f"no {kind} images are left out: those of the validation split stand in, which flatters")
    return sides, notes


def _scores(detector: Detector, rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """Return P(fake) of the rows that can be read, of shape `(count,)`."""
    images = (image for row in rows if (image := _decoded(row)) is not None)
    parts = []
    while batch := list(islice(images, BATCH_SIZE)):
        parts.append(detector.scores(batch))
    if not parts:
        raise UserError("no image of a collection can be read")
    return np.concatenate(parts)


def _decoded(row: dict[str, Any]) -> Image.Image | None:
    try:
        return decode_image(row_bytes(row["image"])).image
    except ImageError:
        return None


def _auroc(real: np.ndarray, fake: np.ndarray) -> float:
    return float(roc_auc_score([REAL] * len(real) + [FAKE] * len(fake), np.concatenate([real, fake])))


def _summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what each recipe comes to, and which is chosen."""
    rows = []
    for recipe in dict.fromkeys(result["recipe"] for result in results):
        own = [result for result in results if result["recipe"] == recipe]
        done = [result for result in own if "error" not in result]
        means = [
            (float(np.mean(list(values.values()))), fake) for one in done for fake, values in one["pairs"].items()
        ]
        worst, worst_name = min(means, default=(None, None))
        counted = [
            (count, one["images"][real]) for one in done for real, count in one["predicted_fake"].items()
            if TRAINED_ON not in real
        ]  # fmt: skip
        rows.append({
            "recipe": recipe,
            "macro": float(np.mean([mean for mean, _ in means])) if means else None,
            "worst": worst,
            "worst_name": worst_name,
            "predicted_fake": sum(c for c, _ in counted) / sum(n for _, n in counted) if counted else None,
            "trainings": len(own),
            "failed": len(own) - len(done),
        })  # fmt: skip
    whole = [row for row in rows if not row["failed"]]
    chosen = max(whole, key=lambda row: row["macro"])["recipe"] if whole else None
    return {"summary": rows, "chosen": chosen}
