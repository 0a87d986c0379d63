"""A local data set -> a copy of it in which every image lies in the split that it was given, or in none."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import datasets
import pyarrow.parquet as pq
from tqdm import tqdm

from fakelens.atomic import atomic_directory
from fakelens.data.sources.formats.tables import shard_of
from fakelens.data.sources.labels import ID2LABEL
from fakelens.data.splits.fingerprints import Fingerprints, content_number
from fakelens.errors import UserError


def check_output(folder: Path, output: Path) -> None:
    """See that a copy of a data set can be written to a new folder.

    Args:
        folder: The data set's.
        output: Where the copy is to go.

    Raises:
        UserError: If the output exists and holds something, is a file, or lies inside the data.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output} exists and is not empty. Name another --output, or remove it.")
    if output.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{output} lies inside the data, {folder}. Name an --output outside it.")


@contextmanager
def atomic_copy(output: Path) -> Iterator[Path]:
    """Give a folder to write to, which becomes the output when the block ends well, and is removed when it does not.

    Args:
        output: Its final place: nothing, or an empty folder.

    Raises:
        UserError: If the disk is full or the place cannot be written.
    """
    try:
        with atomic_directory(output) as made:
            yield made
    except OSError as error:
        raise UserError(
            f"{output} could not be written ({error.strerror or error}), and nothing of it was kept. Free some space "
            "or name another --output."
        ) from error


def class_depth(row_id: str, class_folders: Sequence[str]) -> int:
    """Return how many folders are above the class's in the id of an image of class folders.

    Args:
        row_id: Its path, such as `real/a.png` or `train/real/a.png`.
        class_folders: Where they lie, as `Source` has them.
    """
    path = Path(row_id)
    return next(len(Path(one).parts) - 1 for one in class_folders if path.is_relative_to(one))


def copy_files(
    folder: Path,
    prints: Fingerprints,
    assigned: list[str | None],
    into: Path,
    cut: bool,
    class_folders: Sequence[str] = (),
) -> None:
    """Copy the images of class folders byte for byte.

    Args:
        folder: The data set's, which the images' ids are relative to.
        prints: Its images.
        assigned: The split for each, None to leave it out.
        into: Where to.
        cut: Write `{split}/{real,fake}/` and what was below the class's folder; else keep every path as it is. Files
            that two folders of one class both have get a number.
        class_folders: Where the class folders lie, as `Source` has them; needed to cut.
    """
    rows = zip(prints.ids, assigned, prints.labels.tolist(), strict=True)
    order = sorted((row_id, part, label) for row_id, part, label in rows if part is not None)
    for row_id, part, label in tqdm(order, desc="copy", unit="image", disable=None):
        target = into / row_id
        if cut:
            below = Path(row_id).parts[class_depth(row_id, class_folders) + 1 :]
            target = into / part / ID2LABEL[label] / Path(*below)
            number = 1
            while target.exists():
                number += 1
                target = target.with_name(f"{Path(row_id).stem}-{number}{target.suffix}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / row_id, target)


def copy_shards(folder: Path, prints: Fingerprints, assigned: list[str | None], into: Path, cut: bool) -> None:
    """Copy parquet shards with all their columns, one row group in memory, leaving out rows that have no place.

    Args:
        folder: The data set's.
        prints: Its images.
        assigned: The split for each, None to leave it out; the same for images of one content in one split.
        into: Where to.
        cut: Write `{split}-00000.parquet`, ... for each shard that is read; else keep the shards' names.
    """
    fates: list[dict[int, str]] = [{} for _ in prints.splits]
    for split, content, part in zip(prints.split, prints.contents, assigned, strict=True):
        if part is not None:
            fates[split][int(content)] = part
    shards = [
        (path, fate)
        for split, fate in zip(prints.splits, fates, strict=True)
        for path in sorted(folder.rglob("*.parquet"))
        if shard_of(path.relative_to(folder), split)
    ]
    for number, (path, fate) in enumerate(tqdm(shards, desc="copy", unit="shard", disable=None)):
        with ExitStack() as stack:
            file = stack.enter_context(pq.ParquetFile(path))
            writers: dict[str, pq.ParquetWriter] = {}
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                cells = datasets.Image().cast_storage(table["image"].combine_chunks()).to_pylist()
                fallen = [fate.get(content_number(cell or {"bytes": None, "path": None})) for cell in cells]
                for part in sorted({name for name in fallen if name is not None}):
                    if part not in writers:
                        name = Path(f"{part}-{number:05d}.parquet") if cut else path.relative_to(folder)
                        (into / name).parent.mkdir(parents=True, exist_ok=True)
                        writers[part] = stack.enter_context(pq.ParquetWriter(into / name, file.schema_arrow))
                    writers[part].write_table(table.filter([name == part for name in fallen]))
