"""Run a recipe's phases: each a Trainer of its own on the model that the one before left."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from safetensors.torch import load_model
from transformers import EarlyStoppingCallback, PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor
from transformers.trainer_utils import get_last_checkpoint

from fakelens.atomic import write_json
from fakelens.data.sources.skips import SkipLog
from fakelens.data.transforms.augmentation import Augmentation
from fakelens.data.transforms.degradations import Degradations
from fakelens.data.transforms.transforms import InTurn
from fakelens.errors import UserError
from fakelens.metrics.detection import compute_metrics
from fakelens.training.cutmix import CutMix
from fakelens.training.data.examples import Prepare
from fakelens.training.data.training_data import TrainingData
from fakelens.training.loop.freezing import set_trainable
from fakelens.training.loop.initialisation import first_model
from fakelens.training.loop.record import EpochRecord
from fakelens.training.loop.trainer import DetectorTrainer
from fakelens.training.recipe.phase import MONITORS, Phase
from fakelens.training.recipe.recipe import Recipe, RunArguments


@dataclasses.dataclass(frozen=True)
class Result:
    """What training leaves.

    Attributes:
        model: The trained model.
        processor: Its image processor.
        facts: What to write into the run's record.
    """

    model: PreTrainedModel
    processor: BaseImageProcessor
    facts: dict[str, Any]


def run_phases(recipe: Recipe, out: Path, data: TrainingData, skips: SkipLog) -> Result:
    """Train a recipe's model, phase after phase; finished phases of an earlier run are taken up, not repeated.

    Args:
        recipe: What to do.
        out: The run's folder.
        data: The recipe's data, opened.
        skips: Where skipped rows are counted.
    """
    model, processor = first_model(recipe.model, data.classes.labels)
    prepare = training_prepare(recipe, processor, data, skips)
    validation = data.validation_set(Prepare(processor, data.classes, skips))
    phases: list[dict[str, Any]] = []
    for number, phase in enumerate(recipe.phases):
        folder = out / "phases" / f"{number:02d}-{phase.name}"
        trainable = set_trainable(model, phase.trainable)
        arguments, steps_per_epoch = phase_arguments(
            recipe.run, phase, folder, data.rows, recipe.keys.get("eval_steps")
        )
        callbacks: list[Any] = [EpochRecord(out / "metrics.csv", phase.name, steps_per_epoch)]
        if phase.early_stopping is not None:
            callbacks.append(EarlyStoppingCallback(phase.early_stopping))
        trainer = DetectorTrainer(
            adversarial=phase.adversarial,
            cutmix=CutMix(recipe.data.cutmix) if recipe.data.cutmix else None,
            model=model,
            args=arguments,
            train_dataset=data.training_stream(
                prepare, recipe.run.seed + number, recipe.data.shuffle_buffer, arguments
            ),
            eval_dataset=validation,
            processing_class=processor,
            compute_metrics=compute_metrics,
            callbacks=callbacks,
        )
        if cost := trainer.train_dataset.cost(max(1, arguments.dataloader_num_workers)):
            recipe.notes[:] = dict.fromkeys([*recipe.notes, cost])
        phases.append(_run_phase(trainer, folder, {"name": phase.name, "trainable_parameters": trainable}))
    # Calibration, next, is in the precision of the weights; the Trainer leaves the one it trained in on the network.
    trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    return Result(model, processor, {"steps": sum(phase["steps"] for phase in phases), "phases": phases})


def training_prepare(recipe: Recipe, processor: BaseImageProcessor, data: TrainingData, skips: SkipLog) -> Prepare:
    """Return what is done to training images.

    Args:
        recipe: What to do.
        processor: The model's image processor.
        data: The recipe's data, opened.
        skips: Where skipped rows are counted.
    """
    steps = (Augmentation.from_list(recipe.data.augmentation), Degradations.from_list(recipe.data.degradations))
    return Prepare(processor, data.classes, skips, InTurn(steps), recipe.run.seed, recipe.data.train_crop)


def _run_phase(trainer: DetectorTrainer, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Train one phase, or take up what an earlier run left of it; the model ends at the phase's best checkpoint."""
    done = folder / "phase.json"
    if done.exists():
        load_model(trainer.model, folder / "model" / "model.safetensors", device=str(trainer.args.device))
        return json.loads(done.read_text(encoding="utf-8"))
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(folder)) if folder.exists() else None)
    facts |= {
        "steps": trainer.state.global_step,
        "monitor": trainer.args.metric_for_best_model,
        "best": trainer.state.best_metric,
        "best_step": trainer.state.best_global_step,
    }
    if trainer.is_world_process_zero():
        trainer.model.save_pretrained(folder / "model")
        trainer.processing_class.save_pretrained(folder / "model")
        write_json(done, facts)
    trainer.accelerator.wait_for_everyone()
    return facts


def phase_arguments(
    run: RunArguments, phase: Phase, folder: Path, rows: int | None, eval_steps: int | None = None
) -> tuple[RunArguments, int]:
    """Return transformers' arguments for one phase, and the steps in one pass over the data.

    Args:
        run: The recipe's own arguments, which hold where the phase is silent.
        phase: What the phase says.
        folder: Where its checkpoints go.
        rows: Training rows in one pass; None if the source does not say.
        eval_steps: Steps between two evaluations, each with a checkpoint; None for one evaluation a pass.

    Raises:
        UserError: If the phase counts in epochs and the length of one is not known, or a value does not fit.
    """
    batch = phase.batch_size or run.per_device_train_batch_size
    per_step = batch * run.world_size * run.gradient_accumulation_steps
    max_steps = phase.steps or (run.max_steps if run.max_steps > 0 and phase.epochs is None else None)
    if rows is None and max_steps is None:
        raise UserError("The source does not say how many rows it has. Say max_steps, or train_rows for one epoch.")
    steps_per_epoch = math.ceil(rows / per_step) if rows else int(max_steps or 1)
    max_steps = max_steps or max(1, math.ceil((phase.epochs or run.num_train_epochs) * steps_per_epoch))
    every = min(eval_steps or steps_per_epoch, max_steps)
    changes: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": max_steps,
        "eval_steps": every,
        "save_steps": every,
        # At least one line of training figures by each evaluation, for its row of the record.
        "logging_steps": min(run.logging_steps, every),
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
        reason = " ".join(str(error).split())
        raise UserError(f"Phase {phase.name!r} has a value that does not fit: {reason}") from None
