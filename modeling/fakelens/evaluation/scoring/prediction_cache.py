"""What was scored and computed so far, kept on disk until the report stands: a killed run goes on where it stopped."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fakelens.errors import UserError


@dataclass(frozen=True)
class Part:
    """What a model said of a few rows that follow each other.

    Attributes:
        number: Of the part; parts of one split and setting are cut at the same rows in every run.
        ids: Names of its rows, like the next four.
        labels: 0 real, 1 fake.
        generators: Names of the models that made the images.
        sources: Collections that the images come from.
        reasons: Why a row could not be decoded; "" if it could.
        probabilities: Of each class, P(real) first, for the decoded rows alone, by view.
        seconds: Wall time for which this part alone answers, reading included.
        model_seconds: What processor and network took of it.
    """

    number: int
    ids: list[str]
    labels: list[int]
    generators: list[str]
    sources: list[str]
    reasons: list[str]
    probabilities: dict[str, list[list[float]]]
    seconds: float = 0.0
    model_seconds: float = 0.0


class PredictionCache:
    """An append-only file of parts, one JSON object a line, that belongs to one model, split and setting.

    Its name says whose it is, so that no other model or setting goes on with it; its first line says so in words. A
    last line that a kill tore is dropped. Floats come back as the very numbers they were.

    Args:
        folder: Where it lies, made where there is none. All files there of the same `key` are read, one a process.
        key: Everything that decides what the parts hold.
        rank: The process that appends, to a file of its own.

    Raises:
        UserError: If the folder cannot be read or written.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any], rank: int = 0):
        about = json.dumps(key, sort_keys=True, default=str)
        name = hashlib.sha256(about.encode()).hexdigest()[:32]
        self.path = folder / f"{name}-{rank}.jsonl"
        self.done: dict[int, Part] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.glob(f"{name}-*.jsonl")):
                self._read(path, mend=path == self.path)
            self._file = self.path.open("ab")
            if not self._file.tell():
                self._write(about)
        except OSError as error:
            raise self._failed(error) from None

    def add(self, part: Part) -> None:
        """Append a part; once this returns, a kill of the process does not lose it.

        Args:
            part: What was scored.

        Raises:
            UserError: If it cannot be written.
        """
        try:
            self._write(json.dumps(asdict(part)))
        except OSError as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self, path: Path, mend: bool) -> None:
        content = path.read_bytes()
        full = content[: content.rfind(b"\n") + 1]
        if mend and len(full) < len(content):
            with path.open("r+b") as file:
                file.truncate(len(full))
        for line in full.splitlines()[1:]:
            part = Part(**json.loads(line))
            self.done[part.number] = part

    def _write(self, line: str) -> None:
        self._file.write(line.encode() + b"\n")
        self._file.flush()

    def _failed(self, error: OSError) -> UserError:
        return UserError(
            f"What was scored cannot be kept in {self.path.parent}: {error.strerror or error}. "
            "Free some space, or name another folder with --output; the same command then goes on from here."
        )


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
