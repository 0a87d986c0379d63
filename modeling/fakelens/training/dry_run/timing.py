"""Training as ever, but timed: which row each example is, who read it, how long loading and each step took."""

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import datasets
import torch
from torch.utils.data import get_worker_info
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from fakelens.data.aligned.reconstruct import original_of
from fakelens.data.sources.labels import FAKE
from fakelens.training.data.progress import ReadPosition
from fakelens.training.data.stream import TrainingStream
from fakelens.training.loop.trainer import DetectorTrainer


class TimedStream(TrainingStream):
    """A training stream whose examples say which row they are, who read it, and how long that took.

    `watch` is three whole numbers: the row's name (with its pass), whether the recipe's data may hold it in several
    sources, and the loader worker. `seconds` is what reading, decoding and degrading took, by the clock and of a core.
    """

    row: dict[str, Any]

    def _rows(
        self, stream: datasets.IterableDataset, start: ReadPosition, is_all: bool
    ) -> Iterator[tuple[int, int, int, dict[str, Any]]]:
        for found in super()._rows(stream, start, is_all):
            self.row = found[3]
            yield found

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield what a `TrainingStream` does, with `watch` and `seconds`."""
        worker = get_worker_info()
        examples = super().__iter__()
        while True:
            began, core = time.perf_counter(), time.process_time()
            example = next(examples)
            seconds = (time.perf_counter() - began, time.process_time() - core)
            row, number = self.row, int(example["mark"][0])
            name = hashlib.sha256(f"{number}/{row['id']}/{row['generator']}".encode()).digest()
            # Pairs by several autoencoders have the same real halves.
            several = row["label"] != FAKE and original_of(row["id"]) is not None
            watch = (int.from_bytes(name[:7], "big"), int(several), 0 if worker is None else worker.id)
            yield example | {"watch": torch.tensor(watch), "seconds": torch.tensor(seconds)}


class Clock(TrainerCallback):
    """Notes how long each optimiser step takes once its batches are there."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.began = 0.0

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start."""
        _wait(args)
        self.began = time.perf_counter()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop."""
        _wait(args)
        self.seconds.append(time.perf_counter() - self.began)


def _wait(args: TrainingArguments) -> None:
    if args.device.type != "cpu":
        torch.accelerator.synchronize()


class TimedTrainer(DetectorTrainer):
    """A `DetectorTrainer` that keeps what a `TimedStream` says of its batches.

    Args:
        **kwargs: `DetectorTrainer`'s own.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.notes: list[dict[str, torch.Tensor]] = []
        self.kinds: set[str] = set()

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], torch.Tensor | int | None]:
        """Take batches as ever, and the notes out of them."""
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        for batch in batches:
            self.notes.append({"labels": batch["labels"]} | {key: batch.pop(key) for key in ("watch", "seconds")})
            kinds = (f"{name} {tuple(batch[name].shape)} {batch[name].dtype}" for name in ("pixel_values", "labels"))
            self.kinds.add(", ".join(kinds).replace("torch.", ""))
        return batches, items
