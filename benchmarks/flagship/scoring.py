"""How a flagship's training is scored: by the images that it never met, a collection at a time.

Used by train.py and folds.py; opens nothing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

SIDE = 256  # pixels, the middle of an image that is scored
TOGETHER = 32  # images of one size in one pass
FEW = 10  # a collection of fewer images is not scored by itself


def logits(model: Any, rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """Return logit(fake) - logit(real) of each row's middle, of shape `(len(rows),)`.

    The middle is at most 256 pixels a side; images of one size go through the model together.
    """
    device = next(model.parameters()).device
    middles: dict[tuple[int, ...], list[int]] = {}
    for number, row in enumerate(rows):
        middles.setdefault(_middle(row["pixels"]).shape, []).append(number)
    found = np.zeros(len(rows))
    for numbers in middles.values():
        for start in range(0, len(numbers), TOGETHER):
            chosen = numbers[start : start + TOGETHER]
            pixels = torch.from_numpy(np.stack([_middle(rows[number]["pixels"]) for number in chosen]))
            values = pixels.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
            with torch.inference_mode():
                patches = model.patch_logits(values.to(memory_format=torch.channels_last))
            found[chosen] = patches.mean(dim=(1, 2)).cpu().numpy()
    return found


def _middle(pixels: np.ndarray) -> np.ndarray:
    top, left = (max(0, side - SIDE) // 2 for side in pixels.shape[:2])
    pixels = pixels[top : top + SIDE, left : left + SIDE]
    short = [(0, max(0, 64 - side)) for side in pixels.shape[:2]]
    return np.ascontiguousarray(np.pad(pixels, (*short, (0, 0)), mode="symmetric"))


def collection(row: dict[str, Any]) -> str:
    """Name a row's collection: its source and generator; cameras are one."""
    source = "cameras" if row["source"].startswith("camera-") else row["source"]
    return f"{row['generator']} ({source})" if row["label"] else source


def report(model: Any, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how a model scores rows, a collection at a time; empty where there are no rows.

    Args:
        model: A patch lens, not training.
        rows: Each with `pixels`, `label`, `generator` and `source`.

    Returns:
        `pairs` (AUROC of each fake collection against each real one), `macro` (their mean: first over the real
        collections, then over the fake ones), `worst` (of the fake ones), `false_positives` (of each real collection,
        at .5) and `images`.
    """
    if not rows:
        return {}
    scores, names = logits(model, rows), np.array([collection(row) for row in rows])
    labels = np.array([row["label"] for row in rows])
    return table(scores, names, labels)


def table(scores: np.ndarray, names: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return what `report` does, from scores, collections and labels, each of shape `(count,)`."""
    kinds = [
        [name for name in sorted(set(names[labels == label])) if (names[labels == label] == name).sum() >= FEW]
        for label in (0, 1)
    ]
    pairs: dict[str, dict[str, float]] = {}
    for fake in kinds[1]:
        for real in kinds[0]:
            one, other = scores[(names == real) & (labels == 0)], scores[(names == fake) & (labels == 1)]
            value = roc_auc_score([0] * len(one) + [1] * len(other), np.concatenate([one, other]))
            pairs.setdefault(fake, {})[real] = float(value)
    means = {fake: float(np.mean(list(values.values()))) for fake, values in pairs.items()}
    return {
        "pairs": pairs,
        "macro": float(np.mean(list(means.values()))) if means else None,
        "worst": min(means.values(), default=None),
        "false_positives": {real: float((scores[(names == real) & (labels == 0)] > 0).mean()) for real in kinds[0]},
        "images": {name: int((names == name).sum()) for name in [*kinds[0], *kinds[1]]},
    }
