"""One string -> a stream of labelled, undecoded images.

SOURCE is one of
    sample                           the embedded sample (see `sample.py`)
    ComplexDataLab/OpenFake:core     a Hub data set, streamed; `:config` and `@revision` are optional
    openfake, openfake:reddit, ...   short names of Hub data sets, see `SHORT_NAMES`
    path/to/folder                   of parquet shards, streamed: `train-00000-of-00004.parquet`, `data/test-...`, ...
    path/to/folder                   of class folders: `real/`, `fake/`, or `train/real/`, `Test/Fake/`, ...

Rows travel undecoded (a shuffle buffer of images would not fit in memory) and are decoded by `examples` or by the
training transform. Labels are mapped by name.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fakelens.data.decode import DecodedImage, ImageError, decode_image
from fakelens.data.sources.folders import IMAGE_SUFFIXES, open_folders
from fakelens.data.sources.reading import read
from fakelens.data.sources.rows import Source, content_id, row_bytes
from fakelens.data.sources.skips import SkipLog
from fakelens.data.sources.tables import open_hub, open_shards
from fakelens.errors import UserError

__all__ = ["HUB_ID", "IMAGE_SUFFIXES", "Example", "Source", "content_id", "examples", "open_source", "row_bytes"]

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?(@[\w./-]+)?")
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

        return open_shards(make_sample(), spec, split, DESCRIPTION)
    folder = Path(spec).expanduser()
    if folder.is_dir():
        is_parquet = next(folder.rglob("*.parquet"), None) is not None
        return (open_shards if is_parquet else open_folders)(folder, spec, split, f"local folder {folder.name}")
    if folder.exists():
        raise UserError(f"{spec} is a file. Name a folder of parquet files, or a folder of class folders.")
    spec = SHORT_NAMES.get(spec, spec)
    if HUB_ID.fullmatch(spec):
        return open_hub(spec, split)
    raise UserError(
        f"No data at {spec!r}. Name a folder of parquet files or class folders, a Hub data set as USER/NAME[:CONFIG], "
        "or `sample` for the embedded sample."
    )


def examples(source: Source, skips: SkipLog) -> Iterator[Example]:
    """Decode a source's rows in their order, skipping and counting those that cannot be decoded."""
    for row in read(source):
        data = row_bytes(row["image"])
        try:
            image = decode_image(data)
        except ImageError as error:
            skips.add(row["id"], error.reason)
            continue
        yield Example(row["id"], row["label"], row["generator"], row["source"], image, data)
