"""A folder of images -> one row each, as the JSON that a challenge asks for (reference system S4) or as a CSV."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fakelens.cli.inputs.expand import expand
from fakelens.data.decode import DecodedImage, ImageError, decode_image
from fakelens.errors import UserError
from fakelens.evaluation.analysis.attribution import UNKNOWN_BELOW, check_unknown_below, name_generators
from fakelens.inference.detector import Detector, p_fake


@dataclass(frozen=True)
class Row:
    """What a detector says of one image of a folder.

    Attributes:
        index: From 1, in the natural order of paths; an image that cannot be read keeps its number.
        path: The file, relative to the folder.
        verdict: "real", "fake" or "uncertain"; None if the image could not be scored.
        prediction: "real" or "fake", where only two are wanted: by the decision threshold; None likewise.
        score: P(fake) in [0, 1]; None likewise.
        generator: Who made it ("real", a name, "unknown generator"), from a model that tells generators apart.
        error: Why it could not be scored; None if it was.
    """

    index: int
    path: str
    verdict: str | None = None
    prediction: str | None = None
    score: float | None = None
    generator: str | None = None
    error: str | None = None


def predict_folder(
    detector: Detector, folder: Path, unknown_below: float = UNKNOWN_BELOW, batch_size: int = 16
) -> list[Row]:
    """Score every image of a folder and its subfolders.

    Args:
        detector: The detector.
        folder: The folder.
        unknown_below: The fraction of P(fake) that the likeliest generator must have to be named.
        batch_size: Images per forward pass.

    Returns:
        One row an image, readable or not, in natural order.

    Raises:
        UserError: If there is no such folder, it holds no images, or a number is out of range.
    """
    check_unknown_below(unknown_below)
    if batch_size < 1:
        raise UserError("The batch size must be at least 1.")
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Name the folder that holds the images.")
    inputs = list(expand([str(folder)]))
    if inputs[0].error:
        raise UserError(f"{folder}: {inputs[0].error}.")
    paths = sorted((Path(item.name).relative_to(folder) for item in inputs), key=natural)
    rows: list[Row] = []
    thresholds = detector.thresholds()
    with ThreadPoolExecutor() as pool, tqdm(total=len(paths), desc="scoring", unit="image", disable=None) as progress:
        for start in range(0, len(paths), batch_size):
            batch = paths[start : start + batch_size]
            decoded = list(pool.map(_decode, (folder / path for path in batch)))
            answers = _answers(detector, [d for d in decoded if isinstance(d, DecodedImage)], unknown_below)
            for index, (path, image) in enumerate(zip(batch, decoded, strict=True), start + 1):
                if isinstance(image, ImageError):
                    rows.append(Row(index, path.as_posix(), error=str(image)))
                    continue
                score, generator = next(answers)
                if np.isfinite(score):
                    verdict, two = thresholds.verdict(score), "fake" if score >= thresholds.decision else "real"
                    rows.append(Row(index, path.as_posix(), verdict, two, score, generator))
                else:
                    rows.append(Row(index, path.as_posix(), error="the model's score is not a number"))
            progress.update(len(batch))
    return rows


def natural(path: Path) -> list[list[tuple[int, int, str]]]:
    """Return a sort key that orders numbers inside names by value, folder by folder: 2.png before 10.png.

    Args:
        path: The file.
    """
    return [
        [(0, int(run), "") if run.isdecimal() else (1, 0, run.lower()) for run in re.split(r"(\d+)", part) if run]
        for part in path.parts
    ]


def submission(rows: Sequence[Row]) -> str:
    """Return S4's `[{"index": 1, "prediction": "fake"}, ...]`; images that could not be scored have no entry.

    Args:
        rows: What `predict_folder` returned.
    """
    entries = [{"index": row.index, "prediction": row.prediction} for row in rows if row.error is None]
    return json.dumps(entries) + "\n"


def table(rows: Sequence[Row]) -> str:
    """Return a CSV with a line an image, those that could not be scored with their error.

    Args:
        rows: What `predict_folder` returned.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Row.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def check_file(path: Path) -> None:
    """Refuse a file that could not be written; worth knowing before the work begins.

    Args:
        path: The file.

    Raises:
        UserError: If it is a folder, or a file stands where its folder should.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder. Name a file in it.")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise UserError(f"{path} cannot be written, for {above} is a file.")


def _decode(path: Path) -> DecodedImage | ImageError:
    try:
        return decode_image(path)
    except ImageError as error:
        return error


def _answers(
    detector: Detector, images: list[DecodedImage], unknown_below: float
) -> Iterator[tuple[float, str | None]]:
    """Yield P(fake) of each image, and who made it if the model says so."""
    if not images:
        return
    probabilities = detector.probabilities([image.image for image in images])
    names: list[str | None] = [None] * len(images)
    if len(detector.classes) > 2:
        names = name_generators(probabilities, detector.classes, detector.threshold, unknown_below).tolist()
    yield from zip(p_fake(probabilities).tolist(), names, strict=True)
