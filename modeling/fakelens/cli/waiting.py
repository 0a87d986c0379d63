"""What a person sees while a verb works: a line from the first second, and a bar that says how far it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say on a terminal's standard error what takes long, for as long as it does; nothing elsewhere.

    Args:
        what: Such as "loading patch_lens".
    """
    console = Console(stderr=True, markup=False)
    if not console.is_terminal:
        yield
        return
    with console.status(f"{what} ..."):
        yield


def bar() -> Progress:
    """Return a bar on a terminal's standard error, gone when it is done; none elsewhere."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(
        TextColumn("{task.description}"), *columns, console=console, transient=True, disable=not console.is_terminal
    )
