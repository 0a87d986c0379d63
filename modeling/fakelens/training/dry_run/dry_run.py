"""A few real steps of a recipe on every process, to see that data, network and machines go together; nothing is kept.

What would only show hours into a large run shows in minutes: rows that two processes train on, batches of unlike
shapes, processes that do not learn together, memory, and how long the whole run would take.
"""

import dataclasses
import math
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from torch.utils.data import Subset
from transformers import PreTrainedModel, PrinterCallback, set_seed

from fakelens.data.sources.opening import open_source
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError
from fakelens.metrics.detection import compute_metrics
from fakelens.training.data.examples import Prepare, ValidationSet
from fakelens.training.data.stream import TrainingStream
from fakelens.training.data.training_data import TrainingData, open_training_data
from fakelens.training.dry_run.report import Phase as PhaseFacts
from fakelens.training.dry_run.report import Process
from fakelens.training.dry_run.timing import Clock, TimedStream, TimedTrainer
from fakelens.training.loop.freezing import set_trainable
from fakelens.training.loop.initialisation import first_model, never_seen
from fakelens.training.loop.phases import phase_arguments, training_prepare
from fakelens.training.recipe.recipe import Recipe, RunArguments

STEPS = 3  # optimiser steps of each phase; the first, which warms up, is not timed
EVALUATED = 32  # validation images, both classes alike


def dry_run(recipe: Recipe) -> list[PhaseFacts]:
    """Take a few steps of every phase of a recipe, and check what can be checked. All processes call it.

    Args:
        recipe: What to try. Its output folder is neither looked at nor written to.

    Returns:
        What was found, phase after phase, the same in every process.

    Raises:
        UserError: If the recipe cannot be run, a row came twice in one pass, or processes had batches of different
            shapes or ended with different weights.
    """
    if recipe.model.members:
        raise UserError("An ensemble is trained member by member: try each member's own recipe with --dry_run true.")
    set_seed(recipe.run.seed)
    data = open_training_data(recipe.data, recipe.run.seed, never_seen(recipe.model))
    found = []
    with tempfile.TemporaryDirectory(prefix="fakelens-dry-run-") as folder:
        skips = SkipLog(Path(folder) / "skipped.jsonl")
        model, processor = first_model(recipe.model, data.classes.labels)
        prepare = training_prepare(recipe, processor, data, skips)
        validation = data.validation_set(Prepare(processor, data.classes, skips))
        for number, phase in enumerate(recipe.phases):
            set_trainable(model, phase.trainable)
            arguments, _ = phase_arguments(recipe.run, phase, Path(folder), data.rows, recipe.keys.get("eval_steps"))
            stream = data.training_stream(prepare, recipe.run.seed + number, recipe.data.shuffle_buffer, arguments)
            clock = Clock()
            trainer = TimedTrainer(
                adversarial=phase.adversarial,
                model=model,
                args=_short(arguments),
                train_dataset=TimedStream(
                    stream.source, prepare, stream.seed, stream.buffer, stream.batch_size, stream.rank, stream.ranks
                ),
                eval_dataset=_few_of(validation),
                processing_class=processor,
                compute_metrics=compute_metrics,
                callbacks=[clock],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
            evaluated = trainer.evaluate()
            process = _process(trainer, clock, evaluated["eval_samples_per_second"])
            # On one machine or several: every process learns what all have seen.
            processes: list[Process] = gather_object([process])
            _check(processes, _may_begin_again(recipe, data, stream, processes), len(recipe.data.extra_data))
            found.append(_phase(phase.name, arguments, stream, processes, trainer, len(validation)))
    return found


def _short(arguments: RunArguments) -> RunArguments:
    """Return a phase's arguments for a few steps that leave nothing; three steps show no schedule either."""
    changes: dict[str, Any] = {
        "max_steps": STEPS,
        "eval_strategy": "no",
        "save_strategy": "no",
        "load_best_model_at_end": False,
        "lr_scheduler_type": "constant",
        "lr_scheduler_kwargs": {},
        "warmup_steps": 0,
        "report_to": "none",
        "disable_tqdm": True,
    }
    return dataclasses.replace(arguments, **changes)


def _few_of(validation: ValidationSet) -> Subset:
    """Return some validation images of both classes."""
    each = [np.flatnonzero(validation.labels == label)[: EVALUATED // 2] for label in np.unique(validation.labels)]
    return Subset(validation, np.concatenate(each).tolist())


def _process(trainer: TimedTrainer, clock: Clock, evaluated: float) -> Process:
    """Return what this process found."""
    watch = torch.cat([note["watch"] for note in trainer.notes])
    seconds = torch.cat([note["seconds"] for note in trainer.notes])
    # The first image of a worker waits until the shuffle buffer is full, once in a run.
    started = torch.zeros(len(watch), dtype=torch.bool)
    for worker in watch[:, 2].unique():
        started[(watch[:, 2] == worker).nonzero()[0]] = True
    further = seconds[~started] if (~started).any() else seconds
    labels = torch.cat([note["labels"] for note in trainer.notes]).cpu()
    cuda = trainer.args.device.type == "cuda"
    return Process(
        index=trainer.args.process_index,
        rows=[(int(name), bool(several), int(worker)) for name, several, worker in watch],
        kinds=sorted(trainer.kinds),
        fakes=int((labels > 0).sum()),
        first_image_s=float(seconds[started, 0].max()),
        image_s=float(further[:, 0].mean()),
        image_core_s=float(further[:, 1].mean()),
        step_s=sum(clock.seconds[1:]) / len(clock.seconds[1:]),
        evaluated=evaluated,
        weights=float(sum(p.detach().double().abs().sum() for p in trainer.model.parameters())),
        peak=_peak(children=False),
        worker_peak=_peak(children=True) if trainer.args.dataloader_num_workers else 0,
        cuda_peak=torch.cuda.max_memory_allocated() if cuda else None,
    )


def _peak(children: bool) -> int:
    """Return the most memory that this process, or the largest of its ended children, had, in bytes; 0 if unknown."""
    if sys.platform == "win32":
        return 0
    import resource  # there is none on Windows

    most = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _may_begin_again(recipe: Recipe, data: TrainingData, stream: TrainingStream, processes: list[Process]) -> bool:
    """Tell whether a source that is mixed in is so short that this run met some of its rows twice."""
    others = recipe.data.read.for_others()
    lengths = [open_source(spec, recipe.data.train_split, others).rows or 0 for spec in recipe.data.mixed_in]
    readers = stream.ranks * max(1, recipe.run.dataloader_num_workers)
    read = sum(len(process.rows) for process in processes) + stream.buffer * readers
    return bool(lengths) and min([*lengths, data.rows or read + 1]) <= read


def _check(processes: list[Process], may_begin_again: bool, sources_of_pairs: int) -> None:
    """Refuse what must not be.

    Args:
        processes: What each found.
        may_begin_again: Whether rows may rightly come twice.
        sources_of_pairs: How many sources may hold the same real half of a pair.
    """
    several = {name for process in processes for name, is_shared, _ in process.rows if is_shared}
    counts = Counter(name for process in processes for name, _, _ in process.rows)
    twice = {name for name, n in counts.items() if n > (max(1, sources_of_pairs) if name in several else 1)}
    if twice and not may_begin_again:
        readers = [(p.index, worker) for p in processes for name, _, worker in p.rows if name == min(twice)]
        where = " and ".join(f"process {process}, worker {worker}" for process, worker in readers[:2])
        raise UserError(
            f"{len(twice)} of {len(counts)} rows came more than once in a pass, one of them to {where}. Either the "
            "data hold these images twice (fakelens prepare removes duplicates), or rows are not shared out as they "
            "should be, and training would be on fewer images than it says."
        )
    kinds = {kind for process in processes for kind in process.kinds}
    if len(kinds) > 1:
        raise UserError(f"Batches are not of one shape: {'; '.join(sorted(kinds))}. Look at processor_options.")
    weights = [process.weights for process in processes]
    if not all(math.isclose(weight, weights[0], rel_tol=1e-9) for weight in weights):
        raise UserError(
            f"After {STEPS} steps the processes have different weights: they do not train together. Start them by "
            "torchrun, or by accelerate launch with a file of recipes/accelerate."
        )


def _phase(
    name: str,
    arguments: RunArguments,
    stream: TrainingStream,
    processes: list[Process],
    trainer: TimedTrainer,
    validation_rows: int,
) -> PhaseFacts:
    """Put together what all processes found of a phase."""
    model: PreTrainedModel = trainer.model
    workers = arguments.dataloader_num_workers
    readers = stream.ranks * max(1, workers)
    state = [value for values in trainer.optimizer.state.values() for value in values.values()]
    return PhaseFacts(
        name=name,
        processes=processes,
        images=arguments.train_batch_size * arguments.gradient_accumulation_steps,
        workers=workers,
        steps=arguments.max_steps,
        evaluations=math.ceil(arguments.max_steps / arguments.eval_steps),
        validation_rows=validation_rows,
        parameters=model.num_parameters(),
        parameter_bytes=sum(p.numel() * p.element_size() for p in model.parameters()),
        gradient_bytes=sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad),
        optimiser_bytes=sum(t.numel() * t.element_size() for t in state if isinstance(t, torch.Tensor)),
        shards=stream.source.stream.num_shards,
        readers=readers,
        own_shards=bool(stream.source.revision) and stream.source.stream.num_shards >= readers,
        cost=stream.cost(max(1, workers)),
    )
