"""Results kept on disk until the report stands: an evaluation that was killed does not make its tables twice."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fakelens.errors import UserError


def cached(folder: Path, key: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
    """Return what a computation gave the last time, or compute it and keep it.

    Args:
        folder: Where results lie, made where there is none.
        key: Everything that decides the result.
        compute: Returns what JSON can hold; its floats come back as the very numbers they were.

    Raises:
        UserError: If the folder cannot be read or written.
    """
    name = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:32]
    path = folder / f"{name}.json"
    try:
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
        found = compute()
        folder.mkdir(parents=True, exist_ok=True)
        # Moved into place whole: a kill leaves no half result behind.
        unfinished = path.with_suffix(".new")
        unfinished.write_text(json.dumps(found), encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise UserError(
            f"Results cannot be kept in {folder}: {error.strerror or error}. Free some space, or name another folder "
            "with --output; the same command then goes on from here."
        ) from error
    return found
