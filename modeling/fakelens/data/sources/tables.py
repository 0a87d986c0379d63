"""Parquet shards, in a folder or on the Hub, as streams of rows: only the columns in use are ever read."""

import re
from pathlib import Path
from typing import Any

import datasets
import httpx2
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from datasets.packaged_modules.parquet.parquet import ParquetConfig

from fakelens.data.sources.labels import label_id
from fakelens.data.sources.reading import damaged_shard, one_line
from fakelens.data.sources.rows import FEATURES, Source, content_id, generator_name, is_split
from fakelens.errors import UserError

USED = ("id", "image", "label", "model", "source")
# A row group of 100 MB is read in pieces: each loader worker has several shards open at once.
SCAN = pads.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True, buffer_size=4 * 2**20)


def open_hub(spec: str, split: str) -> Source:
    """Open a Hub data set's split.

    Args:
        spec: `USER/NAME[:CONFIG][@REVISION]`.
        split: The split's name.

    Raises:
        UserError: If it cannot be reached, or its columns cannot be understood.
    """
    name, _, revision = spec.partition("@")
    repo, _, config = name.partition(":")
    try:
        builder = datasets.load_dataset_builder(repo, config or None, revision=revision or None)
        shards = tuple((builder.config.data_files or {}).get(split, ()))
        stream = builder.as_streaming_dataset(split)
        if isinstance(builder.config, ParquetConfig):
            builder.config.columns = _used(stream.column_names, spec)
            builder.config.fragment_scan_options = SCAN
            stream = builder.as_streaming_dataset(split)
    except UserError:
        raise
    except pa.ArrowInvalid as error:
        raise UserError(
            f"{damaged_shard(shards) or spec} is not a complete parquet file ({one_line(error)})."
        ) from None
    except (OSError, ValueError, httpx2.HTTPError) as error:
        raise UserError(
            f"The Hub data set {spec!r} (split {split!r}) could not be opened: {one_line(error)}. "
            "Check its name, config and split, your connection, and `hf auth login` if it is gated."
        ) from error
    known = (builder.info.splits or {}).get(split)
    rows = known.num_examples if known else None
    revision = revision or str(builder.hash or "")
    return Source(spec, split, f"Hub data set {repo}", rows, revision, _rows(stream, spec), shards)


def open_shards(folder: Path, spec: str, split: str, description: str) -> Source:
    """Open a split of the parquet files in a folder.

    Args:
        folder: Where they lie, at any depth.
        spec: How the user named it.
        split: The split's name: the first word of the files' names, or a folder's name.
        description: What the data is.

    Raises:
        UserError: If there are none of that split, one is damaged, or their columns cannot be understood.
    """
    shards = [p for p in sorted(folder.rglob("*.parquet")) if shard_of(p.relative_to(folder), split)]
    if not shards:
        found = sorted({p.relative_to(folder).as_posix() for p in folder.rglob("*.parquet")})
        raise UserError(f"{spec} has no parquet file for split {split!r}. It holds: {', '.join(found[:8])}")
    rows = 0
    columns: list[str] = []
    for shard in shards:
        try:
            file = pq.ParquetFile(shard)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{shard} is not a complete parquet file ({one_line(error)}). Fetch it again or remove it."
            ) from None
        rows += file.metadata.num_rows
        columns = columns or file.schema_arrow.names
    stream = datasets.load_dataset(
        "parquet",
        data_files={split: [str(p) for p in shards]},
        split=split,
        streaming=True,
        columns=_used(columns, spec),
        fragment_scan_options=SCAN,
    )
    return Source(spec, split, description, rows, "", _rows(stream, spec))


def shard_of(path: Path, split: str) -> bool:
    """Tell whether a shard belongs to a split, by its name's first word or by a folder's name."""
    return is_split(re.split(r"[-_.]", path.name)[0], split) or any(is_split(p, split) for p in path.parts[:-1])


def _used(columns: list[str] | None, spec: str) -> list[str]:
    """Return those columns that are read."""
    columns = columns or []
    for needed in ("image", "label"):
        if needed not in columns:
            raise UserError(
                f"{spec} has no column {needed!r}; it has: {', '.join(columns)}. Rename the one that is meant."
            )
    return [name for name in USED if name in columns]


def _rows(stream: datasets.IterableDataset, spec: str) -> datasets.IterableDataset:
    """Bring any stream with an image and a label column to our columns, undecoded."""
    columns = _used(stream.column_names or list(next(iter(stream), {})), spec)
    features = stream.features or {}
    names = features["label"].names if isinstance(features.get("label"), datasets.ClassLabel) else None
    stream = stream.select_columns(columns).cast_column("image", datasets.Image(decode=False))

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
