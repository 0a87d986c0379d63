"""Small data sets made on the spot."""

import io

import datasets
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from fakelens.models import CustomCNNConfig, CustomCNNForImageClassification, DetectorImageProcessor
from fakelens.training.loop.run import train
from fakelens.training.recipe.recipe import load_recipe
from tests.tiny_data import write_tiny_data


def make_image(seed: int, side: int = 48) -> Image.Image:
    """Smooth noise of a seed's own brightness, so that random weights score images differently."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 120 + 5 * (seed % 25), (6, 6, 3), dtype=np.uint8))
    return coarse.resize((side + seed % 7, side), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind)
    return file.getvalue()


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory):
    """A `test` split of 9 real images and 8 fakes as class folders, with a text file that calls itself a JPEG."""
    root = tmp_path_factory.mktemp("folders")
    for number, (name, kind) in enumerate([("Real", "JPEG")] * 9 + [("FAKE", "PNG")] * 8):
        folder = root / "test" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:02d}.{kind.lower()}").write_bytes(encoded(make_image(number), kind))
    (root / "test" / "Real" / "broken.jpg").write_text("not an image")
    return root


@pytest.fixture(scope="session")
def parquet(tmp_path_factory):
    """`test` and `wild` splits in OpenFake's columns: three generators, two sources, one truncated row in `test`."""
    root = tmp_path_factory.mktemp("parquet")
    for split, seed in (("test", 0), ("wild", 100)):
        models = ["camera"] * 8 + ["alpha"] * 5 + ["beta"] * 3 + ["gamma"]
        rows = [
            {
                "image": {"bytes": encoded(make_image(seed + i)), "path": None},
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


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """Photographs, checkers and stripes that a tiny network learns to tell apart."""
    return write_tiny_data(tmp_path_factory.mktemp("data") / "tiny", {"train": 32, "validation": 12, "test": 24})


def trained(folder, data, **keys):
    """Train a tiny network well enough to be attacked, and return its folder."""
    keys = {
        "architecture": "custom_cnn", "model_options": {"hidden_sizes": [4, 8], "classifier_size": 4},
        "data": str(data), "output_dir": str(folder / "run"), "per_device_train_batch_size": 4, "eval_steps": 48,
        "num_train_epochs": 12, "learning_rate": 0.01, "report_to": "none", "disable_tqdm": True, "use_cpu": True,
    } | keys  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(keys))
    return train(load_recipe(folder / "recipe.yaml"))


@pytest.fixture(scope="session")
def learned(tmp_path_factory, tiny_data):
    """A tiny network that tells the tiny data's real images from fakes; images are resized."""
    return trained(tmp_path_factory.mktemp("learned"), tiny_data, image_size=32, processor_options={"resample": 0})


@pytest.fixture(scope="session")
def learned_crops(tmp_path_factory, tiny_data):
    """Likewise, of four native crops an image."""
    crops = {"do_resize": False, "do_native_crop": True, "crops_per_side": 2}
    return trained(tmp_path_factory.mktemp("crops"), tiny_data, image_size=16, processor_options=crops)


@pytest.fixture(scope="session")
def attributor(tmp_path_factory, learned):
    """`learned` with P(fake) split in two, generators first: a third is ghost's, the rest is checker's."""
    config = CustomCNNConfig.from_pretrained(learned)
    labels = ["checker", "ghost", "real"]
    config.id2label, config.label2id = dict(enumerate(labels)), {name: i for i, name in enumerate(labels)}
    one_unit = CustomCNNForImageClassification.from_pretrained(learned).state_dict()
    weight, bias = one_unit.pop("classifier.weight"), one_unit.pop("classifier.bias")
    fractions = config.logit_temperature * torch.tensor([2 / 3, 1 / 3]).log()
    model = CustomCNNForImageClassification(config)
    model.load_state_dict(
        one_unit
        | {
            "classifier.weight": torch.cat([weight, weight, 0 * weight]),
            "classifier.bias": torch.cat([bias + fractions, 0 * bias]),
        }
    )
    folder = tmp_path_factory.mktemp("attributor") / "makers"
    model.save_pretrained(folder)
    DetectorImageProcessor.from_pretrained(learned).save_pretrained(folder)
    return folder
