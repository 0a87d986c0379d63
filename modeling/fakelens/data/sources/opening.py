"""One string -> a stream of labelled, undecoded images.

SOURCE is one of
    sample                           the embedded sample (see `sample.py`)
    ComplexDataLab/OpenFake:core     a Hub data set, streamed; `:config` and `@revision` are optional
    openfake, openfake:reddit, ...   short names of Hub data sets, see `SHORT_NAMES`
    path/to/folder                   of parquet shards, streamed: `train-00000-of-00004.parquet`, `data/test-...`, ...
    path/to/folder                   of WebDataset shards: `train-0000.tar`, ...
    path/to/folder                   of class folders: `real/`, `fake/`, or `train/real/`, `Test/Fake/`, ...
    path/to/folder                   of images with labels in `metadata.csv` or `metadata.jsonl`
    path/to/folder                   that `datasets` wrote with `save_to_disk`
    path/to/file                     `.csv`, `.json`, `.jsonl` or `.parquet`, of paths or addresses of images

and, where labels are not asked for,
    path/to/folder                   of images, in subfolders or not
    path/to/file.txt                 with a path or address on each line

Rows travel undecoded (a shuffle buffer of images would not fit in memory) and are decoded by `examples` or by the
training transform. Labels are mapped by name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fakelens.data.decode import IMAGE_SUFFIXES, DecodedImage, ImageError, decode_image
from fakelens.data.sources.columns import ReadOptions
from fakelens.data.sources.formats.folders import open_folders
from fakelens.data.sources.formats.listings import (
    LISTINGS,
    has_labels,
    metadata_files,
    open_images,
    open_listing,
    open_metadata,
)
from fakelens.data.sources.formats.saved import is_saved, open_saved
from fakelens.data.sources.formats.tables import open_hub, open_shards, open_webdataset
from fakelens.data.sources.patterns import HUB_ID
from fakelens.data.sources.reading import read
from fakelens.data.sources.rows import Source, content_id, row_bytes
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError

__all__ = [
    "HUB_ID",
    "IMAGE_SUFFIXES",
    "Example",
    "ReadOptions",
    "Source",
    "content_id",
    "examples",
    "open_source",
    "row_bytes",
]

SHORT_NAMES = {
    "openfake": "ComplexDataLab/OpenFake:core",
    "openfake:core": "ComplexDataLab/OpenFake:core",
    "openfake:reddit": "ComplexDataLab/OpenFake:reddit",
    "openfake:v1": "ComplexDataLab/OpenFake@v1.0",
}


@dataclass(frozen=True)
class Example:
    """One decoded image with what is known of it.

    Attributes:
        id: Stable name of the row: its path, or its split and number.
        label: 0 real, 1 fake.
        generator: Name of the model that made it, "real" for photographs, "unstated" where the data does not say.
        source: Collection it comes from, "" where the data does not say.
        image: The decoded image.
        data: The file's bytes.
    """

    id: str
    label: int
    generator: str
    source: str
    image: DecodedImage
    data: bytes


def open_source(spec: str, split: str, options: ReadOptions | None = None) -> Source:
    """Open one split of a data source as a stream.

    Args:
        spec: A SOURCE string, see the module's description.
        split: `train`, `validation`, `test`, or any other name that the data uses. The usual spellings (`val`,
            `Training`, ...) are found by their own.
        options: What the user says of its columns and labels; what can be found by itself is, if None.

    Raises:
        UserError: If there is no such data or split, or its columns or labels cannot be understood.
    """
    options = options or ReadOptions()
    if spec == "sample":
        from fakelens.data.sample import DESCRIPTION, make_sample

        return open_shards(make_sample(), spec, split, DESCRIPTION)
    path = Path(spec).expanduser()
    if path.is_dir():
        return _open_folder(path, spec, split, options)
    if path.is_file():
        if path.suffix.lower() in LISTINGS:
            return open_listing(path, spec, split, options)
        raise UserError(
            f"{spec} is a file. Name a list of images ({', '.join(LISTINGS)}), a folder of parquet or WebDataset "
            "shards, or a folder of class folders."
        )
    spec = SHORT_NAMES.get(spec, spec)
    if HUB_ID.fullmatch(spec):
        return open_hub(spec, split, options)
    raise UserError(
        f"No data at {spec!r}. Name a folder of parquet files or class folders, a Hub data set as USER/NAME[:CONFIG], "
        "or `sample` for the embedded sample."
    )


def _open_folder(folder: Path, spec: str, split: str, options: ReadOptions) -> Source:
    description = f"local folder {folder.name}"
    if is_saved(folder):
        return open_saved(folder, spec, split, description, options)
    metadata = [path for path in metadata_files(folder) if has_labels(path, options)]
    if metadata:
        return open_metadata(folder, metadata, spec, split, description, options)
    for kind, open_kind in (("parquet", open_shards), ("tar", open_webdataset)):
        if next(folder.rglob(f"*.{kind}"), None) is not None:
            return open_kind(folder, spec, split, description, options)
    if not options.is_labelled:
        return open_images(folder, spec, split, description, options)
    return open_folders(folder, spec, split, description, options)


def examples(source: Source, skips: SkipLog) -> Iterator[Example]:
    """Decode a source's rows in their order, skipping and counting those that cannot be decoded."""
    try:
        for row in read(source):
            try:
                data = row_bytes(row["image"])
                image = decode_image(data)
            except ImageError as error:
                skips.add(row["id"], error.reason)
                continue
            yield Example(row["id"], row["label"], row["generator"], row["source"], image, data)
    finally:
        skips.merge(source.skips)
