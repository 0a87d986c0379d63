"""How far a training stream has been read, kept with each checkpoint: a resumed run decodes nothing a second time.

A checkpoint is whole once every process has left its `progress-RANK.json` there, the last thing that it writes.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from fakelens.atomic import write_json


@dataclass(frozen=True)
class ReadPosition:
    """Where a loader worker's reading stands.

    Attributes:
        number: The pass it is in, from 0.
        first: Rows of all earlier passes, which is the position of this pass's first row.
        next: Position of the first row that it has not handed on.
    """

    number: int = 0
    first: int = 0
    next: int = 0


@dataclass
class Progress:
    """What one process of a run has taken from its stream.

    Attributes:
        processes: Of the run.
        workers: Loader workers of this process; 1 where it loads by itself.
        batches: Batches taken, from one worker after the other.
        positions: Where each worker's reading stands; None where that is not known.
    """

    processes: int
    workers: int
    batches: int = 0
    positions: list[ReadPosition] | None = None

    @classmethod
    def at_start(cls, processes: int, workers: int) -> "Progress":
        """Return that of a run which has taken nothing yet."""
        return cls(processes, workers, positions=[ReadPosition()] * workers)

    def take(self, batch: dict[str, Any]) -> None:
        """Note a batch, and take the mark that the stream has left in it out again."""
        marks = batch.pop("mark", None)
        if marks is not None and self.positions is not None:
            self.positions[self.batches % self.workers] = ReadPosition(*marks[-1].tolist())
        self.batches += 1

    def batches_of(self, worker: int) -> int:
        """Return how many of the batches came from this worker."""
        return len(range(worker, self.batches, self.workers))

    def save(self, folder: Path, rank: int) -> None:
        """Write it into a checkpoint."""
        write_json(folder / f"progress-{rank}.json", dataclasses.asdict(self))


def load_progress(folder: Path, rank: int) -> Progress | None:
    """Read what `Progress.save` wrote, None if it is not there.

    Args:
        folder: A checkpoint.
        rank: The process's index.
    """
    path = folder / f"progress-{rank}.json"
    if not path.exists():
        return None
    facts = json.loads(path.read_text(encoding="utf-8"))
    if "places" in facts:  # the name in older checkpoints
        facts["positions"] = facts.pop("places")
    return Progress(
        **facts | {"positions": facts["positions"] and [ReadPosition(**position) for position in facts["positions"]]}
    )


def is_complete(checkpoint: Path) -> bool:
    """Tell whether every process had finished writing a checkpoint."""
    first = load_progress(checkpoint, 0)
    return first is not None and all(load_progress(checkpoint, rank) for rank in range(first.processes))


def checkpoints(folder: Path) -> list[Path]:
    """Return a phase's checkpoints, the oldest first."""
    return sorted(folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"), key=lambda path: int(path.name.split("-")[-1]))
