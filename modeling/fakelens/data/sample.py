"""The embedded sample: photographs that come with our dependencies, and content-aligned fakes made from them.

For machines without a network, and for tests. The real images are 64-pixel crops of public-domain and CC0 photographs
that scikit-learn and scikit-image ship; each fake is the same crop after a small convolutional autoencoder that is
trained here for a few seconds, so that nothing but the generator's trace separates the classes. Splits share no
photograph. A detector trained on it has learnt that one autoencoder: it is of no use on other images.
"""

import io
import os
import tempfile
from pathlib import Path

import datasets
import numpy as np
import skimage.data
import sklearn.datasets
import torch
from PIL import Image, ImageFilter
from torch import nn
from tqdm import tqdm

from fakelens.errors import UserError

DESCRIPTION = (
    "embedded demonstration sample (crops of a few photographs and one small autoencoder's reconstructions of them); "
    "of no use for scoring other images"
)
GENERATOR = "sample-autoencoder"
VERSION = 1  # part of the cache's name: raise it when anything below changes what is made
SIDE = 64  # pixels
CROPS = {"train": 72, "validation": 48, "test": 36}  # at most, of one photograph
SHARDS = {"train": 4, "validation": 1, "test": 1}
SOFTNESS = (0.0, 0.7, 1.4)  # pixels, radius of a Gaussian blur, crop by crop in turn
STEPS = 600  # of training the autoencoder


def make_sample(folder: Path | None = None) -> Path:
    """Return the sample's folder of parquet shards, making it first (under a minute) if it is not there.

    Args:
        folder: Where to keep it; defaults to `$FAKELENS_CACHE` or `~/.cache/fakelens`, by version.

    Returns:
        A folder of `{split}-00000-of-0000N.parquet` in OpenFake's columns, with `id`, `pair` and `source` beside them.

    Raises:
        UserError: If it is not there and cannot be written.
    """
    if folder is None:
        folder = _cache() / f"sample-v{VERSION}"
    if not folder.exists():
        _check_writable(folder.parent)
        # Made beside its place and moved there whole: a run that is killed leaves no half sample behind.
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            made = Path(work) / "sample"
            _write(made)
            try:
                made.rename(folder)
            except OSError:
                if not folder.exists():  # else another process was quicker, and made the same
                    raise
    return folder


def _cache() -> Path:
    try:
        return Path(os.environ.get("FAKELENS_CACHE", "~/.cache/fakelens")).expanduser()
    except RuntimeError:
        raise UserError(
            "There is no home folder to keep the sample in. Name a folder for it in the variable FAKELENS_CACHE."
        ) from None


def _check_writable(folder: Path) -> None:
    """Make a folder, and see that files can be written there: a home may be read-only."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(
            f"The sample cannot be written to {folder}: {error.strerror}. Name another folder for it in the variable "
            "FAKELENS_CACHE."
        ) from None


def photographs() -> dict[str, dict[str, np.ndarray]]:
    """Return the photographs of each split by name, as `(height, width, 3)` arrays of bytes."""
    china, flower = sklearn.datasets.load_sample_images().images
    return {
        "train": {
            "china": china,
            "flower": flower,
            "chelsea": skimage.data.chelsea(),
            "motorcycle": skimage.data.stereo_motorcycle()[0],
        },
        "validation": {"coffee": skimage.data.coffee()},
        "test": {"astronaut": skimage.data.astronaut(), "rocket": skimage.data.rocket()},
    }


def crops(photograph: np.ndarray, at_most: int) -> np.ndarray:
    """Cut a photograph into a grid of `(count, 64, 64, 3)` crops, evenly thinned to `at_most`, flat sky left out."""
    rows, columns = (n // SIDE for n in photograph.shape[:2])
    grid = photograph[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE, 3).swapaxes(1, 2)
    tiles = grid.reshape(-1, SIDE, SIDE, 3)
    tiles = tiles[tiles.std(axis=(1, 2, 3)) > 12]  # intensity levels; a flat tile shows no generator's trace
    chosen = tiles[np.linspace(0, len(tiles) - 1, min(at_most, len(tiles))).round().astype(int)]
    # Photographs differ in sharpness, and a reconstruction is softer than its original: without soft real images, a
    # detector learns to predict fake for blur.
    blurs = [SOFTNESS[number % len(SOFTNESS)] for number in range(len(chosen))]
    soft = [Image.fromarray(t).filter(ImageFilter.GaussianBlur(b)) for t, b in zip(chosen, blurs, strict=True)]
    return np.stack([np.asarray(tile) for tile in soft])


class Autoencoder(nn.Module):
    """Four times down and up again by strided and transposed convolutions, with 16 channels between."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 16, 4, stride=2, padding=1),
            nn.ConvTranspose2d(16, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 3, 4, stride=2, padding=1),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Reconstruct images of shape `(batch_size, 3, height, width)` in [0, 1], sides multiples of 4."""
        return self.layers(images)


def train_autoencoder(images: torch.Tensor) -> Autoencoder:
    """Train the generator on images of shape `(count, 3, 64, 64)` in [0, 1]; the same weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Autoencoder()
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        for _ in tqdm(range(STEPS), desc="making the embedded sample", unit="step", leave=False):
            batch = images[torch.randint(len(images), (24,))]
            loss = nn.functional.mse_loss(model(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


def _write(folder: Path) -> None:
    real_images = {
        split: {name: crops(photograph, CROPS[split]) for name, photograph in named.items()}
        for split, named in photographs().items()
    }
    autoencoder = train_autoencoder(_tensor(np.concatenate(list(real_images["train"].values()))))
    folder.mkdir()
    for split, named in real_images.items():
        rows = []
        for name, tiles in named.items():
            with torch.inference_mode():
                output = autoencoder(_tensor(tiles)).clamp(0, 1).mul(255).round().byte()
            fakes = output.permute(0, 2, 3, 1).numpy()
            for number, (real, fake) in enumerate(zip(tiles, fakes, strict=True)):
                pair = f"{name}-{number:03d}"
                quality = 75 + 5 * (number % 5)  # the same for both halves of a pair
                rows.append(_row(pair, "real", real, quality, name))
                rows.append(_row(pair, "fake", fake, quality, name))
        order = np.random.default_rng(0).permutation(len(rows))
        features = datasets.Features(dict.fromkeys(rows[0], datasets.Value("string")) | {"image": datasets.Image()})
        data = datasets.Dataset.from_list([rows[i] for i in order], features=features)
        for shard in range(SHARDS[split]):
            path = folder / f"{split}-{shard:05d}-of-{SHARDS[split]:05d}.parquet"
            data.shard(SHARDS[split], shard).to_parquet(path, batch_size=16)


def _tensor(tiles: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(tiles)).permute(0, 3, 1, 2).float() / 255


def _row(pair: str, label: str, pixels: np.ndarray, quality: int, photograph: str) -> dict[str, object]:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=quality)
    return {
        "id": f"{pair}-{label}",
        "image": {"bytes": file.getvalue(), "path": f"{pair}-{label}.jpg"},
        "prompt": "",
        "label": label,
        "model": GENERATOR if label == "fake" else "real",
        "type": label if label == "real" else "reconstruction",
        "release_date": "",
        "pair": pair,
        "source": photograph,
    }
