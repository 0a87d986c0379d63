"""How the flagship's experiments are trained: AdamW in one cycle, whole or by a picture's most suspicious places.

Used by flagship.py alone; reads the first weights.
"""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from flagship_crops import Batches, texture
from flagship_ideas import Idea
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from torch import nn
from tqdm import tqdm

from fakelens.zoo.registry import build_detector


class TopPatches(nn.Module):
    """A patch lens whose picture's logit is the mean of its highest places'.

    Args:
        network: The patch lens.
        fraction: Of the places, in (0, 1].
    """

    def __init__(self, network: nn.Module, fraction: float):
        super().__init__()
        self.network, self.fraction = network, fraction

    def forward(self, pixels: torch.Tensor) -> SimpleNamespace:
        """Return `logits` of shape `(batch_size, 2)` for pictures of shape `(batch_size, 3, height, width)`."""
        patches = self.network.units(pixels).flatten(1)
        fake = patches.topk(max(1, round(self.fraction * patches.shape[1])), dim=1).values.mean(dim=1)
        return SimpleNamespace(logits=torch.stack([torch.zeros_like(fake), fake], dim=1))


class Overlap:
    """Weights of crops: how likely the other class is by texture and light, judged from the last batches."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, Any]] = []
        self.step = 0
        self.guess: Callable[[Any], Any] | None = None

    def __call__(self, crops: Any, labels: Any) -> Any:
        """Return weights of mean 1."""
        facts, classes = texture(crops), labels.round().astype(int)
        self.seen = [*self.seen, (facts, classes)][-30:]
        if self.step % 10 == 0:
            model = make_pipeline(PolynomialFeatures(2), StandardScaler(), LogisticRegression(max_iter=200))
            self.guess = model.fit(*(np.concatenate(part) for part in zip(*self.seen, strict=True))).predict_proba
        self.step += 1
        other = self.guess(facts)[np.arange(len(labels)), 1 - classes] if self.guess else np.ones(len(labels))
        return other / other.mean()


def train(batches: Batches, idea: Idea, weights: str, steps: int, seed: int) -> tuple[Any, float]:
    """Train a patch lens; return it with its last loss, averaged over some fifty steps."""
    torch.manual_seed(seed)
    options = {"patch_weight_contrast": 0.0} | dict(idea.network)  # all places alike, unless that is what is tried
    network = build_detector("patch_lens", weights=weights, **options).to(memory_format=torch.channels_last)
    model = TopPatches(network, idea.top) if idea.top < 1 else network
    head = [p for name, p in model.named_parameters() if "classifier" in name]
    rest = [p for name, p in model.named_parameters() if "classifier" not in name]
    optimiser = torch.optim.AdamW([{"params": rest}, {"params": head}], lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [1e-3, 5e-3], total_steps=steps, pct_start=0.1)
    overlap, average = Overlap(), math.nan
    for step, (crops, labels) in zip(tqdm(range(steps), disable=None), batches, strict=False):
        model.train()
        pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1
        logits = model(pixels.to(memory_format=torch.channels_last)).logits
        fake = torch.from_numpy(labels)
        targets = torch.stack([1 - fake, fake], dim=1)
        losses = F.cross_entropy(logits, targets, reduction="none", label_smoothing=0.02)
        loss = (losses * torch.from_numpy(overlap(crops, labels))).mean() if idea.weighted else losses.mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        average = loss.item() if step == 0 else 0.98 * average + 0.02 * loss.item()
    return model.eval(), average
