"""How the flagship's experiments are judged: on generators and states of pictures that no training saw.

Used by flagship.py alone; opens nothing.
"""

from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from fakelens.data.transforms.degradations import PROTOCOLS, Degradations

MIDDLE = 128  # pixels, of what is judged in several states
STATES: dict[str, list[dict[str, Any]]] = {
    "raw": [],
    "halved": [{"name": "resize", "scale": 0.5, "back": False}],  # and left at that size, unlike `resize_0.5`
    "blurred": PROTOCOLS["blur_1"],
    "jpeg_50": PROTOCOLS["jpeg_50"],
}


def middle(row: dict[str, Any], degrade: Degradations) -> Any:
    """Return a row's pixels, degraded and cut to `MIDDLE` pixels a side, mirrored where they are fewer."""
    pixels = np.asarray(degrade(Image.fromarray(row["pixels"]), seed=0))
    top, left = (max(0, side - MIDDLE) // 2 for side in pixels.shape[:2])
    pixels = pixels[top : top + MIDDLE, left : left + MIDDLE]
    return np.pad(pixels, (*((0, MIDDLE - side) for side in pixels.shape[:2]), (0, 0)), mode="symmetric")


def scores(model: Any, rows: list[dict[str, Any]], state: str) -> Any:
    """Return logit(fake) - logit(real) of each row in one state."""
    found, degrade = [], Degradations.from_list(STATES[state])
    for start in range(0, len(rows), 16):
        pixels = torch.from_numpy(np.stack([middle(row, degrade) for row in rows[start : start + 16]]))
        with torch.inference_mode():
            logits = model(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1).logits
        found.append(logits[:, 1] - logits[:, 0])
    return torch.cat(found).numpy()


def macro(real: list[dict[str, Any]], real_scores: Any, fake: list[dict[str, Any]], fake_scores: Any) -> float:
    """Return the mean AUROC over all pairs of a real source and a generator."""
    sources = np.array([row["source"] for row in real])
    generators = np.array([row["generator"] for row in fake])
    found = []
    for source in sorted(set(sources)):
        for generator in sorted(set(generators)):
            one, other = real_scores[sources == source], fake_scores[generators == generator]
            found.append(roc_auc_score([0] * len(one) + [1] * len(other), np.concatenate([one, other])))
    return float(np.mean(found))


def judge(model: Any, rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return AUROC of what is raw; macro AUROC in each state, and crossed; each real source's FPR at .5, raw."""
    real, fake = ([row for row in rows if row["label"] == label] for label in (0, 1))
    each = {state: (scores(model, real, state), scores(model, fake, state)) for state in STATES}
    labels = [0] * len(real) + [1] * len(fake)
    found = {"auroc": float(roc_auc_score(labels, np.concatenate(each["raw"])))}
    found |= {f"macro {state}": macro(real, each[state][0], fake, each[state][1]) for state in STATES}
    found["macro crossed"] = macro(real, each["halved"][0], fake, each["raw"][1])
    sources = np.array([row["source"] for row in real])
    return found | {
        f"fpr {name}": float(np.mean(each["raw"][0][sources == name] > 0)) for name in sorted(set(sources))
    }
