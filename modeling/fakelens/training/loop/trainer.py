"""The Trainer of one phase: transformers' own, with attacks on batches, CutMix, and stops that lose nothing."""

import copy
import logging
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from transformers import Trainer
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, TrainOutput

from fakelens.data.sources.reading import StreamError
from fakelens.errors import UserError
from fakelens.training.attacks import AdversarialMix, Normalisation
from fakelens.training.cutmix import CutMix
from fakelens.training.data.progress import Progress, checkpoints, is_complete, load_progress
from fakelens.training.data.stream import TrainingStream
from fakelens.training.loop.freezing import hold_frozen_statistics

logger = logging.getLogger(__name__)


class DetectorTrainer(Trainer):
    """A Trainer for detectors.

    Args:
        adversarial: What fraction of the training data is attacked, and how; None for none.
        cutmix: How training images are mixed, after the attack; None for not at all.
        **kwargs: transformers' Trainer's own.
    """

    def __init__(self, adversarial: AdversarialMix | None = None, cutmix: CutMix | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        # MobileNetV2 takes any keyword, which transformers reads as "divides its loss by the number of images in all
        # processes and accumulated batches itself". It does not: its gradients would grow with the number of both.
        self.model_accepts_loss_kwargs = False
        self.adversarial = adversarial
        self.cutmix = cutmix
        self._drawn_step, self._batch_of_step = -1, 0
        self.normalisation = Normalisation.of(self.processing_class) if adversarial else None
        self._workers = max(1, self.args.dataloader_num_workers)
        self._progress = Progress(self.args.world_size, self._workers)
        self._saved_step = 0

    def train(self, resume_from_checkpoint: str | None = None, **kwargs: Any) -> TrainOutput:
        """Train as transformers does. A checkpoint that a kill cut short is removed, and the one before it taken."""
        checkpoint = None
        if resume_from_checkpoint is not None:
            found = checkpoints(Path(self.args.output_dir))
            checkpoint = next(filter(is_complete, [Path(resume_from_checkpoint), *reversed(found)]), None)
            self.accelerator.wait_for_everyone()  # all have looked before the first one removes
            for path in found if self.is_world_process_zero() else ():
                if not is_complete(path):
                    shutil.rmtree(path)
        self._saved_step = 0 if checkpoint is None else int(checkpoint.name.split("-")[-1])
        if isinstance(self.train_dataset, TrainingStream):
            self._set_out(self.train_dataset, checkpoint)
        return super().train(resume_from_checkpoint=checkpoint and str(checkpoint), **kwargs)

    def _set_out(self, stream: TrainingStream, checkpoint: Path | None) -> None:
        """Begin to count what is taken from the stream, from where the checkpoint's run stood."""
        self._progress = Progress.at_start(self.args.world_size, self._workers)
        if checkpoint is not None:
            done = load_progress(checkpoint, self.args.process_index)
            if done is None or (done.processes, done.workers) != (self.args.world_size, self._workers):
                logger.warning("This run went on with another number of processes: the order of its images is new.")
                self._progress.positions = None
            else:
                self._progress, stream.done = done, copy.deepcopy(done)
        if self.is_world_process_zero() and (cost := stream.cost(self._workers)):
            logger.warning(cost)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], torch.Tensor | int | None]:
        """Take batches as transformers does. If a process gets none, all save the last step and stop."""
        if not isinstance(self.train_dataset, TrainingStream):
            return super().get_batch_samples(epoch_iterator, num_batches, device)
        batches, items, error = [], None, None
        try:
            batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        except UserError as caught:
            error = caught
        # One process cannot save or stop alone: the others would wait for it in the next step.
        failed = self.accelerator.reduce(torch.tensor(float(error is not None), device=device))
        if failed.item():
            raise self._stopped(error)
        for batch in batches:
            self._progress.take(batch)
        return batches, items

    def _stopped(self, error: UserError | None) -> UserError:
        """Save the last complete step, and return what to raise."""
        step = self.state.global_step
        if step > self._saved_step:
            self._save_checkpoint(self.model, trial=None)
        if error is None:
            return StreamError("Stopped with another process, whose training data gave out.")
        # A loader worker's error comes with its traceback, the message last.
        kind = type(error)
        message = str(error).strip().splitlines()[-1].removeprefix(f"{kind.__module__}.{kind.__qualname__}: ")
        if not isinstance(error, StreamError):
            return UserError(message)
        kept = f"Step {step} is saved in {self.args.output_dir}. " if step else ""
        return StreamError(f"{message} {kept}Go on with --resume true once that is mended.")

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save as transformers does, and in the end how far the stream has been read."""
        super()._save_checkpoint(model, trial)
        step = self.state.global_step
        self._progress.save(Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{step}", self.args.process_index)
        self._saved_step = step

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Attack and mix the batch if told to, then take transformers' step; a loss that is no number stops."""
        inputs = self._prepare_inputs(inputs)
        generator = torch.Generator().manual_seed(self._batch_seed())
        if self.adversarial is not None and self.normalisation is not None:
            inputs["pixel_values"] = self.adversarial.apply(
                self.model, inputs["pixel_values"], inputs["labels"], self.normalisation, generator
            )
        if self.cutmix is not None:
            inputs["pixel_values"], inputs["targets"] = self.cutmix.apply(
                inputs["pixel_values"], inputs.pop("labels"), self.model.config.num_labels, generator
            )
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise self._diverged(self.state.global_step + 1, "The loss is not a number")
        return loss

    def get_train_dataloader(self) -> DataLoader:
        """Return the loader; not by way of accelerate, which would share a `TrainingStream` out once more."""
        if not isinstance(self.train_dataset, TrainingStream):
            return super().get_train_dataloader()
        return DataLoader(
            self.train_dataset,
            batch_size=self.args.train_batch_size,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
            prefetch_factor=self.args.dataloader_prefetch_factor,
            multiprocessing_context=self.args.dataloader_multiprocessing_context,
        )

    def _batch_seed(self) -> int:
        """Return a seed for this batch alone: a resumed run attacks and mixes batches as the first would have.

        Batches of one accumulated step, and ranks, draw apart.
        """
        step = self.state.global_step
        self._batch_of_step = self._batch_of_step + 1 if step == self._drawn_step else 0
        self._drawn_step = step
        batch = f"{self.args.seed}/{step}/{self._batch_of_step}/{self.args.process_index}"
        return zlib.crc32(batch.encode())

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluate as transformers does; scores that are no numbers stop the run before they are saved."""
        try:
            return super().evaluate(*args, **kwargs)
        except UserError as error:
            raise self._diverged(self.state.global_step, str(error).split(". ")[0]) from None

    def _diverged(self, step: int, what: str) -> UserError:
        return UserError(
            f"{what}, at step {step}. Every checkpoint before it is kept in {self.args.output_dir}. Train again with "
            "a lower learning_rate, or a max_grad_norm."
        )

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Compute the loss as transformers does, with frozen normalisations held still."""
        if model.training:
            hold_frozen_statistics(model)
        if "targets" in inputs:
            outputs = model(pixel_values=inputs["pixel_values"])
            smoothing = self.args.label_smoothing_factor
            return F.cross_entropy(outputs.logits, inputs["targets"], label_smoothing=smoothing)
        return super().compute_loss(model, inputs, *args, **kwargs)
