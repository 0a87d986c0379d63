"""Train an ensemble's members by their own recipes, weigh them on the validation split, and join them in one model."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from fakelens.inference.detector import load_detector
from fakelens.training.data.training_data import TrainingData
from fakelens.training.loop.phases import Result
from fakelens.training.loop.validation import score_validation
from fakelens.training.recipe.recipe import DataArguments, Recipe, load_recipe, overrides_of
from fakelens.zoo.ensembles import build_ensemble


def join_members(recipe: Recipe, out: Path, data: TrainingData, train: Callable[[Recipe], Path]) -> Result:
    """Return the ensemble that a recipe with `members` asks for.

    Args:
        recipe: Its data keys hold for every member.
        out: The run's folder; members that are recipes are trained in `members/` below it.
        data: The recipe's data, opened.
        train: Runs a member's recipe and returns the folder of its model.
    """
    shared = {f.name: getattr(recipe.data, f.name) for f in dataclasses.fields(DataArguments) if f.name in recipe.keys}
    shared |= {"seed": recipe.run.seed, "resume": True, "report_to": recipe.run.report_to}
    folders = []
    for member in recipe.model.members or ():
        path = Path(member)
        if not path.is_dir():
            keys = shared | {"output_dir": str(out / "members" / path.stem)} | recipe.model.member_overrides
            path = train(load_recipe(path, overrides_of(keys)))
        folders.append(path)

    device = str(recipe.run.device)
    accuracies = []
    for folder in folders:
        scores, labels = score_validation(load_detector(folder, device), data)
        accuracies.append(float(((scores >= 0.5) == labels).mean()))
    model, processor = build_ensemble(folders, recipe.model.member_weights, accuracies)
    members = [
        {"model": str(folder), "validation_accuracy": accuracy, "weight": weight}
        for folder, accuracy, weight in zip(folders, accuracies, model.config.member_weights, strict=True)
    ]
    return Result(model, processor, {"members": members})
