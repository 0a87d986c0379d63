"""Undecoded rows -> what the Trainer takes: `pixel_values` and `labels`."""

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.image_processing_utils import BaseImageProcessor

from fakelens.data.decode import ImageError, decode_image
from fakelens.data.sources.labels import FAKE
from fakelens.data.sources.opening import Source, content_id, row_bytes
from fakelens.data.sources.reading import watched
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError
from fakelens.models import DetectorImageProcessor


class Classes:
    """The classes that a model is trained to tell apart.

    Args:
        generators: None for real and fake; else names of generators, each a class of its own after "real".
    """

    def __init__(self, generators: list[str] | None = None):
        self.generators = generators
        self.labels = ["real", "fake"] if generators is None else ["real", *generators]

    def index(self, label: int, generator: str) -> int | None:
        """Return a row's class; None for a generator that is not among the classes."""
        if self.generators is None or label != FAKE:
            return label
        return self.labels.index(generator) if generator in self.labels[1:] else None


class Prepare:
    """Decode, augment and process a batch of undecoded rows; rows that cannot be decoded are skipped and counted.

    Picklable, for it goes to the loader's workers.

    Args:
        processor: The model's image processor; None leaves out `pixel_values`, to learn which rows decode.
        classes: How rows become class indices.
        skips: Where skipped rows are counted.
        augment: `(image, seed) -> image` for training images: augmentation, degradations.
        seed: Of what `augment` draws; every position of the stream draws its own.
        crop: Side in pixels of the one native crop that is taken; None for the processor's own crops.

    Raises:
        UserError: If a crop is asked of a processor that does not crop at native resolution.
    """

    def __init__(
        self,
        processor: BaseImageProcessor | None,
        classes: Classes,
        skips: SkipLog,
        augment: Callable[[Image.Image, int], Image.Image] | None = None,
        seed: int = 0,
        crop: int | None = None,
    ):
        self.options: dict[str, Any] = {}
        if crop is not None:
            if not (isinstance(processor, DetectorImageProcessor) and processor.do_native_crop):
                raise UserError(
                    "train_crop is for processors that crop at native resolution. Leave it out, or say "
                    "processor_options: {do_resize: false, do_native_crop: true} for a network of ours."
                )
            self.options = {"crop_size": {"height": crop, "width": crop}, "crops_per_side": 1}
        self.processor = processor
        self.classes = classes
        self.skips = skips
        self.augment = augment
        self.seed = seed

    def __call__(self, batch: dict[str, list[Any]], positions: list[int]) -> dict[str, list[Any]]:
        """Return `pixel_values` (arrays of the processor's shape) and `labels` (ints) of the rows that decode."""
        out: dict[str, list[Any]] = {"labels": []} | ({} if self.processor is None else {"pixel_values": []})
        rows = zip(batch["id"], batch["image"], batch["label"], batch["generator"], positions, strict=True)
        for row_id, image, label, generator, position in rows:
            target = self.classes.index(label, generator)
            if target is None:
                self.skips.add(row_id, "generator not among the classes")
                continue
            try:
                decoded = decode_image(row_bytes(image)).image
            except ImageError as error:
                self.skips.add(row_id, error.reason)
                continue
            out["labels"].append(target)
            if self.augment is not None:
                decoded = self.augment(decoded, zlib.crc32(f"{self.seed}/{position}/{row_id}".encode()))
            if self.processor is not None:
                pixels = self.processor(images=decoded, return_tensors="pt", **self.options)["pixel_values"][0]
                out["pixel_values"].append(pixels)
        return out


class ValidationSet(torch.utils.data.Dataset):
    """A validation split's undecoded rows in memory, decoded as they are read.

    Of known length, so that several processes evaluate every row once. An image that is there twice counts once: it
    is one piece of evidence, for a threshold too.

    Args:
        source: Where rows come from.
        prepare: What is done to them.
        at_most: Rows kept, drawn by a seeded shuffle where the split has more.

    Raises:
        UserError: If no row is left, or all are of one class, so that no AUROC is defined.
    """

    def __init__(self, source: Source, prepare: Prepare, at_most: int):
        stream = source.stream
        if source.rows is None or source.rows > at_most:
            stream = stream.shuffle(seed=0, buffer_size=min(at_most, 1000)).take(at_most)
        self.prepare = prepare
        # Decoded once here, so that a damaged row is left out of the length rather than met half-way.
        readable = Prepare(None, prepare.classes, prepare.skips)
        rows = (row for row in watched(stream, source) if _one(readable, row)["labels"])
        self.rows = list({(content_id(row["image"]), row["label"]): row for row in rows}.values())
        self.labels = np.array([row["label"] for row in self.rows])
        if len(set(self.labels.tolist())) < 2:
            kinds = {0: "only real images", 1: "only fake images"}
            found = kinds[int(self.labels[0])] if len(self.labels) else "no image that can be read"
            raise UserError(
                f"The validation split {source.split!r} of {source.spec} has {found}; both classes are needed to "
                "choose a checkpoint. Name another with --validation_split, or hold some training data out with "
                "--holdout 0.2."
            )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {key: values[0] for key, values in _one(self.prepare, self.rows[index]).items()}


def _one(prepare: Prepare, row: dict[str, Any]) -> dict[str, list[Any]]:
    return prepare({key: [value] for key, value in row.items()}, [0])


def held_out(content: str, fraction: float, seed: int) -> bool:
    """Tell whether an image belongs to the held-out fraction: by a hash, which needs no length and never changes.

    Args:
        content: The image's `content_id`; of an image that was made from another one, that one's.
        fraction: In (0, 1).
        seed: Another seed draws another fraction.
    """
    return zlib.crc32(f"{seed}/{content}".encode()) / 2**32 < fraction
