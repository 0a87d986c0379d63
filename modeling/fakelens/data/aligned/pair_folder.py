"""The folder that content-aligned pairs are written to: each of its files is there whole or not at all."""

from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from fakelens.atomic import replacing

TEXTS = ("id", "prompt", "label", "model", "type", "release_date", "source", "pair")
WAY_OUT = "What is there is whole; free some space and run the same command again."  # where it cannot be written
FEATURES = datasets.Features(dict.fromkeys(TEXTS, datasets.Value("string")) | {"image": datasets.Image()})


def put(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all.

    Args:
        path: Its place; the folder is there.
        data: What it holds.
    """
    with replacing(path) as part:
        part.write_bytes(data)


def put_rows(path: Path, rows: list[dict[str, object]]) -> None:
    """Write a parquet shard.

    Args:
        path: Its place; the folder is there.
        rows: Of OpenFake's columns with `id`, `source` and `pair`.
    """
    with replacing(path) as part:
        # `Dataset.to_parquet` would draw a progress bar of its own for every shard.
        pq.write_table(pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema), part, row_group_size=64)
