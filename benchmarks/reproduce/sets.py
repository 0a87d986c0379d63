"""The image sets that protocols ask for: drawn by seed from SOURCEs, brought to size, written as parquet shards."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.model_selection import train_test_split

from fakelens.data.aligned.pair_folder import put_rows
from fakelens.data.decode import ImageError, decode_image
from fakelens.data.sources.labels import FAKE, ID2LABEL, REAL
from fakelens.data.sources.opening import content_id, open_source, row_bytes
from fakelens.data.sources.reading import read
from fakelens.data.transforms.augmentation import Augmentation
from fakelens.errors import UserError

SHARDS = 4  # of a split: as many as a stream is shuffled from
Row = dict[str, Any]  # of a parquet shard: id, image, label, model, source


@dataclass(frozen=True)
class Draw:
    """Which images of SOURCEs are taken, and what becomes of them.

    Attributes:
        sources: SOURCE strings.
        per_class: Real images, and fakes, of a split at most; all if None.
        is_balanced: As many fakes as real images: the more numerous class is cut.
        side: Pixels of the square that an image's central square is resized to, as PNG; None keeps its bytes.
        fakes: Generators to take fakes of; all if empty.
        real_images: Collections to take real images of (column `source`); all if empty.
        seed: Another one draws other images.
    """

    sources: Sequence[str]
    per_class: int | None = None
    is_balanced: bool = False
    side: int | None = None
    fakes: Sequence[str] = ()
    real_images: Sequence[str] = ()
    seed: int = 42

    def rows(self, split: str, taken: set[str]) -> list[Row]:
        """Return a split's rows in an order drawn by the seed and the images' contents.

        Args:
            split: Sources that have no such split are left out.
            taken: Contents that are left out; those of the rows returned are added.

        Raises:
            UserError: If no source has the split, or a class has no image in it.
        """
        found: dict[int, dict[str, Row]] = {REAL: {}, FAKE: {}}
        for row in self._read(split):
            content = content_id(row["image"])
            if content not in taken:
                found[row["label"]].setdefault(content, row)
        if empty := [ID2LABEL[label] for label, rows in found.items() if not rows]:
            raise UserError(
                f"The split {split!r} of {', '.join(self.sources)} has no {empty[0]} image to take that another split "
                "has not. Name another split, or look at --fakes and --real_images."
            )
        most = [self.per_class] if self.per_class else []
        most += [len(rows) for rows in found.values()] if self.is_balanced else []
        chosen = {
            content: row
            for rows in found.values()
            for content, row in sorted(rows.items(), key=lambda item: self._rank(item[0]))[: min(most, default=None)]
        }
        taken.update(chosen)
        order = sorted(chosen, key=self._rank)
        return [made for content in order if (made := self._made(chosen[content])) is not None]

    def _read(self, split: str) -> Iterator[Row]:
        opened, missing = 0, ""
        for spec in self.sources:
            try:
                source = open_source(spec, split)
            except UserError as error:
                missing = str(error)
                continue
            opened += 1
            for row in read(source):
                wanted = self.real_images if row["label"] == REAL else self.fakes
                if not wanted or row["source" if row["label"] == REAL else "generator"] in wanted:
                    # Two sources may name their rows alike.
                    yield row | {"id": f"{Path(spec).name}/{row['id']}"}
        if not opened:
            raise UserError(missing)

    def _rank(self, content: str) -> str:
        # Not CRC-32, by which recipes hold images out: the lowest of those would all be held out, or none of them, for
        # the CRCs of one content behind two prefixes differ by a constant.
        return hashlib.sha256(f"{self.seed}/{content}".encode()).hexdigest()

    def _made(self, row: Row) -> Row | None:
        """Return a shard's row; None if its image cannot be decoded."""
        data = row_bytes(row["image"])
        try:
            image = decode_image(data).image
        except ImageError:
            return None
        if self.side is not None:
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            square = image.crop((left, top, left + side, top + side))
            data = _png(square.resize((self.side, self.side), Image.Resampling.BICUBIC))
        return {
            "id": row["id"],
            "image": {"bytes": data, "path": None},
            "label": ID2LABEL[row["label"]],
            "model": row["generator"],
            "source": row["source"],
        }


def split_in_two(rows: Sequence[Row], fraction: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Split rows at random, each class at the same fraction.

    Args:
        rows: At least two of each class.
        fraction: Of the second part, in (0, 1).
        seed: Of the draw.
    """
    first, second = train_test_split(
        list(rows), test_size=fraction, stratify=[row["label"] for row in rows], random_state=seed
    )
    return first, second


def augmented(rows: Sequence[Row], count: int, settings: Sequence[dict[str, Any]], seed: int) -> list[Row]:
    """Return changed copies of rows drawn at random, as further rows.

    Args:
        rows: Of PNG images.
        count: How many copies, at most one a row.
        settings: As a recipe's `augmentation`; each step but the flip is done to every copy.
        seed: Of the draw and of every change.
    """
    steps = Augmentation.from_list([{k: v for k, v in one.items() if k != "p"} for one in settings])
    chosen = np.random.default_rng(seed).permutation(len(rows))[:count]
    copies = []
    for number, index in enumerate(chosen.tolist()):
        image = steps(decode_image(rows[index]["image"]["bytes"]).image, seed + number)
        cell = {"bytes": _png(image), "path": None}
        copies.append(rows[index] | {"id": f"{rows[index]['id']}/augmented", "image": cell})
    return copies


def write_split(folder: Path, split: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Write a split's shards, and return what `about` says of them.

    Args:
        folder: Where to.
        split: Its name.
        rows: In their order.
    """
    for number in range(SHARDS):
        put_rows(folder / f"{split}-{number:05d}-of-{SHARDS:05d}.parquet", list(rows[number::SHARDS]))
    return about(folder, split)


def about(folder: Path, split: str) -> dict[str, Any]:
    """Return what is in a split: counts of real images, of fakes and of each generator, and a hash of the images.

    Args:
        folder: Of parquet shards.
        split: Its name.
    """
    rows = [
        (content_id(row["image"]), row["label"], row["generator"]) for row in read(open_source(str(folder), split))
    ]
    return {
        "real": sum(label == REAL for _, label, _ in rows),
        "fake": sum(label == FAKE for _, label, _ in rows),
        "generators": dict(Counter(generator for _, label, generator in rows if label == FAKE).most_common()),
        "contents": hashlib.sha256("".join(sorted(content for content, _, _ in rows)).encode()).hexdigest()[:16],
    }


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
