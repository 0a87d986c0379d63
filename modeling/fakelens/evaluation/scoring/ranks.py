"""One split scored by several processes, on one machine or more: who takes which rows, and all of them in order."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object

from fakelens.data.sources.opening import Source
from fakelens.data.sources.reading import read
from fakelens.evaluation.scoring.prediction_cache import Part

# A process that is done waits for the slowest; torch's own patience ends after minutes.
PATIENCE = timedelta(days=7)

Rows = tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Ranks:
    """This process among those that were launched together.

    Attributes:
        index: Which one this is.
        count: How many there are.
    """

    index: int = 0
    count: int = 1

    @classmethod
    def launched(cls, device: str | None = None) -> "Ranks":
        """Join the processes that `accelerate launch` or `torchrun` started; one alone, where none did.

        Args:
            device: Where models will run; the fastest device present if None.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        kind = device.partition(":")[0] if device else "cuda" if torch.cuda.is_available() else "cpu"
        # Not told so, accelerate takes processes without a GPU for strangers: each would score everything.
        state = PartialState(cpu=kind in ("cpu", "mps"), timeout=PATIENCE)
        return cls(state.process_index, state.num_processes)

    def device(self, device: str | None) -> str | None:
        """Return where this process's models run: as asked, else on a GPU of its own where there are GPUs.

        Args:
            device: As torch names devices; None to choose.
        """
        if device or self.count == 1:
            return device
        own = PartialState().device
        return "cpu" if own.type == "cpu" else str(own)  # not "cpu:1": there is one

    def split_by_files(self, source: Source, limit: int | None) -> bool:
        """Tell whether every process reads files of its own, instead of all rows to score some of them.

        Args:
            source: The split. Local files are read by all: that is quick, and evens out their sizes.
            limit: Rows from the start of the split, which are not spread over its files; all if None.
        """
        return self.count > 1 and limit is None and bool(source.revision) and source.stream.num_shards >= self.count

    def own_chunks(self, source: Source, size: int, limit: int | None = None) -> Iterator[tuple[int, Rows]]:
        """Yield this process's part of a split's rows, undecoded: every row goes to exactly one process.

        Args:
            source: The split.
            size: Rows that are dealt at a time.
            limit: Deal this many rows from the start of the split; all if None.

        Yields:
            A number, rising, and its rows. Cut and numbered alike whatever the number of processes, unless
            `split_by_files`.
        """
        if self.split_by_files(source, limit):
            # Contiguous: what the first process reads stands before what the second does.
            own = replace(source, stream=source.stream.shard(self.count, self.index, contiguous=True))
            yield from enumerate(_cut(read(own), size))
            return
        for number, rows in enumerate(_cut(islice(read(source), limit), size)):
            if number % self.count == self.index:
                yield number, rows

    def sum(self, own: int) -> int:
        """Return the sum of a number over all processes, in every process; each waits for the slowest.

        Args:
            own: This process's.
        """
        return sum(gather_object([own])) if self.count > 1 else own

    def gather(self, parts: Iterable[Part], by_files: bool) -> list[Part]:
        """Return all processes' parts in the split's order, in every process; each waits for the slowest.

        Args:
            parts: This process's.
            by_files: What `split_by_files` said.
        """
        own = [((self.index if by_files else 0, part.number), part) for part in parts]
        everyones = gather_object(own) if self.count > 1 else own
        return [part for _, part in sorted(everyones, key=lambda entry: entry[0])]


def _cut(rows: Iterator[dict[str, Any]], size: int) -> Iterator[Rows]:
    while batch := tuple(islice(rows, size)):
        yield batch
