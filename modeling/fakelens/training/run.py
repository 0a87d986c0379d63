"""Walk a recipe's phases and leave a pushable model, with the record of how it came to be.

A run's folder:
    model/         the result: weights, config, processor, code; ready for the Hub
    phases/NN-x/   the phase's checkpoints (each a complete model too), and `model/` once the phase is done
    metrics.csv    a row an evaluation
    run.json       recipe, environment, data, seed, steps, duration
    skipped.jsonl  rows that could not be used, and why
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model
from transformers import EarlyStoppingCallback, PreTrainedModel, set_seed
from transformers.image_processing_utils import BaseImageProcessor
from transformers.trainer_utils import get_last_checkpoint

from fakelens.data.augmentation import Augmentation
from fakelens.data.skips import SkipLog
from fakelens.data.sources import Source, open_source
from fakelens.errors import UserError
from fakelens.metrics import compute_metrics
from fakelens.training.examples import Classes, Prepare, ValidationSet, held_out, training_stream
from fakelens.training.freezing import set_trainable
from fakelens.training.phases import MONITORS, Phase
from fakelens.training.recipe import Recipe, RunArguments
from fakelens.training.record import EpochRecord, environment, now, write_json
from fakelens.training.thresholds import best_f1_threshold, fpr_thresholds
from fakelens.training.trainer import DetectorTrainer
from fakelens.zoo import build_detector, build_processor


def train(recipe: Recipe) -> Path:
    """Run a recipe, or go on with it.

    Args:
        recipe: What to do; `recipe.run.resume` goes on with the run in its output folder.

    Returns:
        The folder of the finished model.

    Raises:
        UserError: If the folder holds another run, the data does not fit, or the loss diverges.
    """
    started, clock = now(), time.monotonic()
    out = Path(str(recipe.run.output_dir))
    _open_folder(out, recipe)
    if (out / "model" / "run.json").exists():
        return out / "model"
    set_seed(recipe.run.seed)
    source, validation_source, keep, keep_validation = _open_data(recipe)
    classes = _classes(recipe, source)
    model = build_detector(
        recipe.model.architecture,
        pretrained=recipe.model.pretrained,
        weights=recipe.model.weights,
        labels=classes.labels,
        **recipe.model.model_options,
    )
    processor = build_processor(recipe.model.architecture, recipe.model.image_size, **recipe.model.processor_options)
    skips = SkipLog(out / "skipped.jsonl")
    prepare = Prepare(processor, classes, skips)
    validation = ValidationSet(validation_source, prepare, recipe.data.max_validation_rows, keep_validation)
    augmentation = Augmentation.from_list(recipe.data.augmentation) if recipe.data.augmentation else None
    prepare_training = Prepare(processor, classes, skips, augmentation, recipe.run.seed)

    steps = 0
    phases = []
    trainer = None
    for number, phase in enumerate(recipe.phases):
        folder = out / "phases" / f"{number:02d}-{phase.name}"
        stream = training_stream(source, prepare_training, recipe.run.seed + number, recipe.data.shuffle_buffer, keep)
        trainer, facts = _walk(recipe, phase, folder, model, processor, stream, validation, _rows(recipe, source))
        phases.append(facts)
        steps += facts["steps"]
    assert trainer is not None

    scores = _calibrate(trainer, model, validation, recipe.model.decision_threshold)
    if trainer.is_world_process_zero():
        record = {
            "name": recipe.name,
            "recipe": recipe.keys,
            "started": started,
            "duration_s": round(time.monotonic() - clock, 1),
            "environment": environment(str(trainer.args.device)),
            "processes": trainer.args.world_size,
            "data": {
                "source": source.spec,
                "description": source.description,
                "revision": source.revision,
                "rows": source.rows,
                "validation_rows": len(validation),
                "skipped": skips.counts,
            },
            "seed": recipe.run.seed,
            "license": recipe.run.license,
            "parameters": model.num_parameters(),
            "steps": steps,
            "phases": phases,
            "validation": scores,
            "notes": recipe.notes,
        }
        _save(out, model, processor, record)
    trainer.accelerator.wait_for_everyone()
    return out / "model"


def _open_folder(out: Path, recipe: Recipe) -> None:
    """Refuse to mix two runs in one folder."""
    held = out / "recipe.json"
    wanted = json.loads(json.dumps(recipe.keys, default=str))
    if held.exists():
        if not recipe.run.resume:
            raise UserError(
                f"{out} holds a run already. Go on with it by --resume true, write elsewhere with --output_dir, "
                "or remove the folder."
            )
        before = json.loads(held.read_text(encoding="utf-8"))
        changed = sorted(k for k in before | wanted if before.get(k) != wanted.get(k))
        if changed:
            raise UserError(
                f"{out} holds a run of another recipe; these keys differ: {', '.join(changed)}. Put them back to "
                "go on with it, or write elsewhere with --output_dir."
            )
    elif recipe.run.process_index == 0:
        write_json(held, wanted)


Keep = Callable[[str, str], bool]


def _open_data(recipe: Recipe) -> tuple[Source, Source, Keep | None, Keep | None]:
    """Open training and validation data, with the filters that keep them apart."""
    data = recipe.data
    source = open_source(data.data, data.train_split)
    excluded = frozenset(data.exclude_generators or ())
    if data.holdout is None:
        keep = partial(_kept, excluded=excluded) if excluded else None
        return source, open_source(data.data, data.validation_split), keep, keep
    share = partial(_kept, excluded=excluded, share=data.holdout, seed=recipe.run.seed)
    return source, source, partial(share, inside=False), partial(share, inside=True)


def _kept(
    row_id: str,
    generator: str,
    excluded: frozenset[str],
    share: float | None = None,
    seed: int = 0,
    inside: bool = False,
) -> bool:
    return generator not in excluded and (share is None or held_out(row_id, share, seed) == inside)


def _classes(recipe: Recipe, source: Source) -> Classes:
    if recipe.data.classes == "verdict":
        return Classes()
    names = recipe.data.generators
    if names is None:
        column = source.stream.select_columns(["generator"])
        names = sorted({row["generator"] for row in column} - {"real", *(recipe.data.exclude_generators or ())})
    if not names:
        raise UserError(f"{source.spec} names no generators (its `model` column), so there is none to tell apart.")
    return Classes(list(names))


def _rows(recipe: Recipe, source: Source) -> int | None:
    rows = recipe.data.train_rows or source.rows
    if rows is None or recipe.data.holdout is None:
        return rows
    return max(1, round(rows * (1 - recipe.data.holdout)))


def _walk(
    recipe: Recipe,
    phase: Phase,
    folder: Path,
    model: PreTrainedModel,
    processor: BaseImageProcessor,
    stream: Any,
    validation: ValidationSet,
    rows: int | None,
) -> tuple[DetectorTrainer, dict[str, Any]]:
    """Train one phase, or take up what an earlier run left of it; the model ends at the phase's best checkpoint."""
    trainable = set_trainable(model, phase.trainable)
    args, steps_per_epoch = phase_arguments(recipe.run, phase, folder, rows)
    callbacks: list[Any] = [EpochRecord(folder.parents[1] / "metrics.csv", phase.name, steps_per_epoch)]
    if phase.early_stopping is not None:
        callbacks.append(EarlyStoppingCallback(phase.early_stopping))
    trainer = DetectorTrainer(
        adversarial=phase.adversarial,
        model=model,
        args=args,
        train_dataset=stream,
        eval_dataset=validation,
        processing_class=processor,
        compute_metrics=compute_metrics,
        callbacks=callbacks,
    )
    done = folder / "phase.json"
    if done.exists():
        load_model(model, folder / "model" / "model.safetensors", device=str(args.device))
        return trainer, json.loads(done.read_text(encoding="utf-8"))
    checkpoint = get_last_checkpoint(str(folder)) if folder.exists() else None
    trainer.train(resume_from_checkpoint=checkpoint)
    facts = {
        "name": phase.name,
        "steps": trainer.state.global_step,
        "trainable_parameters": trainable,
        "monitor": phase.monitor,
        "best": trainer.state.best_metric,
        "best_step": trainer.state.best_global_step,
    }
    trainer.save_state()
    trainer.save_model(str(folder / "model"))
    if trainer.is_world_process_zero():
        write_json(done, facts)
    trainer.accelerator.wait_for_everyone()
    return trainer, facts


def phase_arguments(run: RunArguments, phase: Phase, folder: Path, rows: int | None) -> tuple[RunArguments, int]:
    """Return transformers' arguments for one phase, and the steps in one pass over the data.

    Args:
        run: The recipe's own arguments, which hold where the phase is silent.
        phase: What the phase says.
        folder: Where its checkpoints go.
        rows: Training rows in one pass; None if the source does not say.

    Raises:
        UserError: If the phase counts in epochs and the length of one is not known.
    """
    batch = phase.batch_size or run.per_device_train_batch_size
    per_step = batch * run.world_size * run.gradient_accumulation_steps
    max_steps = phase.steps or (run.max_steps if run.max_steps > 0 and phase.epochs is None else None)
    if rows is None and max_steps is None:
        raise UserError("The source does not say how many rows it has. Say max_steps, or train_rows for one epoch.")
    steps_per_epoch = math.ceil(rows / per_step) if rows else int(max_steps or 1)
    max_steps = max_steps or max(1, math.ceil((phase.epochs or run.num_train_epochs) * steps_per_epoch))
    every = run.eval_steps or min(steps_per_epoch, max_steps)
    changes: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": max_steps,
        "eval_steps": every,
        "save_steps": every,
        "load_best_model_at_end": True,
        "metric_for_best_model": phase.monitor,
        "greater_is_better": MONITORS[phase.monitor],
        "per_device_train_batch_size": batch,
    }
    wishes = {
        "optim": phase.optim,
        "learning_rate": phase.learning_rate,
        "weight_decay": phase.weight_decay,
        "label_smoothing_factor": phase.label_smoothing,
        "lr_scheduler_kwargs": phase.schedule_options,
        "lr_scheduler_type": "reduce_lr_on_plateau" if phase.schedule == "on_plateau" else phase.schedule,
    }
    changes |= {key: value for key, value in wishes.items() if value is not None}
    if phase.schedule == "on_plateau":
        mode = {"mode": "max" if MONITORS[phase.monitor] else "min"}
        changes["lr_scheduler_kwargs"] = mode | (phase.schedule_options or {})
    try:
        return dataclasses.replace(run, **changes), steps_per_epoch
    except (ValueError, TypeError) as error:
        raise UserError(
            f"Phase {phase.name!r} has a value that does not fit: {' '.join(str(error).split())}"
        ) from None


def _calibrate(
    trainer: DetectorTrainer, model: PreTrainedModel, validation: ValidationSet, rule: str
) -> dict[str, float]:
    """Write the thresholds into the model's config, fitted on the validation split alone; return its metrics."""
    output = trainer.predict(validation, metric_key_prefix="validation")
    logits = torch.from_numpy(np.asarray(output.predictions)).float()
    scores = (1 - logits.softmax(dim=-1)[:, 0]).numpy()
    labels = (np.asarray(output.label_ids) > 0).astype(int)
    model.config.decision_threshold = best_f1_threshold(scores, labels) if rule == "best_f1" else float(rule)
    model.config.fpr_thresholds = fpr_thresholds(scores[labels == 0])
    prefix = "validation_"
    return {k.removeprefix(prefix): v for k, v in (output.metrics or {}).items() if not k.endswith("per_second")}


def _save(out: Path, model: PreTrainedModel, processor: BaseImageProcessor, record: dict[str, Any]) -> None:
    model.requires_grad_(True)
    model.save_pretrained(out / "model")
    processor.save_pretrained(out / "model")
    write_json(out / "run.json", record)
    write_json(out / "model" / "run.json", record)  # last: its presence says that the model is complete
