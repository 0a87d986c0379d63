"""How many images a second each of several engines scores, side by side in one run."""

import statistics
import time
from collections.abc import Mapping

from fakelens.inference.detector import Detector
from fakelens.inference.onnx.check import Sample
from fakelens.inference.threads import workers

IMAGES, ROUNDS = 16, 5


def images_per_second(engines: Mapping[str, Detector], sample: Sample) -> dict[str, float]:
    """Time the networks alone, on as many threads as a detector uses; the median of rounds that take turns.

    Args:
        engines: The same detector in several forms, all on one device.
        sample: Processed images; the first few are scored again and again.
    """
    few = sample.first(IMAGES)
    found: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(ROUNDS + 1):
        for name, engine in engines.items():
            step = engine.at_once(len(few))
            batches = [few.batch(start, start + step) for start in range(0, len(few), step)]
            with workers(engine.workers) as pool:
                started = time.perf_counter()
                list(pool.map(engine.predict, batches))
                if number:  # the first round is for what is set up once
                    found[name].append(len(few) / (time.perf_counter() - started))
    return {name: statistics.median(rates) for name, rates in found.items()}
