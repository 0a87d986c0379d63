"""A detector's scores for every image of a source, in each view of it.

A few threads take a few rows each all the way, from undecoded bytes to scores, so that no core waits for another. What
is scored can be kept on disk, and shared out over processes; neither changes a score.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from tqdm import tqdm

from fakelens.data.sources.opening import Source
from fakelens.data.transforms.views import check_views
from fakelens.errors import UserError
from fakelens.evaluation.scoring.prediction_cache import Part, PredictionCache
from fakelens.evaluation.scoring.ranks import Ranks, Rows
from fakelens.evaluation.scoring.row_scorer import Scorer, Scoring
from fakelens.inference.detector import Detector, p_fake
from fakelens.inference.identity import identity
from fakelens.inference.threads import in_order, workers


@dataclass(frozen=True)
class Predictions:
    """What one model said of one split; every array has one entry a scored image, in the source's order.

    Attributes:
        model: The model's name.
        split: The split's name.
        ids: Names of the rows.
        labels: 0 real, 1 fake.
        generators: Names of the models that made the images, "real" for photographs.
        sources: Collections that the images come from, "" where the data does not say.
        scores: P(fake) by view.
        skipped: Rows that could not be decoded, by reason.
        seconds: Time from the first row to the last score, reading and decoding included, on all processes together;
            what a run that was killed had needed for its part counts. Loading and the first call do not.
        classes: "real" and the generators that the model tells apart; empty for a model of two labels.
        probabilities: Of each class, of shape `(count, classes)`, by view; likewise.
        model_seconds: What processor and network took of `seconds`; the rest is waiting for data.
    """

    model: str
    split: str
    ids: np.ndarray
    labels: np.ndarray
    generators: np.ndarray
    sources: np.ndarray
    scores: dict[str, np.ndarray]
    skipped: dict[str, int]
    seconds: float
    classes: tuple[str, ...] = ()
    probabilities: dict[str, np.ndarray] = field(default_factory=dict)
    model_seconds: float = 0.0

    @property
    def rows(self) -> int:
        """Rows read, whether scored or skipped."""
        return len(self.ids) + sum(self.skipped.values())


def predict(
    scorer: Scorer,
    source: Source,
    views: Sequence[str] = ("raw",),
    batch_size: int = 32,
    limit: int | None = None,
    name: str = "",
    partial: Path | None = None,
    ranks: Ranks | None = None,
) -> Predictions:
    """Score every image of a source in each view.

    Args:
        scorer: The detector.
        source: The split to read, streamed once.
        views: Names of views, see `fakelens.data.transforms.views`.
        batch_size: Images per forward pass, at most; on a CPU fewer are faster.
        limit: Read this many rows from the start of the split; all if None.
        name: What to call the model.
        partial: A folder in which a `Detector`'s scores are kept as they are made. A later call with the same
            detector, data and settings reads past the rows that it finds there, without decoding them. None keeps
            nothing.
        ranks: Processes that call this at the same time and share the rows; each returns the predictions of all. This
            process alone if None.

    Raises:
        UserError: If a view is unknown, the data cannot be read, `partial` cannot be written, or not one image can be
            scored.
    """
    check_views(list(views))
    # Five seconds at the end of every stream, for a process that is about to exit. This one is not.
    datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0
    ranks = ranks or Ranks()
    scoring = Scoring(scorer, views, batch_size)
    by_files = ranks.split_by_files(source, limit)
    cache = None
    if partial is not None:
        if not isinstance(scorer, Detector):
            raise TypeError("Only a Detector's scores can be kept: of anything else, nothing says what decides them.")
        key = identity(scorer) | {
            "data": [source.spec, source.split, source.revision, source.rows, source.said],
            "views": list(views),
            "limit": limit,
            "rows_at_a_time": scoring.size,
            "files_of": [ranks.index, ranks.count] if by_files else None,
        }
        cache = PredictionCache(partial, key, ranks.index)
    scoring.warm_up()
    total = min((n for n in (source.rows, limit) if n is not None), default=None)
    try:
        with tqdm(
            total=None if total is None else -(-total // ranks.count),
            desc=f"{name} on {source.split}".strip(),
            unit="image",
            disable=True if ranks.index else None,
        ) as progress:
            chunks = ranks.own_chunks(source, scoring.size, limit)
            parts = list(_score(scoring, chunks, cache, ranks.count, progress))
    finally:
        if cache is not None:
            cache.close()
    return _join(ranks.gather(parts, by_files), scorer, source, views, name)


def _score(
    scoring: Scoring, chunks: Iterable[tuple[int, Rows]], cache: PredictionCache | None, ranks: int, progress: tqdm
) -> Iterator[Part]:
    """Yield every part in order, from the cache where it has it."""

    def part_of(chunk: tuple[int, Rows]) -> tuple[Part, bool]:
        number, rows = chunk
        kept = cache.done.get(number) if cache else None
        # The data may have changed since.
        if kept is not None and kept.ids == [row["id"] for row in rows]:
            return kept, True
        return scoring(number, rows), False

    last = time.perf_counter()
    with workers(scoring.workers) as pool:
        for part, is_kept in in_order(pool, part_of, chunks, ahead=2 * scoring.workers):
            now = time.perf_counter()
            if not is_kept:
                part = replace(part, seconds=(now - last) / ranks, model_seconds=part.model_seconds / ranks)
                if cache is not None:
                    cache.add(part)
            last = now
            progress.update(len(part.ids))
            yield part


def _join(parts: Sequence[Part], scorer: Scorer, source: Source, views: Sequence[str], name: str) -> Predictions:
    """Lay all parts end to end."""
    skipped = Counter(reason for part in parts for reason in part.reasons if reason)
    skipped.update(source.skips.counts)
    is_scored = [not reason for part in parts for reason in part.reasons]
    if not any(is_scored):
        reasons = ", ".join(f"{count} {reason}" for reason, count in skipped.most_common()) or "it is empty"
        raise UserError(f"No image of {source.spec}, split {source.split!r}, could be scored: {reasons}.")

    def joined(column: Callable[[Part], list[Any]]) -> np.ndarray:
        return np.array([value for part in parts for value in column(part)])[is_scored]

    probabilities = {view: np.array([row for part in parts for row in part.probabilities[view]]) for view in views}
    classes = scorer.classes if isinstance(scorer, Detector) and len(scorer.classes) > 2 else ()
    return Predictions(
        model=name,
        split=source.split,
        ids=joined(lambda part: part.ids),
        labels=joined(lambda part: part.labels),
        generators=joined(lambda part: part.generators),
        sources=joined(lambda part: part.sources),
        scores={view: p_fake(found) for view, found in probabilities.items()},
        skipped=dict(skipped.most_common()),
        seconds=sum(part.seconds for part in parts),
        model_seconds=sum(part.model_seconds for part in parts),
        classes=classes,
        probabilities=probabilities if classes else {},
    )
