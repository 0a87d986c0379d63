"""Names of data sets, sources and generators, and patterns that pick some of them: NAME, PATTERN, PATTERN#K/N."""

import hashlib
import re
from fnmatch import fnmatchcase

from fakelens.errors import UserError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?(@[\w./-]+)?")  # USER/NAME[:CONFIG][@REVISION]
PART = re.compile(r"(.+)#(\d+)/(\d+)")


def matches(name: str, pattern: str) -> bool:
    """Tell whether a name is among those that a pattern picks.

    Args:
        name: Of a source or a generator.
        pattern: A name, or a pattern with `*` and `?`, in any case. `PATTERN#K/N` picks the K-th of N parts of what
            PATTERN does: a hash of the name says which part it belongs to.

    Raises:
        UserError: If K is not from 1 to N.

    Examples:
        >>> matches("camera-3f21", "camera-*")
        True
        >>> sum(matches("camera-3f21", f"camera-*#{part}/3") for part in (1, 2, 3))
        1
    """
    pattern, part, parts = split_pattern(pattern)
    if not fnmatchcase(name.lower(), pattern.lower()):
        return False
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % parts == part - 1


def is_pattern(text: str) -> bool:
    """Tell whether a text may stand for several names, or for a part of them."""
    return "*" in text or "?" in text or PART.fullmatch(text) is not None


def split_pattern(pattern: str) -> tuple[str, int, int]:
    """Return a pattern without its part, the part, and how many there are: 1 and 1 where it names none.

    Raises:
        UserError: If the part is not from 1 to their number.
    """
    found = PART.fullmatch(pattern)
    if not found:
        return pattern, 1, 1
    part, parts = int(found[2]), int(found[3])
    if not 1 <= part <= parts:
        raise UserError(f"{pattern} asks for part {part} of {parts}; parts are counted from 1 to {max(1, parts)}.")
    return found[1], part, parts
