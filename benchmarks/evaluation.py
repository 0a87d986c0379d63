"""Images per second of the evaluator beside the stock `pipeline`, on the same files and model, in one run.

    python benchmarks/evaluation.py
    python benchmarks/evaluation.py --architecture mobilenet_v2 --images 96 --rounds 9 --json
    python benchmarks/evaluation.py --model runs/demo/model

All take turns, so that a machine that slows down slows all; ratios are the figures, not the seconds. `evaluator`: what
scripts/evaluate.py does for one view, from the data source to the scores. `detector`: what the command line does.
`pipeline`: transformers' own, with the same batch size. `limit`: decoding and the network alone, on all cores; nothing
that does both can be faster.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fakelens.cli.script import parse, script


@dataclass
class BenchmarkArguments:
    """What to time."""

    architecture: str = field(default="efficientnet_b0", metadata={"help": "Of the zoo, with random weights."})
    model: str | None = field(default=None, metadata={"help": "A detector to time instead."})
    images: int = field(default=192, metadata={"help": "Number of JPEG files, 512 pixels a side."})
    batch_size: int = field(default=16, metadata={"help": "Images per forward pass, for all."})
    rounds: int = field(default=4, metadata={"help": "Turns that each takes."})
    device: str = field(default="cpu", metadata={"help": "As torch names devices."})
    json: bool = field(default=False, metadata={"help": "Print one JSON object."})


def write_images(folder: Path, count: int) -> list[str]:
    """Write turned copies of a photograph as JPEG files in class folders, and return their paths."""
    import skimage.data
    from PIL import Image

    photograph = Image.fromarray(skimage.data.astronaut())
    paths = []
    for number in range(count):
        path = folder / ("fake" if number % 2 else "real") / f"{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        photograph.rotate(7 * number).save(path, quality=90)
        paths.append(str(path))
    return paths


def build_model(architecture: str, folder: Path) -> str:
    """Save a network with random weights, and return its folder."""
    from fakelens.zoo.registry import build_detector, build_processor

    build_detector(architecture).save_pretrained(folder)
    build_processor(architecture).save_pretrained(folder)
    return str(folder)


def seconds(work: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(args: BenchmarkArguments) -> None:
    """Time all in turn, and print rates, ratios and how far scores lie apart."""
    from transformers import pipeline

    from fakelens.cli.stop import silence_libraries
    from fakelens.data.decode import decode_image
    from fakelens.data.sources.opening import open_source
    from fakelens.evaluation.scoring.predict import predict
    from fakelens.inference.detector import load_detector
    from fakelens.inference.threads import workers

    silence_libraries()
    with tempfile.TemporaryDirectory() as work:
        data = Path(work) / "data"
        paths = write_images(data, args.images)
        model = args.model or build_model(args.architecture, Path(work) / "model")
        ours = load_detector(model, device=args.device)
        stock = pipeline("image-classification", model=model, trust_remote_code=True, device=args.device)
        source = open_source(str(data), "test")
        size = ours.at_once(args.batch_size)
        batches = [paths[at : at + size] for at in range(0, len(paths), size)]
        inputs = [ours.process([decode_image(path).image for path in batch]) for batch in batches]

        def decode_and_score(number: int) -> None:
            for path in batches[number]:
                decode_image(path)
            ours.predict(inputs[number])

        def limit() -> None:
            with workers(ours.workers) as pool:
                list(pool.map(decode_and_score, range(len(batches))))

        contenders: dict[str, Callable[[], object]] = {
            "evaluator": lambda: predict(ours, source, batch_size=args.batch_size),
            "pipeline": lambda: stock(paths, batch_size=args.batch_size),
            "detector": lambda: ours(paths, batch_size=args.batch_size),
            "limit": limit,
        }
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(args.rounds + 1):
            for name, score in contenders.items():
                taken = seconds(score)
                if turn > 0:  # the first warms up
                    times[name].append(taken)
        found = predict(ours, source, batch_size=args.batch_size)
        scores = dict(zip(found.ids.tolist(), found.scores["raw"].tolist(), strict=True))
        answers = zip(paths, stock(paths, batch_size=args.batch_size), strict=True)
        apart = max(
            abs(scores[Path(path).relative_to(data).as_posix()] - answer["score"])
            for path, given in answers
            for answer in given
            if answer["label"] == "fake"
        )
    facts = {f"{name}_images_per_second": args.images / statistics.median(t) for name, t in times.items()}
    for above, below in (("evaluator", "pipeline"), ("detector", "pipeline"), ("evaluator", "limit")):
        ratios = [b / a for a, b in zip(times[above], times[below], strict=True)]
        name = f"{above}/{below}"
        facts |= {f"{name}_median": statistics.median(ratios), f"{name}_min": min(ratios), f"{name}_max": max(ratios)}
    facts["largest_difference_of_scores"] = apart
    if args.json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        print(f"{name:32} {value:8.2e}" if name.startswith("largest") else f"{name:32} {value:8.2f}")


if __name__ == "__main__":
    arguments = parse(BenchmarkArguments, __doc__)
    with script("evaluation"):
        main(arguments)
