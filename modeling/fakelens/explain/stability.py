"""How stable a verdict is: the same image as it is, saved as JPEG, shrunk, in a screenshot, posted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from fakelens.data.transforms.degradations import PROTOCOLS, degrade
from fakelens.errors import UserError
from fakelens.inference.detector import Detector

AS_IT_IS = "as it is"
# Unlike the steps of an evaluation, a shrunk image stays small: so it is when it has been sent around.
CHANGES: dict[str, Sequence[Mapping[str, Any]]] = {
    **{f"JPEG {quality}": PROTOCOLS[f"jpeg_{quality}"] for quality in (90, 70, 50, 30)},
    **{f"resize {scale:g}": [{"name": "resize", "scale": scale, "back": False}] for scale in (0.75, 0.5, 0.25)},
    "screenshot": PROTOCOLS["screenshot"],
    "social media": PROTOCOLS["social_media"],
}
SEED = 0  # of the screenshot's and the site's own choices, so that the same image always meets the same ones


@dataclass(frozen=True)
class Step:
    """What a detector says of an image after one change.

    Attributes:
        name: The change; "as it is" for none.
        image_size: Width and height, in pixels, of what was scored.
        verdict: "real", "fake" or "uncertain".
        score: P(fake) in [0, 1].
    """

    name: str
    image_size: tuple[int, int]
    verdict: str
    score: float


def stability(detector: Detector, image: Image.Image, max_fpr: float | None = None) -> list[Step]:
    """Score an image as it is and after each of nine everyday changes, in one batch.

    Args:
        detector: Any detector.
        image: A decoded RGB image of any size.
        max_fpr: As a detector takes it.

    Returns:
        "As it is" first, then the changes in the order of `CHANGES`; always the same for the same image.

    Raises:
        UserError: If `max_fpr` is asked of a model that was not calibrated for it, or a score is not a number.
    """
    thresholds = detector.thresholds(max_fpr)
    images = {AS_IT_IS: image} | {name: degrade(image, change, SEED) for name, change in CHANGES.items()}
    scores = detector.scores(list(images.values()))
    if not np.isfinite(scores).all():
        raise UserError(f"{detector.name}: the model's score is not a number. Its weights are damaged; train it anew.")
    return [
        Step(name, changed.size, thresholds.verdict(float(score)), float(score))
        for (name, changed), score in zip(images.items(), scores, strict=True)
    ]


def stability_sentence(steps: Sequence[Step]) -> str:
    """Say in plain words how many changes alter the verdict, and how far the score moves.

    Args:
        steps: What `stability` returned; at least one change after the image as it is.
    """
    first, *changed = steps
    other = [step for step in changed if step.verdict != first.verdict]
    farthest = max(changed, key=lambda step: abs(step.score - first.score))
    moved = abs(farthest.score - first.score)
    by = f"by at most {moved:.2f} ({farthest.name})" if moved >= 0.005 else "by less than 0.01"
    if not other:
        return f'None of the {len(changed)} changes alters the verdict "{first.verdict}"; the score moves {by}.'
    verb = "alters" if len(other) == 1 else "alter"
    named = ", ".join(f"{step.name} ({step.verdict})" for step in other)
    return (
        f'{len(other)} of the {len(changed)} changes {verb} the verdict "{first.verdict}": {named}. The score moves '
        f"{by}. A verdict that such changes overturn is worth little."
    )
