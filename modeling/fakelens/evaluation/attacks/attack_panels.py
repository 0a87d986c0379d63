"""Panels of images under attack: what the network sees, what it says, and where its verdict changes (system S4)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from fakelens.data.decode import ImageError, decode_image
from fakelens.data.sources.labels import FAKE, ID2LABEL, REAL
from fakelens.data.sources.opening import Source, row_bytes
from fakelens.data.sources.reading import read
from fakelens.errors import UserError
from fakelens.evaluation.attacks.adversarial import SEED, STRENGTHS, Attack, check_attack, processed
from fakelens.evaluation.plots.plots import STYLE, VERMILLION, save
from fakelens.inference.batches import check_images
from fakelens.inference.detector import Detector

SAMPLES = 6
CELL = 1.45  # inches, of one image
LONGEST = 24  # letters of a generator's name


@dataclass(frozen=True)
class AttackPanel:
    """Samples under one method of attack.

    Attributes:
        samples: What a report says of each: `id`, `label`, `generator`, the `clean` score and verdict, and under
            `attacked` for each strength `eps`, `score`, `verdict` and `changed`, whether it is not the clean verdict.
        images: What the network saw, of shape `(samples, strengths, height, width, 3)`, bytes; an image's crops
            side by side.
    """

    samples: list[dict[str, Any]]
    images: np.ndarray


def attack_panel(
    detector: Detector,
    source: Source,
    strengths: Sequence[float] = STRENGTHS,
    samples: int = SAMPLES,
    method: str = "fgsm",
    limit: int | None = None,
) -> AttackPanel:
    """Attack the first images of a split that can be decoded, as many real images as fakes.

    The images are the same for every detector and method, so that panels can be laid side by side.

    Args:
        detector: Of one network.
        source: The split.
        strengths: Largest change of a pixel, each in [0, 1]; 0 is the clean image.
        samples: How many images, at least 2; real images first.
        method: "fgsm", or "pgd" (10 steps from a random start).
        limit: Look among this many rows from the start of the split; all if None.

    Raises:
        UserError: If a number or the method will not do, the detector is an ensemble, or no image can be decoded.
    """
    check_attack([method], strengths)
    check_images(samples)
    attack = Attack(detector, method)
    found = sorted(_decoded(islice(read(source), limit), samples), key=lambda one: one[0]["label"])
    if not found:
        raise UserError(f"No image of {source.spec}, split {source.split!r}, can be decoded for a panel.")
    clean = processed(detector, [image for _, image in found])
    truth = torch.tensor([row["label"] for row, _ in found], device=detector.device)

    def scored(pixel_values: torch.Tensor) -> list[dict[str, Any]]:
        scores = detector.score_pixels(pixel_values).tolist()
        return [{"score": one, "verdict": ID2LABEL[FAKE if one >= detector.threshold else REAL]} for one in scores]

    before = scored(clean)
    table: list[dict[str, Any]] = [
        {key: row[key] for key in ("id", "label", "generator")} | {"clean": one, "attacked": []}
        for (row, _), one in zip(found, before, strict=True)
    ]
    columns = []
    for eps in strengths:
        moved = attack(clean, truth, eps, torch.Generator().manual_seed(SEED))
        for sample, after in zip(table, scored(moved), strict=True):
            sample["attacked"].append(
                {"eps": eps} | after | {"changed": after["verdict"] != sample["clean"]["verdict"]}
            )
        pixels = attack.normalisation.invert(moved).clamp(0, 1).cpu().numpy()
        columns.append(np.stack([_side_by_side(image) for image in pixels]))
    return AttackPanel(table, (np.stack(columns, axis=1) * 255).round().astype(np.uint8))


def draw_panels(panels: Mapping[str, Mapping[str, AttackPanel]], split: str, folder: Path) -> list[Path]:
    """Draw an image for every model and method: a row an image, a column a strength.

    A verdict that is not the clean image's has a thick frame and says so in words.

    Args:
        panels: What `attack_panel` returned, by model and method.
        split: The split's name.
        folder: Where to write `panel_{method}_{split}_{number of the model, from 1}.png`.
    """
    return [
        _draw(panel, f"{method.upper()}, {split}: {model}", folder / f"panel_{method}_{split}_{number}.png")
        for number, (model, methods) in enumerate(panels.items(), 1)
        for method, panel in methods.items()
    ]


def _draw(panel: AttackPanel, title: str, path: Path) -> Path:
    rows, columns = panel.images.shape[:2]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(CELL * columns + 1.0, (CELL + 0.25) * rows + 0.8), layout="constrained")
        figure.suptitle(title, fontsize=10)
        for row, sample in enumerate(panel.samples):
            for column, scored in enumerate(sample["attacked"]):
                axes = figure.add_subplot(rows, columns, row * columns + column + 1)
                # Nearest: what an attack does to single pixels is what there is to be seen.
                axes.imshow(panel.images[row, column], interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                _mark(axes, scored)
                if row == 0:
                    axes.annotate(
                        f"eps {scored['eps']:g}", (0.5, 1.22), xycoords="axes fraction", ha="center", va="bottom"
                    )
                if column == 0:
                    maker = sample["generator"] if sample["label"] == FAKE else ""
                    short = maker if len(maker) <= LONGEST else f"{maker[: LONGEST - 1]}…"
                    axes.set_ylabel(f"truth: {ID2LABEL[sample['label']]}\n{short}".strip(), fontsize=8)
        return save(figure, path)


def _mark(axes: Axes, scored: Mapping[str, Any]) -> None:
    """Write the verdict above an image, and frame it if it changed."""
    words = f"{scored['verdict']} {scored['score']:.2f}"
    axes.spines[:].set_visible(True)
    if scored["changed"]:
        axes.set_title(f"changed: {words}", fontsize=8, fontweight="bold", pad=4)
        axes.spines[:].set(color=VERMILLION, linewidth=3)
    else:
        axes.set_title(words, fontsize=8, pad=4)
        axes.spines[:].set(color="#888888", linewidth=0.6)


def _decoded(rows: Iterator[dict[str, Any]], count: int) -> Iterator[tuple[dict[str, Any], Image.Image]]:
    """Yield the first rows that can be decoded, half of each class; no more are decoded than are needed."""
    left = {REAL: (count + 1) // 2, FAKE: count // 2}
    for row in rows:
        if left[row["label"]]:
            try:
                image = decode_image(row_bytes(row["image"])).image
            except ImageError:
                continue  # the report's other parts count these
            left[row["label"]] -= 1
            yield row, image
            if not any(left.values()):
                return


def _side_by_side(pixels: np.ndarray) -> np.ndarray:
    """Return an image of shape `(height, width, 3)`; crops, of shape `(num_crops, 3, height, width)`, in a square."""
    crops = pixels.reshape(-1, *pixels.shape[-3:]).transpose(0, 2, 3, 1)
    columns = math.ceil(math.sqrt(len(crops)))
    missing = -len(crops) % columns
    filled = np.concatenate([crops, np.ones((missing, *crops.shape[1:]), crops.dtype)])
    return np.concatenate([np.concatenate(row, axis=1) for row in filled.reshape(-1, columns, *crops.shape[1:])])
