"""Small data sets made on the spot."""

import io

import datasets
import numpy as np
import pytest
from PIL import Image


def picture(seed: int, side: int = 48) -> Image.Image:
    """Smooth noise of a seed's own brightness, so that random weights score pictures differently."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 120 + 5 * (seed % 25), (6, 6, 3), dtype=np.uint8))
    return coarse.resize((side + seed % 7, side), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind)
    return file.getvalue()


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory):
    """A `test` split of 9 reals and 8 fakes as class folders, with a text file that calls itself a JPEG."""
    root = tmp_path_factory.mktemp("folders")
    for number, (name, kind) in enumerate([("Real", "JPEG")] * 9 + [("FAKE", "PNG")] * 8):
        folder = root / "test" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:02d}.{kind.lower()}").write_bytes(encoded(picture(number), kind))
    (root / "test" / "Real" / "broken.jpg").write_text("not a picture")
    return root


@pytest.fixture(scope="session")
def parquet(tmp_path_factory):
    """`test` and `wild` splits in OpenFake's columns: three generators, two sources, one truncated row in `test`."""
    root = tmp_path_factory.mktemp("parquet")
    for split, seed in (("test", 0), ("wild", 100)):
        models = ["camera"] * 8 + ["alpha"] * 5 + ["beta"] * 3 + ["gamma"]
        rows = [
            {
                "image": {"bytes": encoded(picture(seed + i)), "path": None},
                "label": "real" if model == "camera" else "fake",
                "model": model,
                "source": "first" if i % 2 else "second",
            }
            for i, model in enumerate(models)
        ]
        if split == "test":
            rows[3]["image"]["bytes"] = rows[3]["image"]["bytes"][:300]
        features = datasets.Features(dict.fromkeys(rows[0], datasets.Value("string")) | {"image": datasets.Image()})
        datasets.Dataset.from_list(rows, features=features).to_parquet(root / f"{split}-00000-of-00001.parquet")
    return root
