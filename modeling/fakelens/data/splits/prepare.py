"""Make splits that share no image: split an unsplit folder, or remove what crosses existing splits."""

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fakelens.data.sources.columns import ReadOptions
from fakelens.data.sources.labels import ID2LABEL
from fakelens.data.sources.opening import open_source
from fakelens.data.sources.reading import read
from fakelens.data.sources.rows import Source, is_split
from fakelens.data.splits.copy import atomic_copy, check_output, class_depth, copy_files, copy_shards
from fakelens.data.splits.duplicates import DISTANCE, MAX_DISTANCE, group_near
from fakelens.data.splits.fingerprints import Fingerprints, take_fingerprints
from fakelens.data.splits.prepare_report import describe, write_report
from fakelens.errors import UserError

SCHEMA_VERSION = 1
PARTS = ("train", "val", "test")  # what an unsplit folder is cut into
KEPT_FIRST = ("test", "validation", "train")
NAME_SPLITS = (
    f"Name one --split to cut into {', '.join(PARTS)}, or two and more to clean them of images that they share."
)
BIG = 0.05  # fraction of a class from which a group is placed in train


@dataclass(frozen=True)
class Preparation:
    """How splits are made.

    Attributes:
        distance: The most bits of 64, 0 to 10, in which the hashes of near-duplicates differ.
        fractions: Of train, val and test, adding up to 1, where one unsplit folder is cut.
        seed: Of the cut.
        keep: Splits in the order in which they keep an image that several have. Those which are not named come
            before: who names `wild` has a benchmark there.
    """

    distance: int = DISTANCE
    fractions: tuple[float, ...] = (0.7, 0.15, 0.15)
    seed: int = 42
    keep: tuple[str, ...] = KEPT_FIRST

    def __post_init__(self) -> None:
        if not 0 <= self.distance <= MAX_DISTANCE:
            raise UserError(
                f"--distance is {self.distance}; it is 0 to {MAX_DISTANCE} bits. Beyond, most of what is found are "
                "different images."
            )
        good = len(self.fractions) == len(PARTS) and min(self.fractions) >= 0 and self.fractions[0] > 0
        if not good or abs(sum(self.fractions) - 1) > 1e-6:
            raise UserError(
                f"--fractions are three numbers, of train, val and test, that add up to 1, such as 0.7 0.15 0.15; "
                f"not {' '.join(map(str, self.fractions))}."
            )


def prepare(
    spec: str,
    splits: Sequence[str],
    output: Path | None,
    settings: Preparation,
    options: ReadOptions | None = None,
) -> dict[str, Any]:
    """Split an unsplit folder, or remove the images that cross several splits.

    Args:
        spec: A SOURCE string, see `sources`.
        splits: Empty for class folders without splits, or one split: cut. Two or more: clean.
        output: New folder for the result and `prepare.json`; None reports and writes nothing.
        settings: How.
        options: What the user says of the data's columns and labels.

    Returns:
        The report, as JSON takes it.

    Raises:
        UserError: If the data cannot be opened, has not the splits that are named, or the output cannot be written.
    """
    folder = Path(spec).expanduser()
    _check_names(splits, settings.keep)
    has_shards = folder.is_dir() and next(folder.rglob("*.parquet"), None) is not None
    if has_shards and not splits:
        raise UserError(f"{spec} holds parquet files. {NAME_SPLITS}")
    sources = [open_source(spec, split, options) for split in splits or ["train"]]
    if folder.is_dir() and not has_shards:
        _check_folders(sources[0], bool(splits))
    if output is not None:
        if not folder.is_dir():
            raise UserError(
                f"{spec} is no folder of this machine, and only those are written anew. Download it (`hf download "
                "--repo-type dataset`), or add --report_only true."
            )
        check_output(folder, output)
    prints = take_fingerprints(sources)
    if not prints.ids:
        reasons = sorted({row["reason"] for row in prints.skipped})
        raise UserError(f"{spec} has no image that can be decoded ({', '.join(reasons)}).")
    groups = group_near(prints.hashes, settings.distance)
    cut = len(splits) < 2
    if cut:
        wanted = [part for part, fraction in zip(PARTS, settings.fractions, strict=True) if fraction > 0]
        assigned: list[str | None] = [
            PARTS[part] for part in assign_splits(prints, groups, settings.fractions, settings.seed, spec)
        ]
    else:
        wanted = prints.splits
        removed = find_crossing(prints, groups, settings.keep)
        assigned = [None if gone else prints.splits[s] for s, gone in zip(prints.split, removed, strict=True)]
    report = {"schema_version": SCHEMA_VERSION, "data": sources[0].spec, "revision": sources[0].revision}
    report |= {"mode": "cut" if cut else "clean", "settings": asdict(settings)}
    report |= describe(prints, groups, assigned, wanted, cut)
    if output is not None:
        with atomic_copy(output) as made:
            if has_shards:
                copy_shards(folder, prints, assigned, made, cut)
            else:
                copy_files(folder, prints, assigned, made, cut, [p for s in sources for p in s.class_folders])
            write_report(report, made / "prepare.json")
    return report


def assign_splits(
    prints: Fingerprints, groups: np.ndarray, fractions: Sequence[float], seed: int, spec: str
) -> np.ndarray:
    """Place every group of near-duplicates in one part, each class at the fractions.

    Groups of a class stand in the order of a hash of their contents, and the row is cut at the fractions: the counts
    are exact to a group's size, and a file that is added moves only groups that stand next to a cut. A group of more
    than a twentieth of its class goes to the first part, where copies do least harm.

    Args:
        prints: The images.
        groups: Their groups, of shape `(count,)`.
        fractions: Of the parts, adding up to 1.
        seed: Another seed gives another order.
        spec: The data's name, for the error.

    Returns:
        Positions in `fractions`, of shape `(count,)`.

    Raises:
        UserError: If all images are of one class.
    """
    for label, name in ID2LABEL.items():
        if not (prints.labels == label).any():
            raise UserError(
                f"{spec} has no {name} images that can be decoded; both classes are needed. Expected folders `real/` "
                "and `fake/`, or a column `label` with both."
            )
    count = int(groups.max()) + 1
    names = np.full(count, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(names, groups, prints.contents)
    sizes = np.bincount(groups, minlength=count)
    fakes = np.bincount(groups, prints.labels, minlength=count)
    kinds = (fakes > 0).astype(int) + (fakes == sizes)  # all real, of both classes, all fake
    ends = np.cumsum(fractions)[:-1]
    parts = np.zeros(count, int)
    for kind in range(3):
        members = np.flatnonzero(kinds == kind)
        total = sizes[members].sum()
        order = sorted(
            members, key=lambda g: (sizes[g] <= BIG * total, zlib.crc32(f"{seed}/{names[g]:016x}".encode()), names[g])
        )
        middles = np.cumsum(sizes[order]) - sizes[order] / 2
        parts[order] = np.searchsorted(ends * total, middles, side="right")
    return parts[groups]


def find_crossing(prints: Fingerprints, groups: np.ndarray, keep: Sequence[str]) -> np.ndarray:
    """Tell which images must go so that no group lies in two splits: all but those of the split that keeps it.

    Args:
        prints: The images.
        groups: Their groups, of shape `(count,)`.
        keep: The splits that keep first, in their order; those which are not named come before.

    Returns:
        Booleans of shape `(count,)`.
    """
    ranks = [next((i for i, name in enumerate(keep) if _same(s, name)), -1) for s in prints.splits]
    # Splits of one rank are told apart by the order in which they were named.
    order = np.argsort(np.argsort(ranks, kind="stable"))[prints.split]
    first = np.full(int(groups.max()) + 1, len(ranks))
    np.minimum.at(first, groups, order)
    return order > first[groups]


def _check_names(splits: Sequence[str], keep: Sequence[str]) -> None:
    if len(set(splits)) < len(splits):
        raise UserError(f"--split names one twice: {' '.join(splits)}.")
    strange = [name for name in keep if name not in KEPT_FIRST and not any(_same(name, split) for split in splits)]
    if strange:
        raise UserError(f"--keep names {', '.join(strange)}, which --split does not.")


def _check_folders(source: Source, named: bool) -> None:
    """See that splits are named where there are some: class folders alone pass for any split."""
    if not source.class_folders:
        raise UserError(f"{source.spec} is neither class folders nor parquet files, and only those are written anew.")
    path = Path(next(read(source))["id"])
    above = path.parts[: class_depth(str(path), source.class_folders)]
    has_splits = any(is_split(name, source.split) for name in above)
    if named and not has_splits:
        raise UserError(f"{source.spec} has class folders and no splits. Leave out --split to cut it.")
    if has_splits and not named:
        raise UserError(f"{source.spec} has splits already. {NAME_SPLITS}")


def _same(name: str, other: str) -> bool:
    """Tell whether two names stand for one split, as `val` and `validation` do."""
    return is_split(name, other) or is_split(other, name)
