"""The flagship's experiments at tiny size: each way of drawing crops gives its row, and what cannot be is refused."""

import json
import subprocess

import pytest
import timm
from safetensors.torch import save_file

from fakelens.data.aligned.autoencoders import Autoencoder
from fakelens.data.aligned.reconstruct import Reconstruction, write_pairs
from fakelens.data.sources.opening import open_source
from fakelens.errors import UserError
from tests.conftest import SCRIPTS, load_script
from tests.tiny_data import write_tiny_data


@pytest.fixture(scope="module")
def flagship():
    folder = SCRIPTS.parent / "benchmarks"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)  # as Python does for `python benchmarks/flagship.py`
        yield load_script("flagship", folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("flagship")
    data = write_tiny_data(root / "data", {"train": 12, "validation": 8, "test": 8})
    write_pairs(open_source(str(data), "train"), Autoencoder("negative", 8, lambda p: 1 - p), root / "pairs",
                Reconstruction(shard_images=4))  # fmt: skip
    save_file(timm.create_model("tf_efficientnet_lite0").state_dict(), root / "lite0.safetensors")
    return {"data": str(data), "pairs": [str(root / "pairs")], "weights": str(root / "lite0.safetensors")}


def test_every_way_of_drawing_crops_gives_a_row(flagship, folders, tmp_path, capsys):
    ideas = ["aligned_apart", "aligned_softened", "half_matched", "half_weighted", "half_spectrum_top",
             "half_spectrum_unbalanced", "half_spectrum_crossed"]  # fmt: skip
    log = tmp_path / "log.jsonl"
    flagship.main(flagship.FlagshipArguments(ideas=ideas, steps=2, batch=4, output=str(log), **folders))
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert (
        [row["idea"] for row in rows] == ideas == [json.loads(x)["idea"] for x in capsys.readouterr().out.splitlines()]
    )
    assert all(row["pairs"] == 6 and 0 <= row[s]["auroc"] <= 1 for row in rows for s in ("validation", "test"))
    assert {"auroc", "macro raw", "macro crossed"} < rows[0]["test"].keys()


def test_generators_left_out_are_scored_and_not_trained_on(flagship, folders, tmp_path, monkeypatch):
    seen = []
    batches = flagship.Batches
    monkeypatch.setattr(
        flagship, "Batches", lambda idea, train, *rest: seen.append(train) or batches(idea, train, *rest)
    )
    everything = flagship.images(folders["data"], "train")
    first, *others = sorted({row["generator"] for row in everything if row["label"]})
    assert others  # something is left to train on
    log = tmp_path / "log.jsonl"
    flagship.main(flagship.FlagshipArguments(ideas=["half_spectrum"], steps=2, batch=4, leave_out=[first],
                                             output=str(log), **folders))  # fmt: skip
    row = json.loads(log.read_text())
    assert {"macro raw", "macro halved", "macro crossed"} < row["left out"].keys()
    assert first not in {row["generator"] for row in seen[0]} and {*others} < {row["generator"] for row in seen[0]}
    with pytest.raises(UserError, match="--leave_out nothing"):
        flagship.main(flagship.FlagshipArguments(ideas=["half"], leave_out=["nothing"], **folders))


def test_crossed_is_below_half_where_softness_is_taken_for_a_trace(flagship):
    """A detector that scores softness alone: halved real images look softer to it than fakes do."""
    import numpy as np
    import torch

    class Soft(torch.nn.Module):
        def forward(self, pixels):
            rough = pixels.diff(dim=-1).abs().mean(dim=(1, 2, 3))
            return type("Output", (), {"logits": torch.stack([rough, torch.zeros_like(rough)], dim=1)})

    rng = np.random.default_rng(0)
    rows = []
    for number in range(24):
        label = number % 2
        pixels = 90 + rng.integers(0, 60 - 15 * label, (280, 280, 3), dtype=np.uint8)
        rows.append({"pixels": pixels, "label": label, "source": "s", "generator": "g"})
    found = flagship.predict(Soft(), rows)
    assert found["auroc"] > 0.9 and found["macro raw"] > 0.9
    assert found["macro crossed"] < 0.1


def test_crops_alike_are_alike_in_texture(flagship):
    import numpy as np
    from flagship_ideas import Idea

    smooth = [{"pixels": np.full((96, 96, 3), 20 * n, np.uint8), "label": n % 2} for n in range(8)]
    noise = np.random.default_rng(0)
    rough = [{"pixels": noise.integers(0, 255, (96, 96, 3), dtype=np.uint8), "label": n % 2} for n in range(8)]
    rows = [row | {"source": str(row["label"]), "generator": "g"} for row in smooth + rough]
    idea = Idea(pairs=0.0, degradations=(), matched=4)
    crops, labels = next(iter(flagship.Batches(idea, rows, [], 8, 0)))
    assert labels.tolist() == [0, 1] * 4  # nothing is mixed
    spread = crops.std(axis=(1, 2, 3))
    assert all((spread[i] > 30) == (spread[i + 1] > 30) for i in range(0, 8, 2))


def test_labels_of_mixed_crops_say_how_much_is_fake(flagship):
    import numpy as np
    from flagship_ideas import Idea

    real, fake = np.zeros((96, 96, 3), np.uint8), np.full((96, 96, 3), 255, np.uint8)
    rows = [
        {"pixels": half, "label": label, "source": "s", "generator": "g"} for label, half in enumerate((real, fake))
    ]
    for idea in (Idea(degradations=(), mixed=1.0), Idea(pairs=0.5, degradations=(), crossed=1.0)):
        crops, labels = next(iter(flagship.Batches(idea, rows, [(real, fake)], 16, 0)))
        np.testing.assert_allclose(crops.mean(axis=(1, 2, 3)) / 255, labels, atol=1e-6)
        assert any(0.2 < label < 0.95 for label in labels)
    within = next(iter(flagship.Batches(Idea(degradations=(), mixed=1.0), rows, [(real, fake)], 16, 0)))[1]
    assert not within[::2].any() and (within[1::2] < 1).all()  # a real half stays what it is


def test_sources_are_drawn_alike_unless_told_otherwise(flagship):
    import numpy as np
    from flagship_ideas import Idea

    few, many = np.zeros((96, 96, 3), np.uint8), np.full((96, 96, 3), 255, np.uint8)
    rows = [{"pixels": many, "label": 0, "source": "many", "generator": "g"}] * 63
    rows += [{"pixels": few, "label": 0, "source": "few", "generator": "g"}]
    rows += [{"pixels": few, "label": 1, "source": "s", "generator": "g"}]
    fractions = []
    for balanced in (True, False):
        crops, _ = next(iter(flagship.Batches(Idea(pairs=0.0, degradations=(), balanced=balanced), rows, [], 128, 0)))
        fractions.append((crops[::2].mean(axis=(1, 2, 3)) < 128).mean())
    assert fractions[0] == pytest.approx(0.5, abs=0.2) and fractions[1] < 0.15


def test_the_highest_patches_make_the_logit(flagship):
    import flagship_training as training
    import torch

    network = type("Network", (torch.nn.Module,), {"units": lambda self, pixels: pixels[:, :1]})()
    pixels = torch.arange(16.0).reshape(1, 1, 4, 4).expand(2, 3, 4, 4)
    assert training.TopPatches(network, 0.25)(pixels).logits.tolist() == [[0, 13.5]] * 2


def test_weights_are_small_where_texture_gives_the_class_away(flagship):
    import flagship_training as training
    import numpy as np

    noise = np.random.default_rng(0)
    crops = np.full((64, 16, 16, 3), 100, np.uint8)
    crops[1::2] = noise.integers(0, 255, (32, 16, 16, 3))
    crops[0] = crops[1]  # a real image that looks like the fakes
    labels, overlap = np.tile([0.0, 1.0], 32), training.Overlap()
    weights = overlap(crops, labels)
    assert weights.mean() == pytest.approx(1) and weights[0] > 5 * np.median(weights)


def test_what_cannot_be_is_refused(flagship, folders):
    with pytest.raises(UserError, match="no idea 'magic'"):
        flagship.main(flagship.FlagshipArguments(ideas=["magic"], **folders))
    with pytest.raises(UserError, match="need --pairs"):
        flagship.main(flagship.FlagshipArguments(ideas=["aligned"], **folders | {"pairs": []}))


def test_make_bench_leaves_it_out_for_it_wants_data():
    shown = subprocess.run(["make", "-n", "bench"], cwd=SCRIPTS.parent, capture_output=True, text=True, check=True)
    assert "benchmarks/training.py" in shown.stdout and "benchmarks/flagship" not in shown.stdout
