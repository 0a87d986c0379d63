"""Images per second of our detector beside the stock `pipeline`, on the same files and model, in one run.

    python benchmarks/detector.py
    python benchmarks/detector.py --model runs/demo/model --images 64 --json

The two take turns, so that a machine that slows down slows both; the ratio is the figure, not the seconds.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fakelens.script import parse, script


@dataclass
class BenchmarkArguments:
    """What to time."""

    model: str | None = field(
        default=None, metadata={"help": "A detector; default: a custom CNN with random weights."}
    )
    images: int = field(default=48, metadata={"help": "Number of JPEG files, 512 pixels a side."})
    batch_size: int = field(default=16, metadata={"help": "Images per forward pass, for both."})
    rounds: int = field(default=5, metadata={"help": "Turns that each takes."})
    json: bool = field(default=False, metadata={"help": "Print one JSON object."})


def write_images(folder: Path, count: int) -> list[str]:
    """Write crops of a photograph as JPEG files and return their paths."""
    import skimage.data
    from PIL import Image

    photograph = Image.fromarray(skimage.data.astronaut())
    paths = []
    for number in range(count):
        paths.append(str(folder / f"{number:03d}.jpg"))
        photograph.rotate(number).save(paths[-1], quality=90)
    return paths


def build_model(folder: Path) -> str:
    """Save a custom CNN with random weights, and return its folder."""
    from fakelens.zoo import build_detector, build_processor

    build_detector("custom_cnn").save_pretrained(folder)
    build_processor("custom_cnn").save_pretrained(folder)
    return str(folder)


def seconds(work: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(args: BenchmarkArguments) -> None:
    """Time both in turn and print rates and their ratio."""
    from transformers import pipeline

    from fakelens.cli import silence_libraries
    from fakelens.detector import load_detector

    silence_libraries()
    with tempfile.TemporaryDirectory() as work:
        paths = write_images(Path(work), args.images)
        model = args.model or build_model(Path(work) / "model")
        ours = load_detector(model, device="cpu")
        stock = pipeline("image-classification", model=model, trust_remote_code=True, device="cpu")
        contenders = {
            "detector": lambda: ours(paths, batch_size=args.batch_size),
            "pipeline": lambda: stock(paths, batch_size=args.batch_size),
        }
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(args.rounds + 1):
            for name, judge in contenders.items():
                taken = seconds(judge)
                if turn > 0:  # the first warms up
                    times[name].append(taken)
    ratios = [p / d for d, p in zip(times["detector"], times["pipeline"], strict=True)]
    facts = {f"{name}_images_per_second": args.images / statistics.median(t) for name, t in times.items()}
    facts |= {"ratio_median": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)}
    if args.json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        print(f"{name:32} {value:8.2f}")


if __name__ == "__main__":
    arguments = parse(BenchmarkArguments, __doc__)
    with script("detector"):
        main(arguments)
