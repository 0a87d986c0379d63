"""A folder that is there whole or not at all: made beside its place, and moved there in one step."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_directory(place: Path) -> Iterator[Path]:
    """Give an empty folder to write to, which takes the place when the block ends well.

    What was there stays until then, and comes back if the move fails; a block that fails leaves nothing behind.

    Args:
        place: The folder's final path; its parents are made.

    Raises:
        OSError: If it cannot be written or moved.
    """
    place = place.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}-") as work:
        new, old = Path(work) / "new", Path(work) / "old"
        new.mkdir()
        yield new
        if place.exists():
            place.rename(old)
        try:
            new.rename(place)
        except OSError:
            if old.exists():
                old.rename(place)
            raise
