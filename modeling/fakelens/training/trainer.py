"""The Trainer of one phase: transformers' own, with attacks on training batches and a stop at a diverged loss."""

import zlib
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import Trainer

from fakelens.errors import UserError
from fakelens.training.attacks import AdversarialMix, Normalisation
from fakelens.training.freezing import hold_frozen_statistics
from fakelens.training.stream import TrainingStream


class DetectorTrainer(Trainer):
    """A Trainer for detectors.

    Args:
        adversarial: What share of the training data is attacked, and how; None for none.
        **kwargs: transformers' Trainer's own.
    """

    def __init__(self, adversarial: AdversarialMix | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        # MobileNetV2 takes any keyword, which transformers reads as "divides its loss by the number of images in all
        # processes and accumulated batches itself". It does not: its gradients would grow with the number of both.
        self.model_accepts_loss_kwargs = False
        self.adversarial = adversarial
        self._attacked_step, self._batch_of_step = -1, 0
        self.normalisation = Normalisation.of(self.processing_class) if adversarial else None

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Attack the batch if the phase says so, then take transformers' step; a loss that is no number stops."""
        inputs = self._prepare_inputs(inputs)
        if self.adversarial is not None and self.normalisation is not None:
            generator = torch.Generator().manual_seed(self._attack_seed())
            inputs["pixel_values"] = self.adversarial.apply(
                self.model, inputs["pixel_values"], inputs["labels"], self.normalisation, generator
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

    def _attack_seed(self) -> int:
        """Return a seed for this batch alone: a resumed run attacks the batches that the first would have.

        Batches of one accumulated step, and ranks, draw apart.
        """
        step = self.state.global_step
        self._batch_of_step = self._batch_of_step + 1 if step == self._attacked_step else 0
        self._attacked_step = step
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
        return super().compute_loss(model, inputs, *args, **kwargs)
