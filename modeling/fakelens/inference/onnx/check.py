"""Whether an exported model says what the PyTorch model says: the same images through both, at several batch sizes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from typing import Any

import numpy as np
import torch
from PIL import Image

from fakelens.data.sample import photographs
from fakelens.data.sources.labels import FAKE, REAL
from fakelens.data.sources.opening import ReadOptions, open_source
from fakelens.errors import UserError
from fakelens.inference.batches import decoded_batches
from fakelens.inference.detector import Detector, p_fake
from fakelens.metrics.detection import detection_metrics

IMAGES = 50
BATCH_SIZES = (1, 7)  # of one, and of more than the export's example
TOLERANCE = 1e-4  # of a probability
ROUNDING = 1e-6  # a score as near as this to a threshold may fall on either side of it
SIDES = (24, 640)  # pixels, of the images made on the spot
METRICS = ("auroc", "accuracy")


@dataclass(frozen=True)
class Sample:
    """Images as a detector's network takes them.

    Attributes:
        inputs: What the processor made of each, with a first dimension of 1.
        labels: 0 real, 1 fake, of each; None where there are no true labels.
    """

    inputs: Sequence[dict[str, torch.Tensor]]
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def first(self, count: int) -> "Sample":
        """Return the first `count` images."""
        return Sample(self.inputs[:count], None if self.labels is None else self.labels[:count])

    def after(self, count: int) -> "Sample":
        """Return the images after the first `count`."""
        return Sample(self.inputs[count:], None if self.labels is None else self.labels[count:])

    def batch(self, start: int, stop: int) -> dict[str, torch.Tensor]:
        """Return some images as one batch."""
        chosen = self.inputs[start:stop]
        return {name: torch.cat([one[name] for one in chosen]) for name in chosen[0]}

    def probabilities(self, detector: Detector, batch_size: int) -> np.ndarray:
        """Return a detector's probability of each class, of shape `(len(self), classes)`.

        Args:
            detector: With the processor that made the inputs.
            batch_size: Images that go through the network at a time.
        """
        starts = range(0, len(self), batch_size)
        return np.concatenate([detector.predict(self.batch(s, s + batch_size), batch_size) for s in starts])

    def metrics(self, detector: Detector) -> dict[str, Any]:
        """Return AUROC, and accuracy at the detector's own decision threshold.

        Args:
            detector: With the processor that made the inputs.
        """
        assert self.labels is not None
        scores = p_fake(self.probabilities(detector, BATCH_SIZES[-1]))
        found = detection_metrics(scores.clip(0, 1), self.labels, detector.threshold)
        return {name: found[name] for name in METRICS}


def made_sample(detector: Detector, count: int) -> Sample:
    """Make images on the spot: photographs' parts, gradients and noise, of many sizes.

    Args:
        detector: Whose processor to use.
        count: How many.
    """
    return Sample([detector.process([image]) for image in islice(_images(), count)])


def _images() -> Iterator[Image.Image]:
    rng = np.random.default_rng(0)
    shots = list(chain.from_iterable(split.values() for split in photographs().values()))
    number = 0
    while True:
        width, height = (int(side) for side in rng.integers(*SIDES, 2))
        if number % 4 == 0:
            image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        elif number % 4 == 1:
            corners = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
            image = Image.fromarray(corners).resize((width, height), Image.Resampling.BILINEAR)
        else:
            shot = shots[number % len(shots)]
            top, left = (
                int(rng.integers(0, max(1, n - m))) for n, m in zip(shot.shape[:2], (height, width), strict=True)
            )
            image = Image.fromarray(shot[top : top + height, left : left + width])
        yield image
        number += 1


def read_sample(detector: Detector, data: str, split: str, count: int, read: ReadOptions | None = None) -> Sample:
    """Read labelled images of a data source, real and fake in turn.

    Args:
        detector: Whose processor to use.
        data: A SOURCE string, see `fakelens.data.sources.opening`.
        split: Of the data.
        count: How many, half of them of each class.
        read: What the user says of the data's columns and classes.

    Raises:
        UserError: If the data cannot be read, or has too few images of either class.
    """
    skipped: Counter[str] = Counter()
    found: dict[int, list[dict[str, torch.Tensor]]] = {REAL: [], FAKE: []}
    for batch in decoded_batches(open_source(data, split, read), skipped, images=count, name="reading"):
        for item in batch:
            found[item.row["label"]].append(detector.process([item.image]))
    usable = sum(map(len, found.values()))
    if usable < count:
        raise UserError(
            f"{data}, split {split!r}, has {len(found[REAL])} real images and {len(found[FAKE])} fakes that can be "
            f"read; {count} are wanted, half of each. Name a larger split or fewer --images."
        )
    in_turn = zip_longest(*([(label, one) for one in ones] for label, ones in found.items()))
    pairs = [pair for pair in chain.from_iterable(in_turn) if pair is not None]
    return Sample([one for _, one in pairs], np.array([label for label, _ in pairs]))


def check(reference: Detector, exported: Detector, sample: Sample) -> dict[str, Any]:
    """Compare an exported model with the PyTorch model, and refuse it if they differ.

    Args:
        reference: The PyTorch model.
        exported: The exported one.
        sample: Images.

    Returns:
        `tolerance`, and by batch size the largest difference of a probability and the verdicts that change.

    Raises:
        UserError: If a probability differs by more than `TOLERANCE`, or a verdict is another.
    """
    found = {size: _compare(reference, exported, sample, size) for size in BATCH_SIZES}
    for size, one in found.items():
        # Written so that a difference that is no number is refused too.
        if not one["max_difference"] <= TOLERANCE or one["verdicts_changed"]:
            raise UserError(
                f"The exported model is not the same as {reference.name}: on {len(sample)} images, {size} at a time, "
                f"a probability differs by {one['max_difference']:.2g} (at most {TOLERANCE:g} may be) and "
                f"{one['verdicts_changed']} verdicts change. Nothing was kept; use the PyTorch model."
            )
    return {"tolerance": TOLERANCE, "batch_sizes": {str(size): one for size, one in found.items()}}


def cost(reference: Detector, quantised: Detector, sample: Sample) -> dict[str, Any]:
    """Say what a quantised model loses, without scoring it.

    Args:
        reference: The PyTorch model.
        quantised: The quantised one.
        sample: Images.

    Returns:
        The largest and the mean difference of a probability, and the verdicts that change.
    """
    return _compare(reference, quantised, sample, BATCH_SIZES[-1])


def _compare(reference: Detector, other: Detector, sample: Sample, batch_size: int) -> dict[str, Any]:
    expected, found = (sample.probabilities(one, batch_size) for one in (reference, other))
    differences = np.abs(expected - found)
    changed = 0
    for before, after in zip(p_fake(expected), p_fake(found), strict=True):
        words = [one.thresholds().verdict(score) for one, score in ((reference, before), (other, after))]
        on_the_line = min(abs(before - line) for line in reference.uncertain_band) <= ROUNDING
        changed += words[0] != words[1] and not (on_the_line and abs(before - after) <= ROUNDING)
    return {
        "max_difference": float(differences.max()),
        "mean_difference": float(differences.mean()),
        "verdicts_changed": int(changed),
        "score_range": [float(p_fake(expected).min()), float(p_fake(expected).max())],
    }
