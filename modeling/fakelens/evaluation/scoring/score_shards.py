"""The folder of scores: parquet shards that are there whole or not at all, and what run they belong to."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fakelens.atomic import UNFINISHED, replacing, write_file, writing
from fakelens.errors import UserError

SCHEMA = pa.schema(
    {
        "row": pa.int64(),
        "id": pa.string(),
        "path": pa.string(),
        "score": pa.float64(),
        "verdict": pa.string(),
        "warnings": pa.list_(pa.string()),
        "error": pa.string(),
        "model_revision": pa.string(),
    }
)
RUN_FILE = ".score.json"  # hidden: readers of parquet folders pass it over
NAME = "model"  # in that file: what the model was called, which decides nothing
SHARD = re.compile(r"[\w.]+-(\d{5,})-\d{12,}\.parquet")  # split, process, first row
WAY_OUT = (
    "The shards that are there are whole; make room or name another folder with --output, and run the same command "
    "again."
)


@dataclass(frozen=True)
class ScoreFolder:
    """A folder of shards that belongs to one run.

    Attributes:
        path: Where it lies.
        split: The split's name, which the names of shards begin with.
        rank: The process that writes, to shards of its own.
        ranks: How many processes there are.
    """

    path: Path
    split: str
    rank: int = 0
    ranks: int = 1

    def begin(self, run: Mapping[str, Any]) -> None:
        """Make the folder this run's, and remove what a kill left unfinished; other processes may do so as well.

        Args:
            run: All that decides what the shards hold, in words that a person reads; fit for JSON.

        Raises:
            UserError: If it holds something else, belongs to another run, or cannot be written.
        """
        about = self.path / RUN_FILE
        with writing(self.path, WAY_OUT):
            self.path.mkdir(parents=True, exist_ok=True)
            # Listed first: another process may begin at the same time.
            others = sorted(path.name for path in self.path.iterdir() if not path.name.startswith("."))
            if about.is_file():
                self._check(json.loads(about.read_text(encoding="utf-8")), run)
            elif others:
                raise UserError(
                    f"{self.path} is no folder of scores; it holds {others[0]}. Name a new one with --output."
                )
            else:
                write_file(about, json.dumps(dict(run), indent=2) + "\n")
            for part in self.path.glob(f".*{UNFINISHED}"):
                found = SHARD.fullmatch(part.name.removeprefix(".").removesuffix(UNFINISHED))
                if found and int(found[1]) % self.ranks == self.rank:
                    part.unlink()

    def done_rows(self, own_alone: bool = False) -> np.ndarray:
        """Return for each row, as far as rows were written, whether it was; bool, of shape `(rows,)`.

        A shard that is not whole, such as one whose copy broke off, is removed: its rows are to be scored again.

        Args:
            own_alone: Look at this process's own shards alone: where each process numbers rows of its own.
        """
        numbers = [np.empty(0, np.int64)]
        for path in self.shards():
            rank = int(path.name.rsplit("-", 2)[1])
            if own_alone and rank != self.rank:
                continue
            try:
                numbers.append(pq.read_table(path, columns=["row"])["row"].to_numpy())
            except (pa.ArrowInvalid, OSError):
                if rank % self.ranks == self.rank:
                    path.unlink(missing_ok=True)
        rows = np.concatenate(numbers)
        done = np.zeros(int(rows.max(initial=-1)) + 1, bool)
        done[rows] = True
        return done

    def shards(self) -> list[Path]:
        """Return all shards in order of their names."""
        return sorted(path for path in self.path.glob("*.parquet") if SHARD.fullmatch(path.name))

    def _check(self, there: Mapping[str, Any], run: Mapping[str, Any]) -> None:
        for key, value in run.items():
            if key != NAME and there.get(key) != value:
                raise UserError(
                    f"{self.path} belongs to another run, of {there.get(NAME)}: its {key} is "
                    f"{_shown(there.get(key))}, this one's is {_shown(value)}. Name another folder with --output, or "
                    "remove that one."
                )


@dataclass
class ShardWriter:
    """Writes rows as they come, a shard at a time; as a context, also the rows that are left when it ends, however.

    Attributes:
        folder: Where to.
        rows_a_shard: Rows that a shard has, the last one of a run fewer.
    """

    folder: ScoreFolder
    rows_a_shard: int
    _rows: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> "ShardWriter":
        """Return the writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is left: Ctrl-C, or data that ends in an error, loses nothing that was scored."""
        self._write()

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take rows, and write a shard once there are enough.

        Args:
            rows: With a value for each column of `SCHEMA`.

        Raises:
            UserError: If it cannot be written.
        """
        self._rows += rows
        if len(self._rows) >= self.rows_a_shard:
            self._write()

    def _write(self) -> None:
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        folder = self.folder
        split = re.sub(r"[^\w.]", "_", folder.split)
        path = folder.path / f"{split}-{folder.rank:05d}-{rows[0]['row']:012d}.parquet"
        with writing(folder.path, WAY_OUT), replacing(path) as part:
            pq.write_table(pa.Table.from_pylist(rows, SCHEMA), part)


def count_verdicts(folder: ScoreFolder) -> tuple[dict[str, int], dict[str, int]]:
    """Count the rows of all shards by verdict, and those that could not be scored by reason.

    Args:
        folder: At least one shard.
    """
    verdicts = dict.fromkeys(("real", "fake", "uncertain"), 0)
    reasons: dict[str, int] = {}
    for shard in folder.shards():
        table = pq.read_table(shard, columns=["verdict", "error"])
        for found in pc.value_counts(table["verdict"]).to_pylist():
            if found["values"] is not None:
                verdicts[found["values"]] += found["counts"]
        for error in table["error"].drop_null().to_pylist():
            reason = error.partition(":")[0]
            reasons[reason] = reasons.get(reason, 0) + 1
    return verdicts, dict(sorted(reasons.items(), key=lambda item: -item[1]))


def _shown(value: Any) -> str:
    return "not stated" if value in (None, "") else str(value)
