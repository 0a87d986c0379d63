"""The endless stream of training examples, shared out between processes and their loader workers."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import datasets
import numpy as np
import torch

from fakelens.data.sources import Source
from fakelens.errors import UserError
from fakelens.training.examples import Prepare

COLUMNS = ("id", "image", "label", "generator")
READ_AHEAD = 8  # rows decoded at a time
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
        keep: `(id, generator) -> bool`; rows it refuses are left out.
        batch_size: Rows dealt at a time: the images that one process takes in one forward pass.
        rank: This process's index.
        ranks: Number of processes.
    """

    def __init__(
        self,
        source: Source,
        prepare: Prepare,
        seed: int,
        buffer: int,
        keep: Callable[[str, str], bool] | None = None,
        batch_size: int = 1,
        rank: int = 0,
        ranks: int = 1,
    ):
        self.source = source
        self.prepare = prepare
        self.seed = seed
        self.buffer = buffer
        self.keep = keep
        self.batch_size = batch_size
        self.rank = rank
        self.ranks = ranks

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield `pixel_values` and `labels` for ever.

        Raises:
            UserError: If there is no row, or none that can be used.
        """
        # Five seconds at the end of every pass, for a process that is about to exit. This one is not.
        datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0
        worker = torch.utils.data.get_worker_info()
        index, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        hand, hands = index * self.ranks + self.rank, workers * self.ranks
        stream = self.source.stream
        if self.source.revision and stream.num_shards >= hands:  # on the Hub
            stream, hand, hands = stream.shard(hands, hand), 0, 1
        rows = enumerate(self._rows(stream))
        mine = ((position, row) for position, row in rows if position // self.batch_size % hands == hand)
        useless = 0
        while batch := list(itertools.islice(mine, READ_AHEAD)):
            columns = {name: [row[name] for _, row in batch] for name in COLUMNS}
            examples = self.prepare(columns, [position for position, _ in batch])
            useless = 0 if examples["labels"] else useless + len(batch)
            if useless >= GIVE_UP:
                raise UserError(f"{useless} rows of {self.source.spec} in a row could not be used; see skipped.jsonl.")
            for values in zip(*examples.values(), strict=True):
                yield dict(zip(examples, values, strict=True))

    def _rows(self, stream: datasets.IterableDataset) -> Iterator[dict[str, Any]]:
        """Yield undecoded rows, pass after pass: the same ones in the same order in every process."""
        if self.keep is not None:
            stream = stream.filter(self.keep, input_columns=["id", "generator"])
        for number in itertools.count():
            generator = np.random.default_rng([self.seed, number])
            shuffled = stream.shuffle(generator=generator, buffer_size=self.buffer)
            empty = True
            # Not `for row in shuffled`, which in a loader worker leaves rows to the other workers.
            for rows in shuffled.iter(batch_size=READ_AHEAD):
                empty = False
                for values in zip(*rows.values(), strict=True):
                    yield dict(zip(rows, values, strict=True))
            if empty:
                raise UserError(
                    f"The split {self.source.split!r} of {self.source.spec} has no rows to train on, once those left "
                    "out by exclude_generators or holdout are gone."
                )
