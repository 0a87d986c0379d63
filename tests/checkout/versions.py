"""The locked versions, which the tests were green with, and which of the installed ones are others."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LOCK = Path(__file__).parents[2] / "requirements" / "constraints.txt"


def locked() -> dict[str, str]:
    """Return the locked version of each library, by name."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def unlocked() -> list[str]:
    """Return a line about each library that is installed in another version than the locked one."""
    lines = []
    for name, tried in locked().items():
        try:
            if (found := version(name)) != tried:
                lines.append(f"{name} {found} is installed; the tests were green with {tried}")
        except PackageNotFoundError:
            pass  # one of another platform
    return lines
