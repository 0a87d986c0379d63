"""Train an ensemble's members by their own recipes, weigh them on the validation split, and join them in one model."""

import dataclasses
import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np

from fakelens.data.decode import decode_image
from fakelens.data.skips import SkipLog
from fakelens.data.sources import row_bytes
from fakelens.detector import BATCH_SIZE, Detector, load_detector
from fakelens.ensemble import build_ensemble
from fakelens.metrics import detection_metrics
from fakelens.training.data import TrainingData
from fakelens.training.examples import Prepare
from fakelens.training.recipe import DataArguments, Recipe, load_recipe
from fakelens.training.thresholds import calibrate
from fakelens.training.walk import Result

METRICS = ("accuracy", "precision", "recall", "f1", "auroc")


def join_members(
    recipe: Recipe, out: Path, data: TrainingData, skips: SkipLog, train: Callable[[Recipe], Path]
) -> Result:
    """Return the ensemble that a recipe with `members` asks for.

    Args:
        recipe: Its data keys hold for every member.
        out: The run's folder; members that are recipes are trained in `members/` below it.
        data: The recipe's data, opened.
        skips: Where skipped rows are counted.
        train: Runs a member's recipe and returns the folder of its model.
    """
    shared = {f.name: getattr(recipe.data, f.name) for f in dataclasses.fields(DataArguments) if f.name in recipe.keys}
    shared |= {"seed": recipe.run.seed, "resume": True, "report_to": recipe.run.report_to}
    folders = []
    for member in recipe.model.members or ():
        path = Path(member)
        if not path.is_dir():
            keys = shared | {"output_dir": str(out / "members" / path.stem)} | recipe.model.member_overrides
            words = [word for key, value in keys.items() for word in (f"--{key}", json.dumps(value))]
            path = train(load_recipe(path, words))
        folders.append(path)

    device = str(recipe.run.device)
    accuracies = []
    for folder in folders:
        scores, labels = _score(load_detector(folder, device), data, skips)
        accuracies.append(float(((scores >= 0.5) == labels).mean()))
    model, processor = build_ensemble(folders, recipe.model.member_weights, accuracies)
    scores, labels = _score(Detector(model, processor, "ensemble", device), data, skips)
    calibrate(model, scores, labels, recipe.model.decision_threshold)
    metrics = detection_metrics(scores, labels, 0.5)
    members = [
        {"model": str(folder), "validation_accuracy": accuracy, "weight": weight}
        for folder, accuracy, weight in zip(folders, accuracies, model.config.member_weights, strict=True)
    ]
    return Result(model, processor, {"members": members, "validation": {key: metrics[key] for key in METRICS}})


def _score(detector: Detector, data: TrainingData, skips: SkipLog) -> tuple[np.ndarray, np.ndarray]:
    """Return P(fake) and labels of the validation split, each of shape `(count,)`."""
    rows = data.validation_set(Prepare(None, data.classes, skips)).rows
    pictures = (decode_image(row_bytes(row["image"])).image for row in rows)
    scores = []
    while batch := list(islice(pictures, BATCH_SIZE)):
        scores.append(detector.scores(batch))
    return np.concatenate(scores), np.array([row["label"] for row in rows])
