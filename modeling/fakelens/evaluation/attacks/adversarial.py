"""How a detector fares under attack: its metrics at each strength, FGSM or PGD in pixel space.

Reference system S4's table is FGSM at 0, .02, .05 and .08. The attacker knows the network and sees what it sees: the
processed image, in pixels of [0, 1]. It tries to change the verdict; which generator is named is not its concern.
"""

from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from fakelens.data.sources.opening import Source
from fakelens.errors import UserError
from fakelens.evaluation.robustness.robustness import verdict_changes
from fakelens.inference.batches import check_images, decoded_batches
from fakelens.inference.detector import Detector
from fakelens.metrics.detection import detection_metrics
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
    check_images(images)


def pixel_space(detector: Detector) -> Normalisation:
    """Return the way from the network's input back to pixels, in which it is attacked.

    Args:
        detector: Of one network.

    Raises:
        UserError: If the detector is an ensemble, or its processor does not state its normalisation.
    """
    detector.require_pytorch()
    if detector.model.main_input_name != "pixel_values":
        raise UserError(
            "It is an ensemble, whose members see different images, so that no one change of pixels attacks it. "
            "Attack its members one by one."
        )
    return Normalisation.of(detector.processor)


class Attack:
    """One method against one detector: processed images in, processed images that are harder to score out.

    Args:
        detector: Of one network, which is left as it is.
        method: "fgsm", or "pgd" (10 steps from a random start).

    Raises:
        UserError: If there is no such method, or the detector has no pixels to attack.
    """

    def __init__(self, detector: Detector, method: str):
        check_attack([method], STRENGTHS)
        self.method = method
        self.normalisation = pixel_space(detector)
        self.verdicts = _Verdicts(detector)

    def __call__(
        self, pixel_values: torch.Tensor, labels: torch.Tensor, eps: float, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Attack a batch.

        Args:
            pixel_values: Processed images of shape `(batch_size, [num_crops,] 3, height, width)`.
            labels: 0 real, 1 fake, of shape `(batch_size,)`.
            eps: Largest change of a pixel, in [0, 1]; 0 gives back the images themselves.
            generator: Source of PGD's random start; torch's global one if not given.

        Returns:
            Images of the same shape and dtype.
        """
        if eps == 0:
            return pixel_values
        pixels = self.normalisation.invert(pixel_values)
        if self.method == "fgsm":
            return self.normalisation.apply(fgsm(self.verdicts, pixels, labels, eps, self.normalisation))
        moved = pgd(self.verdicts, pixels, labels, eps, self.normalisation, generator=generator)
        return self.normalisation.apply(moved)


def processed(detector: Detector, images: Sequence[Image.Image]) -> torch.Tensor:
    """Return what the network sees of RGB images, of shape `(len(images), [num_crops,] 3, height, width)`.

    Args:
        detector: Of one network; the result is on its device.
        images: Of any size.
    """
    inputs = [detector.processor(images=image, return_tensors="pt") for image in images]
    return torch.cat([one["pixel_values"] for one in inputs]).to(detector.device)


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
        strengths: Largest change of a pixel, each in [0, 1]; 0 is the clean image.
        method: "fgsm", or "pgd" (10 steps from a random start).
        batch_size: Images per forward pass.
        limit: Read this many rows from the start of the split; all if None.
        images: Of these, attack the first so many, half of them of each class; all if None.

    Returns:
        One mapping a strength: `eps`, the metrics of `detection_metrics` at the detector's own threshold, what
        `verdict_changes` finds against the clean images, and `skipped`, rows that cannot be decoded, by reason.

    Raises:
        UserError: If a strength, the number of images or the method will not do, the detector is an ensemble, or no
            image can be decoded.
    """
    check_attack([method], strengths, images)
    attack = Attack(detector, method)
    # Each strength has its own source of chance, so that its result does not hang on the others in the list.
    chance = {eps: torch.Generator().manual_seed(SEED) for eps in strengths}
    scores: dict[float, list[np.ndarray]] = {eps: [] for eps in strengths}
    clean_scores: list[np.ndarray] = []
    labels: list[int] = []
    skipped: Counter[str] = Counter()
    for batch in decoded_batches(source, skipped, batch_size, limit, images, f"{method}: {detector.name}"):
        clean = processed(detector, [item.image for item in batch])
        truth = torch.tensor([item.row["label"] for item in batch], device=detector.device)
        clean_scores.append(detector.score_pixels(clean))
        for eps, parts in scores.items():
            attacked = attack(clean, truth, eps, chance[eps])
            parts.append(clean_scores[-1] if attacked is clean else detector.score_pixels(attacked))
        labels += truth.tolist()
    before, truths = np.concatenate(clean_scores), np.array(labels)
    table = []
    for eps, parts in scores.items():
        after = np.concatenate(parts)
        metrics = dict(detection_metrics(after, truths, detector.threshold))
        changes = verdict_changes(before, after, truths, detector.threshold)
        table.append({"eps": eps} | metrics | changes | {"skipped": dict(skipped.most_common())})
    return table


class _Verdicts(nn.Module):
    """A detector's network with two logits, real and fake, however many kinds of fake it tells apart."""

    def __init__(self, detector: Detector):
        super().__init__()
        self.network = detector.model
        self.readout = detector.readout

    def forward(self, pixel_values: torch.Tensor) -> SimpleNamespace:
        """Return `logits` of shape `(batch_size, 2)`: the higher the second, the higher P(fake)."""
        logits = self.readout(self.network(pixel_values=pixel_values).logits.float())
        margin = logits[:, 1:].logsumexp(dim=1) - logits[:, 0]
        # An attack follows the sign of the gradient, which this leaves as it is. Without it the loss of a very sure
        # network has a gradient of 0 in float32, and the network would pass for robust.
        margin = margin / margin.detach().abs().clamp(min=1)
        return SimpleNamespace(logits=torch.stack([torch.zeros_like(margin), margin], dim=1))
