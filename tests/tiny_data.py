"""A data set of a few images in OpenFake's columns: two generators, three splits, parquet shards."""

import io
from pathlib import Path

import datasets
import numpy as np
from PIL import Image, ImageFilter

GENERATORS = ("checker", "stripes")


def image(number: int, generator: str | None) -> dict[str, object]:
    """Return a smooth random image as an undecoded cell; a generator lays its own pattern over it."""
    coarse = np.random.default_rng(number).integers(40, 215, (5, 5, 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((40, 40), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1))
    pixels = np.asarray(smooth).astype(int)
    rows, columns = np.indices((40, 40))
    pattern = {None: 0 * rows, "checker": (rows + columns) % 2, "stripes": rows % 2}[generator]
    file = io.BytesIO()
    Image.fromarray((pixels + 40 * pattern[..., None]).clip(0, 255).astype(np.uint8)).save(file, format="PNG")
    return {"bytes": file.getvalue(), "path": None}


def write_tiny_data(folder: Path, counts: dict[str, int] | None = None, shards: int = 2) -> Path:
    """Write `train`, `validation` and `test` as balanced parquet shards, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.Value("string"), "model": datasets.Value("string")}
    )
    for split, count in (counts or {"train": 16, "validation": 12, "test": 12}).items():
        rows = []
        for number in range(count):
            generator = GENERATORS[number // 2 % 2] if number % 2 else None
            label = "fake" if generator else "real"
            rows.append({"image": image(number + 1000 * len(split), generator), "label": label, "model": generator})
        data = datasets.Dataset.from_list(rows, features=features)
        for shard in range(shards):
            data.shard(shards, shard).to_parquet(folder / f"{split}-{shard:05d}-of-{shards:05d}.parquet")
    return folder
