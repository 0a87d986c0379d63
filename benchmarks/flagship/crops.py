"""Training images in memory on one device, and the batches of crops that are drawn from them.

Used by train.py. Everything that is drawn comes from two seeded generators, whose states a checkpoint keeps.
"""

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from degradations import jpeg, noise, resize, spectrum

from fakelens.errors import UserError
from fakelens.training.cutmix import rectangle

CROP = 64  # pixels, what the network is trained on unless told otherwise
MARGIN = 16  # pixels more are degraded: a crop then lies anywhere on JPEG's grid of 8
GROUP = 8  # images of a batch that are scaled alike, real and fake in turns
LARGEST = 320  # pixels; a larger image is cut to its middle


@dataclass(frozen=True)
class Draw:
    """How batches are drawn; every degradation meets both classes alike.

    Attributes:
        crop: Side of a crop in pixels, a multiple of 16.
        real_fractions: Pattern of a source -> fraction of the real images that come from the sources it matches.
        power: A collection of n images is drawn in proportion to n ** power: 1 as they come, 0 all alike.
        resize: Probability that a group is scaled by .5 to 1.
        spectrum: Probability that an image's power is made to fall as frequency ** -slope, slope 1.6 to 4.5.
        noise: Probability of noise with a standard deviation from .004 to .04 of the range.
        jpeg: Probability of JPEG compression at quality 50 to 98.
        hard: Probability that a group is scaled by .3 to .6 and compressed at 30 to 60. Most traces are lost, for
            both classes: there the detector learns to be uncertain.
        pairs: Probability that a group is drawn from content-aligned pairs, if there are any.
        made: Fraction of these groups whose pairs were made by the bundle's autoencoder, if it has one (pairs.py).
        cutmix: Probability that a crop gets a rectangle of its neighbour, which is of the other class: of its own
            reconstruction or original, where the group is drawn from pairs.
    """

    crop: int = CROP
    real_fractions: dict[str, float] = field(
        default_factory=lambda: {"camera-*": 0.5, "imagenet1000": 0.05, "bsds500": 0.05}
    )
    power: float = 0.5
    resize: float = 0.5
    spectrum: float = 0.3
    noise: float = 0.2
    jpeg: float = 0.6
    hard: float = 0.1
    pairs: float = 0.3
    made: float = 0.5
    cutmix: float = 0.0


def drawing(text: str, packed: dict[str, Any] | None = None) -> Draw:
    """Return how to draw, by what a command line says and, where it is silent, by what a bundle does.

    Args:
        text: JSON, keys of `Draw`.
        packed: Keys of `Draw` that a bundle holds; none if it is older than these.

    Raises:
        UserError: If it is no JSON, a key is unknown, or crops are no multiple of 16 pixels.
    """
    try:
        draw = Draw(**{**(packed or {}), **json.loads(text)})
    except (ValueError, TypeError) as error:
        raise UserError(f"--draw does not fit: {error}. Its keys are those of `Draw` in crops.py.") from None
    if draw.crop < MARGIN or draw.crop % MARGIN:
        raise UserError(f"--draw does not fit: crop is {draw.crop}. It is a multiple of {MARGIN} pixels.")
    return draw


class Images:
    """Decoded images of one split in one tensor.

    Args:
        rows: Each `pixels` (uint8, `(height, width, 3)`), `label`, `generator`, `source`.
        device: Where to keep them.

    Attributes:
        pixels: Of shape `(count, 3, side, side)`, each image at its top left.
        sizes: Their heights and widths, `(len(self), 2)`.
        rows: What is known of each, without its pixels.
    """

    def __init__(self, rows: Sequence[dict[str, Any]], device: torch.device):
        side = max((min(LARGEST, max(row["pixels"].shape[:2])) for row in rows), default=1)
        self.pixels = torch.zeros(len(rows), 3, side, side, dtype=torch.uint8, device=device)
        sizes = []
        for number, row in enumerate(rows):
            pixels = fitted(row["pixels"], side)
            height, width = pixels.shape[:2]
            self.pixels[number, :, :height, :width] = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)
            sizes.append((height, width))
        self.sizes = torch.tensor(sizes).reshape(-1, 2)
        self.rows = [{key: value for key, value in row.items() if key != "pixels"} for row in rows]
        self.index = torch.arange(len(rows))

    def __len__(self) -> int:
        """Return how many images there are."""
        return len(self.rows)

    def part(self, numbers: Sequence[int]) -> "Images":
        """Return some of the images, which share the memory of all."""
        chosen = copy(self)
        chosen.index = self.index[list(numbers)]
        chosen.sizes = self.sizes[list(numbers)]
        chosen.rows = [self.rows[number] for number in numbers]
        return chosen

    def windows(self, numbers: torch.Tensor, side: int, draws: torch.Tensor) -> torch.Tensor:
        """Return square windows as intensity levels, `(count, 3, side, side)`, mirrored beyond an image's edge.

        Args:
            numbers: Which images, of shape `(count,)`.
            side: Of the windows, in pixels.
            draws: From 0 to below 1, of shape `(count, 3)`: position down, position across, and whether to flip.
        """
        device = self.pixels.device
        sizes = self.sizes[numbers]
        first = (draws[:, :2] * (sizes - side + 1).clamp(min=1)).floor().long()
        along = torch.arange(side)
        rows, columns = (_mirrored(first[:, i, None] + along, sizes[:, i, None]) for i in range(2))
        columns = torch.where(draws[:, 2, None] < 0.5, columns.flip(1), columns)
        index = self.index[numbers][:, None, None], rows[:, :, None], columns[:, None, :]
        return self.pixels.permute(0, 2, 3, 1)[tuple(i.to(device) for i in index)].permute(0, 3, 1, 2).float()


def fitted(pixels: Any, side: int) -> Any:
    """Return the middle of an image, at most `side` pixels a side."""
    top, left = (max(0, length - side) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def _mirrored(positions: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    positions = positions % (2 * length)
    return torch.minimum(positions, 2 * length - 1 - positions)


class Batches:
    """Batches of crops for ever, half real and half fake.

    Args:
        images: Training images.
        pairs: Real images and their reconstructions, one after the other; several such sets, of which the first comes
            from the bundle and the second was made here; any may be empty.
        draw: How to draw.
        seed: Of everything drawn.
    """

    def __init__(self, images: Images, pairs: Sequence[Images], draw: Draw, seed: int):
        self.draw, self.device = draw, images.pixels.device
        self.window = draw.crop + MARGIN
        self.images, self.pairs = images, [one for one in pairs if len(one)]
        self.host = torch.Generator().manual_seed(seed)
        self.noise = torch.Generator(self.device).manual_seed(seed)
        self.weights = [weights(images.rows, label, draw) for label in (0, 1)]

    def state(self) -> list[torch.Tensor]:
        """Return what `resume` takes: the states of both generators."""
        return [self.host.get_state(), self.noise.get_state()]

    def resume(self, state: list[torch.Tensor]) -> None:
        """Go on as the batches did whose state this is."""
        self.host.set_state(state[0])
        self.noise.set_state(state[1])

    def batch(self, size: int, group: int = GROUP) -> tuple[torch.Tensor, torch.Tensor]:
        """Return pixel values in [-1, 1], `(size, 3, crop, crop)`, and targets: real and fake in turns.

        Targets are how much of each class a crop shows, `(size, 2)`.

        Args:
            size: A multiple of `group`.
            group: Even number of images that are scaled alike.
        """
        groups = [self._group(group) for _ in range(size // group)]
        pixels = torch.cat([part for part, _ in groups])
        hard = torch.tensor([is_hard for _, is_hard in groups]).repeat_interleave(group)
        chosen = self._some(size, self.draw.spectrum)
        if len(chosen):
            pixels[chosen] = spectrum(pixels[chosen], self._between(1.6, 4.5, len(chosen)))
        chosen = self._some(size, self.draw.noise)
        if len(chosen):
            pixels[chosen] = noise(pixels[chosen], self._between(0.004, 0.04, len(chosen)), self.noise)
        is_jpeg = hard | (torch.rand(size, generator=self.host) < self.draw.jpeg)
        quality = torch.where(hard.to(self.device), self._between(30, 60, size), self._between(50, 98, size)).round()
        halved = (torch.rand(size, generator=self.host) < 0.6).to(self.device)
        chosen = is_jpeg.nonzero()[:, 0].to(self.device)
        if len(chosen):
            pixels[chosen] = jpeg(pixels[chosen], quality[chosen], halved[chosen])
        first = torch.randint(0, MARGIN + 1, (2, size, 1), generator=self.host) + torch.arange(self.draw.crop)
        rows, columns = (f.to(self.device) for f in first)
        number = torch.arange(size, device=self.device)[:, None, None]
        crops = pixels.permute(0, 2, 3, 1)[number, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        targets = F.one_hot(torch.arange(size, device=self.device) % 2, 2).float()
        if self.draw.cutmix:
            crops, targets = self._mixed(crops, targets)
        return crops / 127.5 - 1, targets

    def _mixed(self, crops: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        size, side = len(crops), self.draw.crop
        chosen = torch.rand(size, generator=self.host) < self.draw.cutmix
        ends, parts = [], []
        for is_chosen, draws in zip(chosen.tolist(), torch.rand(size, 4, generator=self.host).tolist(), strict=True):
            rows, columns, part = rectangle(side, side, draws)
            ends.append((rows.start, rows.stop, columns.start, columns.stop) if is_chosen else (0, 0, 0, 0))
            parts.append(part if is_chosen else 0.0)
        top, bottom, left, right = torch.tensor(ends).to(self.device)[..., None].unbind(1)
        along = torch.arange(side, device=self.device)
        rows, columns = (top <= along) & (along < bottom), (left <= along) & (along < right)
        inside = (rows[:, :, None] & columns[:, None, :])[:, None]
        neighbours = torch.arange(size, device=self.device) ^ 1
        of_neighbour = torch.tensor(parts)[:, None].to(self.device)
        mixed = torch.where(inside, crops[neighbours], crops)
        return mixed, (1 - of_neighbour) * targets + of_neighbour * targets.flip(1)

    def _group(self, size: int) -> tuple[torch.Tensor, bool]:
        draws = torch.rand(5, generator=self.host).tolist()
        is_hard = draws[0] < self.draw.hard
        scale = 0.3 + 0.3 * draws[1] if is_hard else 0.5 + 0.5 * draws[1] if draws[2] < self.draw.resize else 1.0
        side = round(self.window / scale)
        positions = torch.rand(size, 3, generator=self.host)
        if self.pairs and draws[3] < self.draw.pairs:
            pairs = self.pairs[-1] if draws[4] < self.draw.made else self.pairs[0]
            first = 2 * torch.randint(0, len(pairs) // 2, (size // 2,), generator=self.host)
            numbers = torch.stack([first, first + 1], dim=1).flatten()
            together = torch.rand(size // 2, generator=self.host) < 0.5
            positions[1::2] = torch.where(together[:, None], positions[::2], positions[1::2])
            pixels = pairs.windows(numbers, side, positions)
        else:
            drawn = [torch.multinomial(w, size // 2, replacement=True, generator=self.host) for w in self.weights]
            pixels = self.images.windows(torch.stack(drawn, dim=1).flatten(), side, positions)
        return (pixels if side == self.window else resize(pixels, self.window)), is_hard

    def _some(self, size: int, probability: float) -> torch.Tensor:
        return (torch.rand(size, generator=self.host) < probability).nonzero()[:, 0].to(self.device)

    def _between(self, low: float, high: float, count: int) -> torch.Tensor:
        return (low + (high - low) * torch.rand(count, generator=self.host)).to(self.device)


def weights(rows: Sequence[dict[str, Any]], label: int, draw: Draw) -> torch.Tensor:
    """Return how often each image is drawn as one of a class, adding up to 1, of shape `(len(rows),)`.

    A collection is a source and a generator.
    """
    keys = [(row["source"], row["generator"]) if row["label"] == label else None for row in rows]
    counts: dict[Any, int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    found = np.array([0.0 if key is None else counts[key] ** (draw.power - 1) for key in keys])
    if label == 0:
        named = [np.array([key is not None and fnmatchcase(key[0], p) for key in keys]) for p in draw.real_fractions]
        rest = (found > 0) & ~np.any(named, axis=0)
        left = 1 - sum(draw.real_fractions.values())
        for chosen, fraction in zip([*named, rest], [*draw.real_fractions.values(), left], strict=True):
            if chosen.any():
                found[chosen] *= fraction / found[chosen].sum()
    return torch.from_numpy(found / found.sum())
