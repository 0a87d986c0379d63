"""A detector's scores for every image of a source, in each view of it.

Rows are decoded and brought into their views by a few threads while the network works on the rows before them.
"""

import os
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import numpy as np
from PIL import Image
from tqdm import tqdm

from fakelens.data.decode import ImageError, decode_image
from fakelens.data.sources import Source, row_bytes
from fakelens.data.views import apply_view, check_views
from fakelens.detector import Detector, p_fake
from fakelens.errors import UserError

THREADS = min(8, os.cpu_count() or 1)


class Scorer(Protocol):
    """What can be evaluated: `fakelens.detector.Detector`, or anything else that scores pictures."""

    def scores(self, images: list[Image.Image]) -> np.ndarray:
        """Return P(fake) in [0, 1], of shape `(len(images),)`, for RGB pictures of any size."""


@dataclass(frozen=True)
class Predictions:
    """What one model said of one split; every array has one entry a judged image, in the source's order.

    Attributes:
        model: The model's name.
        split: The split's name.
        ids: Names of the rows.
        labels: 0 real, 1 fake.
        generators: Names of the models that made the images, "real" for photographs.
        sources: Collections that the images come from, "" where the data does not say.
        scores: P(fake) by view.
        skipped: Rows that could not be decoded, by reason.
        seconds: Time from the first row to the last score, decoding included.
        classes: "real" and the generators that the model tells apart; empty for a model of two labels.
        probabilities: Of each class, of shape `(count, classes)`, by view; likewise.
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

    @property
    def rows(self) -> int:
        """Rows read, whether judged or skipped."""
        return len(self.ids) + sum(self.skipped.values())


@dataclass(frozen=True)
class Prepared:
    """A row with its picture in every view.

    Attributes:
        row: As the source has it.
        pictures: One a view; none if the row cannot be decoded.
        reason: Why it cannot; "" if it can.
    """

    row: dict[str, Any]
    pictures: tuple[Image.Image, ...] = ()
    reason: str = ""


def predict(
    scorer: Scorer,
    source: Source,
    views: Sequence[str] = ("raw",),
    batch_size: int = 32,
    limit: int | None = None,
    name: str = "",
) -> Predictions:
    """Score every image of a source in each view.

    Args:
        scorer: The detector.
        source: The split to read, streamed once.
        views: Names of views, see `fakelens.data.views`.
        batch_size: Images per forward pass.
        limit: Read this many rows from the start of the split; all if None.
        name: What to call the model.

    Raises:
        UserError: If a view is unknown, the data cannot be read, or not one image of it can be judged.
    """
    check_views(list(views))
    total = min((n for n in (source.rows, limit) if n is not None), default=None)
    prepared = prepare_ahead(islice(source.stream, limit), views, batch_size)
    started = time.perf_counter()
    judged: list[dict[str, Any]] = []
    scores: dict[str, list[np.ndarray]] = {view: [] for view in views}
    attributing = scorer if isinstance(scorer, Detector) and len(scorer.classes) > 2 else None
    probabilities: dict[str, list[np.ndarray]] = {view: [] for view in views if attributing}
    skipped: Counter[str] = Counter()
    with tqdm(total=total, desc=f"{name} on {source.split}".strip(), unit="image", disable=None) as progress:
        while batch := list(islice(prepared, batch_size)):
            skipped.update(item.reason for item in batch if item.reason)
            kept = [item for item in batch if not item.reason]
            if kept:
                judged += [{k: v for k, v in item.row.items() if k != "image"} for item in kept]
                for number, view in enumerate(views):
                    pictures = [item.pictures[number] for item in kept]
                    if attributing:
                        probabilities[view].append(attributing.probabilities(pictures))
                        scores[view].append(p_fake(probabilities[view][-1]))
                    else:
                        scores[view].append(scorer.scores(pictures))
            progress.update(len(batch))
    if not judged:
        reasons = ", ".join(f"{count} {reason}" for reason, count in skipped.items()) or "it is empty"
        raise UserError(f"No image of {source.spec}, split {source.split!r}, could be judged: {reasons}.")
    return Predictions(
        model=name,
        split=source.split,
        ids=np.array([row["id"] for row in judged]),
        labels=np.array([row["label"] for row in judged]),
        generators=np.array([row["generator"] for row in judged]),
        sources=np.array([row["source"] for row in judged]),
        scores={view: np.concatenate(parts) for view, parts in scores.items()},
        skipped=dict(skipped.most_common()),
        seconds=time.perf_counter() - started,
        classes=attributing.classes if attributing else (),
        probabilities={view: np.concatenate(parts) for view, parts in probabilities.items()},
    )


def prepare_ahead(rows: Iterable[dict[str, Any]], views: Sequence[str], batch_size: int) -> Iterator[Prepared]:
    """Decode rows and bring them into their views in threads, in order.

    At most one batch ahead: pictures of photographs fill a memory quickly.

    Args:
        rows: A source's.
        views: Names of views.
        batch_size: Rows that are taken at a time.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        ahead: deque[Future[Prepared]] = deque()
        try:
            for row in rows:
                ahead.append(pool.submit(_prepare, row, views))
                if len(ahead) >= batch_size + THREADS:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _prepare(row: dict[str, Any], views: Sequence[str]) -> Prepared:
    try:
        image = decode_image(row_bytes(row["image"])).image
    except ImageError as error:
        return Prepared(row, reason=error.reason)
    return Prepared(row, tuple(apply_view(view, image) for view in views))
