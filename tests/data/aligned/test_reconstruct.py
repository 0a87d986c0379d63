"""Content-aligned fakes: pairs that differ by the autoencoder's trace alone, written shard by shard."""

import hashlib
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from fakelens.data.aligned.autoencoders import Autoencoder, open_autoencoder
from fakelens.data.aligned.reconstruct import Reconstruction, make_pair, original_of, write_pairs
from fakelens.data.aligned.tiny_autoencoder import tiny_decoder, tiny_encoder
from fakelens.data.sources.opening import examples, open_source
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError
from tests.conftest import SCRIPTS

DARKER = Autoencoder("darker", 8, lambda images: images * 0.8)


def make_image(number, size=(70, 52)):
    coarse = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def real_scores(tmp_path):
    """Seven real images, one of them damaged and one too small, and a fake that is none of our business."""
    for number in range(5):
        path = tmp_path / "real_only" / "train" / "real" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        make_image(number).save(path)
    path.with_name("damaged.png").write_bytes(path.read_bytes()[:300])
    make_image(6, (40, 20)).save(path.with_name("small.png"))
    (tmp_path / "real_only" / "train" / "fake").mkdir()
    make_image(7).save(tmp_path / "real_only" / "train" / "fake" / "made.png")
    return str(tmp_path / "real_only")


@pytest.fixture(scope="module")
def tiny_files(tmp_path_factory):
    """A tiny FLUX.2 pair of random weights, stored in half precision as the published files are."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny")
    for name, network in (("encoder", tiny_encoder()), ("decoder", tiny_decoder())):
        save_file({key: tensor.half() for key, tensor in network.state_dict().items()}, folder / f"{name}.safetensors")
    return [str(folder / "encoder.safetensors"), str(folder / "decoder.safetensors")]


def rows_of(shards):
    return [row for shard in shards for row in pq.read_table(shard).to_pylist()]


def test_the_halves_of_a_pair_differ_by_the_autoencoder_alone(real_scores, tmp_path):
    settings = Reconstruction(qualities=(60, 90), shard_images=3)
    done = write_pairs(open_source(real_scores, "train"), DARKER, tmp_path / "out", settings)
    assert done.pairs == 5 and len(done.shards) == 3
    assert done.skipped == {"damaged image": 1, "too small to reconstruct": 1}
    rows = rows_of(done.shards)
    expected = {"id", "image", "prompt", "label", "model", "type", "release_date", "source", "pair"}
    assert set(rows[0]) == expected and len({row["id"] for row in rows}) == 10
    folder = Path(real_scores) / "train" / "real"
    number_of = {hashlib.sha256((folder / f"{n}.png").read_bytes()).hexdigest()[:16]: n for n in range(5)}
    tables = set()
    for real, fake in zip(rows[::2], rows[1::2], strict=True):
        assert real["pair"] == fake["pair"] == original_of(real["id"]) == original_of(fake["id"])
        assert (real["label"], real["model"], fake["label"], fake["model"]) == ("real", "real", "fake", "darker")
        one, other = (Image.open(io.BytesIO(half["image"]["bytes"])) for half in (real, fake))
        assert one.size == other.size == (64, 48) and one.quantization == other.quantization
        tables.add(tuple(one.quantization[0]))
        original = np.asarray(make_image(number_of[real["pair"]]), float)[2:50, 3:67]
        assert np.abs(np.asarray(one, float) - original).mean() < 6
        assert np.abs(np.asarray(other, float) - 0.8 * original).mean() < 6
    assert len(tables) == 2


def test_what_is_written_is_a_source(real_scores, tmp_path):
    write_pairs(open_source(real_scores, "train"), DARKER, tmp_path / "out", limit=4)
    read = list(examples(open_source(str(tmp_path / "out"), "train"), SkipLog()))
    assert {(one.label, one.generator) for one in read} == {(0, "real"), (1, "darker")}


def test_rounds_scales_and_crop():
    image = Image.new("RGB", (200, 100), (200, 100, 50))
    real, fake = make_pair(image, DARKER, rounds=3, scale=0.5, max_side=64)
    assert real.size == fake.size == (64, 48)
    assert fake.getpixel((0, 0)) == tuple(round(level * 0.8**3) for level in real.getpixel((0, 0)))
    sixteen = replace(DARKER, multiple=16)
    assert make_pair(image, sixteen, rounds=1, scale=1.0, max_side=1024)[0].size == (192, 96)


def test_every_scale_gives_a_pair_of_its_own(real_scores, tmp_path):
    done = write_pairs(open_source(real_scores, "train"), DARKER, tmp_path / "out", Reconstruction(scales=(1.0, 0.8)))
    sizes = {
        row["pair"].rpartition("@")[2]: Image.open(io.BytesIO(row["image"]["bytes"])).size
        for row in rows_of(done.shards)
        if "@" in row["pair"]
    }
    assert len({original_of(row["id"]) for row in rows_of(done.shards)}) == 5 and original_of("0/real/5.png") is None
    assert done.pairs == 10 and set(sizes.values()) == {(56, 40)}


def test_several_autoencoders_share_the_images(real_scores, tmp_path):
    lighter = Autoencoder("lighter", 8, lambda images: 1 - 0.8 * (1 - images))
    settings = Reconstruction(scales=(0.7, 1.0), per_image=3)
    source = open_source(real_scores, "train")
    done = write_pairs(source, [DARKER, lighter], tmp_path / "out", settings)
    rows = rows_of(done.shards)
    assert done.pairs == 15 and len({row["id"] for row in rows}) == 30
    by_original = {}
    for row in rows[1::2]:
        by_original.setdefault(original_of(row["id"]), []).append(row)
    assert len(by_original) == 5
    drawn = set()
    for fakes in by_original.values():
        # Each makes one before any makes a second; the order and the scale are the image's own.
        assert {fakes[0]["model"], fakes[1]["model"]} == {"darker", "lighter"}
        scales = [float(row["pair"].partition("@")[2].rpartition("-")[0]) for row in fakes]
        assert all(0.7 <= scale <= 1 for scale in scales)
        drawn |= {*scales}
    assert len(drawn) == 15
    alone = write_pairs(source, [DARKER, lighter], tmp_path / "alone", settings, limit=1)
    assert rows_of(alone.shards) == rows[: len(rows_of(alone.shards))]
    with pytest.raises(UserError, match="--per_image"):
        write_pairs(source, [DARKER, lighter], tmp_path / "unsaid")
    assert not (tmp_path / "unsaid").exists()


def test_a_run_that_was_cut_short_goes_on_and_ends_the_same(real_scores, tmp_path):
    settings = Reconstruction(shard_images=2)
    full = write_pairs(open_source(real_scores, "train"), DARKER, tmp_path / "whole", settings)
    seen = []

    def breaks(images):
        seen.append(len(images))
        if len(seen) == 4:
            raise KeyboardInterrupt
        return DARKER.round_trip(images)

    with pytest.raises(KeyboardInterrupt):
        write_pairs(open_source(real_scores, "train"), replace(DARKER, round_trip=breaks), tmp_path / "cut", settings)
    first = sorted((tmp_path / "cut").glob("*.parquet"))
    assert 0 < len(first) < len(full.shards)
    stamps = [path.stat().st_mtime_ns for path in first]
    again = write_pairs(open_source(real_scores, "train"), DARKER, tmp_path / "cut", settings)
    assert [path.stat().st_mtime_ns for path in first] == stamps and 0 < again.pairs < full.pairs
    assert again.skipped == full.skipped
    assert rows_of(again.shards) == rows_of(full.shards)
    assert not list((tmp_path / "cut").glob(".*"))


def test_other_settings_are_not_mixed_into_a_folder(real_scores, tmp_path):
    source = open_source(real_scores, "train")
    write_pairs(source, DARKER, tmp_path / "out", limit=2)
    note = json.loads((tmp_path / "out" / "train-reconstruct.json").read_text(encoding="utf-8"))
    assert note["autoencoder"] == "darker" and "per_image" not in note  # as folders of earlier versions have it
    with pytest.raises(UserError, match="other settings"):
        write_pairs(source, DARKER, tmp_path / "out", Reconstruction(rounds=2), limit=2)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "train-00000.parquet").write_bytes(b"")
    with pytest.raises(UserError, match="other data"):
        write_pairs(source, DARKER, tmp_path / "foreign", limit=2)


@pytest.mark.parametrize(
    "wrong", [{"rounds": 0}, {"scales": (2.0,)}, {"qualities": (99,)}, {"max_side": 8}, {"per_image": 0}]
)
def test_settings_out_of_range(wrong):
    with pytest.raises(UserError, match="--"):
        Reconstruction(**wrong)


def test_the_tiny_flux_pair_is_loaded_by_its_files(tiny_files):
    autoencoder = open_autoencoder(tiny_files, "cpu")
    images = torch.rand(1, 3, 64, 48)
    torch.manual_seed(0)  # the same random weights, without the way through files
    encoder, decoder = tiny_encoder().half().float(), tiny_decoder().half().float()
    with torch.inference_mode():
        latents = encoder(images)
        assert latents.shape == (1, 32, 8, 6)
        torch.testing.assert_close(autoencoder.round_trip(images), decoder(latents).clamp(0, 1))
    # The published encoder's and decoder's outermost keys, and where the middle blocks are.
    assert {"0.weight", "1.conv.4.bias", "2.weight", "11.pool.3.weight", "14.bias"} <= encoder.state_dict().keys()
    assert {"1.bias", "3.pool.0.weight", "7.weight", "18.conv.0.bias", "19.weight"} <= decoder.state_dict().keys()
    assert not {"2.bias", "9.pool.0.weight", "15.weight"} & encoder.state_dict().keys()


def test_autoencoders_that_are_refused(tiny_files, tmp_path):
    (tmp_path / "encoder.pt").write_bytes(b"pickle")
    for names, words in (
        ([str(tmp_path / "encoder.pt"), tiny_files[1]], "refused"),
        (tiny_files[::-1], "not the encoder"),
        (tiny_files[:1], "Name two"),
        ([*tiny_files, "third"], "not 3"),
        ([str(tmp_path / "none.safetensors"), tiny_files[1]], "none.safetensors"),
    ):
        with pytest.raises(UserError, match=words):
            open_autoencoder(names)
    with pytest.raises(UserError, match="Device 'nonsense'"):
        open_autoencoder(tiny_files, "nonsense")


@pytest.mark.parametrize("kind", ["AutoencoderTiny", "AutoencoderKL"])
def test_diffusers_autoencoders(kind, tmp_path):
    diffusers = pytest.importorskip("diffusers")
    widths = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    blocks = {"num_encoder_blocks": (1, 1), "num_decoder_blocks": (1, 1)}
    options = widths | blocks if kind == "AutoencoderTiny" else {"block_out_channels": (8,), "norm_num_groups": 4}
    torch.manual_seed(0)
    network = getattr(diffusers, kind)(**options).eval()
    network.save_pretrained(tmp_path / "tiny-vae")
    autoencoder = open_autoencoder([str(tmp_path / "tiny-vae")], "cpu")
    assert (autoencoder.name, autoencoder.multiple) == ("tiny-vae", 8)
    images = torch.rand(1, 3, 32, 40)
    with torch.inference_mode():
        expected = (network(images * 2 - 1).sample / 2 + 0.5).clamp(0, 1)
        torch.testing.assert_close(autoencoder.round_trip(images), expected)
    network.save_pretrained(tmp_path / "pickled", safe_serialization=False)
    with pytest.raises(UserError, match="refused"):
        open_autoencoder([str(tmp_path / "pickled")])
    with pytest.raises(UserError, match="No autoencoder at .*nowhere"):
        open_autoencoder([str(tmp_path / "nowhere")])


def test_without_diffusers_the_message_has_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(UserError, match=r"pip install 'fakelens\[reconstruct\]'"):
        open_autoencoder([str(tmp_path)])


def test_a_split_without_real_images(real_scores, tmp_path):
    source = open_source(real_scores, "train")
    fakes = replace(source, stream=source.stream.filter(lambda label: label == 1, input_columns=["label"]))
    with pytest.raises(UserError, match="no real images"):
        write_pairs(fakes, DARKER, tmp_path / "out")


def test_the_script(real_scores, tiny_files, tmp_path):
    command = [sys.executable, SCRIPTS / "reconstruct.py", "--data", real_scores, "--autoencoder", *tiny_files]
    options = ["--output", tmp_path / "pairs", "--name", "tiny", "--limit", "3", "--quality", "80"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    made = int(done.stdout.split(" pairs made by tiny")[0].split()[-1])
    assert made == len(list(examples(open_source(str(tmp_path / "pairs"), "train"), SkipLog()))) // 2 > 0
