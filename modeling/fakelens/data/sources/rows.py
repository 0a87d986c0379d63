"""What every source is brought to: rows of the same columns, undecoded, and what is known of them as a whole."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from fakelens.data.sources.labels import FAKE

FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        "image": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")},
        "label": datasets.Value("int64"),
        "generator": datasets.Value("string"),
        "source": datasets.Value("string"),
    }
)
SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}  # other names (`wild`, `reddit`, ...) are taken as they are


@dataclass(frozen=True)
class Source:
    """A data set's split, ready to be streamed. Read it by `fakelens.data.sources.reading.read`.

    Attributes:
        spec: The string it was opened from, a short name written out.
        split: The split's name.
        description: What the data is, for reports and cards.
        rows: How many rows the split states, before any are skipped; None if it does not say.
        revision: The Hub data set's revision, "" for local data.
        stream: Rows of `id`, `image` (`bytes` and `path`, undecoded), `label` (0 real, 1 fake), `generator`, `source`.
        shards: Addresses of the Hub data set's files, "hf://..."; none for local data.
    """

    spec: str
    split: str
    description: str
    rows: int | None
    revision: str
    stream: datasets.IterableDataset
    shards: tuple[str, ...] = ()


def row_bytes(image: dict[str, Any]) -> bytes:
    """Return an undecoded image cell's bytes, read from its path if the row carries none; b"" if neither is there."""
    if image["bytes"] is not None:
        return image["bytes"]
    path = Path(image["path"] or "")
    return path.read_bytes() if path.is_file() else b""


def content_id(image: dict[str, Any]) -> str:
    """Name an undecoded image by its content, which no sharding, shuffle or renaming of files changes."""
    return hashlib.sha256(row_bytes(image)).hexdigest()[:16]


def generator_name(name: str | None, label: int) -> str:
    """Name what made an image: "real" for photographs, whatever the column says of the camera."""
    return (name or "unstated") if label == FAKE else "real"


def is_split(name: str, split: str) -> bool:
    """Tell whether a folder's or file's name stands for a split, in any case: `Val` and `validation` are the same."""
    return name.lower() in SPLITS.get(split, (split.lower(),))
