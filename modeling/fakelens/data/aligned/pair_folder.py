"""The folder that content-aligned pairs are written to: each of its files is there whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from fakelens.errors import UserError

TEXTS = ("id", "prompt", "label", "model", "type", "release_date", "source", "pair")
FEATURES = datasets.Features(dict.fromkeys(TEXTS, datasets.Value("string")) | {"image": datasets.Image()})


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Say in one line what keeps a folder from being written.

    Args:
        output: The folder.

    Raises:
        UserError: If the block ends with an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{output} could not be written: {error.strerror or error}. What is there is whole; free some space and "
            "run the same command again."
        ) from error


def put(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all.

    Args:
        path: Its place; the folder is there.
        data: What it holds.
    """
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


def put_rows(path: Path, rows: list[dict[str, object]]) -> None:
    """Write a parquet shard.

    Args:
        path: Its place; the folder is there.
        rows: Of OpenFake's columns with `id`, `source` and `pair`.
    """
    part = path.with_name(f".{path.name}.part")
    # `Dataset.to_parquet` would draw a progress bar of its own for every shard.
    pq.write_table(pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema), part, row_group_size=64)
    part.replace(path)
