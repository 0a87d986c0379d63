"""Score a folder of images into a file: a CSV, or the JSON that a challenge asks for.

    python scripts/predict.py --model runs/s4_ensemble/model --data path/to/images --submission submission.json
    python scripts/predict.py --model runs/generators/model --data path/to/images --output predictions.csv

The submission is `[{"index": 1, "prediction": "fake"}, ...]` in the natural order of file names (2.png before 10.png).
A model that tells generators apart adds the likeliest one, or "unknown generator" below --unknown_below.
"""

import csv
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from fakelens.detector import Detector, load_detector
from fakelens.errors import UserError
from fakelens.inputs import expand
from fakelens.script import parse, script


@dataclass
class PredictArguments:
    """What to score, with what, and where to write."""

    model: str = field(metadata={"help": "Folder or Hub repo of the detector."})
    data: str = field(metadata={"help": "Folder of images, walked."})
    submission: str | None = field(default=None, metadata={"help": "Write the JSON submission to this file."})
    output: str | None = field(default=None, metadata={"help": "Write a CSV of path, verdict, score to this file."})
    unknown_below: float = field(
        default=0.5, metadata={"help": "Probability below which the likeliest generator is called unknown."}
    )
    batch_size: int = field(default=16, metadata={"help": "Images per forward pass."})
    device: str | None = field(default=None, metadata={"help": "cpu, cuda, ...; default: the fastest present."})


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key that orders numbers inside names by value."""
    return [(0, int(p), "") if p.isdigit() else (1, 0, p.lower()) for p in re.split(r"(\d+)", name) if p]


def name_generator(detector: Detector, probabilities: list[float], unknown_below: float) -> str:
    """Return the likeliest class, or "unknown generator" if the picture is no photograph and no generator is sure."""
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    fake = 1 - probabilities[detector.real_index]
    if best != detector.real_index and probabilities[best] < unknown_below * fake:
        return "unknown generator"
    return str(detector.model.config.id2label[best])


def score(args: PredictArguments) -> list[dict[str, object]]:
    """Return one row an image that can be read, in natural order; say which could not."""
    from fakelens.data.decode import ImageError, decode_image

    detector = load_detector(args.model, args.device)
    inputs = sorted(expand([args.data]), key=lambda item: natural(item.name))
    if inputs and inputs[0].error:
        raise UserError(f"{args.data}: {inputs[0].error}.")
    rows: list[dict[str, object]] = []
    for start in tqdm(range(0, len(inputs), args.batch_size), desc="scoring", unit="batch", disable=None):
        batch = []
        for number, item in enumerate(inputs[start : start + args.batch_size], start + 1):
            try:
                batch.append((number, item.name, decode_image(item.read()).image))
            except ImageError as error:
                print(f"{item.name}: {error}", file=sys.stderr)
        if not batch:
            continue
        for (number, name, _), odds in zip(batch, detector.probabilities([b[2] for b in batch]), strict=True):
            fake = float(1 - odds[detector.real_index])
            row: dict[str, object] = {"index": number, "path": name, "score": fake}
            row["verdict"] = "fake" if fake >= detector.threshold else "real"
            if len(odds) > 2:
                row["generator"] = name_generator(detector, [float(p) for p in odds], args.unknown_below)
            rows.append(row)
    return rows


def main(args: PredictArguments) -> None:
    """Score the folder and write what was asked for."""
    if not args.submission and not args.output:
        raise UserError("Say where to write: --submission FILE.json, --output FILE.csv, or both.")
    rows = score(args)
    if not rows:
        raise UserError(f"No image of {args.data} could be read.")
    if args.submission:
        entries = [{"index": row["index"], "prediction": row["verdict"]} for row in rows]
        Path(args.submission).write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    if args.output:
        with Path(args.output).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    fakes = sum(row["verdict"] == "fake" for row in rows)
    print(f"{len(rows)} images scored, {fakes} called fake: {', '.join(filter(None, (args.submission, args.output)))}")


if __name__ == "__main__":
    arguments = parse(PredictArguments, __doc__)
    with script("predict"):
        main(arguments)
