"""Folders that `datasets` wrote with `save_to_disk`."""

from pathlib import Path

import datasets

from fakelens.data.sources.columns import ReadOptions, find_columns
from fakelens.data.sources.formats.folders import MANY_SHARDS, refuse_validation
from fakelens.data.sources.formats.tables import to_rows
from fakelens.data.sources.reading import one_line
from fakelens.data.sources.rows import SPLITS, Source, is_split
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError


def is_saved(folder: Path) -> bool:
    """Tell whether `save_to_disk` wrote a folder: of one split, or of several."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def open_saved(folder: Path, spec: str, split: str, description: str, options: ReadOptions | None = None) -> Source:
    """Open a split of a folder that `save_to_disk` wrote.

    Args:
        folder: Where it lies.
        spec: How the user named it.
        split: The split's name; a folder of one split that has no name is all of `train`, or of `test`, as it is used.
        description: What the data is.
        options: What the user says of its columns and labels.

    Raises:
        UserError: If it cannot be read, has not the split, or its columns or labels cannot be understood.
    """
    options = options or ReadOptions()
    try:
        found = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{spec} is no complete folder of save_to_disk: {one_line(error)}. Save it again.") from None
    if isinstance(found, datasets.DatasetDict):
        table = next((one for name, one in found.items() if is_split(name, split)), None)
        names = list(found)
    else:
        names = [str(found.split)] if found.split is not None else []
        known = [name for name in names if any(is_split(name, one) for one in (*SPLITS, split))]
        table = found if not known or any(is_split(name, split) for name in known) else None
        if not known:
            refuse_validation(spec, split)
    if table is None:
        raise UserError(f"{spec} has no split {split!r}. It has: {', '.join(names)}.")
    if not len(table):
        raise UserError(f"The split {split!r} of {spec} has no rows.")
    skips = options.skips or SkipLog()
    stream = table.to_iterable_dataset(num_shards=min(MANY_SHARDS, len(table)))
    stream = to_rows(stream, options, spec, skips, folder)
    classes = find_columns(table.features, options, spec).class_names
    return Source(spec, split, description, len(table), "", stream, (), skips, options.record(), classes=classes)
