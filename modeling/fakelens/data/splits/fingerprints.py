"""Splits of a data set -> a few bytes for every image: what it shows, what its file holds, its label and split."""

from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from fakelens.data.decode import ImageError, decode_image
from fakelens.data.sources.reading import watched
from fakelens.data.sources.rows import Source, content_id, row_bytes
from fakelens.data.splits.duplicates import perceptual_hash

BATCH = 32  # undecoded images in memory


@dataclass(frozen=True)
class Fingerprints:
    """What is kept of images that can be decoded, in no particular order; arrays of shape `(count,)`.

    Attributes:
        splits: The splits' names.
        ids: The images' ids.
        contents: Their `content_id` as numbers of 64 bits.
        hashes: Their perceptual hashes, likewise.
        labels: 0 real, 1 fake.
        split: Positions in `splits`.
        skipped: `id`, `split` and `reason` of every image that cannot be decoded.
    """

    splits: list[str]
    ids: list[str]
    contents: np.ndarray
    hashes: np.ndarray
    labels: np.ndarray
    split: np.ndarray
    skipped: list[dict[str, str]]


def take_fingerprints(sources: Sequence[Source]) -> Fingerprints:
    """Read every image of the splits once, and forget it.

    Args:
        sources: The splits, opened.

    Raises:
        StreamError: If one ends half-way.
    """
    ids: list[str] = []
    contents, hashes, labels, splits = array("Q"), array("Q"), array("b"), array("b")
    skipped: list[dict[str, str]] = []
    with ThreadPoolExecutor() as pool:
        for number, source in enumerate(sources):
            with tqdm(total=source.rows, desc=f"hash {source.split}", unit="image", disable=None) as progress:
                for batch in watched(source.stream.iter(batch_size=BATCH), source):
                    taken = pool.map(_fingerprint, batch["image"])
                    for row_id, label, mark in zip(batch["id"], batch["label"], taken, strict=True):
                        if isinstance(mark, str):
                            skipped.append({"id": row_id, "split": source.split, "reason": mark})
                            continue
                        ids.append(row_id)
                        contents.append(mark[0])
                        hashes.append(mark[1])
                        labels.append(label)
                        splits.append(number)
                    progress.update(len(batch["id"]))
    names = [source.split for source in sources]
    content_array, hash_array = (np.frombuffer(column, np.uint64) for column in (contents, hashes))
    label_array, split_array = (np.frombuffer(column, np.int8) for column in (labels, splits))
    return Fingerprints(names, ids, content_array, hash_array, label_array, split_array, skipped)


def content_number(image: dict[str, Any]) -> int:
    """Return an undecoded image's `content_id` as a number of 64 bits."""
    return int(content_id(image), 16)


def _fingerprint(image: dict[str, Any]) -> tuple[int, int] | str:
    """Return an image's content and perceptual hash, or why there is none."""
    try:
        data = row_bytes(image)
        decoded = decode_image(data).image
    except ImageError as error:
        return error.reason
    except OSError:
        return "unreadable file"
    return content_number({"bytes": data, "path": None}), perceptual_hash(decoded)
