"""What streaming costs: images per second beside decoding alone, and memory early and late in the stream.

    python benchmarks/streaming.py
    python benchmarks/streaming.py --data ComplexDataLab/OpenFake:core --samples 2000 --json

`stream` is what recipes train from, one reader: parquet shards, shuffle buffer, decoding, pass after pass. `decode` is
the decoding of the same files out of memory, which nothing that decodes can beat. They take turns, so that a machine
that slows down slows both. Memory is what the process holds after the first tenth of the samples and after all, with
the same buffer: what leaks or piles up shows as a difference. Without --data the rows are made: photographs' size
(512 x 512 JPEG), with a long prompt each, of which nothing should be read.
"""

import io
import json
import secrets
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from fakelens.cli.script import parse, script

SHARDS, ROWS, GROUP = 6, 240, 80  # of the made data: shards, rows in each, rows in a row group
PROMPT = 20_000  # characters
BLOCK = 100  # images in a turn


@dataclass
class BenchmarkArguments:
    """What to stream, and how much of it."""

    data: str = field(default="", metadata={"help": "SOURCE to stream; default: rows made on the spot."})
    split: str = field(default="train", metadata={"help": "Its split."})
    samples: int = field(default=5000, metadata={"help": "Images taken from the stream."})
    buffer: int = field(default=200, metadata={"help": "Rows that the shuffle holds."})
    json: bool = field(default=False, metadata={"help": "Print one JSON object."})


def write_rows(folder: Path) -> None:
    """Write the made data: forty images, each file of its own by a comment at its end."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    rng = np.random.default_rng(0)
    files = []
    for _ in range(40):
        coarse = Image.fromarray(rng.integers(0, 255, (48, 48, 3), dtype=np.uint8)).resize((512, 512))
        pixels = np.asarray(coarse) + rng.normal(0, 12, (512, 512, 3))
        file = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=92)
        files.append(file.getvalue())
    for shard in range(SHARDS):
        numbers = range(shard * ROWS, (shard + 1) * ROWS)
        columns = {
            "image": [{"bytes": files[n % 40] + b"%08d" % n, "path": None} for n in numbers],
            "prompt": [secrets.token_hex(PROMPT // 2) for _ in numbers],
            "label": ["fake" if n % 2 else "real" for n in numbers],
        }
        path = folder / f"train-{shard:05d}-of-{SHARDS:05d}.parquet"
        pq.write_table(pa.table(columns), path, row_group_size=GROUP)


def take(images: Iterator[Any], count: int) -> float:
    """Return the images per second of the next so many."""
    start = time.perf_counter()
    taken = sum(1 for _ in islice(images, count))
    return taken / (time.perf_counter() - start)


def measure(args: BenchmarkArguments, data: str) -> dict[str, float]:
    """Stream, with turns of decoding alone in between."""
    import psutil

    from fakelens.data.decode import decode_image
    from fakelens.data.sources.opening import examples, open_source
    from fakelens.data.sources.skips import SkipLog
    from fakelens.training.data.examples import Classes, Prepare
    from fakelens.training.data.stream import TrainingStream

    source = open_source(data, args.split)
    files = [example.data for example in islice(examples(source, SkipLog()), BLOCK)]
    stream = iter(TrainingStream(source, Prepare(None, Classes(), SkipLog()), seed=0, buffer=args.buffer))
    early = max(1, args.samples // (10 * BLOCK))
    next(stream)  # the buffer is full
    rates: dict[str, list[float]] = {"decode": [], "stream": []}
    memory = {}
    for turn in range(1, args.samples // BLOCK + 1):
        rates["stream"].append(take(stream, BLOCK))
        if turn % early == 0:
            rates["decode"].append(take(map(decode_image, files), len(files)))
        memory[turn * BLOCK] = psutil.Process().memory_info().rss / 2**20
    # Reading comes in bursts, a row group at a time: the stream's rate is that of all its turns.
    rate, limit = statistics.harmonic_mean(rates["stream"]), statistics.harmonic_mean(rates["decode"])
    first, last = memory[early * BLOCK], memory[max(memory)]
    return {
        "decode_images_per_second": limit,
        "stream_images_per_second": rate,
        "stream/decode": rate / limit,
        f"memory_after_{early * BLOCK}_mib": first,
        f"memory_after_{max(memory)}_mib": last,
        "memory_late/early": last / first,
        "memory_highest_mib": max(memory.values()),
    }


def main(args: BenchmarkArguments) -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        if not args.data:
            write_rows(Path(folder))
        facts = measure(args, args.data or folder)
    if args.json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        print(f"{name:28} {value:9.2f}")


if __name__ == "__main__":
    arguments = parse(BenchmarkArguments, __doc__)
    with script("streaming"):
        main(arguments)
