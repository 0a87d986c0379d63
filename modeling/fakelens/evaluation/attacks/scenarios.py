"""Reference system S2's three scenarios: a clean split, a fraction of it under FGSM, and both together."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
import torch

from fakelens.data.sources.labels import FAKE, REAL
from fakelens.data.sources.opening import Source
from fakelens.data.sources.reading import read
from fakelens.errors import UserError
from fakelens.evaluation.attacks.adversarial import Attack, check_attack, processed
from fakelens.evaluation.robustness.robustness import stable_number
from fakelens.inference.batches import decoded_batches, first_of_each_class
from fakelens.inference.detector import Detector
from fakelens.metrics.detection import detection_metrics

EPS = 0.05
FRACTION = 0.3


def scenarios(
    detector: Detector,
    source: Source,
    eps: float = EPS,
    fraction: float = FRACTION,
    batch_size: int = 32,
    limit: int | None = None,
    images: int | None = None,
) -> dict[str, Any]:
    """Score a split clean, a fraction of its images under FGSM, and the clean and the attacked images together.

    The attacked images are, in each class, those whose ids have the lowest hashes: the same in every order of the
    rows. To know them, the split is read once more, without decoding.

    Args:
        detector: Of one network.
        source: The split.
        eps: Largest change of a pixel, in [0, 1].
        fraction: Of each class's rows, above 0 and at most 1; at least one row of each.
        batch_size: Images per forward pass.
        limit: Read this many rows from the start of the split; all if None.
        images: Of these, take the first so many, half of them of each class; all if None.

    Returns:
        `eps`, `fraction`, `skipped` (rows that cannot be decoded, by reason) and `scenarios`: for "clean", "fgsm" and
        "mixed" the metrics of `detection_metrics` at the detector's threshold, with the counts of a confusion matrix.

    Raises:
        UserError: If a number will not do, the detector is an ensemble, or no image can be decoded.
    """
    check_attack(["fgsm"], [eps], images)
    check_fraction(fraction)
    attack = Attack(detector, "fgsm")
    rows = first_of_each_class(islice(read(source), limit), images)
    chosen = choose(((row["id"], row["label"]) for row in rows), fraction)
    clean: list[np.ndarray] = []
    attacked: list[np.ndarray] = []
    labels: list[int] = []
    attacked_labels: list[int] = []
    skipped: Counter[str] = Counter()
    for batch in decoded_batches(source, skipped, batch_size, limit, images, f"scenarios: {detector.name}"):
        pixel_values = processed(detector, [item.image for item in batch])
        truth = torch.tensor([item.row["label"] for item in batch], device=detector.device)
        clean.append(detector.score_pixels(pixel_values))
        labels += truth.tolist()
        drawn = [number for number, item in enumerate(batch) if item.row["id"] in chosen]
        if drawn:
            attacked.append(detector.score_pixels(attack(pixel_values[drawn], truth[drawn], eps)))
            attacked_labels += truth[drawn].tolist()
    if not attacked_labels:
        raise UserError(
            f"None of the {len(chosen)} images of {source.spec}, split {source.split!r}, that were to be attacked can "
            "be decoded. Attack a larger fraction."
        )
    parts = {
        "clean": (clean, labels),
        "fgsm": (attacked, attacked_labels),
        "mixed": (clean + attacked, labels + attacked_labels),
    }
    return {
        "eps": eps,
        "fraction": fraction,
        "skipped": dict(skipped.most_common()),
        "scenarios": {
            name: dict(detection_metrics(np.concatenate(scores), np.array(truth), detector.threshold))
            for name, (scores, truth) in parts.items()
        },
    }


def choose(rows: Iterable[tuple[str, int]], fraction: float) -> frozenset[str]:
    """Return a fraction of each class's ids, at least one of each class, whatever the order of the rows.

    Args:
        rows: Ids and labels.
        fraction: In (0, 1].
    """
    ids: dict[int, set[str]] = {REAL: set(), FAKE: set()}
    for row_id, label in rows:
        ids[label].add(row_id)
    return frozenset(
        row_id
        for own in ids.values()
        for row_id in sorted(own, key=lambda one: (stable_number(one), one))[: max(1, round(fraction * len(own)))]
    )


def check_fraction(fraction: float) -> None:
    """Refuse a fraction that attacks nothing, or more than everything.

    Args:
        fraction: As a person typed it.

    Raises:
        UserError: If it is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise UserError(f"The fraction of images under attack is above 0 and at most 1: not {fraction}.")
