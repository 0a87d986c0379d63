"""A few undecoded rows -> their scores in each view, on one of several threads."""

import time
from collections.abc import Sequence
from threading import Lock
from typing import Protocol

import numpy as np
from PIL import Image

from fakelens.data.decode import ImageError, decode_image
from fakelens.data.sources.opening import row_bytes
from fakelens.data.transforms.views import apply_view
from fakelens.evaluation.scoring.prediction_cache import Part
from fakelens.evaluation.scoring.ranks import Rows
from fakelens.inference.detector import Detector

COLUMNS = ("id", "label", "generator", "source")


class Scorer(Protocol):
    """What can be evaluated: `fakelens.inference.detector.Detector`, or anything else that scores images."""

    def scores(self, images: list[Image.Image]) -> np.ndarray:
        """Return P(fake) in [0, 1], of shape `(len(images),)`, for RGB images of any size."""


class Scoring:
    """Rows -> a part, on one of several threads.

    Args:
        scorer: The detector.
        views: Names of views.
        batch_size: Images per forward pass, at most.
    """

    def __init__(self, scorer: Scorer, views: Sequence[str], batch_size: int):
        self.scorer = scorer
        self.views = views
        self.detector = scorer if isinstance(scorer, Detector) else None
        # Rows that one thread takes at a time.
        self.size = self.detector.at_once(batch_size) if self.detector else batch_size
        self.workers = self.detector.workers if self.detector else 1
        # A CPU's threads run the network side by side; on an accelerator it is one's turn after the other's.
        self.is_shared = self.detector is not None and self.detector.device.type == "cpu"
        self.turn = Lock()

    def warm_up(self) -> None:
        """Score a grey image: what is loaded and set up at the first call shall not count as the model's time."""
        if self.detector:
            self.probabilities([Image.new("RGB", (64, 64), "grey")])

    def __call__(self, number: int, rows: Rows) -> Part:
        """Score rows.

        Args:
            number: Of the part.
            rows: Undecoded.
        """
        images: list[Image.Image] = []
        reasons = []
        for row in rows:
            try:
                images.append(decode_image(row_bytes(row["image"])).image)
                reasons.append("")
            except ImageError as error:
                reasons.append(error.reason)
        probabilities: dict[str, list[list[float]]] = {}
        model_seconds = 0.0
        for view in self.views:
            found, seconds = self.probabilities([apply_view(view, image) for image in images])
            probabilities[view] = found.tolist()
            model_seconds += seconds
        ids, labels, generators, sources = ([row[name] for row in rows] for name in COLUMNS)
        return Part(number, ids, labels, generators, sources, reasons, probabilities, model_seconds=model_seconds)

    def probabilities(self, images: list[Image.Image]) -> tuple[np.ndarray, float]:
        """Return the probability of each class, of shape `(len(images), classes)`, and the seconds that it took.

        What threads do side by side counts as the fraction of it that each did.
        """
        if not images:
            return np.empty((0, 0)), 0.0
        started = time.perf_counter()
        if self.detector is None:
            fake = self.scorer.scores(images)
            return np.stack([1 - fake, fake], axis=1), time.perf_counter() - started
        inputs = self.detector.process(images)
        processed = time.perf_counter()
        seconds = (processed - started) / self.workers
        if self.is_shared:
            found = self.detector.predict(inputs)
            return found, seconds + (time.perf_counter() - processed) / self.workers
        with self.turn:
            started = time.perf_counter()
            return self.detector.predict(inputs), seconds + time.perf_counter() - started
