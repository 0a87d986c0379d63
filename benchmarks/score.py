"""`fakelens score` beside the stock `pipeline`: images per second of one and of two processes, and peak memory.

    python benchmarks/score.py
    python benchmarks/score.py --model runs/demo/model --images 200 --rounds 5 --threads 4

All take turns in one run on the same files, so that a machine that slows down slows all; ratios are the figures, not
the seconds. `one`: fakelens.evaluation.scoring.score.score_source, from a folder to parquet. `two`: the same in two
processes, by torchrun and scripts/score.py, without its start. `pipeline`: transformers' own on the same paths, with
the same model and batch size, which writes nothing and looks for no warnings. Each process has `--threads` threads.
Then the peak memory of a whole process that scores few and many images with a tiny network, in MiB.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fakelens.cli.script import parse, script

SCRIPT = Path(__file__).parents[1] / "scripts" / "score.py"
# Runs a file and prints its process's peak memory in KiB. What `getrusage` says counts the one that forked it, too.
WITH_PEAK = """
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@dataclass
class BenchmarkArguments:
    """What to time."""

    model: str = field(default="patch_lens", metadata={"help": "The detector to time."})
    images: int = field(default=64, metadata={"help": "Number of JPEG files, 512 pixels a side."})
    batch_size: int = field(default=16, metadata={"help": "Images per forward pass, for all."})
    threads: int = field(default=1, metadata={"help": "Of each process."})
    rounds: int = field(default=3, metadata={"help": "Turns that each takes."})
    few: int = field(default=500, metadata={"help": "Images whose peak memory is measured first."})
    many: int = field(default=5000, metadata={"help": "Images whose peak memory is compared with that."})
    json: bool = field(default=False, metadata={"help": "Print one JSON object."})


def write_images(folder: Path, count: int, side: int, different: int = 16) -> list[str]:
    """Write turned copies of a photograph as JPEG files, beyond so many as links to them, and return their paths."""
    import skimage.data
    from PIL import Image

    photograph = Image.fromarray(skimage.data.astronaut())
    folder.mkdir(parents=True)
    paths = [folder / f"{number:05d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if number < different:
            photograph.rotate(7 * number).resize((side, side)).save(path, quality=90)
        else:
            path.hardlink_to(paths[number % different])
    return [str(path) for path in paths]


def tiny_network(folder: Path) -> str:
    """Save a custom CNN of a few random weights, and return its folder."""
    from fakelens.models import CustomCNNConfig, CustomCNNForImageClassification, DetectorImageProcessor

    CustomCNNForImageClassification(CustomCNNConfig(hidden_sizes=[4, 8], classifier_size=4)).save_pretrained(folder)
    DetectorImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)


def run_script(launcher: list[str], words: list[str], threads: int) -> list[str]:
    """Run scripts/score.py, and return the lines that it and its launcher print."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}
    command = [*launcher, str(SCRIPT), *words]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


def peaks(work: Path, counts: list[int], threads: int) -> list[float]:
    """Return the peak memory of a process that scores so many images, for each count, in MiB."""
    model, found = tiny_network(work / "tiny"), []
    for count in counts:
        write_images(work / f"{count}", count, 64)
        words = [str(work / f"{count}"), "--output", str(work / f"scores-{count}"), "--model", model]
        found.append(int(run_script([sys.executable, "-c", WITH_PEAK], words, threads)[-1]) / 1024)
    return found


def main(args: BenchmarkArguments) -> None:
    """Time all in turn, and print rates, ratios and peak memory."""
    import torch
    from transformers import pipeline

    from fakelens.cli.stop import silence_libraries
    from fakelens.data.sources.opening import ReadOptions, open_source
    from fakelens.evaluation.scoring.score import score_source
    from fakelens.inference.detector import load_detector

    silence_libraries()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        paths = write_images(work / "data", args.images, 512)
        detector = load_detector(args.model, "cpu")
        source = open_source(str(work / "data"), "train", ReadOptions(is_labelled=False))
        stock = pipeline(
            "image-classification", model=detector.model, image_processor=detector.processor, device="cpu"
        )
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]

        def one(turn: int) -> float:
            return score_source(detector, source, work / f"one-{turn}", args.batch_size).record()["images_per_second"]

        def two(turn: int) -> float:
            words = [str(work / "data"), "--output", str(work / f"two-{turn}"), "--model", args.model]
            words += ["--batch_size", str(args.batch_size), "--device", "cpu"]
            return json.loads(run_script(torchrun, words, args.threads)[-1])["images_per_second"]

        def pipe(turn: int) -> float:
            start = time.perf_counter()
            stock(paths, batch_size=args.batch_size)
            return args.images / (time.perf_counter() - start)

        contenders: dict[str, Callable[[int], float]] = {"one": one, "two": two, "pipeline": pipe}
        detector(paths[:2])  # warms up
        rates = {name: [] for name in contenders}
        for turn in range(args.rounds):
            for name, rate in contenders.items():
                rates[name].append(rate(turn))
        few, many = peaks(work, [args.few, args.many], args.threads)
    facts = {f"{name}_images_per_second": statistics.median(found) for name, found in rates.items()}
    for above, below in (("one", "pipeline"), ("two", "pipeline"), ("two", "one")):
        ratios = [a / b for a, b in zip(rates[above], rates[below], strict=True)]
        name = f"{above}/{below}"
        facts |= {f"{name}_median": statistics.median(ratios), f"{name}_min": min(ratios), f"{name}_max": max(ratios)}
    facts |= {f"peak_mib_{args.few}_images": few, f"peak_mib_{args.many}_images": many, "many/few": many / few}
    facts["load_average"] = os.getloadavg()[0]
    if args.json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        print(f"{name:32} {value:8.2f}")


if __name__ == "__main__":
    arguments = parse(BenchmarkArguments, __doc__)
    with script("score"):
        main(arguments)
