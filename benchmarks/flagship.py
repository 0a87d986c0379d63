"""One idea for the flagship at a time: a short training in memory, and what it is worth on images never trained on.

    python benchmarks/flagship.py --data SHARDS --pairs pairs/tiny --weights lite0.safetensors --ideas aligned half
    python benchmarks/flagship.py --data SHARDS --pairs pairs/tiny pairs/small --weights lite0.safetensors \
        --ideas half_spectrum --seeds 0 1 2 --steps 700 --leave_out flux.1-dev midjourney-v3-v4 dalle-mini

Prints a row an idea and seed, and appends it to `--output`. SHARDS has splits `train`, `validation` and `test`. With
`--leave_out`, generators that the training never meets are judged beside the real images of `validation`: by that an
idea can be chosen without looking at `test`. `crossed` sets halved real images against fakes as they are: a detector
that takes softness for a trace falls below .5 there.
benchmarks/flagship.md says what was found with it; the flagship itself is trained by recipes/patch_lens.yaml.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flagship_judging import judge

from fakelens.errors import UserError
from fakelens.script import SOURCE, parse, script

MILD = [
    {"name": "resize", "scale": [0.5, 1.0], "back": False, "p": 0.5},
    {"name": "jpeg", "quality": [60, 98], "p": 0.7},
]
STRONG = [
    {"name": "resize", "scale": [0.4, 1.6], "back": False, "p": 0.5},
    {"name": "blur", "sigma": [0.3, 1.2], "p": 0.2},
    {"name": "noise", "sigma": [0.004, 0.03], "p": 0.2},
    {"name": "jpeg", "quality": [40, 98], "p": 0.7},
    {"name": "webp", "quality": [50, 95], "p": 0.1},
]
SPECTRUM = {"name": "spectrum", "p": 0.7}
ENLARGED = {"name": "resize", "scale": [1.0, 2.2], "back": False, "p": 0.3}
ROUGH = [
    {"name": "resize", "scale": [0.5, 1.0], "back": False, "p": 0.5},
    {"name": "blur", "sigma": [0.3, 1.5], "p": 0.2},
    {"name": "noise", "sigma": [0.004, 0.03], "p": 0.3},
    {"name": "jpeg", "quality": [40, 98], "p": 0.7},
]
CROP = 64  # pixels
WIDE = 600  # pixels; the widest real photographs of the training split, but for a few


@dataclass(frozen=True)
class Idea:
    """What is tried.

    Attributes:
        pairs: Share of a batch that are content-aligned pairs; the rest are real images and real fakes.
        degradations: What is done to both classes.
        apart: Draw the halves of a pair apart, each degraded in its own way.
        softened: How often a fake half keeps its difference from the real one below a random frequency only, or in
            part (after Chen et al. 2025, "Dual Data Alignment", https://arxiv.org/abs/2505.14359).
        scaled: Bring real fakes that are larger than the real photographs to a size of theirs.
        matched: Draw this many times more real and fake crops, and keep those that are alike in texture and light.
        weighted: Weigh crops by how little their texture and light give their class away (overlap weights, Li, Morgan
            and Zaslavsky 2018, https://doi.org/10.1080/01621459.2016.1260466).
        network: Options of the patch lens.
    """

    pairs: float = 1.0
    degradations: tuple[dict[str, Any], ...] = tuple(MILD)
    apart: bool = False
    softened: float = 0.0
    scaled: bool = False
    matched: int = 0
    weighted: bool = False
    network: tuple[tuple[str, Any], ...] = ()


IDEAS = {
    "aligned": Idea(),
    "aligned_apart": Idea(apart=True),
    "aligned_strong": Idea(degradations=tuple(STRONG)),
    "aligned_softened": Idea(softened=0.5),
    "aligned_3_stages": Idea(network=(("stages", 3),)),
    "aligned_high_pass": Idea(network=(("high_pass", True),)),
    "real_fakes": Idea(pairs=0.0, degradations=tuple(STRONG)),
    "half": Idea(pairs=0.5, degradations=tuple(STRONG)),
    "half_scaled": Idea(pairs=0.5, scaled=True),
    "fifth_scaled": Idea(pairs=0.8, scaled=True),
    "matched": Idea(pairs=0.0, scaled=True, matched=3),
    "half_matched": Idea(pairs=0.5, scaled=True, matched=3),
    "aligned_spectrum": Idea(degradations=(SPECTRUM, *MILD)),
    "aligned_spectrum_always": Idea(degradations=({"name": "spectrum"}, *MILD)),
    "aligned_spectrum_apart": Idea(degradations=(SPECTRUM, *MILD), apart=True),
    "third": Idea(pairs=0.7),
    "third_spectrum": Idea(pairs=0.7, degradations=(SPECTRUM, *MILD)),
    "half_mild": Idea(pairs=0.5),
    "half_spectrum": Idea(pairs=0.5, degradations=(SPECTRUM, *MILD)),
    "half_spectrum_matched": Idea(pairs=0.5, degradations=(SPECTRUM, *MILD), matched=3),
    "half_spectrum_scaled": Idea(pairs=0.5, degradations=(SPECTRUM, *MILD), scaled=True),
    "half_spectrum_rough": Idea(pairs=0.5, degradations=(SPECTRUM, *ROUGH)),
    "half_spectrum_enlarged": Idea(pairs=0.5, degradations=(SPECTRUM, ENLARGED, *MILD)),
    "most_spectrum": Idea(pairs=0.2, degradations=(SPECTRUM, *MILD)),
    "weighted": Idea(pairs=0.0, scaled=True, weighted=True),
    "half_weighted": Idea(pairs=0.5, scaled=True, weighted=True),
}


@dataclass
class FlagshipArguments:
    """What to try, on what."""

    data: str = field(metadata={"help": SOURCE + " With train, validation and test."})
    weights: str = field(metadata={"help": "Safetensors of ImageNet's tf_efficientnet_lite0."})
    pairs: list[str] = field(default_factory=list, metadata={"help": "SOURCEs by scripts/reconstruct.py."})
    ideas: list[str] = field(default_factory=lambda: list(IDEAS), metadata={"help": ", ".join(IDEAS)})
    seeds: list[int] = field(default_factory=lambda: [0], metadata={"help": "A training each."})
    steps: int = field(default=700, metadata={"help": "Of 64 crops."})
    batch: int = field(default=64, metadata={"help": "Crops a step."})
    leave_out: list[str] = field(default_factory=list, metadata={"help": "Generators that no training meets."})
    output: str = field(default="runs/flagship.jsonl", metadata={"help": "Where rows are appended."})


def pictures(spec: str, split: str) -> list[dict[str, Any]]:
    """Decode a split into memory: `pixels`, `label`, `generator`, `source`, `id`, in order."""
    import numpy as np

    from fakelens.data.decode import ImageError, decode_image
    from fakelens.data.reading import read
    from fakelens.data.sources import open_source, row_bytes

    found = []
    for row in read(open_source(spec, split)):
        try:
            pixels = np.asarray(decode_image(row_bytes(row["image"])).image)
        except ImageError:
            continue
        found.append({**row, "pixels": pixels})
    return found


def texture(crops: Any) -> Any:
    """Describe crops of shape `(count, rows, columns, 3)` by texture and light alone, `(count, 5)`."""
    import numpy as np

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
        train: Real images and real fakes, as `pictures` gives them.
        pairs: Pairs of pixels, real and fake.
        batch: Crops in one.
        seed: Of every draw.
    """

    def __init__(self, idea: Idea, train: list[dict[str, Any]], pairs: list[tuple[Any, Any]], batch: int, seed: int):
        import numpy as np

        from fakelens.data.degradations import Degradations

        self.idea, self.pairs, self.couples = idea, pairs, batch // 2
        self.rng = np.random.default_rng(seed)
        self.degrade = Degradations.from_list(list(idea.degradations))
        self.groups: list[dict[str, list[Any]]] = [{}, {}]
        widths = [min(row["pixels"].shape[1], WIDE) for row in train if row["label"] == 0]
        for row in train:
            pixels = self.smaller(row["pixels"], widths) if idea.scaled and row["label"] else row["pixels"]
            kind = row["generator"] if row["label"] else row["source"]
            self.groups[row["label"]].setdefault(kind, []).append(pixels)

    def smaller(self, pixels: Any, widths: list[int]) -> Any:
        """Bring a crop of a large picture to the scale of the real photographs."""
        import numpy as np
        from PIL import Image

        # Pictures here are crops of at most 256 pixels of what is mostly 1024 wide.
        scale = max(self.rng.choice(widths) / 1024, 80 / min(pixels.shape[:2]))
        if min(pixels.shape[:2]) < 256 or scale >= 1:
            return pixels
        size = [max(72, round(side * scale)) for side in pixels.shape[1::-1]]
        return np.asarray(Image.fromarray(pixels).resize((size[0], size[1]), Image.Resampling.BICUBIC))

    def crop(self, pixels: Any, seed: int) -> Any:
        """Cut a window anywhere, degrade it, and cut `CROP` pixels out of that; the same seed does the same."""
        import numpy as np
        from PIL import Image

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
        import numpy as np
        from scipy.ndimage import gaussian_filter

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
        import numpy as np
        from scipy.optimize import linear_sum_assignment

        drawn = [[self.single(label) for _ in range(count * max(1, self.idea.matched))] for label in (0, 1)]
        if self.idea.matched and count:
            real, fake = (texture(np.stack(crops)) for crops in drawn)
            distances = np.abs(real[:, None] - fake[None]).sum(axis=-1)
            rows, columns = linear_sum_assignment(distances)
            best = np.argsort(distances[rows, columns])[:count]
            return [crop for i in best for crop in (drawn[0][rows[i]], drawn[1][columns[i]])]
        return [crop for i in range(count) for crop in (drawn[0][i], drawn[1][i])]

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Yield uint8 crops of shape `(batch, CROP, CROP, 3)` and labels, for ever."""
        import numpy as np

        alone = round(self.couples * (1 - self.idea.pairs))
        while True:
            crops = [crop for _ in range(self.couples - alone) for crop in self.pair()] + self.singles(alone)
            yield np.stack(crops), np.tile([0, 1], self.couples)


class Overlap:
    """Weights of crops: how likely the other class is by texture and light, judged from the last batches."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, Any]] = []
        self.step = 0
        self.guess: Callable[[Any], Any] | None = None

    def __call__(self, crops: Any, labels: Any) -> Any:
        """Return weights of mean 1."""
        import numpy as np
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import PolynomialFeatures, StandardScaler

        facts = texture(crops)
        self.seen = [*self.seen, (facts, labels)][-30:]
        if self.step % 10 == 0:
            model = make_pipeline(PolynomialFeatures(2), StandardScaler(), LogisticRegression(max_iter=200))
            self.guess = model.fit(*(np.concatenate(part) for part in zip(*self.seen, strict=True))).predict_proba
        self.step += 1
        other = self.guess(facts)[np.arange(len(labels)), 1 - labels] if self.guess else np.ones(len(labels))
        return other / other.mean()


def train(batches: Batches, idea: Idea, weights: str, steps: int, seed: int) -> tuple[Any, float]:
    """Train a patch lens; return it with its last loss, averaged over some fifty steps."""
    import torch
    import torch.nn.functional as F
    from tqdm import tqdm

    from fakelens.zoo import build_detector

    torch.manual_seed(seed)
    model = build_detector("patch_lens", weights=weights, **dict(idea.network)).to(memory_format=torch.channels_last)
    head = [p for name, p in model.named_parameters() if name.startswith("classifier")]
    rest = [p for name, p in model.named_parameters() if not name.startswith("classifier")]
    optimiser = torch.optim.AdamW([{"params": rest}, {"params": head}], lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [1e-3, 5e-3], total_steps=steps, pct_start=0.1)
    overlap, average = Overlap(), math.nan
    for step, (crops, labels) in zip(tqdm(range(steps), disable=None), batches, strict=False):
        model.train()
        pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1
        logits = model(pixels.to(memory_format=torch.channels_last)).logits
        targets = torch.from_numpy(labels)
        losses = F.cross_entropy(logits, targets, reduction="none", label_smoothing=0.02)
        loss = (losses * torch.from_numpy(overlap(crops, labels))).mean() if idea.weighted else losses.mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        average = loss.item() if step == 0 else 0.98 * average + 0.02 * loss.item()
    return model.eval(), average


def main(args: FlagshipArguments) -> None:
    """Try each idea with each seed, and print what it gave."""
    if unknown := sorted(set(args.ideas) - IDEAS.keys()):
        raise UserError(f"There is no idea {unknown[0]!r}. The ideas are: {', '.join(IDEAS)}.")
    if args.steps < 2 or args.batch < 2:
        raise UserError("--steps and --batch are 2 or more.")
    ideas = {name: IDEAS[name] for name in args.ideas}
    if not args.pairs and any(idea.pairs for idea in ideas.values()):
        raise UserError("These ideas need --pairs, made by scripts/reconstruct.py.")
    splits = {split: pictures(args.data, split) for split in ("train", "validation", "test")}
    known = {row["generator"] for row in splits["train"] if row["label"]}
    if strange := sorted(set(args.leave_out) - known):
        raise UserError(
            f"--leave_out {strange[0]}: {args.data} has no such generator in train; it has {sorted(known)}."
        )
    if args.leave_out:
        out = [row for split in ("train", "validation") for row in splits[split] if row["generator"] in args.leave_out]
        splits["left out"] = [row for row in splits["validation"] if row["label"] == 0] + out
        splits["train"] = [row for row in splits["train"] if row["generator"] not in args.leave_out]
    halves = [row["pixels"] for spec in args.pairs for row in pictures(spec, "train")]
    pairs = list(zip(halves[::2], halves[1::2], strict=True))
    output = Path(args.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    for name, idea in ideas.items():
        for seed in args.seeds:
            started = time.monotonic()
            batches = Batches(idea, splits["train"], pairs, args.batch, seed)
            model, loss = train(batches, idea, args.weights, args.steps, seed)
            row: dict[str, Any] = {"idea": name, "seed": seed, "steps": args.steps, "pairs": len(pairs), "loss": loss}
            row |= {split: judge(model, rows) for split, rows in splits.items() if split != "train"}
            row["minutes"] = (time.monotonic() - started) / 60
            with output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    arguments = parse(FlagshipArguments, __doc__)
    with script("flagship"):
        main(arguments)
