"""What every source is brought to: rows of the same columns, undecoded, and what is known of them as a whole."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets

from fakelens.data.decode import ImageError
from fakelens.data.sources.labels import REAL
from fakelens.data.sources.skips import SkipLog

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
        skips: Rows that the stream left out as it was read, by reason: without a label, or of a class that is skipped.
        said: What the user said of columns and labels, for reports and records.
        class_folders: Where the class folders lie in a folder of them; none for other data.
        classes: The names of its classes; None where only reading it all would tell.
    """

    spec: str
    split: str
    description: str
    rows: int | None
    revision: str
    stream: datasets.IterableDataset
    shards: tuple[str, ...] = ()
    skips: SkipLog = field(default_factory=SkipLog, compare=False)
    said: dict[str, Any] = field(default_factory=dict)
    class_folders: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None


def row_bytes(image: dict[str, Any]) -> bytes:
    """Return an undecoded image cell's bytes: its own, its file's or its address's; b"" if it has none of them.

    Args:
        image: `bytes` and `path`; the path is a file, here or on the Hub (`hf://`), or an http(s) address.

    Raises:
        ImageError: If the file is missing or the address gives nothing.
    """
    if image["bytes"] is not None:
        return image["bytes"]
    if not image["path"]:
        return b""
    if is_address(image["path"]):
        from fakelens.data.web import fetch  # httpx takes a moment to import, and few tables hold addresses

        return fetch(image["path"])
    if "://" in image["path"]:
        return _remote_bytes(image["path"])
    path = Path(image["path"])
    if not path.is_file():
        raise ImageError("no such file", path.name)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError("unreadable file", error.strerror or str(error)) from None


def _remote_bytes(path: str) -> bytes:
    """Return an image file's bytes from where `datasets` says that it lies: `hf://...`, `zip://...::hf://...`."""
    import httpx2
    from datasets.utils.file_utils import xopen

    try:
        with xopen(path, "rb") as file:
            return file.read()
    except (OSError, ValueError, httpx2.HTTPError) as error:
        raise ImageError("download failed", str(error).partition("\n")[0] or type(error).__name__) from None


def is_address(path: str) -> bool:
    """Tell whether an image cell's path is a web address."""
    return path.lower().startswith(("http://", "https://"))


def content_id(image: dict[str, Any]) -> str:
    """Name an undecoded image by its content, which no sharding, shuffle or renaming of files changes.

    What lies behind a web address is not fetched for its name, and a missing file has no content: their paths count.
    """
    try:
        content = image["path"].encode() if image["bytes"] is None and is_address(image["path"] or "") else None
        content = row_bytes(image) if content is None else content
    except ImageError:
        content = str(image["path"]).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def generator_name(name: str | None, label: int | None) -> str:
    """Name what made an image: "real" for photographs, whatever the column says of the camera."""
    return "real" if label == REAL else (name or "unstated")


def is_split(name: str, split: str) -> bool:
    """Tell whether a folder's or file's name stands for a split, in any case: `Val` and `validation` are the same."""
    return name.lower() in SPLITS.get(split, (split.lower(),))
