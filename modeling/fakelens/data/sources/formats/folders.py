"""Folders of class folders, as the published data sets are laid out.

    real/, fake/                                S4, and S3's raw/
    train/REAL, train/FAKE, test/REAL, ...      CIFAKE
    Train/Real, Validation/Fake, Test/...       the OpenForensics faces
    Midjourney/train/ai, VQDM/train/nature, ... GenImage
    test/reddit/0_real, test/facebook/1_fake    WildRF

in any case and with any class names that the vocabulary or the user's label map knows. The folders above a class's,
other than the split's, name the collection; `--generator-column folder` takes them for the generator of its fakes.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from fakelens.data.decode import IMAGE_SUFFIXES
from fakelens.data.sources.columns import ReadOptions
from fakelens.data.sources.label_rules import SKIP, LabelRules, class_key, example
from fakelens.data.sources.labels import FAKE, REAL
from fakelens.data.sources.rows import FEATURES, SPLITS, Source, generator_name, is_split
from fakelens.data.sources.skips import SkipLog
from fakelens.data.sources.vocabulary import find_label
from fakelens.errors import UserError

MANY_SHARDS = 64
DEEPEST = 4  # folders above a class's, at most: split, generator, subject, ...
FOLDER = "folder"  # what `--generator-column` calls the folders above a class's


@dataclass(frozen=True)
class ClassFolder:
    """A folder of one class's images.

    Attributes:
        path: Where it lies.
        split: The name of the split's folder above it, "" if there is none.
        collection: The other folders above it, as a path; "" if there are none.
    """

    path: Path
    split: str
    collection: str

    @property
    def name(self) -> str:
        """The class's name."""
        return self.path.name


def open_folders(folder: Path, spec: str, split: str, description: str, options: ReadOptions | None = None) -> Source:
    """Open a split of a folder of class folders. Files that have no image's suffix are left out.

    Args:
        folder: Where the class folders, or the folders of splits and collections above them, lie.
        spec: How the user named it.
        split: The split's name. Class folders without splits are all of `train`, or of `test`, as they are used.
        description: What the data is.
        options: What the user says of its classes.

    Raises:
        UserError: If there are no class folders, several sets of them that differ, a class that is not understood, or
            none of that split.
    """
    options = options or ReadOptions()
    if options.image is not None or options.label is not None or options.generator not in (None, FOLDER):
        raise UserError(
            f"{spec} is a folder of class folders and has no columns. Leave --image-column and --label-column out; "
            f"--generator-column {FOLDER} takes the folders above a class's for its generator."
        )
    everywhere = _class_folders(folder, split, options.rules, spec)
    found = _of_split(everywhere, spec, split)
    labels = _labels(found, options.rules, spec, [one.name for one in everywhere])
    skips = options.skips or SkipLog()
    rows: dict[str, list[Any]] = {name: [] for name in FEATURES}
    for one in found:
        label = labels[class_key(one.name)]
        for path in images_below(one.path):
            name = path.relative_to(folder).as_posix()
            if label == SKIP:
                skips.add(name, f"of the class {one.name}")
                continue
            generator = one.collection if options.generator == FOLDER else None
            rows["id"].append(name)
            rows["image"].append({"bytes": None, "path": str(path)})
            rows["label"].append(label)
            rows["generator"].append(generator_name(generator, label))
            rows["source"].append(one.collection)
    if not rows["id"]:
        raise _no_images(spec, split)
    stream = stream_of(datasets.Dataset.from_dict(rows, features=FEATURES))
    class_folders = tuple(one.path.relative_to(folder).as_posix() for one in found)
    said = options.record()
    names = tuple(dict.fromkeys(one.name for one in found))
    return Source(spec, split, description, len(rows["id"]), "", stream, (), skips, said, class_folders, names)


def stream_of(table: datasets.Dataset, is_mixed: bool = True) -> datasets.IterableDataset:
    """Return a table in memory as a stream, mixed: class after class would feed a small shuffle buffer one at a time.

    Args:
        table: At least one row.
        is_mixed: Whether rows are mixed; without classes, they keep their order.
    """
    mixed = table.shuffle(seed=42) if is_mixed else table
    return mixed.to_iterable_dataset(num_shards=min(MANY_SHARDS, len(table)))


def _class_folders(folder: Path, split: str, rules: LabelRules, spec: str) -> list[ClassFolder]:
    """Return every class folder below a folder, of all splits."""
    found = [ClassFolder(path, *_above(path.relative_to(folder).parts[:-1], split)) for path in _find(folder, rules)]
    if not found:
        raise _no_images(spec, split)
    layouts: dict[str, set[tuple[str, str]]] = {}
    for one in found:
        layouts.setdefault(one.collection, set()).add((one.split.lower(), class_key(one.name)))
    if len(layouts) > 1 and any(layout != next(iter(layouts.values())) for layout in layouts.values()):
        names = " or ".join(sorted({os.path.join(spec, *Path(name).parts[:1]) for name in layouts}))
        raise UserError(f"{spec} holds several sets of class folders that differ. Name one of them: {names}.")
    return found


def _find(folder: Path, rules: LabelRules, depth: int = 0) -> Iterator[Path]:
    """Yield the class folders below a folder; one that holds both classes itself is no class, whatever its name."""
    inside = _folders(folder)
    classes = [path for path in inside if _label(path.name, rules) is not None and not _holds_both(path, rules)]
    yield from classes
    strange = [path for path in inside if path not in classes]
    if classes:
        for path in strange:
            if any(child.suffix.lower() in IMAGE_SUFFIXES for child in path.iterdir()):
                raise UserError(
                    f"{folder} holds the class folders {', '.join(p.name for p in classes)}, and {path.name}, which "
                    f"is neither real nor fake by its name. {example([p.name for p in (*classes, path)])}"
                )
    if depth < DEEPEST:
        for path in strange:
            yield from _find(path, rules, depth + 1)


def _label(name: str, rules: LabelRules) -> int | None:
    """Return what a folder's name says, by the user's word or its own; None if nothing."""
    named = dict(rules.named).get(class_key(name), REAL if rules.real == class_key(name) else None)
    return find_label(name) if named is None else named


def _holds_both(folder: Path, rules: LabelRules, depth: int = 0) -> bool:
    said = {_label(path.name, rules) for path in _folders(folder)}
    if {REAL, FAKE} <= said:
        return True
    return depth < DEEPEST and any(_holds_both(path, rules, depth + 1) for path in _folders(folder))


def _above(parts: tuple[str, ...], split: str) -> tuple[str, str]:
    """Return the split's name and the collection's among the folders above a class's."""
    splits = [part for part in parts if any(is_split(part, one) for one in (*SPLITS, split))]
    return splits[-1] if splits else "", "/".join(part for part in parts if part not in splits)


def _of_split(found: list[ClassFolder], spec: str, split: str) -> list[ClassFolder]:
    wanted = [one for one in found if is_split(one.split, split)]
    if wanted:
        return wanted
    if splits := sorted({one.split for one in found if one.split}):
        raise UserError(
            f"{spec} has no folder for split {split!r}. It holds: {', '.join(splits)}. Part of the training data "
            "is held out for validation by the recipe's key holdout."
        )
    refuse_validation(spec, split)
    return found


def refuse_validation(spec: str, split: str) -> None:
    """Refuse to read data without splits as a validation split: it would be what is trained on.

    Args:
        spec: How the user named the data.
        split: The split that is asked for.

    Raises:
        UserError: If it is the validation split.
    """
    if is_split("validation", split):
        raise UserError(
            f"{spec} has no splits: as {split!r} it would be the training images once more. "
            "Hold a fraction of them out with the recipe's key holdout, or name another split."
        )


def _labels(found: list[ClassFolder], rules: LabelRules, spec: str, everywhere: list[str]) -> dict[str, int]:
    names = {class_key(one.name): one.name for one in found}
    if len(names) == 1:  # a detector may be tested on one class alone
        return {key: rules.label_of(name, spec) for key, name in names.items()}
    return dict(zip(names, rules.labels_of(list(names.values()), spec, everywhere), strict=True))


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir())


def images_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that have an image's suffix, in order of their paths.

    Args:
        folder: Any folder.
    """
    return (p for p in sorted(folder.rglob("*")) if p.suffix.lower() in IMAGE_SUFFIXES)


def _no_images(spec: str, split: str) -> UserError:
    return UserError(
        f"{spec} holds no images in class folders. Expected `real/` and `fake/` (or other words for them, in any "
        f"case; --label-map real=NAME,fake=NAME says what others mean) with images inside, directly or below a "
        f"split's folder such as `{split}/`."
    )
