"""Tables as streams of rows: Hub data sets, parquet and WebDataset shards; only the columns in use are ever read."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import httpx2
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from datasets.packaged_modules.parquet.parquet import ParquetConfig
from huggingface_hub import HfFileSystem

from fakelens.data.sources.columns import Columns, ReadOptions, find_columns
from fakelens.data.sources.label_rules import SKIP
from fakelens.data.sources.reading import damaged_shard, one_line
from fakelens.data.sources.rows import FEATURES, Source, content_id, generator_name, is_split
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError

# A row group of 100 MB is read in pieces: each loader worker has several shards open at once.
SCAN = pads.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True, buffer_size=4 * 2**20)
NO_LABEL = "no label"
FEW = 32  # files on the Hub, of which the label column alone is read where a label map is to be checked


def open_hub(spec: str, split: str, options: ReadOptions | None = None) -> Source:
    """Open a Hub data set's split.

    Args:
        spec: `USER/NAME[:CONFIG][@REVISION]`.
        split: The split's name.
        options: What the user says of its columns and labels.

    Raises:
        UserError: If it cannot be reached, or its columns cannot be understood.
    """
    options = options or ReadOptions()
    name, _, revision = spec.partition("@")
    repo, _, config = name.partition(":")
    try:
        builder = datasets.load_dataset_builder(repo, config or None, revision=revision or None)
        shards = tuple((builder.config.data_files or {}).get(split, ()))
        stream = builder.as_streaming_dataset(split)
        columns = find_columns(features_of(stream), options, spec)
        if isinstance(builder.config, ParquetConfig):
            builder.config.columns = columns.used
            builder.config.fragment_scan_options = SCAN
            stream = builder.as_streaming_dataset(split)
        elif stream.features:
            # The Hub's image files would come decoded, in threads of `datasets`, whatever the column is cast to.
            stream = stream.decode(False)
        classes = _hub_classes(builder, shards, columns)
        skips = options.skips or SkipLog()
        stream = to_rows(stream, options, spec, skips)
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
    return Source(
        *(spec, split, f"Hub data set {repo}", rows, revision, stream, shards, skips, options.record()),
        classes=classes,
    )


def _hub_classes(builder: datasets.DatasetBuilder, shards: Sequence[str], columns: Columns) -> tuple[str, ...] | None:
    """Return the names of a split's classes, None where only reading it all would tell.

    Of a large data set a label map shows itself wrong at the first row that it leaves open.
    """
    files = [file for split in (builder.config.data_files or {}).values() for file in split]
    is_cheap = isinstance(builder.config, ParquetConfig) and len(files) <= FEW
    if columns.class_names is not None or columns.label is None or not columns.rules.record() or not is_cheap:
        return columns.class_names
    return columns.check(_labels(shards, columns), lambda: _labels(files, columns))


def open_shards(folder: Path, spec: str, split: str, description: str, options: ReadOptions | None = None) -> Source:
    """Open a split of the parquet files in a folder.

    Args:
        folder: Where they lie, at any depth.
        spec: How the user named it.
        split: The split's name: the first word of the files' names, or a folder's name.
        description: What the data is.
        options: What the user says of its columns and labels.

    Raises:
        UserError: If there are none of that split, one is damaged, or their columns cannot be understood.
    """
    options = options or ReadOptions()
    shards = shards_of(folder, spec, split, "parquet")
    rows = 0
    schema: pa.Schema | None = None
    for shard in shards:
        try:
            file = pq.ParquetFile(shard)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{shard} is not a complete parquet file ({one_line(error)}). Fetch it again or remove it."
            ) from None
        rows += file.metadata.num_rows
        schema = schema or file.schema_arrow
    columns = find_columns(datasets.Features.from_arrow_schema(schema), options, spec)
    classes = _shard_classes(folder, shards, columns, options)
    stream = datasets.load_dataset(
        "parquet",
        data_files={split: [str(p) for p in shards]},
        split=split,
        streaming=True,
        columns=columns.used,
        fragment_scan_options=SCAN,
    )
    skips = options.skips or SkipLog()
    stream = to_rows(stream, options, spec, skips, folder)
    said = options.record()
    return Source(spec, split, description, rows, "", stream, (), skips, said, classes=classes)


def _shard_classes(
    folder: Path, shards: Sequence[Path], columns: Columns, options: ReadOptions
) -> tuple[str, ...] | None:
    """Return the names of a split's classes, having refused those that are not understood; None if there are none."""
    if columns.class_names is not None or columns.label is None or not options.is_labelled:
        return columns.class_names
    try:
        found = _labels(shards, columns)
    except (OSError, pa.ArrowInvalid):  # damaged inside: who reads the rows says which shard
        return None
    return columns.check(found, lambda: _labels(sorted(folder.rglob("*.parquet")), columns))


def _labels(shards: Iterable[Path | str], columns: Columns) -> list[Any]:
    """Return every value of the label column of some shards, each once, reading no other column.

    Args:
        shards: Files, or addresses of files on the Hub, "hf://..."; those without the column have none.
        columns: The data's.
    """
    found: dict[Any, None] = {}
    for shard in shards:
        with HfFileSystem().open(shard) if isinstance(shard, str) else shard.open("rb") as file:
            parquet = pq.ParquetFile(file)
            if columns.label in parquet.schema_arrow.names:
                values = parquet.read(columns=[columns.label])[columns.label].unique()
                found |= dict.fromkeys(values.to_pylist())
    return list(found)


def open_webdataset(
    folder: Path, spec: str, split: str, description: str, options: ReadOptions | None = None
) -> Source:
    """Open a split of the WebDataset shards (`.tar`) in a folder.

    Args:
        folder: Where they lie, at any depth.
        spec: How the user named it.
        split: The split's name: the first word of the files' names, or a folder's name.
        description: What the data is.
        options: What the user says of its columns (the ends of its files' names, and the keys of its `.json`) and
            labels.

    Raises:
        UserError: If there are none of that split, or their columns cannot be understood.
    """
    options = options or ReadOptions()
    shards = shards_of(folder, spec, split, "tar")
    try:
        stream = datasets.load_dataset(
            "webdataset", data_files={split: [str(p) for p in shards]}, split=split, streaming=True
        )
        skips = options.skips or SkipLog()
        stream = to_rows(_flat(stream), options, spec, skips)
    except UserError:
        raise
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        raise UserError(f"The WebDataset shards of {spec} could not be read: {one_line(error)}.") from None
    return Source(spec, split, description, None, "", stream, (), skips, options.record())


def shards_of(folder: Path, spec: str, split: str, kind: str) -> list[Path]:
    """Return the files of a kind that belong to a split, in order.

    Args:
        folder: Where they lie, at any depth.
        spec: How the user named it.
        split: The split's name.
        kind: The end of their names, without the dot.

    Raises:
        UserError: If there are none; the message lists what there is.
    """
    there = sorted(folder.rglob(f"*.{kind}"))
    shards = [path for path in there if shard_of(path.relative_to(folder), split)]
    if not shards:
        found = ", ".join(path.relative_to(folder).as_posix() for path in there[:8])
        raise UserError(f"{spec} has no {kind} file for split {split!r}. It holds: {found}")
    return shards


def shard_of(path: Path, split: str) -> bool:
    """Tell whether a shard belongs to a split, by its name's first word or by a folder's name."""
    return is_split(re.split(r"[-_.]", path.name)[0], split) or any(is_split(p, split) for p in path.parts[:-1])


def to_rows(
    stream: datasets.IterableDataset, options: ReadOptions, spec: str, skips: SkipLog, base: Path | None = None
) -> datasets.IterableDataset:
    """Bring any stream with an image column to the rows of a `Source`, undecoded.

    Args:
        stream: The table.
        options: What the user says of its columns and labels.
        spec: How the user named the data.
        skips: Where rows without a label, and of classes that are skipped, are counted.
        base: The folder that relative paths of images start from.

    Raises:
        UserError: If its columns or the classes of its labels cannot be understood.
    """
    columns = find_columns(features_of(stream), options, spec)
    stream = stream.select_columns(columns.used).cast_column(columns.image, datasets.Image(decode=False))
    make = RowMaker(columns, options.is_labelled, skips, base)
    return stream.map(make, batched=True, batch_size=64, remove_columns=columns.used, features=FEATURES)


@dataclass
class RowMaker:
    """Batches of a table -> batches of a source's rows.

    Attributes:
        columns: The table's columns.
        is_labelled: Leave out rows without a label; else their label is None.
        skips: Where rows that are left out are counted.
        base: The folder that relative paths of images start from.
    """

    columns: Columns
    is_labelled: bool
    skips: SkipLog
    base: Path | None = None
    known: dict[Any, int] = field(default_factory=dict)

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Return the rows of a batch that are used."""
        columns, count = self.columns, len(batch[self.columns.image])
        empty = [None] * count
        rows: dict[str, list[Any]] = {name: [] for name in FEATURES}
        for cell, value, maker, source, own_id in zip(
            batch[columns.image],
            batch[columns.label] if columns.label else empty,
            batch[columns.generator] if columns.generator else empty,
            batch[columns.source] if columns.source else empty,
            batch[columns.id] if columns.id else empty,
            strict=True,
        ):
            cell = cell or {"bytes": None, "path": None}
            name = str(own_id) if own_id is not None else _name(cell)
            label = self._label(value)
            if label == SKIP or (label is None and self.is_labelled):
                self.skips.add(name, NO_LABEL if label is None else f"of the class {columns.class_of(value)}")
                continue
            rows["id"].append(name)
            rows["image"].append(self._located(cell))
            rows["label"].append(label)
            rows["generator"].append(generator_name(columns.generator_of(maker, value), label))
            rows["source"].append("" if source is None else str(source))
        return rows

    def _label(self, value: Any) -> int | None:
        if value is None or value == "":
            return None
        if value not in self.known:
            self.known[value] = self.columns.label_of(value)
        return self.known[value]

    def _located(self, image: dict[str, Any]) -> dict[str, Any]:
        """Return an image cell whose path, if it has no bytes, starts from the folder of its table."""
        path = image["path"]
        if self.base is None or image["bytes"] is not None or not path or "://" in path:
            return image
        return {"bytes": None, "path": str(self.base / path)}


def _name(image: dict[str, Any]) -> str:
    """Return the name of a row that has none: its image's path or address, or its content."""
    return image["path"] if image["bytes"] is None and image["path"] else content_id(image)


def features_of(stream: datasets.IterableDataset) -> dict[str, Any]:
    """Return a stream's columns with their types, None where it does not know them before it is read."""
    if stream.features:
        return dict(stream.features)
    names = stream.column_names or list(next(iter(stream), {}))
    return dict.fromkeys(names)


def _flat(stream: datasets.IterableDataset) -> datasets.IterableDataset:
    """Return a WebDataset stream with the keys of its `.json` files as columns."""
    nested = stream.features.get("json") if stream.features else None
    if not isinstance(nested, dict):
        return stream
    features = {name: kind for name, kind in stream.features.items() if name != "json"} | dict(nested)
    for name in [name for name, kind in features.items() if isinstance(kind, datasets.Image)]:
        features[name] = datasets.Image(decode=False)  # a map decodes what is not told otherwise
        stream = stream.cast_column(name, features[name])
    return stream.map(_unpack, remove_columns=["json"], features=datasets.Features(features))


def _unpack(row: dict[str, Any]) -> dict[str, Any]:
    return dict(row["json"])
