"""Published splits by name: which generators are held out of training, and where a detector is then tested.

Each is a file in `published/`: data and no code, so that one more is one more file.
"""

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fakelens.errors import UserError

PUBLISHED = Path(__file__).parent / "published"
READ = ("image_column", "label_column", "generator_column", "label_map", "real_label")


@dataclass(frozen=True)
class Protocol:
    """A data set's official division into what is trained on and what is tested on.

    Attributes:
        name: What recipes call it.
        held_out: Generators that are in no training or validation image.
        citation: Where it is published.
        data: SOURCE to train on; None where it is not on the Hub and the user names a folder.
        train_split: Its split for training.
        validation_split: Its split for checkpoints and thresholds, of the generators trained on; None where there is
            none and a part of training is held out.
        tests: SOURCE and split of each test set, to be reported apart; a SOURCE of None is the user's folder.
        holdout: The fraction of training that is held out for validation; None if there is a validation split.
        read: What its columns and classes are, as a recipe's keys.
        license: Of the data, as the Hub spells it; None if it is not known.
        tried: Whether this package was run on the data itself. The others were tried on a few rows of the same
            columns.
    """

    name: str
    held_out: tuple[str, ...]
    citation: str
    data: str | None
    train_split: str
    validation_split: str | None
    tests: tuple[tuple[str | None, str], ...]
    holdout: float | None = None
    read: dict[str, Any] = field(default_factory=dict)
    license: str | None = None
    tried: bool = False

    @classmethod
    def from_file(cls, path: Path) -> "Protocol":
        """Read a protocol's file.

        Args:
            path: A YAML file; its name is the protocol's.
        """
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        tests = tuple((test["data"], test["split"]) for test in found.pop("tests"))
        held_out = tuple(found.pop("held_out"))
        found.setdefault("validation_split", None)
        return cls(name=path.stem, tests=tests, held_out=held_out, **found)

    def keys(self) -> dict[str, Any]:
        """Return what it says of data as keys of a recipe."""
        keys: dict[str, Any] = {
            "data": self.data,
            "train_split": self.train_split,
            "validation_split": self.validation_split,
        }
        keys |= {"holdout": self.holdout, **self.read}
        return {key: value for key, value in keys.items() if value is not None}

    def unseen(self, generator: str) -> bool:
        """Tell whether a generator is held out of training, however its name is spelt.

        Args:
            generator: As the data names it.
        """
        return among(generator, self.held_out)


@cache
def names() -> tuple[str, ...]:
    """Return the names of all protocols."""
    return tuple(sorted(path.stem for path in PUBLISHED.glob("*.yaml")))


@cache
def get(name: str) -> Protocol:
    """Return a protocol by its name.

    Args:
        name: As recipes have it.

    Raises:
        UserError: If there is none; the nearest is suggested.
    """
    if name not in names():
        near = difflib.get_close_matches(str(name), names(), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(f"There is no protocol {name!r}.{hint} There are: {', '.join(names())}.")
    return Protocol.from_file(PUBLISHED / f"{name}.yaml")


def name_key(generator: str) -> str:
    """Return what is left of a name without case, spaces and punctuation: `Flux.2 Klein_9B` is `flux.2-klein-9b`.

    Args:
        generator: A generator's name in any spelling.
    """
    return "".join(letter for letter in generator.casefold() if letter.isalnum())


def among(generator: str, names: Iterable[str]) -> bool:
    """Tell whether a generator is one of those named, however either is spelt.

    Args:
        generator: A generator's name.
        names: Others.
    """
    return name_key(generator) in map(name_key, names)


def unite(*names: Collection[str]) -> list[str]:
    """Return every generator named, in order of the alphabet, each once however it is spelt.

    Args:
        *names: Lists of generators; the first spelling met stays.
    """
    spelt = {name_key(name): name for group in reversed(names) for name in group}
    return sorted(spelt.values())
