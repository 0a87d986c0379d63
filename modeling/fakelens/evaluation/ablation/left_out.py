"""What groups of names leave out of a recipe's data: found in its splits, counted, and some of it kept to be scored.

A name stands for a source or a generator, as `fakelens.data.sources.patterns` has them. What it matches is split into
collections: a generator's fakes from one source, or a source's real images; sources that one pattern such as
`camera-*` matches are one collection.
"""

import bisect
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fakelens.data.sources.labels import FAKE, REAL
from fakelens.data.sources.opening import open_source
from fakelens.data.sources.patterns import is_pattern, matches, split_pattern
from fakelens.data.sources.reading import read
from fakelens.data.splits.exclusion import Exclusion
from fakelens.errors import UserError
from fakelens.training.data.training_data import open_training_data
from fakelens.training.recipe.recipe import DataArguments

LABELS = {REAL: "real", FAKE: "fake"}
TRAINED_ON = "trained on"  # images of the validation split that stand in for a class of which nothing is left out


@dataclass
class Group:
    """What is left out together.

    Attributes:
        names: Names and patterns of sources and generators.
        counts: By label and collection, how many images are left out.
        kept: By label and collection, the undecoded rows to be scored, the same ones each time.
        remaining: By label, how many images of the training split are left to train on.
    """

    names: tuple[str, ...]
    counts: dict[tuple[int, str], int] = field(default_factory=dict)
    kept: dict[tuple[int, str], list[dict[str, Any]]] = field(default_factory=dict)
    remaining: dict[int, int] = field(default_factory=lambda: {REAL: 0, FAKE: 0})

    @property
    def exclusion(self) -> Exclusion:
        """What the names stand for."""
        return Exclusion(self.names, self.names)

    def collection(self, row: dict[str, Any]) -> str:
        """Name a row's collection."""
        patterns = (name for name in self.names if is_pattern(name) and matches(row["source"], name))
        source = next((split_pattern(pattern)[0] for pattern in patterns), row["source"])
        if row["label"] == REAL:
            return source or "real"
        return f"{row['generator']} ({source})" if source else row["generator"]

    def add(self, row: dict[str, Any], limit: int) -> None:
        """Count a row that is left out, and keep it if it is among those to be scored."""
        key = row["label"], self.collection(row)
        self.counts[key] = self.counts.get(key, 0) + 1
        rows = self.kept.setdefault(key, [])
        bisect.insort(rows, row, key=_rank)
        del rows[limit:]

    def large(self, label: int, least: int) -> dict[str, list[dict[str, Any]]]:
        """Return the collections of a class that have enough images to be scored by themselves."""
        return {name: rows for (kind, name), rows in self.kept.items() if kind == label and len(rows) >= least}


def find_groups(data: DataArguments, groups: Sequence[Sequence[str]], limit: int, least: int) -> list[Group]:
    """Read a recipe's training and validation split, and return what each group leaves out of them.

    Args:
        data: The recipe's.
        groups: Names and patterns, those of a group left out together.
        limit: Images of a collection that are kept, at most.
        least: Images that a collection needs to be scored by itself.

    Raises:
        UserError: If a name matches nothing, a group leaves out too little to be scored, or it leaves nothing of a
            class to train on.
    """
    found = [Group(tuple(dict.fromkeys(names))) for names in groups]
    covers = [group.exclusion.covers for group in found]
    names: set[str] = set()
    splits = [data.train_split] if data.holdout and not data.holdout_if_unsplit else _splits(data)
    for split in splits:
        for row in read(open_source(data.data, split, data.read)):
            facts = row["label"], row["generator"], row["source"]
            if data.exclusion.covers(*facts):
                continue
            names |= {row["source"], row["generator"]}
            for group, covered in zip(found, covers, strict=True):
                if covered(*facts):
                    group.add(row, limit)
                elif split == data.train_split:
                    group.remaining[row["label"]] += 1
    for group in found:
        _check(group, data.data, sorted(names - {"", "real", "unstated"}), least)
    return found


def stand_ins(data: DataArguments, seed: int, label: int, limit: int) -> list[dict[str, Any]]:
    """Return undecoded validation rows of a class, from collections that were trained on.

    Args:
        data: A recipe's, with what it leaves out.
        seed: The recipe's, for what it holds out.
        label: 0 real, 1 fake.
        limit: How many at most.
    """
    rows = (row for row in read(open_training_data(data, seed).validation) if row["label"] == label)
    return sorted(rows, key=_rank)[:limit]


def _splits(data: DataArguments) -> list[str]:
    try:
        open_source(data.data, data.validation_split, data.read)
    except UserError:
        if data.holdout:
            return [data.train_split]
        raise
    return [data.train_split, data.validation_split]


def _check(group: Group, spec: str, names: list[str], least: int) -> None:
    said = " ".join(group.names)
    for name in group.names:
        one = Exclusion((name,), (name,))
        if not any(one.covers_source(n) or one.covers_generator(n) for n in names):
            there = ", ".join(names) or "no names of sources or generators"
            raise UserError(f"--leave_out {name} matches nothing in {spec}. There are: {there}.")
    if not group.large(REAL, least) and not group.large(FAKE, least):
        there = ", ".join(f"{count} {LABELS[label]} of {name}" for (label, name), count in group.counts.items())
        raise UserError(
            f"--leave_out {said} leaves out {there or 'no image'}: a collection of fewer than {least} says nothing. "
            "Leave out more, or lower --at_least."
        )
    for label, count in group.remaining.items():
        if not count:
            raise UserError(f"--leave_out {said} leaves no {LABELS[label]} image of {spec} to train on.")


def _rank(row: dict[str, Any]) -> str:
    return hashlib.sha256(row["id"].encode()).hexdigest()
