"""How the flagship's experiments draw their crops: pairs and single images, balanced, matched, mixed and degraded.

Used by flagship.py alone; opens nothing.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from flagship_ideas import Idea
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.optimize import linear_sum_assignment

from fakelens.data.transforms.degradations import Degradations
from fakelens.training.cutmix import rectangle

CROP = 64  # pixels
WIDE = 600  # pixels; the widest real photographs of the training split, but for a few


def texture(crops: Any) -> Any:
    """Describe crops of shape `(count, rows, columns, 3)` by texture and light alone, `(count, 5)`."""
    grey = crops.astype(np.float32).mean(axis=-1)
    inner = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    steps, bends = np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2)), np.abs(4 * inner - around).mean(axis=(1, 2))
    colour = (crops.max(axis=-1).astype(np.float32) - crops.min(axis=-1)).mean(axis=(1, 2))
    spread = grey.std(axis=(1, 2))
    return np.stack(
        [np.log(steps + 0.3), np.log(bends + 0.3), spread / 60, grey.mean(axis=(1, 2)) / 120, colour / 60], axis=1
    )


class Batches:
    """Batches of crops by an idea.

    Args:
        idea: What is tried.
        train: Real images and real fakes, as `images` gives them.
        pairs: Pairs of pixels, real and fake.
        batch: Crops in one.
        seed: Of every draw.
    """

    def __init__(self, idea: Idea, train: list[dict[str, Any]], pairs: list[tuple[Any, Any]], batch: int, seed: int):
        self.idea, self.pairs, self.couples = idea, pairs, batch // 2
        self.rng = np.random.default_rng(seed)
        self.degrade = Degradations.from_list(list(idea.degradations))
        self.groups: list[dict[str, list[Any]]] = [{}, {}]
        widths = [min(row["pixels"].shape[1], WIDE) for row in train if row["label"] == 0]
        for row in train:
            pixels = self.smaller(row["pixels"], widths) if idea.scaled and row["label"] else row["pixels"]
            kind = row["generator"] if row["label"] else row["source"]
            self.groups[row["label"]].setdefault(kind if idea.balanced else "all", []).append(pixels)

    def smaller(self, pixels: Any, widths: list[int]) -> Any:
        """Bring a crop of a large picture to the scale of the real photographs."""
        # Pictures here are crops of at most 256 pixels of what is mostly 1024 wide.
        scale = max(self.rng.choice(widths) / 1024, 80 / min(pixels.shape[:2]))
        if min(pixels.shape[:2]) < 256 or scale >= 1:
            return pixels
        size = [max(72, round(side * scale)) for side in pixels.shape[1::-1]]
        return np.asarray(Image.fromarray(pixels).resize((size[0], size[1]), Image.Resampling.BICUBIC))

    def crop(self, pixels: Any, seed: int) -> Any:
        """Cut a window anywhere, degrade it, and cut `CROP` pixels out of that; the same seed does the same."""
        rng = np.random.default_rng(seed)
        need = min(2 * CROP + 9, *pixels.shape[:2])
        top, left = (int(rng.integers(0, side - need + 1)) for side in pixels.shape[:2])
        window = np.asarray(self.degrade(Image.fromarray(pixels[top : top + need, left : left + need]), seed))
        short = [max(0, CROP - side) for side in window.shape[:2]]
        window = np.pad(window, ((0, short[0]), (0, short[1]), (0, 0)), mode="symmetric")
        top, left = (int(rng.integers(0, side - CROP + 1)) for side in window.shape[:2])
        window = window[top : top + CROP, left : left + CROP]
        return window[:, ::-1] if rng.random() < 0.5 else window

    def pair(self) -> list[Any]:
        """Return both halves of a pair as crops."""
        real, fake = self.pairs[self.rng.integers(len(self.pairs))]
        if self.idea.softened:
            difference = fake.astype(np.float32) - real
            if self.rng.random() < self.idea.softened:
                sigma = self.rng.uniform(0.3, 1.2)
                difference = gaussian_filter(difference, (sigma, sigma, 0))
            if self.rng.random() < self.idea.softened:
                difference = difference * self.rng.uniform(0.3, 1.0)
            fake = np.clip(real + difference, 0, 255).round().astype(np.uint8)
        first, second = (int(seed) for seed in self.rng.integers(1 << 31, size=2))
        if self.idea.apart:
            fake = self.pairs[self.rng.integers(len(self.pairs))][1]
        return [self.crop(real, first), self.crop(fake, second if self.idea.apart else first)]

    def single(self, label: int) -> Any:
        """Return a crop of a real image of some source, or of a fake of some generator."""
        kinds = self.groups[label]
        images = kinds[list(kinds)[self.rng.integers(len(kinds))]]
        return self.crop(images[self.rng.integers(len(images))], int(self.rng.integers(1 << 31)))

    def singles(self, count: int) -> list[Any]:
        """Return real and fake crops in turns, alike in texture if the idea says so."""
        drawn = [[self.single(label) for _ in range(count * max(1, self.idea.matched))] for label in (0, 1)]
        if self.idea.matched and count:
            real, fake = (texture(np.stack(crops)) for crops in drawn)
            distances = np.abs(real[:, None] - fake[None]).sum(axis=-1)
            rows, columns = linear_sum_assignment(distances)
            best = np.argsort(distances[rows, columns])[:count]
            return [crop for i in best for crop in (drawn[0][rows[i]], drawn[1][columns[i]])]
        return [crop for i in range(count) for crop in (drawn[0][i], drawn[1][i])]

    def leave(self, into: Any, other: Any) -> tuple[Any, float]:
        """Leave a rectangle of one crop in another one; return that, and the rectangle's share of it."""
        rows, columns, fraction = rectangle(CROP, CROP, self.rng.random(4).tolist())
        mixed = into.copy()
        mixed[rows, columns] = other[rows, columns]
        return mixed, fraction

    def mix(self, crops: list[Any], pairs: int) -> tuple[Any, Any]:
        """Mix crops, real and fake in turns, as the idea says.

        Args:
            crops: Those of pairs first.
            pairs: How many of these.

        Returns:
            The crops, `(count, CROP, CROP, 3)`, and how much of each is fake, `(count,)`.
        """
        found, labels = list(crops), [float(number % 2) for number in range(len(crops))]
        for number in range(1, 2 * pairs, 2):
            if self.rng.random() < self.idea.mixed:
                found[number], fraction = self.leave(crops[number], crops[number - 1])
                labels[number] = 1 - fraction
        partners = self.rng.permutation(len(crops)) if self.idea.crossed else []
        for number, partner in enumerate(partners):
            if self.rng.random() < self.idea.crossed:
                found[number], fraction = self.leave(crops[number], crops[partner])
                labels[number] = (1 - fraction) * (number % 2) + fraction * (partner % 2)
        return np.stack(found), np.array(labels, dtype=np.float32)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Yield uint8 crops of shape `(batch, CROP, CROP, 3)` and how much of each is fake, `(batch,)`, for ever."""
        alone = round(self.couples * (1 - self.idea.pairs))
        while True:
            crops = [crop for _ in range(self.couples - alone) for crop in self.pair()] + self.singles(alone)
            yield self.mix(crops, self.couples - alone)
