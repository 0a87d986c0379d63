"""What was found among a data set's images and what became of them, as JSON takes it."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fakelens.data.sources.labels import ID2LABEL
from fakelens.data.splits.fingerprints import Fingerprints
from fakelens.errors import UserError

BIG_GROUP = 10  # images from which a group is warned of, if it is a hundredth of all too


def describe(
    prints: Fingerprints, groups: np.ndarray, assigned: list[str | None], wanted: Sequence[str], cut: bool
) -> dict[str, Any]:
    """Return the report's counts, its groups of near-duplicates (the largest first) and its warnings.

    Args:
        prints: The images.
        groups: Their groups, of shape `(count,)`.
        assigned: The split for each, None for those removed.
        wanted: The splits that there are to be.
        cut: Whether an unsplit folder was split, so that an image's split is the one assigned to it.
    """
    splits = assigned if cut else [prints.splits[s] for s in prints.split]
    sizes = np.bincount(groups)
    order = np.lexsort((groups, -sizes[groups]))
    duplicates: list[dict[str, Any]] = []
    last = -1
    for i in order[: int(sizes[sizes > 1].sum())]:
        if groups[i] != last:
            last = groups[i]
            duplicates.append({"members": []})
        member = {"id": prints.ids[i], "split": splits[i], "label": ID2LABEL[int(prints.labels[i])]}
        duplicates[-1]["members"].append(member | ({"removed": True} if assigned[i] is None else {}))
    crossing: Counter[str] = Counter()
    for group in duplicates:
        group["members"].sort(key=lambda member: (member["split"], member["id"]))
        named = list(dict.fromkeys(member["split"] for member in group["members"]))
        group["crosses"] = len(named) > 1
        group["contradicts"] = len({member["label"] for member in group["members"]}) > 1
        crossing[" + ".join(named)] += group["crosses"]
    result = _counts(prints, assigned, wanted)
    return {
        "images": len(prints.ids),
        "read": _counts(prints, [prints.splits[s] for s in prints.split], prints.splits),
        "result": result,
        "removed": sum(part is None for part in assigned),
        "groups": len(duplicates),
        "groups_within_a_split": sum(not group["crosses"] for group in duplicates),
        "groups_crossing": {names: number for names, number in crossing.most_common() if number},
        "groups_of_both_classes": sum(group["contradicts"] for group in duplicates),
        "skipped": dict(Counter(row["reason"] for row in prints.skipped).most_common()),
        "warnings": _warnings(result, duplicates, len(prints.ids)),
        "skipped_rows": prints.skipped,
        "duplicates": duplicates,
    }


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write a report as JSON.

    Args:
        report: As `prepare` returns it.
        path: The file.

    Raises:
        UserError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} could not be written: {error.strerror}. Name another --output.") from error


def _counts(prints: Fingerprints, assigned: Sequence[str | None], wanted: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count the images of each class in each split."""
    found = Counter(zip(assigned, prints.labels.tolist(), strict=True))
    return {split: {name: found[split, label] for label, name in ID2LABEL.items()} for split in wanted}


def _warnings(result: dict[str, dict[str, int]], duplicates: list[dict[str, Any]], images: int) -> list[str]:
    lines = [
        f"{split} has no {name} images" for split, counts in result.items() for name, n in counts.items() if n == 0
    ]
    largest = duplicates[0]["members"] if duplicates else []
    if len(largest) >= max(BIG_GROUP, images / 100):
        lines.append(
            f"the largest group holds {len(largest)} of {images} images, {largest[0]['id']} among them: blank "
            "images, many copies of one, or strangers joined by too wide a --distance"
        )
    return lines
