"""The small autoencoders of one run: chosen by name, trained on a split's real images, kept beside its pairs."""

import heapq
import json
import random
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save
from tqdm import tqdm

from fakelens.atomic import writing
from fakelens.data.aligned.autoencoders import Autoencoder, ready
from fakelens.data.aligned.pair_folder import WAY_OUT, put
from fakelens.data.aligned.small_autoencoders import CROP, KINDS, Kind, SmallNetwork, as_autoencoder, train_autoencoder
from fakelens.data.decode import ImageError, decode_image
from fakelens.data.sources.labels import REAL
from fakelens.data.sources.opening import Source, row_bytes
from fakelens.data.sources.reading import read
from fakelens.errors import UserError
from fakelens.zoo.pretrained import read_weights

FOLDER = "autoencoders"
CANDIDATES = 2000  # real images from the start of a split, of which those to train on are drawn
TRAINED_ON = 300
SCALES = (0.4, 0.95)  # wears off what a first compression left, which an autoencoder would learn to draw


def small_kinds(name: str) -> list[Kind] | None:
    """Return the kinds that `small` or `small:NAME[,NAME]` names; None if the name is of something else.

    Args:
        name: What a user gave as the autoencoder.

    Raises:
        UserError: If a kind is unknown or named twice.
    """
    prefix, colon, names = name.partition(":")
    if prefix != "small":
        return None
    if not colon:
        return list(KINDS.values())
    chosen = names.split(",")
    unknown = [one for one in chosen if one not in KINDS]
    if unknown:
        raise UserError(f"There is no small autoencoder {unknown[0]!r}. There are {', '.join(KINDS)}.")
    if len(set(chosen)) < len(chosen):
        raise UserError(f"{name} names a small autoencoder twice.")
    return [KINDS[one] for one in chosen]


def open_small(
    kinds: list[Kind], source: Source, output: Path, seed: int, steps: int, limit: int | None, device: str | None
) -> list[Autoencoder]:
    """Return small autoencoders: those that `output` keeps from an earlier run, the others trained and put there.

    Args:
        kinds: Which.
        source: The split whose real images they learn from.
        output: The pairs' folder.
        seed: Of the choice of images, their scales, the first weights and the crops.
        steps: Training steps of each.
        limit: Use only this many real images, from the start.
        device: As torch names devices; a GPU if there is one, if None.

    Raises:
        UserError: If the folder cannot be written, an autoencoder there is damaged or was trained otherwise, no real
            image is large enough, or the device cannot be used.
    """
    if steps < 1:
        raise UserError(f"--training_steps is {steps}; it is 1 or more.")
    paths = {kind.name: output / FOLDER / f"{kind.name}.safetensors" for kind in kinds}
    made_of = {kind.name: _made_of(kind, source, seed, steps, limit) for kind in kinds}
    missing = [kind for kind in kinds if not paths[kind.name].exists()]
    networks = {
        kind.name: _stored(kind, paths[kind.name], made_of[kind.name]) for kind in kinds if kind not in missing
    }
    if missing:
        images = training_images(source, seed, limit)
        for kind in tqdm(missing, desc="train small autoencoders", unit="autoencoder", disable=None):
            network = train_autoencoder(kind, images, steps, seed, device)
            with writing(output, WAY_OUT):
                paths[kind.name].parent.mkdir(parents=True, exist_ok=True)
                tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
                put(paths[kind.name], save(tensors, {"made_of": made_of[kind.name]}))
            networks[kind.name] = network
    return [as_autoencoder(ready(networks[kind.name], device)) for kind in kinds]


def training_images(source: Source, seed: int, limit: int | None = None) -> list[np.ndarray]:
    """Return real images of a split for small autoencoders to learn from, each brought to a scale drawn for it.

    Args:
        source: The split, opened.
        seed: Of the draws.
        limit: Use only this many real images, from the start.

    Returns:
        At most 300, each of shape `(height, width, 3)` in bytes, sides of 64 pixels or more.

    Raises:
        UserError: If no real image is that large.
    """
    rng = random.Random(f"{seed}/training pictures")
    real_rows = islice((row for row in read(source) if row["label"] == REAL), min(limit or CANDIDATES, CANDIDATES))
    # The number decides between equal draws, as rows cannot be compared.
    drawn = heapq.nsmallest(TRAINED_ON, ((rng.random(), number, row) for number, row in enumerate(real_rows)))
    images = []
    for _, _, row in drawn:
        scale = rng.uniform(*SCALES)
        try:
            image = decode_image(row_bytes(row["image"])).image
        except ImageError:  # counted when it is its turn to give a pair
            continue
        scale = max(scale, CROP / min(image.size))
        if scale <= 1:
            width, height = (round(side * scale) for side in image.size)
            images.append(np.asarray(image.resize((width, height), Image.Resampling.LANCZOS)))
    if not images:
        raise UserError(
            f"{source.spec}, split {source.split!r}, has no real images of {CROP} pixels or more to train on."
        )
    return images


def _made_of(kind: Kind, source: Source, seed: int, steps: int, limit: int | None) -> str:
    facts = asdict(kind) | {"activation": kind.activation.__name__}
    data = {"data": source.spec, "revision": source.revision, "limit": limit, "seed": seed, "steps": steps}
    return json.dumps(facts | data)


def _stored(kind: Kind, path: Path, made_of: str) -> SmallNetwork:
    tensors = read_weights(path)
    with safe_open(path, "pt") as file:
        stored = file.metadata()
    if (stored or {}).get("made_of") != made_of:
        raise UserError(f"{path} was trained with other settings or on other data. Name another --output.")
    network = SmallNetwork(kind)
    network.load_state_dict(tensors)
    return network
