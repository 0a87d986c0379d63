"""A split, or a part of it with both classes, decoded batch by batch: what robustness and attacks are measured on."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from PIL import Image
from tqdm import tqdm

from fakelens.data.decode import ImageError, decode_image
from fakelens.data.sources.labels import FAKE, REAL
from fakelens.data.sources.opening import Source, row_bytes
from fakelens.data.sources.reading import read
from fakelens.errors import UserError
from fakelens.inference.threads import in_order

THREADS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True)
class Decoded:
    """A row with its image.

    Attributes:
        row: As the source has it.
        image: As its file holds it (raw view).
    """

    row: dict[str, Any]
    image: Image.Image


def decoded_batches(
    source: Source,
    skipped: Counter[str],
    batch_size: int = 32,
    limit: int | None = None,
    images: int | None = None,
    name: str = "",
) -> Iterator[list[Decoded]]:
    """Yield the images of a split as they are (raw view), none of the batches empty, under a progress bar.

    Args:
        source: The split, streamed once.
        skipped: Counts the rows that cannot be decoded, by reason.
        batch_size: Rows that are read for a batch.
        limit: Read this many rows from the start of the split; all if None.
        images: Of these, take the first so many, half of them of each class; all if None.
        name: What the progress bar says.

    Raises:
        UserError: If not one row can be decoded.
    """
    total = min((n for n in (source.rows, limit, images) if n is not None), default=None)
    rows = first_of_each_class(islice(read(source), limit), images)
    empty = True
    with (
        ThreadPoolExecutor(THREADS) as pool,
        tqdm(total=total, desc=f"{name} on {source.split}", unit="image", disable=None) as progress,
    ):
        # One batch ahead: images of photographs fill a memory quickly.
        decoded = in_order(pool, _decode, rows, ahead=batch_size + THREADS)
        while batch := list(islice(decoded, batch_size)):
            skipped.update(item.reason for item in batch if isinstance(item, ImageError))
            if kept := [item for item in batch if isinstance(item, Decoded)]:
                empty = False
                yield kept
            progress.update(len(batch))
    if empty:
        reasons = ", ".join(f"{count} {reason}" for reason, count in skipped.items()) or "it is empty"
        raise UserError(f"No image of {source.spec}, split {source.split!r}, could be scored: {reasons}.")


def _decode(row: dict[str, Any]) -> Decoded | ImageError:
    try:
        return Decoded(row, decode_image(row_bytes(row["image"])).image)
    except ImageError as error:
        return error


def first_of_each_class(rows: Iterable[dict[str, Any]], count: int | None) -> Iterator[dict[str, Any]]:
    """Yield `count` rows, half of each class: the start of a split is often one class alone.

    Args:
        rows: A source's.
        count: How many, one more of the real images if it is odd; all rows if None.
    """
    if count is None:
        yield from rows
        return
    left = {REAL: (count + 1) // 2, FAKE: count // 2}
    for row in rows:
        if left[row["label"]]:
            left[row["label"]] -= 1
            yield row
            if not any(left.values()):
                return


def check_images(images: int | None) -> None:
    """Refuse a part of a split that cannot hold both classes.

    Args:
        images: As a person typed it; None for the whole split.

    Raises:
        UserError: If it is below 2.
    """
    if images is not None and images < 2:
        raise UserError(f"A part of a split needs at least 2 images, one of each class: not {images}.")
