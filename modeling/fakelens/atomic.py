"""Write folders and files atomically: a reader, or a run that was killed, never leaves half of one."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fakelens.errors import UserError

UNFINISHED = ".part"  # the end of a file's name that `replacing` has not finished


@contextmanager
def atomic_directory(folder: Path) -> Iterator[Path]:
    """Write a directory atomically: give an empty one, which takes the place when the block ends well.

    What was there stays until then, and comes back if the move fails; a block that fails leaves nothing behind.

    Args:
        folder: The folder's final path; its parents are made.

    Raises:
        OSError: If it cannot be written or moved.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as work:
        new, old = Path(work) / "new", Path(work) / "old"
        new.mkdir()
        yield new
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise


def write_file(path: Path, text: str) -> None:
    """Write a text file atomically, its folder too where there is none.

    Args:
        path: The file; one that is there is replaced at the end.
        text: What it holds.

    Raises:
        UserError: If it cannot be written; what was there is unchanged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as beside:
            unfinished = Path(beside) / path.name
            unfinished.write_text(text, encoding="utf-8", newline="")
            unfinished.replace(path)
    except OSError as error:
        raise UserError(
            f"{path} could not be written: {error.strerror or error}. What was there is unchanged."
        ) from None


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a JSON file atomically, its folder too where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        beside.write_text(json.dumps(data, indent=2, default=str) + "\n", encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file atomically: give a hidden one beside it, which takes its place when the block ends well.

    Args:
        path: The file; its folder is there. What a kill leaves is called `.NAME.part`.
    """
    part = path.with_name(f".{path.name}{UNFINISHED}")
    yield part
    part.replace(path)


@contextmanager
def writing(folder: Path, way_out: str) -> Iterator[None]:
    """Say in one line what keeps a folder from being written.

    Args:
        folder: The folder.
        way_out: What is kept of it, and what to do now.

    Raises:
        UserError: If the block ends with an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{folder} could not be written: {error.strerror or error}. {way_out}") from error
