"""Hold the tests to leaving the checkout as it is: it may be read-only, and a second run must find what the first did.

What this process asks of Python is seen; what a C++ library or another process writes is not.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Of everything that Python reports to an audit hook, what changes a folder -> which argument is the changed path.
CHANGES = {"os.mkdir": 0, "os.rename": 1, "os.remove": 0, "os.rmdir": 0, "os.symlink": 1, "os.link": 1}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CACHES = {"__pycache__", ".pytest_cache", "build"}  # Python's, pytest's, and the screenshots of CI


class Watch:
    """Refuses changes below the checkout while it is on; an audit hook cannot be taken back.

    Attributes:
        on: Whether changes are refused.
        allowed: Folders whose content may change all the same, each ending in a separator.
    """

    def __init__(self, *allowed: Path | str) -> None:
        self.on = False
        # The tests' own folders may lie below the checkout, and so may the checkout below them.
        self.allowed = tuple(f"{path}{os.sep}" for path in allowed if ROOT in Path(path).parents)

    def __call__(self, event: str, arguments: tuple) -> None:
        if not self.on or (event != "open" and event not in CHANGES):
            return
        path = changed(event, arguments)
        if path is None or not path.startswith(f"{ROOT}{os.sep}") or path.startswith(self.allowed):
            return
        if CACHES.isdisjoint(Path(path).relative_to(ROOT).parts) and not (event == "os.mkdir" and os.path.isdir(path)):
            raise AssertionError(f"{event}: the tests leave the checkout as it is; {path} belongs into tmp_path")


def changed(event: str, arguments: tuple) -> str | None:
    """Return the absolute path that an event changes, None for none or one that is named by a file descriptor."""
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, int) or not flags & WRITING:
            return None
    else:
        path = arguments[CHANGES[event]]
        if isinstance(path, int) or arguments[-1] >= 0:  # the last is the descriptor of the folder, -1 for none
            return None
    return os.path.abspath(os.fsdecode(path))


@contextmanager
def left_alone(temporary: Path) -> Iterator[None]:
    """Fail whatever changes the checkout until the block ends.

    Args:
        temporary: The folder of the tests' own files.
    """
    watch = Watch(temporary, tempfile.gettempdir())
    sys.addaudithook(watch)
    watch.on = True
    try:
        yield
    finally:
        watch.on = False
