"""Lists of images: a file of paths or addresses, an imagefolder's metadata file, or all images of a folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from fakelens.data.sources.columns import Columns, ReadOptions, find_columns
from fakelens.data.sources.formats.folders import images_below, refuse_validation, stream_of
from fakelens.data.sources.formats.tables import to_rows
from fakelens.data.sources.reading import one_line
from fakelens.data.sources.rows import SPLITS, Source, is_address, is_split
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError

LISTINGS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".txt")
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
SPLIT = "split"
PATH = "path"  # the column of a list that has no other
LOOKED_AT = 1000  # paths; where none of them leads to a file, the list is not of these files


def open_listing(path: Path, spec: str, split: str, options: ReadOptions | None = None) -> Source:
    """Open one file that lists images by path or address, or holds them as parquet does.

    A column `split` divides it; without, it is all of `train`, or of `test`, as it is used.

    Args:
        path: The file; relative paths in it start from its folder.
        spec: How the user named it.
        split: The split's name.
        options: What the user says of its columns and labels.

    Raises:
        UserError: If it cannot be read, has not the split, none of its paths leads to a file, or its columns or labels
            cannot be understood.
    """
    return _open([path], path.parent, spec, split, f"local file {path.name}", options or ReadOptions())


def open_images(folder: Path, spec: str, split: str, description: str, options: ReadOptions) -> Source:
    """Open all images below a folder, in order of their paths, whatever its subfolders are called.

    Args:
        folder: Any folder. Hidden files and folders are left out.
        spec: How the user named it.
        split: What to call them.
        description: What the data is.
        options: That the data is not labelled.

    Raises:
        UserError: If it holds no images.
    """
    names = (path.relative_to(folder) for path in images_below(folder))
    shown = [name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)]
    if not shown:
        raise UserError(
            f"{spec} holds no images. Name a folder of images, of parquet or WebDataset shards, or a list of images "
            f"({', '.join(LISTINGS)})."
        )
    return _listed(pa.table({PATH: shown}), folder, spec, split, description, options)


def metadata_files(folder: Path) -> list[Path]:
    """Return an imagefolder's metadata files: one for all, or one a split.

    Args:
        folder: The imagefolder.
    """
    return sorted(path for name in METADATA for path in folder.rglob(name))


def open_metadata(
    folder: Path, files: Sequence[Path], spec: str, split: str, description: str, options: ReadOptions | None = None
) -> Source:
    """Open a split of an imagefolder whose labels stand in metadata files.

    Args:
        folder: The imagefolder.
        files: What `metadata_files` returned, at least one.
        spec: How the user named it.
        split: The split's name: that of a metadata file's folder, of its column `split`, or of the first folder in its
            paths.
        description: What the data is.
        options: What the user says of its columns and labels.

    Raises:
        UserError: As `open_listing` does.
    """
    own = [path for path in files if any(is_split(part, split) for part in path.relative_to(folder).parts[:-1])]
    apart = [path for path in files if path.parent != folder]
    if apart and not own:
        found = ", ".join(path.relative_to(folder).as_posix() for path in files)
        raise UserError(f"{spec} has no metadata file for split {split!r}. It holds: {found}.")
    return _open(own or list(files), folder, spec, split, description, options or ReadOptions(), bool(own))


def has_labels(path: Path, options: ReadOptions) -> bool:
    """Tell whether a metadata file has a label column; without, an imagefolder's labels are its folders.

    Args:
        path: The file.
        options: What the user says of its columns.
    """
    table = read_table(path)
    try:
        return find_columns(_features(table), options, str(path)).label is not None
    except UserError:
        return options.label is not None


def read_table(path: Path) -> pa.Table:
    """Read a list into memory.

    Args:
        path: A CSV, TSV, JSON (an array of objects), JSONL or parquet file, or a text file with a path or address on
            each line.

    Raises:
        UserError: If it is none, or a column of it has mixed types.
    """
    kind = path.suffix.lower()
    try:
        if kind == ".parquet":
            return pq.read_table(path)
        if kind in (".csv", ".tsv"):
            options = pyarrow.csv.ParseOptions(delimiter="\t" if kind == ".tsv" else ",", newlines_in_values=True)
            return pyarrow.csv.read_csv(path, parse_options=options)
        text = path.read_text(encoding="utf-8-sig")
        if kind == ".txt":
            return pa.table({PATH: pa.array((line.strip() for line in _lines(text)), pa.string())})
        records = json.loads(text) if text.lstrip().startswith("[") else list(map(json.loads, _lines(text)))
        return pa.Table.from_pylist(records)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UserError(
            f"{path} has a column of mixed types or is damaged: {one_line(error)}. Give each column one type."
        ) from None
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{path} cannot be read as a list of images: {one_line(error)}.") from None


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _open(
    files: Sequence[Path],
    folder: Path,
    spec: str,
    split: str,
    description: str,
    options: ReadOptions,
    is_split_file: bool = False,
) -> Source:
    tables: list[pa.Table] = []
    everywhere: list[Any] = []
    for path in files:
        table = read_table(path)
        if not len(table):
            continue
        columns = find_columns(_features(table), options, str(path))
        everywhere += [] if columns.label is None else table[columns.label].unique().to_pylist()
        if not is_split_file:
            table = _of_split(table, columns, spec, split)
        tables.append(_located(table, columns, path.parent, folder))
    if not tables:
        raise UserError(f"{spec} lists no images.")
    try:
        table = pa.concat_tables(tables, promote_options="default")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UserError(f"The lists of {spec} have a column of mixed types: {one_line(error)}.") from None
    return _listed(table, folder, spec, split, description, options, everywhere)


def _listed(
    table: pa.Table,
    folder: Path,
    spec: str,
    split: str,
    description: str,
    options: ReadOptions,
    everywhere: Sequence[Any] = (),
) -> Source:
    """Return a list's images as a source; `everywhere` are the labels of all its splits."""
    columns = find_columns(_features(table), options, spec)
    _check_paths(table, columns, folder, spec)
    classes = (
        () if columns.label is None else columns.check(table[columns.label].unique().to_pylist(), lambda: everywhere)
    )
    dataset = datasets.Dataset(table.select(columns.used))
    skips = options.skips or SkipLog()
    stream = to_rows(stream_of(dataset, options.is_labelled), options, spec, skips, folder)
    return Source(spec, split, description, len(dataset), "", stream, (), skips, options.record(), (), classes)


def _features(table: pa.Table) -> dict[str, Any]:
    return dict(datasets.Features.from_arrow_schema(table.schema))


def _of_split(table: pa.Table, columns: Columns, spec: str, split: str) -> pa.Table:
    """Return the rows of a split, by the column `split` or the first folder of the paths; all if neither names one."""
    names: list[str] = []
    if SPLIT in table.column_names:
        names = [str(name) for name in table[SPLIT].to_pylist()]
    elif columns.label is not None and pa.types.is_string(table.schema.field(columns.image).type):
        firsts = [Path(str(path)).parts[:1] for path in table[columns.image].to_pylist()]
        named = [first[0] if first else "" for first in firsts]
        if named and all(any(is_split(name, one) for one in (*SPLITS, split)) for name in named):
            names = named
    if not names:
        refuse_validation(spec, split)
        return table
    kept = table.filter(pa.array([is_split(name, split) for name in names]))
    if not len(kept):
        raise UserError(f"{spec} has no row of split {split!r}. It has: {', '.join(sorted(set(names)))}.")
    return kept


def _located(table: pa.Table, columns: Columns, own: Path, folder: Path) -> pa.Table:
    """Return a table whose relative paths start from the data's folder rather than from their own file's."""
    field = table.schema.field(columns.image)
    if own == folder or not pa.types.is_string(field.type):
        return table
    prefix = own.relative_to(folder)
    paths = [p if p is None or is_address(p) else (prefix / p).as_posix() for p in table[columns.image].to_pylist()]
    return table.set_column(table.column_names.index(columns.image), field, pa.array(paths, field.type))


def _check_paths(table: pa.Table, columns: Columns, folder: Path, spec: str) -> None:
    """Refuse a list of which no path leads to a file; single ones that do not are skipped and counted later."""
    if not pa.types.is_string(table.schema.field(columns.image).type):
        return
    paths = [path for path in table[columns.image].to_pylist()[:LOOKED_AT] if path and not is_address(path)]
    if paths and not any((folder / path).is_file() for path in paths):
        raise UserError(
            f"{spec} names files that are not there, such as {paths[0]!r}, looked for in {folder}. Put the list "
            "beside its images, or name the column of their paths with --image-column NAME."
        )
