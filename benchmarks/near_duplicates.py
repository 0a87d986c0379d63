"""Seconds and memory of the search for near-duplicates, and images per second of hashing.

    python benchmarks/near_duplicates.py
    python benchmarks/near_duplicates.py --hashes 1000000 --distance 6 --json

Random hashes with planted near-duplicates and blank images are searched: `search`, and what the process grew by at its
peak. `prepared` is the whole of what `scripts/prepare.py` holds for as many images, ids of 60 letters and the report
included, up to the copying. Hashing is timed on made-up JPEG files of 512 pixels a side, decoding included.
"""

import io
import json
import resource
import sys
import time
from dataclasses import dataclass, field

from fakelens.cli.script import parse, script


@dataclass
class BenchmarkArguments:
    """What to time."""

    hashes: int = field(default=100_000, metadata={"help": "Images in the search."})
    distance: int = field(default=4, metadata={"help": "Bits, 0 to 10."})
    images: int = field(default=200, metadata={"help": "JPEG files to hash."})
    json: bool = field(default=False, metadata={"help": "Print one JSON object."})


def peak_mib() -> float:
    """Return the most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main(args: BenchmarkArguments) -> None:
    """Search, describe and hash, and print what it took."""
    import datasets
    import numpy as np
    import skimage.data
    from PIL import Image

    from fakelens.data.sources.rows import FEATURES, Source
    from fakelens.data.splits.duplicates import group_near
    from fakelens.data.splits.fingerprints import Fingerprints, take_fingerprints
    from fakelens.data.splits.prepare import PARTS, assign_splits
    from fakelens.data.splits.prepare_report import describe

    rng = np.random.default_rng(0)
    group_near(np.arange(2, dtype=np.uint64), args.distance)  # whatever loads on first use
    before = peak_mib()
    hashes = rng.integers(0, 2**64, args.hashes, dtype=np.uint64)
    planted = args.hashes // 50
    flips = rng.permuted(np.tile(np.arange(64) < args.distance, (planted, 1)), axis=1)
    hashes[-planted:] = hashes[:planted] ^ (flips @ (np.uint64(1) << np.arange(64, dtype=np.uint64)))
    hashes[planted : 2 * planted] = 2**63
    start = time.perf_counter()
    groups = group_near(hashes, args.distance)
    facts = {"search_seconds": time.perf_counter() - start, "search_peak_mib": peak_mib() - before}
    facts["planted_recall"] = float(np.mean(groups[-planted:] == groups[:planted]))
    ids = [f"real/{number:055d}" for number in range(args.hashes)]
    labels, split = np.arange(args.hashes) % 2, np.zeros(args.hashes, np.int8)
    prints = Fingerprints(["train"], ids, rng.permutation(hashes), hashes, labels, split, [])
    assigned = [PARTS[part] for part in assign_splits(prints, groups, (0.7, 0.15, 0.15), 42, "")]
    json.dumps(describe(prints, groups, assigned, PARTS, True))
    facts |= {"prepared_seconds": time.perf_counter() - start, "prepared_peak_mib": peak_mib() - before}

    photograph = Image.fromarray(skimage.data.astronaut())
    rows = []
    for number in range(args.images):
        file = io.BytesIO()
        photograph.rotate(number).save(file, format="JPEG", quality=90)
        cell = {"bytes": file.getvalue(), "path": None}
        rows.append({"id": str(number), "image": cell, "label": 0, "generator": "real", "source": ""})
    stream = datasets.Dataset.from_list(rows, features=FEATURES).to_iterable_dataset()
    start = time.perf_counter()
    take_fingerprints([Source("", "train", "", args.images, "", stream)])
    facts["hashed_images_per_second"] = args.images / (time.perf_counter() - start)
    if args.json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        print(f"{name:28} {value:10.2f}")


if __name__ == "__main__":
    arguments = parse(BenchmarkArguments, __doc__)
    with script("near_duplicates"):
        main(arguments)
