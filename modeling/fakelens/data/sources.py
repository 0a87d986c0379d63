"""One string -> a stream of labelled, undecoded images.

SOURCE is one of
    sample                           the embedded sample (see `sample.py`)
    ComplexDataLab/OpenFake:core     a Hub data set, streamed; `:config` and `@revision` are optional
    path/to/folder                   of parquet shards, streamed: `train-00000-of-00004.parquet`, `data/test-...`, ...
    path/to/folder                   of class folders: `real/`, `fake/`, or `train/real/`, `Test/Fake/`, ...

Rows travel undecoded (a shuffle buffer of pictures would not fit in memory) and are decoded by `examples` or by the
training transform. Labels are mapped by name.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq

from fakelens.data.decode import DecodedImage, ImageError, decode_image
from fakelens.data.labels import FAKE, find_label, label_id
from fakelens.data.skips import SkipLog
from fakelens.errors import UserError

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}  # other names (`wild`, `reddit`, ...) are taken as they are
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2"})
MANY_SHARDS = 64
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?(@[\w./-]+)?")

FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        "image": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")},
        "label": datasets.Value("int64"),
        "generator": datasets.Value("string"),
        "source": datasets.Value("string"),
    }
)


@dataclass(frozen=True)
class Source:
    """A data set's split, ready to be streamed.

    Attributes:
        spec: The string it was opened from.
        split: The split's name.
        description: What the data is, for reports and cards.
        rows: How many rows the split states, before any are skipped; None if it does not say.
        revision: The Hub data set's revision, "" for local data.
        stream: Rows of `id`, `image` (`bytes` and `path`, undecoded), `label` (0 real, 1 fake), `generator`, `source`.
    """

    spec: str
    split: str
    description: str
    rows: int | None
    revision: str
    stream: datasets.IterableDataset


@dataclass(frozen=True)
class Example:
    """One decoded image with what is known of it.

    Attributes:
        id: Stable name of the row: its path, or its split and number.
        label: 0 real, 1 fake.
        generator: Name of the model that made it, "real" for photographs, "unstated" where the data does not say.
        source: Collection it comes from, "" where the data does not say.
        image: The decoded picture.
        data: The file's bytes.
    """

    id: str
    label: int
    generator: str
    source: str
    image: DecodedImage
    data: bytes


def open_source(spec: str, split: str) -> Source:
    """Open one split of a data source as a stream.

    Args:
        spec: A SOURCE string, see the module's description.
        split: `train`, `validation`, `test`, or any other name that the data uses. The usual spellings (`val`,
            `Training`, ...) are found by their own.

    Raises:
        UserError: If there is no such data or split, or its columns or labels cannot be understood.
    """
    if spec == "sample":
        from fakelens.data.sample import DESCRIPTION, make_sample

        return _parquet(make_sample(), spec, split, DESCRIPTION)
    folder = Path(spec).expanduser()
    if folder.is_dir():
        is_parquet = next(folder.rglob("*.parquet"), None) is not None
        return (_parquet if is_parquet else _class_folders)(folder, spec, split, f"local folder {folder.name}")
    if folder.exists():
        raise UserError(f"{spec} is a file. Name a folder of parquet files, or a folder of class folders.")
    if HUB_ID.fullmatch(spec):
        return _hub(spec, split)
    raise UserError(
        f"No data at {spec!r}. Name a folder of parquet files or class folders, a Hub data set as USER/NAME[:CONFIG], "
        "or `sample` for the embedded sample."
    )


def examples(source: Source, skips: SkipLog) -> Iterator[Example]:
    """Decode a source's rows in their order, skipping and counting those that cannot be decoded."""
    for row in source.stream:
        data = row_bytes(row["image"])
        try:
            image = decode_image(data)
        except ImageError as error:
            skips.add(row["id"], error.reason)
            continue
        yield Example(row["id"], row["label"], row["generator"], row["source"], image, data)


def row_bytes(image: dict[str, Any]) -> bytes:
    """Return an undecoded image cell's bytes, read from its path if the row carries none; b"" if neither is there."""
    if image["bytes"] is not None:
        return image["bytes"]
    path = Path(image["path"] or "")
    return path.read_bytes() if path.is_file() else b""


def is_split(name: str, split: str) -> bool:
    """Tell whether a folder's or file's name stands for a split, in any case: `Val` and `validation` are the same."""
    return name.lower() in SPLITS.get(split, (split.lower(),))


# Hub


def _hub(spec: str, split: str) -> Source:
    name, _, revision = spec.partition("@")
    repo, _, config = name.partition(":")
    try:
        builder = datasets.load_dataset_builder(repo, config or None, revision=revision or None)
        stream = datasets.load_dataset(repo, config or None, split=split, revision=revision or None, streaming=True)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"The Hub data set {spec!r} (split {split!r}) could not be opened: {first} "
            "Check its name, config and split, your connection, and `hf auth login` if it is gated."
        ) from error
    known = (builder.info.splits or {}).get(split)
    rows = known.num_examples if known else None
    return Source(
        spec, split, f"Hub data set {repo}", rows, revision or str(builder.hash or ""), _rows(stream, spec, split)
    )


# Parquet shards


def _parquet(folder: Path, spec: str, split: str, description: str) -> Source:
    shards = [p for p in sorted(folder.rglob("*.parquet")) if _shard_of(p.relative_to(folder), split)]
    if not shards:
        names = sorted({p.relative_to(folder).as_posix() for p in folder.rglob("*.parquet")})
        raise UserError(f"{spec} has no parquet file for split {split!r}. It holds: {', '.join(names[:8])}")
    rows = 0
    for shard in shards:
        try:
            rows += pq.ParquetFile(shard).metadata.num_rows
        except (OSError, ValueError) as error:
            raise UserError(
                f"{shard} is not a complete parquet file ({error}). Fetch it again or remove it."
            ) from None
    # One read per row group of the columns in use, never the file as a whole.
    stream = datasets.load_dataset(
        "parquet", data_files={split: [str(p) for p in shards]}, split=split, streaming=True
    )
    return Source(spec, split, description, rows, "", _rows(stream, spec, split))


def _shard_of(path: Path, split: str) -> bool:
    """Tell whether a shard belongs to a split, by its name's first word or by a folder's name."""
    return is_split(re.split(r"[-_.]", path.name)[0], split) or any(is_split(p, split) for p in path.parts[:-1])


def _rows(stream: datasets.IterableDataset, spec: str, split: str) -> datasets.IterableDataset:
    """Bring any stream with an image and a label column to our columns, undecoded."""
    columns = stream.column_names or list(next(iter(stream), {}))
    for needed in ("image", "label"):
        if needed not in columns:
            raise UserError(
                f"{spec} has no column {needed!r}; it has: {', '.join(columns)}. Rename the one that is meant."
            )
    features = stream.features or {}
    names = features["label"].names if isinstance(features.get("label"), datasets.ClassLabel) else None
    stream = stream.select_columns([c for c in ("id", "image", "label", "model", "source") if c in columns])
    stream = stream.cast_column("image", datasets.Image(decode=False))

    def to_rows(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        labels = [label_id(names[v] if names else v) for v in batch["label"]]
        cells = [cell or {"bytes": None, "path": None} for cell in batch["image"]]
        generators = batch.get("model") or [None] * len(labels)
        return {
            "id": [str(i) for i in batch.get("id") or map(content_id, cells)],
            "image": cells,
            "label": labels,
            "generator": [generator_name(g, label) for g, label in zip(generators, labels, strict=True)],
            "source": [s or "" for s in batch.get("source") or [""] * len(labels)],
        }

    unused = ["model"] if "model" in columns else None
    return stream.map(to_rows, batched=True, batch_size=64, remove_columns=unused, features=FEATURES)


def content_id(image: dict[str, Any]) -> str:
    """Name an undecoded image by its content, which no sharding, shuffle or renaming of files changes."""
    return hashlib.sha256(row_bytes(image)).hexdigest()[:16]


def generator_name(name: str | None, label: int) -> str:
    """Name what made an image: "real" for photographs, whatever the column says of the camera."""
    return (name or "unstated") if label == FAKE else "real"


# Class folders


def _class_folders(folder: Path, spec: str, split: str, description: str) -> Source:
    roots = [p for p in sorted(folder.iterdir()) if p.is_dir() and is_split(p.name, split)]
    has_splits = any(is_split(p.name, s) for p in folder.iterdir() if p.is_dir() for s in SPLITS)
    if has_splits and not roots:
        found = ", ".join(sorted(p.name for p in folder.iterdir() if p.is_dir()))
        raise UserError(f"{spec} has no folder for split {split!r}. It holds: {found}")
    rows: dict[str, list[Any]] = {name: [] for name in FEATURES}
    for root in roots or [folder]:
        for class_folder in sorted(p for p in root.iterdir() if p.is_dir()):
            label = find_label(class_folder.name)
            if label is None:
                continue
            for path in sorted(p for p in class_folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES):
                rows["id"].append(path.relative_to(folder).as_posix())
                rows["image"].append({"bytes": None, "path": str(path)})
                rows["label"].append(label)
                rows["generator"].append(generator_name(None, label))
                rows["source"].append("")
    if not rows["id"]:
        raise UserError(
            f"{spec} holds no images in class folders. Expected `real/` and `fake/` (or their synonyms, in any case) "
            f"with images inside, directly or below a split's folder such as `{split}/`."
        )
    dataset = datasets.Dataset.from_dict(rows, features=FEATURES)
    # Class after class would feed a small shuffle buffer one class at a time.
    stream = dataset.shuffle(seed=42).to_iterable_dataset(num_shards=min(MANY_SHARDS, len(dataset)))
    return Source(spec, split, description, len(dataset), "", stream)
