"""How a detector fares when images are degraded: its metrics at each step, and whose verdicts change.

Users of detectors complain that a verdict changes with the codec or the scale. So beside AUROC and accuracy there is
the fraction of images whose verdict differs from the one on the image as it was, right or wrong: a verdict that anyone
can turn over by saving an image again says little.
"""

import zlib
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image

from fakelens.data.sources.labels import FAKE, REAL
from fakelens.data.sources.opening import Source
from fakelens.data.transforms.degradations import PROTOCOLS, Degradations
from fakelens.errors import UserError
from fakelens.evaluation.analysis.comparison import delong
from fakelens.evaluation.scoring.predict import Scorer
from fakelens.inference.batches import THREADS, Decoded, check_images, decoded_batches
from fakelens.metrics.detection import detection_metrics


def robustness_table(
    scorer: Scorer,
    source: Source,
    threshold: float,
    protocols: Mapping[str, Sequence[Mapping[str, Any]]] = PROTOCOLS,
    batch_size: int = 32,
    limit: int | None = None,
    images: int | None = None,
    name: str = "",
) -> dict[str, Any]:
    """Score a split as it is and at each step of the protocols; every image is decoded once.

    What happens to an image hangs on its id and the step alone, so that neither the other images nor the other steps
    change a result.

    Args:
        scorer: The detector, of one network or several.
        source: The split.
        threshold: P(fake) from which the verdict is "fake", in [0, 1].
        protocols: The steps by name, see `fakelens.data.transforms.degradations`.
        batch_size: Images per forward pass.
        limit: Read this many rows from the start of the split; all if None.
        images: Of these, take the first so many, half of them of each class; all if None.
        name: What to call the model.

    Returns:
        `clean`, the metrics of `detection_metrics`; `steps`, a list with for each step `protocol`, `family` (such as
        "jpeg"), `parameter` and `strength` (such as "quality" and 90; None where there is no one number), these
        metrics, `auroc_drop` (clean AUROC less this one), its 95 % `auroc_drop_interval` (DeLong's, on the very same
        images; None where undefined) and what `verdict_changes` returns; `verdict_stability`, 1 less the mean of
        `flipped` over the steps; `unstable_images`, the fraction whose verdict changes in at least one step;
        `skipped`, rows that could not be decoded, by reason.

    Raises:
        UserError: If a step or the number of images will not do, no image can be decoded, or a score is not a number.
    """
    check_images(images)
    if not protocols:
        raise UserError("Robustness needs at least one protocol.")
    chains = {protocol: Degradations.from_list(settings) for protocol, settings in protocols.items()}
    labels: list[int] = []
    skipped: Counter[str] = Counter()
    clean: list[np.ndarray] = []
    parts: dict[str, list[np.ndarray]] = {protocol: [] for protocol in chains}
    with ThreadPoolExecutor(THREADS) as pool:
        for batch in decoded_batches(source, skipped, batch_size, limit, images, f"robustness: {name}"):
            labels += [item.row["label"] for item in batch]
            # The first step is under way while the network works on the images as they are.
            steps = _one_ahead(_under_way(pool, chains, batch))
            clean.append(scorer.scores([item.image for item in batch]))
            for protocol, changed in steps:
                parts[protocol].append(scorer.scores([image.result() for image in changed]))
    scores = {protocol: np.concatenate(found) for protocol, found in parts.items()}
    table = _summary(np.concatenate(clean), scores, np.array(labels), threshold, protocols)
    return table | {"skipped": dict(skipped.most_common())}


def verdict_changes(
    clean: np.ndarray, scores: np.ndarray, labels: np.ndarray, threshold: float
) -> dict[str, float | None]:
    """Compare the verdicts on changed images with those on the images as they were.

    Args:
        clean: P(fake) of the images as they were, of shape `(count,)`.
        scores: P(fake) of the changed images, of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.
        threshold: P(fake) from which the verdict is "fake", in [0, 1].

    Returns:
        `flipped`, the fraction of images with another verdict, be it the right or the wrong one; of the real images,
        those that became fake, `real_to_fake`; of the fakes, those that became real, `fake_to_real`; None without such
        images.
    """
    before, after = clean >= threshold, scores >= threshold
    became_fake, became_real = (after & ~before)[labels == REAL], (before & ~after)[labels == FAKE]
    return {
        "flipped": float((before != after).mean()),
        "real_to_fake": float(became_fake.mean()) if became_fake.size else None,
        "fake_to_real": float(became_real.mean()) if became_real.size else None,
    }


def stable_number(row_id: str) -> int:
    """Return a number from 0 to 2**32 - 1 that looks random, and is the same for a row on every machine and run."""
    return zlib.crc32(row_id.encode())


UnderWay = tuple[str, list[Future[Image.Image]]]  # a step, and the images that threads are at work on


def _under_way(
    pool: ThreadPoolExecutor, chains: Mapping[str, Degradations], batch: Sequence[Decoded]
) -> Iterator[UnderWay]:
    for protocol, chain in chains.items():
        yield protocol, [pool.submit(chain, item.image, stable_number(item.row["id"])) for item in batch]


def _one_ahead(steps: Iterator[UnderWay]) -> Iterator[UnderWay]:
    """Start one step at once, and the next one before one is handed out: no more images than that are in memory."""
    ahead = deque(islice(steps, 1))

    def rest() -> Iterator[UnderWay]:
        while ahead:
            ahead.extend(islice(steps, 1))
            yield ahead.popleft()

    return rest()


def _summary(
    clean: np.ndarray,
    scores: Mapping[str, np.ndarray],
    labels: np.ndarray,
    threshold: float,
    protocols: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, Any]:
    before = dict(detection_metrics(clean, labels, threshold))
    steps = []
    for protocol, degraded in scores.items():
        after = dict(detection_metrics(degraded, labels, threshold))
        drop = None if before["auroc"] is None or after["auroc"] is None else before["auroc"] - after["auroc"]
        lost = {"auroc_drop": drop, "auroc_drop_interval": delong(clean, degraded, labels)["interval"]}
        changes = verdict_changes(clean, degraded, labels, threshold)
        steps.append({"protocol": protocol} | _strength(protocols[protocol]) | after | lost | changes)
    changed = np.array([(degraded >= threshold) != (clean >= threshold) for degraded in scores.values()])
    return {
        "clean": before,
        "steps": steps,
        "verdict_stability": float(1 - changed.mean()),
        "unstable_images": float(changed.any(axis=0).mean()),
    }


def _strength(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a step is, and how strong if one number says so."""
    numbers = [(key, value) for step in settings for key, value in step.items() if key not in ("name", "p")]
    key, value = numbers[0] if len(numbers) == 1 and isinstance(numbers[0][1], int | float) else (None, None)
    return {"family": "+".join(step["name"] for step in settings), "parameter": key, "strength": value}
