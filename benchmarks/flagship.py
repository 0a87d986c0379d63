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
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flagship_crops import Batches
from flagship_ideas import IDEAS
from flagship_judging import judge
from flagship_training import train

from fakelens.cli.script import SOURCE, parse, script
from fakelens.errors import UserError


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


def images(spec: str, split: str) -> list[dict[str, Any]]:
    """Decode a split into memory: `pixels`, `label`, `generator`, `source`, `id`, in order."""
    import numpy as np

    from fakelens.data.decode import ImageError, decode_image
    from fakelens.data.sources.opening import open_source, row_bytes
    from fakelens.data.sources.reading import read

    found = []
    for row in read(open_source(spec, split)):
        try:
            pixels = np.asarray(decode_image(row_bytes(row["image"])).image)
        except ImageError:
            continue
        found.append({**row, "pixels": pixels})
    return found


def main(args: FlagshipArguments) -> None:
    """Try each idea with each seed, and print what it gave."""
    if unknown := sorted(set(args.ideas) - IDEAS.keys()):
        raise UserError(f"There is no idea {unknown[0]!r}. The ideas are: {', '.join(IDEAS)}.")
    if args.steps < 2 or args.batch < 2:
        raise UserError("--steps and --batch are 2 or more.")
    ideas = {name: IDEAS[name] for name in args.ideas}
    if not args.pairs and any(idea.pairs for idea in ideas.values()):
        raise UserError("These ideas need --pairs, made by scripts/reconstruct.py.")
    splits = {split: images(args.data, split) for split in ("train", "validation", "test")}
    known = {row["generator"] for row in splits["train"] if row["label"]}
    if strange := sorted(set(args.leave_out) - known):
        raise UserError(
            f"--leave_out {strange[0]}: {args.data} has no such generator in train; it has {sorted(known)}."
        )
    if args.leave_out:
        out = [row for split in ("train", "validation") for row in splits[split] if row["generator"] in args.leave_out]
        splits["left out"] = [row for row in splits["validation"] if row["label"] == 0] + out
        splits["train"] = [row for row in splits["train"] if row["generator"] not in args.leave_out]
    halves = [row["pixels"] for spec in args.pairs for row in images(spec, "train")]
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
