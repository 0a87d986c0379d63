"""The endless stream of training examples, shared out between processes and their loader workers."""

import itertools
from collections.abc import Iterator
from typing import Any

import datasets
import numpy as np
import torch

from fakelens.data.sources.labels import FAKE
from fakelens.data.sources.opening import Source
from fakelens.data.sources.reading import watched
from fakelens.errors import UserError
from fakelens.training.data.examples import Prepare
from fakelens.training.data.progress import Progress, ReadPosition

COLUMNS = ("id", "image", "label", "generator")
ROWS_AT_ONCE = 8  # taken from the shuffle buffer
SHARDS_AT_ONCE = 4  # that the buffer is filled from; each holds a piece of a row group in memory
GIVE_UP = 10_000  # rows one after the other of which none could be used


class TrainingStream(torch.utils.data.IterableDataset):
    """Pass after pass over a source's rows, each in an order of its own and each row in it exactly once.

    The rows of all passes, laid end to end, are dealt out a batch at a time: to each process in turn, and in each
    process to every loader worker in turn. So all processes together see in a step what one process with the batch of
    them all would see, and neither uneven shards nor too few of them give a row twice or leave a process waiting.

    To deal, every worker reads all rows, undecoded, and decodes its own. Over a network that would be reading too
    much: of a Hub data set with shards enough, every worker reads shards of its own. Where these are not of one size,
    some workers' passes are shorter than others'.

    It shares itself out: `DetectorTrainer` does not let accelerate share it out a second time.

    Args:
        source: Where rows come from.
        prepare: What is done to them, after the shuffle: the buffer holds undecoded bytes.
        seed: Of the shuffle.
        buffer: Rows that the shuffle holds.
        batch_size: Rows dealt at a time: the images that one process takes in one forward pass.
        rank: This process's index.
        ranks: Number of processes.

    Attributes:
        done: What an earlier run has taken already. As many batches come as before, empty, for transformers to throw
            away; then rows from where that run stood. None to begin at the beginning.
    """

    def __init__(
        self,
        source: Source,
        prepare: Prepare,
        seed: int,
        buffer: int,
        batch_size: int = 1,
        rank: int = 0,
        ranks: int = 1,
    ):
        self.source = source
        self.prepare = prepare
        self.seed = seed
        self.buffer = buffer
        self.batch_size = batch_size
        self.rank = rank
        self.ranks = ranks
        self.done: Progress | None = None

    def cost(self, workers: int) -> str:
        """Say what it costs that there are fewer shards than readers, "" if nothing.

        Args:
            workers: Loader workers of each process, at least 1.
        """
        readers, shards, rows = self.ranks * workers, self.source.stream.num_shards, self.source.rows
        if shards >= readers:
            return ""
        return (
            f"{self.source.spec} has {shards} shard{'s' * (shards > 1)} in its split {self.source.split!r} for "
            f"{self.ranks} processes x {workers} loader workers: each of the {readers} reads all "
            f"{'' if rows is None else f'{rows:,} '}rows and decodes its own, so every byte is read {readers} times."
        )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield `pixel_values`, `labels` and `mark` (a `ReadPosition`'s three numbers) for ever.

        Raises:
            StreamError: If reading ends half-way.
            UserError: If there is no row, or none that can be used, or all are of one class.
        """
        # Five seconds at the end of every pass, for a process that is about to exit. This one is not.
        datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0
        worker = torch.utils.data.get_worker_info()
        index, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        start = ReadPosition()
        if self.done is not None and self.done.positions is not None:
            start = self.done.positions[index]
            yield from itertools.repeat({"labels": 0}, self.done.batches_of(index) * self.batch_size)
        hand, hands = index * self.ranks + self.rank, workers * self.ranks
        stream, is_all = self.source.stream, True
        if self.source.revision and stream.num_shards >= hands:  # on the Hub
            stream, is_all, hand, hands = stream.shard(hands, hand), hands == 1, 0, 1
        useless = 0
        for number, first, position, row in self._rows(stream, start, is_all):
            if position < start.next or position // self.batch_size % hands != hand:
                continue
            examples = self.prepare({name: [row[name]] for name in COLUMNS}, [position])
            useless = 0 if examples["labels"] else useless + 1
            if useless >= GIVE_UP:
                raise UserError(f"{useless} rows of {self.source.spec} in a row could not be used; see skipped.jsonl.")
            mark = torch.tensor((number, first, position + 1))
            for values in zip(*examples.values(), strict=True):
                yield dict(zip(examples, values, strict=True)) | {"mark": mark}

    def _rows(
        self, stream: datasets.IterableDataset, start: ReadPosition, is_all: bool
    ) -> Iterator[tuple[int, int, int, dict[str, Any]]]:
        """Yield pass, position of the pass's first row, position, and undecoded row: the same in every process."""
        number, position = start.number, start.first
        while True:
            generator = np.random.default_rng([self.seed, number])
            shuffled = stream.shuffle(
                generator=generator, buffer_size=self.buffer, max_buffer_input_shards=SHARDS_AT_ONCE
            )
            first, labels = position, set()
            # Not `for row in shuffled`, which in a loader worker leaves rows to the other workers.
            for rows in watched(shuffled.iter(batch_size=ROWS_AT_ONCE), self.source):
                labels.update(rows["label"])
                for values in zip(*rows.values(), strict=True):
                    yield number, first, position, dict(zip(rows, values, strict=True))
                    position += 1
            self._check(labels, is_all)
            number += 1

    def _check(self, labels: set[int], is_all: bool) -> None:
        """Refuse to go on after a pass without rows, or, where it saw all shards, with one class alone."""
        where = f"The split {self.source.split!r} of {self.source.spec}"
        if not labels:
            raise UserError(f"{where} has no rows to train on, once those left out by the recipe are gone.")
        if is_all and len(labels) < 2:
            kind, other = ("fake", "real") if FAKE in labels else ("real", "fake")
            raise UserError(f"{where} has only {kind} images to train on; a detector needs {other} ones too.")
