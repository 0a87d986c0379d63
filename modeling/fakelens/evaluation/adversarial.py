"""How a detector fares under attack: accuracy and AUROC at each strength, FGSM or PGD in pixel space.

Reference system S4's table is FGSM at 0, .02, .05 and .08. The attacker knows the network and sees what it sees: the
processed picture, in pixels of [0, 1].
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from fakelens.data.skips import SkipLog
from fakelens.data.sources import Source, examples
from fakelens.detector import Detector
from fakelens.errors import UserError
from fakelens.metrics import detection_metrics
from fakelens.training.attacks import Normalisation, fgsm, pgd

STRENGTHS = (0.0, 0.02, 0.05, 0.08)
SEED = 0


def attack_table(
    detector: Detector,
    source: Source,
    strengths: Sequence[float] = STRENGTHS,
    method: str = "fgsm",
    batch_size: int = 32,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Score a split at each attack strength.

    Args:
        detector: A detector of one network; an ensemble's members see different pictures, so that no one attack is
            defined on it.
        source: The split.
        strengths: Largest change of a pixel, each in [0, 1]; 0 is the clean picture.
        method: "fgsm", or "pgd" (10 steps from a random start).
        batch_size: Images per forward pass.
        limit: Read this many rows; all if None.

    Returns:
        One mapping a strength: `eps`, and the metrics of `detection_metrics` at the detector's own threshold.

    Raises:
        UserError: If a strength or the method is not known, or the detector is an ensemble.
    """
    if method not in ("fgsm", "pgd"):
        raise UserError(f"There is no attack {method!r}: say fgsm or pgd.")
    if detector.model.main_input_name != "pixel_values":
        raise UserError(f"{detector.name} is an ensemble; attack its members one by one.")
    normalisation = Normalisation.of(detector.processor)
    generator = torch.Generator().manual_seed(SEED)
    scores: dict[float, list[np.ndarray]] = {eps: [] for eps in strengths}
    labels: list[int] = []
    rows = examples(source, SkipLog())
    with tqdm(total=limit or source.rows, desc=f"{method} on {source.split}", unit="image", disable=None) as progress:
        while batch := list(islice(rows, min(batch_size, (limit or len(labels) + batch_size) - len(labels)))):
            inputs = [detector.processor(images=e.image.image, return_tensors="pt")["pixel_values"] for e in batch]
            clean = torch.cat(inputs).to(detector.device)
            pixels = normalisation.invert(clean)
            targets = torch.tensor([e.label for e in batch], device=detector.device)
            for eps in strengths:
                attacked = clean
                if eps > 0 and method == "fgsm":
                    attacked = normalisation.apply(fgsm(detector.model, pixels, targets, eps, normalisation))
                elif eps > 0:
                    moved = pgd(detector.model, pixels, targets, eps, normalisation, generator=generator)
                    attacked = normalisation.apply(moved)
                scores[eps].append(detector.judge_pixels(attacked))
            labels += [e.label for e in batch]
            progress.update(len(batch))
    truth = np.array(labels)
    return [
        {"eps": eps} | dict(detection_metrics(np.concatenate(parts), truth, detector.threshold))
        for eps, parts in scores.items()
    ]
