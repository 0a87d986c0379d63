"""Folders of class folders, as the published data sets are laid out.

    real/, fake/                                S4, and S3's raw/
    train/REAL, train/FAKE, test/REAL, ...      CIFAKE
    Train/Real, Validation/Fake, Test/...       the OpenForensics faces
    train/real, val/fake, test/...              S3's processed/

in any case and with any of the class names of `labels.py`; one folder further down too (`Dataset/Train/Real`).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets

from fakelens.data.decode import IMAGE_SUFFIXES
from fakelens.data.sources.labels import find_label
from fakelens.data.sources.rows import FEATURES, SPLITS, Source, generator_name, is_split
from fakelens.errors import UserError

MANY_SHARDS = 64


def open_folders(folder: Path, spec: str, split: str, description: str) -> Source:
    """Open a split of a folder of class folders. Files that have no image's suffix are left out.

    Args:
        folder: Where the class folders or the splits' folders lie, or the folder above.
        spec: How the user named it.
        split: The split's name. Class folders without splits are all of `train`, or of `test`, as they are used.
        description: What the data is.

    Raises:
        UserError: If there are no class folders, several sets of them, or none of that split.
    """
    home = _home(folder, spec, split)
    roots = [p for p in _folders(home) if is_split(p.name, split)]
    if not roots:
        if any(_is_split(p, split) for p in _folders(home)):
            found = ", ".join(p.name for p in _folders(home))
            raise UserError(
                f"{spec} has no folder for split {split!r}. It holds: {found}. Part of the training data is held out "
                "for validation by the recipe's key holdout."
            )
        if is_split("validation", split):
            raise UserError(
                f"{spec} has class folders but no splits: as {split!r} it would be the training images once more. "
                "Hold a fraction of them out with the recipe's key holdout, or name another split."
            )
        roots = [home]
    rows: dict[str, list[Any]] = {name: [] for name in FEATURES}
    for class_folder in (p for root in roots for p in _folders(root)):
        label = find_label(class_folder.name)
        if label is None:
            continue
        for path in _images(class_folder):
            rows["id"].append(path.relative_to(folder).as_posix())
            rows["image"].append({"bytes": None, "path": str(path)})
            rows["label"].append(label)
            rows["generator"].append(generator_name(None, label))
            rows["source"].append("")
    if not rows["id"]:
        raise _no_images(spec, split)
    dataset = datasets.Dataset.from_dict(rows, features=FEATURES)
    # Class after class would feed a small shuffle buffer one class at a time.
    stream = dataset.shuffle(seed=42).to_iterable_dataset(num_shards=min(MANY_SHARDS, len(dataset)))
    return Source(spec, split, description, len(dataset), "", stream)


def _home(folder: Path, spec: str, split: str) -> Path:
    """Return the folder that holds class folders or splits of them: this one, or the only one such inside it."""
    if _holds_classes(folder, split):
        return folder
    inside = [p for p in _folders(folder) if _holds_classes(p, split)]
    if not inside:
        raise _no_images(spec, split)
    if len(inside) > 1:
        names = " or ".join(os.path.join(spec, p.name) for p in inside)
        raise UserError(f"{spec} holds several sets of class folders. Name one of them: {names}.")
    return inside[0]


def _holds_classes(folder: Path, split: str) -> bool:
    return any(_is_class(p) or (_is_split(p, split) and any(map(_is_class, _folders(p)))) for p in _folders(folder))


def _is_class(folder: Path) -> bool:
    return find_label(folder.name) is not None


def _is_split(folder: Path, wanted: str) -> bool:
    return any(is_split(folder.name, split) for split in (*SPLITS, wanted))


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir())


def _images(folder: Path) -> Iterator[Path]:
    return (p for p in sorted(folder.rglob("*")) if p.suffix.lower() in IMAGE_SUFFIXES)


def _no_images(spec: str, split: str) -> UserError:
    return UserError(
        f"{spec} holds no images in class folders. Expected `real/` and `fake/` (or their synonyms, in any case) "
        f"with images inside, directly or below a split's folder such as `{split}/`."
    )
