"""Images per second of the shipped detector, from JPEG bytes to verdicts, beside EfficientNet-B0 and stock pipelines.

    python benchmarks/speed.py
    python benchmarks/speed.py --crop 128 --crops_per_side 2 --images 32 --rounds 9 --json true

All take turns in one run, so that a machine that slows down slows all; ratios are the figures, not the seconds. With
one thread, processor time is taken, into which other programs' turns do not enter; with more, time by the clock.
`patch_lens`: what the command line does, warnings and provenance included. `patch_lens_onnx`: the same after
scripts/export.py. `efficientnet_b0`: that network with random weights, at 224 pixels, through the same detector.
`pipeline_...`: transformers' own with the same models and files, which decodes and scores and says no more. Then where
the shipped detector's time goes, in milliseconds an image.
"""

import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fakelens.cli.script import parse, script

if TYPE_CHECKING:  # torch and transformers take seconds to import: `--help` does without
    from fakelens.inference.detector import Detector


@dataclass
class BenchmarkArguments:
    """What to time."""

    images: int = field(default=32, metadata={"help": "Number of JPEG files, 512 pixels a side."})
    rounds: int = field(default=5, metadata={"help": "Turns that each takes, after one to warm up."})
    threads: int = field(default=1, metadata={"help": "Of each contender."})
    batch_size: int = field(default=16, metadata={"help": "Images handed over at a time, to all."})
    crop: int | None = field(default=None, metadata={"help": "Pixels a side of a crop, instead of the model's own."})
    crops_per_side: int | None = field(default=None, metadata={"help": "Crops along a side, likewise."})
    onnx: bool = field(default=True, metadata={"help": "Export the shipped model and time that, too."})
    json: bool = field(default=False, metadata={"help": "Print one JSON object."})


def write_images(folder: Path, count: int) -> list[str]:
    """Write photographs, turned and mirrored, as JPEG files of several qualities, and return their paths."""
    import numpy as np
    import skimage.data
    from PIL import Image

    sources = [skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea()]
    paths = []
    for number in range(count):
        pixels = np.rot90(sources[number % 3], number // 3)
        pixels = pixels[:, ::-1] if number % 2 else pixels
        path = folder / f"{number:03d}.jpg"
        Image.fromarray(pixels).resize((512, 512)).save(path, quality=80 + number % 4 * 5)
        paths.append(str(path))
    return paths


def shipped(folder: Path, crop: int | None, per_side: int | None) -> str:
    """Return the shipped model's name, or a copy's folder if its processor is to be set otherwise."""
    from fakelens.zoo.shipped import SHIPPED, SHIPPED_FOLDER

    if crop is None and per_side is None:
        return SHIPPED
    shutil.copytree(SHIPPED_FOLDER, folder)
    path = folder / "preprocessor_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    if crop is not None:
        settings["crop_size"] = settings["size"] = {"height": crop, "width": crop}
    if per_side is not None:
        settings["crops_per_side"] = per_side
    path.write_text(json.dumps(settings), encoding="utf-8")
    return str(folder)


def plain_network(folder: Path) -> str:
    """Save an EfficientNet-B0 with random weights, and return its folder."""
    from fakelens.zoo.registry import build_detector, build_processor

    build_detector("efficientnet_b0").save_pretrained(folder)
    build_processor("efficientnet_b0", 224).save_pretrained(folder)
    return str(folder)


def seconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """Return how long one call takes by a clock."""
    start = clock()
    work()
    return clock() - start


def stages(detector: "Detector", paths: Sequence[str], clock: Callable[[], float]) -> dict[str, float]:
    """Return the median milliseconds that an image spends in each part of a detector, alone."""
    from fakelens.data.decode import decode_image
    from fakelens.inference.input_warnings import warnings_for
    from fakelens.provenance.read import read_provenance

    taken: dict[str, list[float]] = {}
    for path in paths:
        data = Path(path).read_bytes()
        image = decode_image(data).image
        inputs = detector.process([image])
        parts: dict[str, Callable[[], object]] = {
            "decode": partial(decode_image, data),
            "provenance": partial(read_provenance, data),
            "warnings": partial(warnings_for, image, data),
            "processor": partial(detector.process, [image]),
            "network": partial(detector.predict, inputs),
        }
        for name, work in parts.items():
            taken.setdefault(name, []).append(1000 * seconds(work, clock))
    return {name: statistics.median(values) for name, values in taken.items()}


def main(args: BenchmarkArguments) -> None:
    """Time all in turn, and print rates, ratios and where the time goes."""
    import torch
    from transformers import pipeline

    from fakelens.cli.stop import silence_libraries
    from fakelens.inference.detector import load_detector

    silence_libraries()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        (folder / "images").mkdir()
        paths = write_images(folder / "images", args.images)
        names = {"patch_lens": shipped(folder / "patch_lens", args.crop, args.crops_per_side)}
        names["efficientnet_b0"] = plain_network(folder / "efficientnet_b0")
        detectors = {key: load_detector(name, "cpu") for key, name in names.items()}
        if args.onnx:
            from fakelens.inference.onnx.export import export_model

            export_model(names["patch_lens"], folder / "onnx")
            detectors["patch_lens_onnx"] = load_detector(folder / "onnx", "cpu")
            torch.set_num_threads(args.threads)
        contenders: dict[str, Callable[[], object]] = {
            key: partial(detector, paths, batch_size=args.batch_size) for key, detector in detectors.items()
        }
        for key in ("patch_lens", "efficientnet_b0"):
            loaded = detectors[key]
            stock = pipeline(
                "image-classification", model=loaded.model, image_processor=loaded.processor, device="cpu"
            )
            contenders[f"pipeline_{key}"] = partial(stock, paths, batch_size=args.batch_size)
        clock = time.process_time if args.threads == 1 else time.perf_counter
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(args.rounds + 1):
            for name, score in contenders.items():
                taken = seconds(score, clock)
                if turn > 0:  # the first warms up
                    times[name].append(taken)
        parts = stages(detectors["patch_lens"], paths, clock)
        crops = detectors["patch_lens"].processor.to_dict()
    facts: dict[str, float] = {
        "threads": args.threads,
        "crop": crops["crop_size"]["height"],
        "crops": crops["crops_per_side"] ** 2,
        "load_average": os.getloadavg()[0],
    }
    facts |= {f"{name}_images_per_second": args.images / statistics.median(t) for name, t in times.items()}
    for above in times:
        for below in ("efficientnet_b0", "pipeline_efficientnet_b0", "pipeline_patch_lens"):
            if above.startswith("patch_lens"):
                ratios = [b / a for a, b in zip(times[above], times[below], strict=True)]
                name = f"{above}/{below}"
                facts |= {f"{name}_median": statistics.median(ratios)}
                facts |= {f"{name}_min": min(ratios), f"{name}_max": max(ratios)}
    facts |= {f"{name}_ms": value for name, value in parts.items()}
    if args.json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        print(f"{name:50} {value:8.2f}")


if __name__ == "__main__":
    arguments = parse(BenchmarkArguments, __doc__)
    with script("speed"):
        main(arguments)
