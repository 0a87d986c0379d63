"""Run a recipe and leave a pushable model, with the record of how it came to be.

A run's folder:
    model/         the result: weights, config, processor, code; ready for the Hub
    phases/NN-x/   the phase's checkpoints, each a complete model too, and `model/` once the phase is done
    members/       an ensemble's members, each a run's folder
    metrics.csv    a row an evaluation
    run.json       recipe, environment, data, seed, steps, duration
    continual.*    where there is rehearsal: old and new data, before and after (json, md)
    skipped.jsonl  rows that could not be used, and why
"""

import json
import time
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import set_seed

from fakelens.atomic import write_json
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError
from fakelens.inference.detector import Detector
from fakelens.training.data.training_data import open_training_data
from fakelens.training.loop.continual import compare, write_comparison
from fakelens.training.loop.fine_tuning import before_and_after
from fakelens.training.loop.inherited import inherited
from fakelens.training.loop.initialisation import never_seen
from fakelens.training.loop.members import join_members
from fakelens.training.loop.phases import run_phases
from fakelens.training.loop.record import environment, now
from fakelens.training.loop.validation import calibrate
from fakelens.training.recipe.keys import current_keys
from fakelens.training.recipe.recipe import Recipe


def train(recipe: Recipe) -> Path:
    """Run a recipe, or go on with it.

    Args:
        recipe: What to do; `recipe.run.resume` goes on with the run in its output folder.

    Returns:
        The folder of the finished model.

    Raises:
        UserError: If the folder holds another run, the data does not fit, or the loss diverges.
    """
    if recipe.run.dry_run:
        raise UserError("dry_run is for `fakelens train` alone: leave it out here, or run the recipe by that verb.")
    out = Path(str(recipe.run.output_dir))
    _check_folder(out, recipe)
    PartialState().wait_for_everyone()  # all have looked before the first one writes
    if (out / "model" / "run.json").exists():
        return out / "model"
    started, clock = now(), time.monotonic()
    set_seed(recipe.run.seed)
    skips = SkipLog(out / "skipped.jsonl")
    data = open_training_data(recipe.data, recipe.run.seed, never_seen(recipe.model), skips)
    if recipe.run.process_index == 0:
        write_json(out / "recipe.json", _plain(recipe.keys))
    joined = bool(recipe.model.members)
    result = join_members(recipe, out, data, train) if joined else run_phases(recipe, out, data, skips)
    if recipe.run.process_index == 0:
        detector = Detector(result.model, result.processor, recipe.name, str(recipe.run.device))
        validation = calibrate(detector, data, recipe.model.decision_threshold, recipe.model.calibration)
        calibration = validation.pop("calibration")
        record = {
            "name": recipe.name,
            "recipe": recipe.keys,
            "started": started,
            "duration_s": round(time.monotonic() - clock, 1),
            "environment": environment(str(recipe.run.device)),
            "processes": recipe.run.world_size,
            "data": data.facts() | {"skipped": skips.counts},
            "seed": recipe.run.seed,
            **inherited(recipe.model, recipe.data, recipe.run.license),
            "parameters": result.model.num_parameters(),
            "validation": validation,
            "calibration": calibration,
            "notes": recipe.notes,
            **result.facts,
        }
        if recipe.model.start_from and data.apart:
            record["continual"] = compare(recipe.model.start_from, detector, data, recipe.model.start_label_map)
            write_comparison(record["continual"], out)
        elif recipe.model.start_from:
            record["fine_tuning"] = before_and_after(recipe.model.start_from, detector, data)
        result.model.requires_grad_(True)
        result.model.save_pretrained(out / "model")
        result.processor.save_pretrained(out / "model")
        write_json(out / "run.json", record)
        write_json(out / "model" / "run.json", record)  # last: its presence says that the model is complete
    PartialState().wait_for_everyone()
    return out / "model"


def _check_folder(out: Path, recipe: Recipe) -> None:
    """Refuse to mix two runs in one folder."""
    begun = any((out / name).exists() for name in ("phases", "members", "model"))
    if not begun:
        return
    if not recipe.run.resume:
        raise UserError(
            f"{out} holds a run already. Go on with it by --resume true, write elsewhere with --output_dir, "
            "or remove the folder."
        )
    before = current_keys(json.loads((out / "recipe.json").read_text(encoding="utf-8")))
    wanted = _plain(recipe.keys)
    changed = sorted(k for k in before | wanted if before.get(k) != wanted.get(k))
    if changed:
        raise UserError(
            f"{out} holds a run of another recipe; these keys differ: {', '.join(changed)}. Put them back to "
            "go on with it, or write elsewhere with --output_dir."
        )


def _plain(keys: dict[str, Any]) -> dict[str, Any]:
    """Return keys as JSON gives them back."""
    return json.loads(json.dumps(keys, default=str))
