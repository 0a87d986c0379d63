"""Small autoencoders: every kind draws images, learns in a few steps, and is the same each time."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

from fakelens.cli.verbs.data import reconstruct as reconstruct_verb
from fakelens.data.aligned.reconstruct import original_of
from fakelens.data.aligned.small_autoencoders import (
    KINDS,
    SmallNetwork,
    as_autoencoder,
    reconstruction_loss,
    train_autoencoder,
)
from fakelens.data.aligned.small_collection import SCALES, open_small, small_kinds, training_images
from fakelens.data.sources.opening import open_source
from fakelens.errors import UserError

NOISY, SHUFFLE = "small-1-nearest-noisy", "small-1-shuffle"


def make_image(number, size=(96, 80)):
    coarse = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def real_scores(tmp_path_factory):
    """Six real images, one too small to train on, one damaged."""
    folder = tmp_path_factory.mktemp("real_only") / "train"
    for name, size in zip("abcd", ((96, 80), (160, 120), (64, 64), (90, 200)), strict=True):
        (folder / "real").mkdir(parents=True, exist_ok=True)
        Image.fromarray(make_image(ord(name), size)).save(folder / "real" / f"{name}.png")
    Image.fromarray(make_image(4, (63, 90))).save(folder / "real" / "narrow.png")
    (folder / "real" / "damaged.png").write_bytes((folder / "real" / "a.png").read_bytes()[:300])
    (folder / "fake").mkdir()
    Image.fromarray(make_image(5)).save(folder / "fake" / "made.png")
    return str(folder.parent)


def test_every_kind_keeps_the_size_and_differs_from_the_others():
    assert len(KINDS) == 17 and len({replace(kind, name="") for kind in KINDS.values()}) == 17
    images = torch.rand(1, 3, 40, 64)
    for kind in KINDS.values():
        torch.manual_seed(0)
        network = SmallNetwork(kind)
        output = network(images)
        assert output.shape == images.shape
        reconstruction_loss(output, images).backward()  # also through the rounding
        assert all(weights.grad.abs().sum() > 0 for weights in network.parameters())


def test_quantised_latents_are_few_and_noise_is_of_the_image():
    quantised = SmallNetwork(KINDS["small-1-transposed3-quantised"])
    latents = []
    quantised.decoder.register_forward_pre_hook(lambda _, inputs: latents.append(inputs[0]))
    with torch.inference_mode():
        quantised(torch.rand(1, 3, 32, 32))
    assert set(latents[0].unique().tolist()) <= {-3, -2, -1, 0, 1, 2, 3}
    noisy = as_autoencoder(SmallNetwork(KINDS[NOISY]).requires_grad_(False))
    images = torch.rand(1, 3, 32, 32)
    before = torch.random.get_rng_state()
    assert torch.equal(noisy.round_trip(images), noisy.round_trip(images))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.equal(noisy.round_trip(images), noisy.round_trip(images + 1e-6))


def test_training_draws_better_than_blur_and_is_the_same_each_time():
    name = "small-super-shuffle"
    images = [make_image(number) for number in range(4)]
    unseen = torch.from_numpy(make_image(9)).permute(2, 0, 1)[None].float() / 255
    flat = unseen.mean(dim=(2, 3), keepdim=True).expand_as(unseen)
    halved = F.interpolate(unseen, scale_factor=0.5, mode="bicubic", antialias=True)
    enlarged = F.interpolate(halved, scale_factor=2, mode="bicubic")
    trained = train_autoencoder(KINDS[name], images, steps=45, seed=0, device="cpu")
    with torch.inference_mode():
        loss = reconstruction_loss(trained(unseen), unseen)
    early = train_autoencoder(KINDS[name], images, steps=2, seed=0, device="cpu")
    with torch.inference_mode():
        assert loss < 0.5 * reconstruction_loss(early(unseen), unseen)
    # A super-resolver starts from that enlargement: what it is better by, it has learnt.
    assert loss < reconstruction_loss(flat, unseen) / 4 and loss < reconstruction_loss(enlarged, unseen)
    state = early.state_dict()
    again = train_autoencoder(KINDS[name], images, steps=2, seed=0, device="cpu").state_dict()
    assert all(torch.equal(state[key], again[key]) for key in state)
    other = train_autoencoder(KINDS[name], images, steps=2, seed=1, device="cpu").state_dict()
    assert any(not torch.equal(state[key], other[key]) for key in state)


def test_what_they_learn_from(real_scores):
    source = open_source(real_scores, "train")
    images = training_images(source, seed=0)
    assert len(images) == 4 and all(min(one.shape[:2]) >= 64 for one in images)
    largest = max(images, key=lambda one: one.shape[0])  # of 90 by 200, brought to 64 or more
    assert 64 <= largest.shape[1] <= 90 * SCALES[1] + 1
    assert abs(largest.shape[0] / largest.shape[1] - 200 / 90) < 0.03
    with pytest.raises(UserError, match="no real images of 64 pixels"):
        training_images(replace(source, stream=source.stream.take(0)), seed=0)


def test_names():
    assert small_kinds("USER/NAME") is None and small_kinds("smaller") is None
    assert [kind.name for kind in small_kinds("small")] == list(KINDS)
    assert [kind.name for kind in small_kinds(f"small:{NOISY},{SHUFFLE}")] == [NOISY, SHUFFLE]
    for name in ("small:", "small:nonsense", f"small:{NOISY},"):
        with pytest.raises(UserError, match="There are small-1-transposed4, .*small-super-transposed4"):
            small_kinds(name)
    with pytest.raises(UserError, match="twice"):
        small_kinds(f"small:{NOISY},{NOISY}")


def test_kept_autoencoders_are_used_again(real_scores, tmp_path):
    source = open_source(real_scores, "train")
    kinds = small_kinds(f"small:{NOISY},{SHUFFLE}")
    images = torch.rand(1, 3, 32, 32)

    def opened(kinds, seed=3, steps=2):
        makers = open_small(kinds, source, tmp_path, seed, steps, limit=None, device="cpu")
        return {maker.name: maker.round_trip(images) for maker in makers}

    one = opened(kinds[:1])
    kept = tmp_path / "autoencoders" / f"{NOISY}.safetensors"
    stamp = kept.stat().st_mtime_ns
    both = opened(kinds)  # the run that was cut short after the first goes on
    assert kept.stat().st_mtime_ns == stamp and list(both) == [NOISY, SHUFFLE]
    assert torch.equal(one[NOISY], both[NOISY])
    (tmp_path / "autoencoders" / f"{SHUFFLE}.safetensors").unlink()
    assert torch.equal(opened(kinds[1:])[SHUFFLE], both[SHUFFLE])  # whatever was trained before it
    for other in ({"seed": 4}, {"steps": 3}):
        with pytest.raises(UserError, match="trained with other settings"):
            opened(kinds, **other)
    kept.write_bytes(b"damaged")
    with pytest.raises(UserError, match="damaged"):
        opened(kinds)
    with pytest.raises(UserError, match="--training_steps"):
        opened(kinds, steps=0)


def test_the_script_makes_pairs_and_goes_on_with_the_same_autoencoders(real_scores, tmp_path, capsys):
    script = reconstruct_verb
    arguments = script.ReconstructArguments(
        data=real_scores,
        autoencoder=[f"small:{NOISY},{SHUFFLE}"],
        output=str(tmp_path / "pairs"),
        per_image=3,
        scales=[0.9, 0.6],
        training_steps=2,
        quality=[95],
        shard_images=3,
        device="cpu",
    )
    script.main(arguments)
    said = capsys.readouterr().out
    assert "15 pairs made by 2 small autoencoders" in said and "1 damaged image" in said
    shards = sorted((tmp_path / "pairs").glob("*.parquet"))
    before = {shard: shard.read_bytes() for shard in shards}
    rows = [row for shard in shards for row in pq.read_table(shard).to_pylist()]
    assert len({row["id"] for row in rows}) == 30 and len({original_of(row["id"]) for row in rows}) == 5
    assert {row["model"] for row in rows} == {"real", NOISY, SHUFFLE}
    for original in {original_of(row["id"]) for row in rows}:
        fakes = [row for row in rows if row["label"] == "fake" and original_of(row["id"]) == original]
        assert len(fakes) == 3 and {row["model"] for row in fakes} == {NOISY, SHUFFLE}
    note = json.loads((tmp_path / "pairs" / "train-reconstruct.json").read_text(encoding="utf-8"))
    assert note["autoencoder"] == [NOISY, SHUFFLE] and note["scales"] == [0.9, 0.6] and note["per_image"] == 3
    assert set(load_file(tmp_path / "pairs" / "autoencoders" / f"{SHUFFLE}.safetensors"))
    assert open_source(str(tmp_path / "pairs"), "train").rows == 30  # the weights beside the shards are no data
    shards[-1].unlink()
    stamps = [path.stat().st_mtime_ns for path in (tmp_path / "pairs" / "autoencoders").iterdir()]
    script.main(arguments)
    assert {shard: shard.read_bytes() for shard in shards} == before
    assert stamps == [path.stat().st_mtime_ns for path in (tmp_path / "pairs" / "autoencoders").iterdir()]
    for wrong, words in (({"seed": 7}, "other settings"), ({"name": "mine"}, "--name"), ({"per_image": 0}, "--per_")):
        with pytest.raises(UserError, match=words):
            script.main(replace(arguments, **wrong))
    script.main(replace(arguments, output=str(tmp_path / "one"), limit=1, per_image=None, scales=None))
    assert "4 pairs" in capsys.readouterr().out.splitlines()[-1]
    assert json.loads((tmp_path / "one" / "train-reconstruct.json").read_text())["scales"] == [0.4, 0.95]
