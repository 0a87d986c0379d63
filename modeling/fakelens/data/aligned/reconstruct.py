"""Content-aligned fakes: real images sent through a generator's autoencoder, written as a data set of pairs.

After Rajan et al. (2024), "Aligned Datasets Improve Detection of Latent Diffusion-Generated Images",
https://arxiv.org/abs/2410.11835: both halves of a pair show the same, at one size, format and quality, so that what is
left to tell them apart is the decoder's trace. One thing else is left: a real image that was a JPEG keeps that first
compression under the second. A scale below 1 wears it off both halves.
"""

import io
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from fakelens.atomic import writing
from fakelens.data.aligned.autoencoders import Autoencoder
from fakelens.data.aligned.pair_folder import WAY_OUT, put, put_rows
from fakelens.data.decode import ImageError, decode_image
from fakelens.data.sources.labels import REAL
from fakelens.data.sources.opening import Source, content_id, row_bytes
from fakelens.data.sources.reading import read
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError

MIN_SIDE = 32  # pixels; below, an image is hardly more than a few latents
PAIRED = re.compile(r"([0-9a-f]{16})(?:@[\d.e-]+)?-(?:real|fake)")  # the id of either half, see `_planned`
SETTINGS_FILE = "reconstruct.json"
SKIPS_FILE = "skipped.jsonl"


@dataclass(frozen=True)
class Reconstruction:
    """How pairs are made.

    Attributes:
        rounds: Round trips through the autoencoder, one after another.
        scales: For each, every image gives a pair at this fraction of its size, in (0, 1].
        per_image: If given, every image gives this many pairs instead, each by an autoencoder drawn for it, and at a
            fraction of its size drawn between the least and the greatest of `scales`.
        qualities: JPEG qualities, 1 to 95; each pair draws one for both halves.
        max_side: Larger sides are cropped to this, in pixels, from the middle, after scaling.
        seed: Of the draws.
        shard_images: Real images in one shard.
    """

    rounds: int = 1
    scales: tuple[float, ...] = (1.0,)
    qualities: tuple[int, ...] = (75, 80, 85, 90, 95)
    max_side: int = 1024
    seed: int = 42
    shard_images: int = 200
    per_image: int | None = None

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.shard_images < 1:
            raise UserError("--rounds and --shard-images are 1 or more.")
        if self.per_image is not None and self.per_image < 1:
            raise UserError(f"--per_image is {self.per_image}; it is a number of pairs, 1 or more.")
        if not self.scales or not all(0 < scale <= 1 for scale in self.scales):
            raise UserError(f"--scales are above 0 and at most 1, not {', '.join(map(str, self.scales))}.")
        if not self.qualities or not all(1 <= quality <= 95 for quality in self.qualities):
            raise UserError(f"--quality is from 1 to 95, not {', '.join(map(str, self.qualities))}.")
        if self.max_side < MIN_SIDE:
            raise UserError(f"--max-side is {self.max_side}; it is {MIN_SIDE} pixels or more.")


@dataclass(frozen=True)
class Reconstructed:
    """What a run left behind.

    Attributes:
        shards: The parquet files, those of earlier runs included.
        pairs: Pairs that this run made.
        skipped: Rows that could not be used by reason, those of earlier runs included.
    """

    shards: list[Path]
    pairs: int
    skipped: dict[str, int]


def write_pairs(
    source: Source,
    autoencoder: Autoencoder | Sequence[Autoencoder],
    output: Path,
    settings: Reconstruction | None = None,
    limit: int | None = None,
) -> Reconstructed:
    """Write a source's real images and their reconstructions as parquet shards in OpenFake's columns.

    A shard is put in place when it is whole. A run that was cut short goes on after the last one.

    Args:
        source: The split, opened.
        autoencoder: What makes the fakes; several if `settings.per_image` says how many of them an image goes to.
        output: Folder for the shards. Shards of another split may lie there already.
        settings: How pairs are made.
        limit: Use only this many real images, from the start.

    Raises:
        UserError: If the folder holds something else or was begun with other settings, the split has no real images
            that can be used, or the disk is full.
    """
    settings = settings or Reconstruction()
    makers = [autoencoder] if isinstance(autoencoder, Autoencoder) else list(autoencoder)
    skips = SkipLog(output / f"{source.split}-{SKIPS_FILE}")
    total = limit if source.rows is None else min(limit or source.rows, source.rows)
    real_rows = islice((row for row in read(source) if row["label"] == REAL), limit)
    shards: list[Path] = []
    pairs = 0
    begin(output, source, [maker.name for maker in makers], settings, limit)
    with (
        writing(output, WAY_OUT),
        tqdm(total=total, desc=f"reconstruct {source.split}", unit="image", disable=None) as progress,
    ):
        for number, rows in _chunks(real_rows, settings.shard_images):
            path = output / f"{source.split}-{number:05d}.parquet"
            if path.exists():
                progress.update(sum(1 for _ in rows))
            else:
                made = []
                for row in rows:
                    made += _pairs_of(row, makers, settings, skips)
                    progress.update()
                if not made:
                    continue
                put_rows(path, made)
                pairs += len(made) // 2
            shards.append(path)
    if not shards:
        raise UserError(
            f"{source.spec}, split {source.split!r}, has no real images that can be used. {skips.summary()}".strip()
        )
    return Reconstructed(shards, pairs, skips.counts)


def make_pair(
    image: Image.Image, autoencoder: Autoencoder, rounds: int, scale: float, max_side: int
) -> tuple[Image.Image, Image.Image] | None:
    """Return an image as both halves of a pair show it, and its reconstruction; None if it is too small.

    Args:
        image: RGB.
        autoencoder: What reconstructs.
        rounds: Round trips, one after another.
        scale: In (0, 1]; the image is brought to this fraction of its size first.
        max_side: Larger sides are cropped, in pixels.
    """
    if scale != 1:
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    width, height = (min(side, max_side) // autoencoder.multiple * autoencoder.multiple for side in image.size)
    if min(width, height) < MIN_SIDE:
        return None
    left, top = (image.width - width) // 2, (image.height - height) // 2
    real = image.crop((left, top, left + width, top + height))
    pixels = torch.from_numpy(np.asarray(real).copy()).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        for _ in range(rounds):
            pixels = autoencoder.round_trip(pixels)
    fake = pixels[0].mul(255).round().byte().permute(1, 2, 0).numpy()
    return real, Image.fromarray(fake)


def original_of(row_id: str) -> str | None:
    """Return the content id of the image that a pair was made from; None if the row is of no pair.

    Args:
        row_id: Id of either half, as `write_pairs` wrote it.
    """
    match = PAIRED.fullmatch(row_id)
    return match and match[1]


def begin(
    output: Path, source: Source, autoencoders: list[str], settings: Reconstruction, limit: int | None = None
) -> None:
    """Note what a folder's shards are made of; one that was begun with the same settings is gone on with.

    Args:
        output: Folder for the shards.
        source: The split, opened.
        autoencoders: Names of what makes the fakes.
        settings: How pairs are made.
        limit: Use only this many real images, from the start.

    Raises:
        UserError: If the folder holds something else, was begun with other settings, or cannot be written; or if
            there are several autoencoders and nothing says how many of them an image goes to.
    """
    made_of = {"data": source.spec, "autoencoder": autoencoders, "limit": limit, **asdict(settings)}
    if settings.per_image is None:
        if len(autoencoders) != 1:
            raise UserError(f"{len(autoencoders)} autoencoders make pairs. Say --per_image.")
        # As it was noted before there were several: folders that were begun then can be gone on with.
        made_of["autoencoder"] = autoencoders[0]
        del made_of["per_image"]
    text = json.dumps(made_of | {"split": source.split, "revision": source.revision}, indent=2) + "\n"
    note = output / f"{source.split}-{SETTINGS_FILE}"
    with writing(output, WAY_OUT):
        if note.exists():
            if note.read_text(encoding="utf-8") != text:
                raise UserError(f"{output} was begun with other settings (see {note}). Name another --output.")
        elif next(output.glob(f"{source.split}-*.parquet"), None) is not None:
            raise UserError(f"{output} holds other data of split {source.split!r}. Name another --output.")
        else:
            output.mkdir(parents=True, exist_ok=True)
            put(note, text.encode())


def _planned(
    original: str, makers: Sequence[Autoencoder], settings: Reconstruction
) -> Iterator[tuple[str, Autoencoder, float]]:
    """Yield what sets each pair of an image apart, what makes it, and its scale."""
    if settings.per_image is None:
        for scale in settings.scales:
            yield ("" if scale == 1 else f"@{scale:g}"), makers[0], scale
        return
    # Of the image's content alone: neither order nor limit of the data changes what an image gives.
    draw = random.Random(f"{settings.seed}/{original}")
    order = draw.sample(makers, len(makers))
    for number in range(settings.per_image):
        scale = round(draw.uniform(min(settings.scales), max(settings.scales)), 4)
        yield f"@{scale:g}-{number}", order[number % len(order)], scale


def _pairs_of(
    row: dict[str, Any], makers: Sequence[Autoencoder], settings: Reconstruction, skips: SkipLog
) -> list[dict[str, object]]:
    try:
        image = decode_image(row_bytes(row["image"])).image
    except ImageError as error:
        skips.add(row["id"], error.reason)
        return []
    rows = []
    # By content, not by path or number: training must know a pair of an image that it holds out, wherever that lies.
    original = content_id(row["image"])
    for apart, autoencoder, scale in _planned(original, makers, settings):
        pair = original + apart
        halves = make_pair(image, autoencoder, settings.rounds, scale, settings.max_side)
        if halves is None:
            skips.add(row["id"] + apart, "too small to reconstruct")
            continue
        quality = random.Random(f"{settings.seed}/{pair}").choice(settings.qualities)
        for label, half in zip(("real", "fake"), halves, strict=True):
            file = io.BytesIO()
            half.save(file, format="JPEG", quality=quality, subsampling="4:2:0")
            rows.append(
                {
                    "id": f"{pair}-{label}",
                    "image": {"bytes": file.getvalue(), "path": None},
                    "prompt": "",
                    "label": label,
                    "model": autoencoder.name if label == "fake" else "real",
                    "type": "reconstruction" if label == "fake" else "real",
                    "release_date": "",
                    "source": row["source"],
                    "pair": pair,
                }
            )
    return rows


def _chunks(rows: Iterator[dict[str, Any]], size: int) -> Iterator[tuple[int, Iterator[dict[str, Any]]]]:
    """Number rows off into runs of `size`, each to be read to its end before the next."""
    for number, run in groupby(enumerate(rows), key=lambda numbered: numbered[0] // size):
        yield number, (row for _, row in run)
