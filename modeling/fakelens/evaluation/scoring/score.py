"""Images that nobody labelled -> rows of scores and verdicts, kept as they are made, shared out over processes.

A few threads fetch, a few others take images all the way from bytes to verdicts. What waits between them is bounded,
so that a million images take no more memory than a thousand.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

import datasets
import numpy as np
from huggingface_hub import try_to_load_from_cache
from tqdm import tqdm

from fakelens.data.decode import ImageError
from fakelens.data.sources.opening import Source, row_bytes
from fakelens.errors import UserError
from fakelens.evaluation.scoring.ranks import Ranks, Rows
from fakelens.evaluation.scoring.score_shards import ScoreFolder, ShardWriter, count_verdicts
from fakelens.inference.detector import Detector
from fakelens.inference.identity import identity
from fakelens.inference.loading import is_hub_id
from fakelens.inference.reading import read_image
from fakelens.inference.threads import in_order, workers

READERS = 16  # threads that fetch: web addresses are slow, one by one
FETCHED = 32  # images that are fetched ahead, undecoded

Row = dict[str, Any]


@dataclass(frozen=True)
class Scored:
    """What a run made, and what its folder holds now.

    Attributes:
        folder: The folder.
        rows: Rows that all processes wrote in this run.
        seconds: What they took, reading and waiting for the slowest included.
        processes: How many there were.
        verdicts: Rows of the folder by verdict.
        errors: Rows of the folder that could not be scored, by reason.
        revision: Of the model: its commit on the Hub, or the SHA-256 of its weights.
    """

    folder: Path
    rows: int
    seconds: float
    processes: int
    verdicts: dict[str, int]
    errors: dict[str, int]
    revision: str

    def record(self) -> dict[str, Any]:
        """Return it for JSON."""
        scored, failed = sum(self.verdicts.values()), sum(self.errors.values())
        return {
            "output": str(self.folder),
            "rows": scored + failed,
            **self.verdicts,
            "errors": failed,
            "errors_by_reason": self.errors,
            "model_revision": self.revision,
            "processes": self.processes,
            "rows_of_this_run": self.rows,
            "seconds": round(self.seconds, 2),
            "images_per_second": round(self.rows / self.seconds, 2) if self.rows else 0.0,
        }


def score_source(
    detector: Detector,
    source: Source,
    output: Path,
    batch_size: int = 32,
    limit: int | None = None,
    max_fpr: float | None = None,
    rows_a_shard: int = 1000,
    ranks: Ranks | None = None,
) -> Scored:
    """Score every image of a source, and write a row for each to parquet shards in a folder.

    The same call after a kill reads past the rows that are in the folder, without fetching or decoding them.

    Args:
        detector: The detector.
        source: The split, opened without labels.
        output: The folder, seen by all processes. Its shards' columns are those of
            `fakelens.evaluation.scoring.score_shards.SCHEMA`.
        batch_size: Images per forward pass, at most; on a CPU fewer are faster.
        limit: Read this many rows from the start of the split; all if None.
        max_fpr: As of a detector's call.
        rows_a_shard: Rows in a file; a kill loses those that fill none yet.
        ranks: Processes that call this at the same time and share the rows. This process alone if None.

    Returns:
        What was made, in every process.

    Raises:
        UserError: If the folder belongs to another run or cannot be written, a number is out of range, or the data
            cannot be read to its end or has no rows.
    """
    if batch_size < 1 or rows_a_shard < 1 or (limit is not None and limit < 1):
        raise UserError("The batch size, the limit and the rows of a shard must be at least 1.")
    detector.fake_threshold(max_fpr)
    # Five seconds at the end of every stream, for a process that is about to exit. This one is not.
    datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0
    ranks = ranks or Ranks()
    by_files = ranks.split_by_files(source, limit)
    weights = identity(detector)
    folder = ScoreFolder(output, source.split, ranks.index, ranks.count)
    folder.begin(_run(source, weights, max_fpr, ranks.count if by_files else 1))
    done = folder.done_rows(own_alone=by_files)
    revision = _revision(detector.name, weights["weights"])
    size = detector.at_once(batch_size)
    base = _base(source)

    def answer(batch: list[tuple[int, Row, bytes | ImageError]]) -> list[Row]:
        read = [content if isinstance(content, ImageError) else read_image(content) for _, _, content in batch]
        verdicts = detector.verdicts(read, max_fpr)
        return [
            {"row": number, "id": row["id"], "path": _shown(row["image"]["path"], base)}
            | {"score": found.score, "verdict": found.verdict, "warnings": list(found.warnings)}
            | {"error": found.error, "model_revision": revision}
            for (number, row, _), found in zip(batch, verdicts, strict=True)
        ]

    ranks.sum(0)  # all are here: nobody's start counts as another's time
    made, started = 0, time.perf_counter()
    with _readers() as readers, workers(detector.workers) as pool, _progress(source, limit, ranks) as progress:
        rows = _left(ranks.own_chunks(source, size, limit), size, done, progress)
        batches = _cut(in_order(readers, _fetch, rows, ahead=max(FETCHED, size)), size)
        with ShardWriter(folder, rows_a_shard) as shards:  # the innermost: first of all, what is scored is kept
            for answers in in_order(pool, answer, batches, ahead=2 * detector.workers):
                shards.add(answers)
                made += len(answers)
                progress.update(len(answers))
    made = ranks.sum(made)
    seconds = time.perf_counter() - started
    if not folder.shards():
        raise UserError(f"{source.spec}, split {source.split!r}, has no rows.")
    return Scored(output, made, seconds, ranks.count, *count_verdicts(folder), revision)


def _run(source: Source, weights: dict[str, Any], max_fpr: float | None, processes: int) -> dict[str, Any]:
    """Return what decides the rows of a folder: the same run goes on there, another one is refused."""
    path = Path(source.spec).expanduser()
    settings = {name: weights[name] for name in ("config", "classes", "processor")}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
    return {
        "source": str(path.resolve()) if not source.revision and path.exists() else source.spec,
        "split": source.split,
        "data revision": source.revision,
        "number of rows": source.rows,
        "columns": source.said,
        "model": weights["model"],
        "SHA-256 of the model's weights": weights["weights"],
        "SHA-256 of the model's settings": digest,
        "highest false-positive rate": max_fpr,
        "number of processes with files of their own": processes,
    }


def _revision(model: str, weights: str) -> str:
    """Return the commit of a model that came from the Hub, else what names its weights."""
    if is_hub_id(model):
        found = try_to_load_from_cache("/".join(model.split("/")[:2]), "config.json")
        if isinstance(found, str):
            return Path(found).parent.name  # .../snapshots/COMMIT/config.json
    return f"sha256:{weights}"


def _base(source: Source) -> Path:
    """Return the folder that a local source's images are shown relative to."""
    path = Path(source.spec).expanduser()
    return path if path.is_dir() else path.parent


def _shown(path: str | None, base: Path) -> str | None:
    """Return an image's path relative to the data's folder; an address, or a path elsewhere, as it is."""
    if path is None or "://" in path or not PurePath(path).is_relative_to(base):
        return path
    return PurePath(path).relative_to(base).as_posix()


def _left(
    chunks: Iterable[tuple[int, Rows]], size: int, done: np.ndarray, progress: tqdm
) -> Iterator[tuple[int, Row]]:
    """Yield the rows that are not done, with their numbers."""
    for chunk, rows in chunks:
        for number, row in enumerate(rows, chunk * size):
            if number < len(done) and done[number]:
                if not progress.disable:
                    progress.initial += 1  # of another run: it does not enter the rate
                progress.update()
            else:
                yield number, row


def _fetch(numbered: tuple[int, Row]) -> tuple[int, Row, bytes | ImageError]:
    number, row = numbered
    try:
        return number, row, row_bytes(row["image"])
    except ImageError as error:
        return number, row, error


def _cut(
    items: Iterator[tuple[int, Row, bytes | ImageError]], size: int
) -> Iterator[list[tuple[int, Row, bytes | ImageError]]]:
    while batch := list(islice(items, size)):
        yield batch


@contextmanager
def _readers() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(READERS)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _progress(source: Source, limit: int | None, ranks: Ranks) -> tqdm:
    """Return the first process's bar, of its own part of the rows."""
    total = min((n for n in (source.rows, limit) if n is not None), default=None)
    return tqdm(
        total=None if total is None else -(-total // ranks.count),
        desc="scoring" if ranks.count == 1 else f"scoring, 1 of {ranks.count} processes",
        unit=" images",
        disable=True if ranks.index else None,
    )
