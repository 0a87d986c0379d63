"""Controls: two "detectors" that look at no image, scored like every model, so that a reader sees what that scores.

`always fake` predicts fake for every image, `file format` for every image whose file is no JPEG,
without a look at the image: on data whose photographs are JPEGs and whose fakes are PNGs it is perfect.
"""

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, UnidentifiedImageError

from fakelens.data.sources.opening import Source, row_bytes
from fakelens.data.sources.reading import read
from fakelens.evaluation.scoring.predict import Predictions

ALWAYS_FAKE, FILE_FORMAT = "always fake", "file format"
CAMERA_FORMATS = ("JPEG", "MPO")  # what cameras write; an MPO is a phone's JPEG with a second frame


def control_predictions(source: Source, predictions: Predictions) -> list[Predictions]:
    """Return what the controls say of the images that a model scored.

    Args:
        source: The split; its rows are read again, undecoded, as far as the scored ones reach.
        predictions: Any model's, for the images, their labels and the views. In every view but `raw` all files have
            one format.
    """
    formats = file_formats(source, [str(row_id) for row_id in predictions.ids])
    by_format = np.array([0.0 if name in CAMERA_FORMATS else 1.0 for name in formats])
    count = len(predictions.ids)
    said = {
        ALWAYS_FAKE: {view: np.ones(count) for view in predictions.scores},
        FILE_FORMAT: {view: by_format if view == "raw" else np.zeros(count) for view in predictions.scores},
    }
    return [replace(predictions, model=name, scores=s, classes=(), probabilities={}) for name, s in said.items()]


def file_formats(source: Source, ids: Sequence[str]) -> list[str]:
    """Return the formats of some of a source's files, as Pillow names them, from their headers alone.

    Args:
        source: The split.
        ids: Of rows that decode.
    """
    wanted = set(ids)
    formats: dict[str, str] = {}
    for row in read(source):
        if row["id"] in wanted and row["id"] not in formats:
            formats[row["id"]] = _format(row_bytes(row["image"]))
            if len(formats) == len(wanted):
                break
    return [formats[row_id] for row_id in ids]


def _format(data: bytes) -> str:
    try:
        with Image.open(io.BytesIO(data)) as file:
            return file.format or ""
    except UnidentifiedImageError:
        return ""
