"""A source's rows as they are read, and what goes wrong on the way in one line.

`datasets` and `huggingface_hub` try again by themselves, for about ten minutes, when a connection drops. What comes
out of them after that is no message for a person.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import HfFileSystem

from fakelens.data.sources.rows import Source
from fakelens.errors import UserError

Rows = TypeVar("Rows")


class StreamError(UserError):
    """A stream that ended before its data did: a connection that stayed away, or a damaged shard."""


def read(source: Source) -> Iterator[dict[str, Any]]:
    """Yield a source's rows.

    Args:
        source: Where rows come from.

    Raises:
        StreamError: If they end half-way.
        UserError: If a label is neither real nor fake.
    """
    return watched(source.stream, source)


def watched(rows: Iterable[Rows], source: Source) -> Iterator[Rows]:
    """Yield what a source's stream gives, whatever was made of it.

    Args:
        rows: Rows or batches of the source.
        source: What to name.

    Raises:
        StreamError: If they end half-way.
    """
    name = f"the split {source.split!r} of {source.spec}"
    try:
        yield from rows
    except pa.ArrowInvalid as error:
        shard = damaged_shard(source.shards) or "One of its shards"
        raise StreamError(f"Reading {name}: {shard} is damaged ({one_line(error)}).") from error
    except (OSError, httpx2.HTTPError) as error:
        raise StreamError(
            f"Reading {name}: the connection or the disk gave out, and trying again did not help ({one_line(error)})."
        ) from error


def damaged_shard(shards: Sequence[str]) -> str:
    """Return the first file that has no complete parquet footer, "" if all have one.

    Args:
        shards: Addresses of files on the Hub, "hf://...".
    """
    for shard in shards:
        try:
            with HfFileSystem().open(shard) as file:
                pq.read_metadata(file)
        except (OSError, httpx2.HTTPError, pa.ArrowInvalid):
            return shard
    return ""


def one_line(error: BaseException) -> str:
    """Return the first line of what an error says, its kind if it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
