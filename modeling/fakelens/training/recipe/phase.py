"""A phase of a run, as data: what is trainable, for how long, with which optimiser, loss and attack."""

import difflib
from dataclasses import dataclass, fields
from typing import Any

from fakelens.errors import UserError
from fakelens.training.attacks import AdversarialMix

MONITORS = {"auroc": True, "accuracy": True, "f1": True, "loss": False}  # metric -> whether greater is better


@dataclass(frozen=True)
class Phase:
    """One phase. What is None is taken from the recipe's own keys.

    Attributes:
        name: For folders and logs.
        trainable: "all", "head", or how many of the last layers (the head is always among them).
        epochs: Passes over the training data.
        steps: Optimiser steps, instead of epochs.
        optim: An optimiser of transformers' TrainingArguments, e.g. "adamw_torch" or "sgd".
        learning_rate: The peak.
        weight_decay: Of the optimiser.
        schedule: "linear", "cosine", "constant", ... or "on_plateau".
        schedule_options: For "on_plateau": factor, patience; for others what transformers takes.
        label_smoothing: In [0, 1).
        batch_size: Images per step and device.
        monitor: Validation metric for the best checkpoint, early stopping and the plateau.
        early_stopping: Evaluations without improvement after which the phase ends.
        adversarial: Fraction of training data that is attacked, see `AdversarialMix`.
    """

    name: str = "train"
    trainable: str | int = "all"
    epochs: float | None = None
    steps: int | None = None
    optim: str | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    schedule: str | None = None
    schedule_options: dict[str, Any] | None = None
    label_smoothing: float | None = None
    batch_size: int | None = None
    monitor: str = "auroc"
    early_stopping: int | None = None
    adversarial: AdversarialMix | None = None

    @classmethod
    def from_dict(cls, keys: dict[str, Any], where: str) -> "Phase":
        """Read a phase of a recipe.

        Args:
            keys: The phase's mapping.
            where: How to name it in messages.

        Raises:
            UserError: If a key is not known or a value is out of range.
        """
        if not isinstance(keys, dict):
            raise UserError(f"{where} is not a mapping of keys to values.")
        known = [f.name for f in fields(cls)]
        for key in keys:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=2)
                hint = f"Did you mean {' or '.join(near)}?" if near else f"A phase knows: {', '.join(known)}."
                raise UserError(f"{where}: unknown key {key!r}. {hint}")
        keys = dict(keys)
        if keys.get("adversarial") is not None:
            keys["adversarial"] = AdversarialMix.from_dict(keys["adversarial"])
        phase = cls(**keys)
        phase._check(where)
        return phase

    def _check(self, where: str) -> None:
        is_integer = isinstance(self.trainable, int) and not isinstance(self.trainable, bool)
        if self.trainable not in ("all", "head") and not (is_integer and int(self.trainable) >= 0):
            raise UserError(f"{where}: trainable is {self.trainable!r}; it is all, head, or a number of last layers.")
        if self.epochs is not None and self.steps is not None:
            raise UserError(f"{where}: says both epochs and steps; say one.")
        for name, value in (("epochs", self.epochs), ("steps", self.steps), ("early_stopping", self.early_stopping)):
            if value is not None and value <= 0:
                raise UserError(f"{where}: {name} is {value}; it must be above 0.")
        if self.monitor not in MONITORS:
            raise UserError(f"{where}: monitor is {self.monitor!r}; it is one of {', '.join(MONITORS)}.")
        if self.label_smoothing is not None and not 0 <= self.label_smoothing < 1:
            raise UserError(f"{where}: label_smoothing is {self.label_smoothing}; it lies in [0, 1).")
