"""How a detector fares under attack: its metrics at each strength, FGSM or PGD in pixel space.

Reference system S4's table is FGSM at 0, .02, .05 and .08. The attacker knows the network and sees what it sees: the
processed picture, in pixels of [0, 1]. It tries to change the verdict; which generator is named is not its concern.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from fakelens.data.labels import FAKE, REAL
from fakelens.data.sources import Source
from fakelens.detector import Detector
from fakelens.errors import UserError
from fakelens.evaluation.predict import prepare_ahead
from fakelens.metrics import detection_metrics
from fakelens.training.attacks import Normalisation, fgsm, pgd

METHODS = ("fgsm", "pgd")  # the latter with 10 steps from a random start
STRENGTHS = (0.0, 0.02, 0.05, 0.08)
SEED = 0


def check_attack(methods: Sequence[str], strengths: Sequence[float], images: int | None = None) -> None:
    """Refuse attacks that there are not; worth knowing before the work begins.

    Args:
        methods: "fgsm", "pgd".
        strengths: Largest change of a pixel, each in [0, 1].
        images: How many images to attack, at least 2; all if None.

    Raises:
        UserError: If a method is not known, or a number out of range.
    """
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise UserError(f"There is no attack {unknown[0]!r}: say {' or '.join(METHODS)}.")
    outside = [eps for eps in strengths if not 0 <= eps <= 1]
    if outside:
        raise UserError(
            f"An attack's strength (eps) lies in [0, 1], from no change to black for white: not {outside[0]}."
        )
    if not strengths:
        raise UserError("An attack needs at least one strength, such as --eps 0 0.05.")
    if images is not None and images < 2:
        raise UserError(f"An attack needs at least 2 images, one of each class: not {images}.")


def pixel_space(detector: Detector) -> Normalisation:
    """Return the way from the network's input back to pixels, in which it is attacked.

    Args:
        detector: Of one network.

    Raises:
        UserError: If the detector is an ensemble, or its processor does not state its normalisation.
    """
    if detector.model.main_input_name != "pixel_values":
        raise UserError(
            "It is an ensemble, whose members see different pictures, so that no one change of pixels attacks it. "
            "Attack its members one by one."
        )
    return Normalisation.of(detector.processor)


def attack_table(
    detector: Detector,
    source: Source,
    strengths: Sequence[float] = STRENGTHS,
    method: str = "fgsm",
    batch_size: int = 32,
    limit: int | None = None,
    images: int | None = None,
) -> list[dict[str, Any]]:
    """Score a split at each attack strength, raw view.

    Args:
        detector: A detector of one network.
        source: The split.
        strengths: Largest change of a pixel, each in [0, 1]; 0 is the clean picture.
        method: "fgsm", or "pgd" (10 steps from a random start).
        batch_size: Images per forward pass.
        limit: Read this many rows from the start of the split; all if None.
        images: Of these, attack the first so many, half of them of each class; all if None.

    Returns:
        One mapping a strength: `eps`, and the metrics of `detection_metrics` at the detector's own threshold.

    Raises:
        UserError: If a strength, the number of images or the method will not do, the detector is an ensemble, or no
            image can be decoded.
    """
    check_attack([method], strengths, images)
    normalisation, verdicts = pixel_space(detector), _Verdicts(detector)
    # Each strength has its own source of chance, so that its result does not hang on the others in the list.
    chance = {eps: torch.Generator().manual_seed(SEED) for eps in strengths}
    scores: dict[float, list[np.ndarray]] = {eps: [] for eps in strengths}
    labels: list[int] = []
    total = min((n for n in (source.rows, limit, images) if n is not None), default=None)
    rows = _first_of_each_class(islice(source.stream, limit), images)
    prepared = prepare_ahead(rows, ("raw",), batch_size)
    name = f"{method}: {detector.name} on {source.split}"
    with tqdm(total=total, desc=name, unit="image", disable=None) as progress:
        while batch := list(islice(prepared, batch_size)):
            progress.update(len(batch))
            kept = [item for item in batch if not item.reason]
            if not kept:
                continue
            inputs = [detector.processor(images=item.pictures[0], return_tensors="pt") for item in kept]
            clean = torch.cat([one["pixel_values"] for one in inputs]).to(detector.device)
            pixels = normalisation.invert(clean)
            truth = torch.tensor([item.row["label"] for item in kept], device=detector.device)
            for eps in scores:
                if eps == 0:
                    attacked = clean
                elif method == "fgsm":
                    attacked = normalisation.apply(fgsm(verdicts, pixels, truth, eps, normalisation))
                else:
                    moved = pgd(verdicts, pixels, truth, eps, normalisation, generator=chance[eps])
                    attacked = normalisation.apply(moved)
                scores[eps].append(detector.judge_pixels(attacked))
            labels += truth.tolist()
    if not labels:
        raise UserError(f"No image of {source.spec}, split {source.split!r}, could be attacked: none can be decoded.")
    return [
        {"eps": eps} | dict(detection_metrics(np.concatenate(parts), np.array(labels), detector.threshold))
        for eps, parts in scores.items()
    ]


class _Verdicts(nn.Module):
    """A detector's network with two logits, real and fake, however many kinds of fake it tells apart."""

    def __init__(self, detector: Detector):
        super().__init__()
        self.network = detector.model
        self.real = detector.real_index

    def forward(self, pixel_values: torch.Tensor) -> SimpleNamespace:
        """Return `logits` of shape `(batch_size, 2)`: the higher the second, the higher P(fake)."""
        logits = self.network(pixel_values=pixel_values).logits.float()
        kinds = [index for index in range(logits.shape[1]) if index != self.real]
        margin = logits[:, kinds].logsumexp(dim=1) - logits[:, self.real]
        # An attack follows the sign of the gradient, which this leaves as it is. Without it the loss of a very sure
        # network has a gradient of 0 in float32, and the network would pass for robust.
        margin = margin / margin.detach().abs().clamp(min=1)
        return SimpleNamespace(logits=torch.stack([torch.zeros_like(margin), margin], dim=1))


def _first_of_each_class(rows: Iterable[dict[str, Any]], count: int | None) -> Iterator[dict[str, Any]]:
    """Yield `count` rows, half of each class: the start of a split is often one class alone."""
    if count is None:
        yield from rows
        return
    left = {REAL: (count + 1) // 2, FAKE: count // 2}
    for row in rows:
        if left[row["label"]]:
            left[row["label"]] -= 1
            yield row
            if not any(left.values()):
                return
