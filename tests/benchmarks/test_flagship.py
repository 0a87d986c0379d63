"""The flagship's training from a bundle, at tiny size on the CPU: packed, trained, resumed, scored, refused."""

import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from fakelens.data.aligned.autoencoders import Autoencoder
from fakelens.data.aligned.reconstruct import Reconstruction, write_pairs
from fakelens.data.sources.opening import open_source
from fakelens.data.transforms.spectra import Spectrum
from fakelens.errors import UserError
from tests.conftest import SCRIPTS, load_script
from tests.tiny_data import write_tiny_data

FOLDER = SCRIPTS.parent / "benchmarks" / "flagship"


@pytest.fixture(scope="module")
def modules():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)  # as Python does for `python benchmarks/flagship/train.py`
        import bundle
        import crops
        import degradations
        import folds
        import pairs
        import scoring
        import train

        yield {
            "bundle": bundle,
            "crops": crops,
            "degradations": degradations,
            "pairs": pairs,
            "scoring": scoring,
            "train": train,
            "folds": folds,
        }
        for name in ("bundle", "crops", "degradations", "folds", "pairs", "scoring", "train"):
            sys.modules.pop(name)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("flagship")
    data = write_tiny_data(root / "data", {"train": 24, "validation": 40})
    write_pairs(open_source(str(data), "train"), Autoencoder("negative", 8, lambda p: 1 - p), root / "pairs",
                Reconstruction(shard_images=4))  # fmt: skip
    save_file(timm.create_model("tf_efficientnet_lite0").state_dict(), root / "first.safetensors")
    return {"data": [str(data)], "pairs": [str(root / "pairs")], "weights": str(root / "first.safetensors")}


@pytest.fixture(scope="module")
def packed(modules, inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed") / "bundle"
    modules["bundle"].main(modules["bundle"].BundleArguments(output=str(folder), **inputs))
    return folder


def train(modules, packed, output, **options):
    arguments = {"steps": 3, "batch": 8, "device": "cpu"} | options
    return modules["train"].main(modules["train"].TrainArguments(bundle=str(packed), output=str(output), **arguments))


@pytest.fixture
def photograph():
    from skimage import data

    return data.astronaut()[100:260, 100:260]


def as_batch(pixels):
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()


def as_pixels(batch):
    return batch[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("quality", [30, 50, 75, 90, 98])
@pytest.mark.parametrize("halved", [False, True])
def test_jpeg_is_pillows_within_a_level(modules, photograph, quality, halved):
    file = io.BytesIO()
    Image.fromarray(photograph).save(file, "JPEG", quality=quality, subsampling=2 if halved else 0)
    expected = np.asarray(Image.open(file)).astype(float)
    found = modules["degradations"].jpeg(as_batch(photograph), torch.tensor([quality * 1.0]), torch.tensor([halved]))
    assert np.abs(as_pixels(found) - expected).mean() < 0.8
    # Far nearer to Pillow's than the photograph itself is.
    assert np.abs(as_pixels(found) - expected).mean() < 0.65 * np.abs(photograph - expected).mean()


@pytest.mark.parametrize("slope", [1.6, 3.0, 4.5])
def test_spectra_are_the_recipes_within_a_level(modules, photograph, slope):
    """Away from the border, which the two mirror each in its own way."""
    expected = np.asarray(Spectrum((slope, slope))(Image.fromarray(photograph), np.random.default_rng(0))).astype(
        float
    )
    found = as_pixels(modules["degradations"].spectrum(as_batch(photograph), torch.tensor([slope])))
    apart, inside = np.abs(found - expected), slice(16, -16)
    assert apart[inside, inside].mean() < 0.7 and apart.mean() < 0.2 * np.abs(expected - photograph).mean()


def test_scaling_is_pillows_within_a_level(modules, photograph):
    expected = np.asarray(Image.fromarray(photograph).resize((80, 80), Image.Resampling.BICUBIC)).astype(float)
    found = as_pixels(modules["degradations"].resize(as_batch(photograph), 80))
    assert np.abs(found - expected).mean() < 0.3 and np.abs(found - expected).max() <= 3


def test_noise_has_the_standard_deviation_asked_for(modules):
    grey = torch.full((2, 3, 64, 64), 128.0)
    noisy = modules["degradations"].noise(grey, torch.tensor([0.0, 0.04]), torch.Generator().manual_seed(0))
    assert (noisy[0] == 128).all() and noisy[1].std().item() == pytest.approx(0.04 * 255, rel=0.05)


def test_windows_are_cut_where_the_image_is_and_mirrored_beyond_it(modules):
    rows = [{"pixels": np.arange(40 * 50 * 3, dtype=np.uint8).reshape(40, 50, 3)}]
    images = modules["crops"].Images(rows, torch.device("cpu"))
    inside = images.windows(torch.tensor([0]), 16, torch.tensor([[0.999, 0.0, 0.9]]))[0]
    assert (inside.permute(1, 2, 0).numpy() == rows[0]["pixels"][24:40, :16]).all()
    flipped = images.windows(torch.tensor([0]), 16, torch.tensor([[0.999, 0.0, 0.1]]))[0]
    assert (flipped == inside.flip(2)).all()
    beyond = images.windows(torch.tensor([0]), 80, torch.tensor([[0.5, 0.5, 0.9]]))[0]
    assert (beyond[:, 40:].flip(1) == beyond[:, :40]).all()


def test_collections_are_drawn_in_the_fractions_asked_for(modules):
    rows = [{"label": 0, "source": "camera-a", "generator": "real"}] * 30
    rows += [{"label": 0, "source": "web", "generator": "real"}] * 5 + [
        {"label": 0, "source": "old", "generator": "real"}
    ] * 5
    rows += [{"label": 1, "source": "s", "generator": "g"}]
    draw = modules["crops"].Draw(real_fractions={"camera-*": 0.5, "old": 0.1})
    found = modules["crops"].weights(rows, 0, draw)
    assert found.sum() == pytest.approx(1) and found[-1] == 0
    assert [found[:30].sum(), found[30:35].sum(), found[35:40].sum()] == pytest.approx([0.5, 0.4, 0.1])


def test_a_batch_is_half_real_and_seeded(modules, packed):
    bundle = modules["bundle"].read_bundle(packed)
    drawn = []
    for seed in (1, 1, 2):
        images, pairs = (modules["crops"].Images(rows, torch.device("cpu")) for rows in (bundle.train, bundle.pairs))
        drawn.append(modules["crops"].Batches(images, [pairs], modules["crops"].Draw(pairs=0.5), seed).batch(16))
    pixels, targets = drawn[0]
    assert pixels.shape == (16, 3, 64, 64) and targets.tolist() == [[1, 0], [0, 1]] * 8
    assert pixels.min() >= -1 and pixels.max() <= 1
    assert torch.equal(pixels, drawn[1][0]) and not torch.equal(pixels, drawn[2][0])


def test_mixed_crops_show_as_much_of_their_neighbour_as_their_targets_say(modules):
    rows = [{"pixels": np.full((90, 90, 3), 255 * label, np.uint8), "label": label} for label in (0, 1)]
    rows = [row | {"source": "s", "generator": "g"} for row in rows]
    draw = modules["crops"].Draw(real_fractions={}, resize=0, spectrum=0, noise=0, jpeg=0, hard=0, cutmix=0.5)
    images = modules["crops"].Images(rows, torch.device("cpu"))
    pixels, targets = modules["crops"].Batches(images, [], draw, 1).batch(64)
    assert (pixels > 0).float().mean((1, 2, 3)).tolist() == pytest.approx(targets[:, 1].tolist(), abs=1e-6)
    assert targets.sum(1).tolist() == pytest.approx([1] * 64)
    assert 16 < ((targets > 0) & (targets < 1)).all(1).sum() < 48  # half of them, and none wholly


def test_crops_are_as_large_as_asked_for(modules, packed):
    images = modules["crops"].Images(modules["bundle"].read_bundle(packed).train, torch.device("cpu"))
    pixels, _ = modules["crops"].Batches(images, [], modules["crops"].drawing('{"crop": 96}'), 1).batch(16, 16)
    assert pixels.shape == (16, 3, 96, 96)
    with pytest.raises(UserError, match="multiple of 16"):
        modules["crops"].drawing('{"crop": 100}')


def test_a_part_of_the_images_is_drawn_from_alone(modules):
    levels = (10, 60, 110, 160)
    rows = [{"pixels": np.full((90, 90, 3), level, np.uint8), "label": n % 2, "source": "s", "generator": "g"}
            for n, level in enumerate(levels)]  # fmt: skip
    part = modules["crops"].Images(rows, torch.device("cpu")).part([2, 3])
    draw = modules["crops"].Draw(real_fractions={}, resize=0, spectrum=0, noise=0, jpeg=0, hard=0)
    pixels, targets = modules["crops"].Batches(part, [], draw, 1).batch(16)
    found = ((pixels.mean((1, 2, 3)) + 1) * 127.5).round().tolist()
    assert found == [110 if target[0] else 160 for target in targets.tolist()]


def test_pairs_are_made_of_real_images_by_the_autoencoder(modules, packed):
    bundle = modules["bundle"].read_bundle(packed)
    images = modules["crops"].Images(bundle.train, torch.device("cpu"))
    made = modules["pairs"].make(images, Autoencoder("negative", 8, lambda p: 1 - p), 2, 1)
    real = [row["source"] for row in images.rows if row["label"] == 0]
    assert len(made) == 4 * len(real) and [row["label"] for row in made.rows] == [0, 1] * 2 * len(real)
    assert [row["source"] for row in made.rows[::2]] == real * 2
    assert (made.pixels[::2] == 255 - made.pixels[1::2]).all() and made.pixels.float().std() > 10
    assert len(modules["pairs"].make(images, None, 2, 1)) == 0


def test_an_autoencoder_travels_in_the_bundle_and_its_pairs_are_trained_on(modules, inputs, tmp_path):
    from fakelens.data.aligned.tiny_autoencoder import tiny_decoder, tiny_encoder

    torch.manual_seed(0)
    for name, network in (("encoder", tiny_encoder()), ("decoder", tiny_decoder())):
        save_file(network.half().state_dict(), tmp_path / f"{name}.safetensors")
    files = [str(tmp_path / f"{name}.safetensors") for name in ("encoder", "decoder")]
    arguments = modules["bundle"].BundleArguments(
        **inputs | {"pairs": []}, output=str(tmp_path / "b"), autoencoder=files
    )
    modules["bundle"].main(arguments)
    always, never = (
        train(modules, tmp_path / "b", tmp_path / name, steps=2, draw=json.dumps({"pairs": fraction}))
        for name, fraction in (("always", 1.0), ("never", 0.0))
    )
    assert always["loss"] != never["loss"]
    arguments.autoencoder, arguments.output = files[:1], str(tmp_path / "c")
    with pytest.raises(UserError, match="takes two files"):
        modules["bundle"].main(arguments)


def test_a_bundle_keeps_the_bytes_and_the_pairs(modules, packed, inputs):
    import pyarrow.parquet as pq

    facts = json.loads((packed / "bundle.json").read_text())
    assert facts["images"] == {"train": 24, "validation": 40, "pairs": 24}
    stored = {bytes(row["bytes"]) for row in pq.read_table(packed / "train.parquet").to_pylist()}
    originals = {row["image"]["bytes"] for row in open_source(inputs["data"][0], "train").stream}
    assert stored == originals
    pairs = modules["bundle"].read_bundle(packed).pairs
    assert [row["label"] for row in pairs] == [0, 1] * 12
    for real, fake in zip(pairs[::2], pairs[1::2], strict=True):  # a negative is what its image is not
        assert np.abs(255.0 - real["pixels"] - fake["pixels"]).mean() < 12


def test_a_bundle_stays_within_its_size_and_gives_every_collection_its_turn(modules):
    rows = [{"id": f"{s}{i}", "bytes": b"x" * 100, "source": s, "generator": "g"} for s in "ab" for i in range(50)]
    rows += [{"id": "c", "bytes": b"x" * 100, "source": "c", "generator": "g"}]
    taken = modules["bundle"].fit(rows, 1000)
    assert len(taken) == 10 and [sum(row["source"] == s for row in taken) for s in "abc"] == [5, 4, 1]


def test_training_leaves_a_model_that_pipeline_loads_and_a_report(modules, packed, tmp_path, photograph):
    from fakelens import load_detector

    report = train(modules, packed, tmp_path / "out")
    assert report["crops"] == 24 and report["processes"] == 1 and report["loss"] > 0
    assert set(report["validation"]["pairs"]) == {"checker ()", "stripes ()"}
    Image.fromarray(photograph).save(tmp_path / "photo.png")
    (verdict,) = load_detector(tmp_path / "out" / "model")([tmp_path / "photo.png"])
    assert verdict.error is None and 0 <= verdict.score <= 1
    before = load_file(packed / "weights.safetensors")["conv_stem.weight"]
    assert not torch.equal(
        load_file(tmp_path / "out" / "model" / "model.safetensors")["backbone.conv_stem.weight"], before
    )


def test_a_run_that_was_cut_off_goes_on_as_if_it_had_not_been(modules, packed, tmp_path, monkeypatch):
    monkeypatch.setattr(modules["train"], "EVERY", 2)
    train(modules, packed, tmp_path / "straight", steps=4)
    batch, taken = modules["train"].Batches.batch, []

    def cut_off(self, size, group):
        taken.append(size)
        if len(taken) == 4:
            raise KeyboardInterrupt
        return batch(self, size, group)

    monkeypatch.setattr(modules["train"].Batches, "batch", cut_off)
    with pytest.raises(KeyboardInterrupt):
        train(modules, packed, tmp_path / "cut", steps=4)
    train(modules, packed, tmp_path / "cut", steps=4)
    one, other = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("straight", "cut"))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert len(taken) == 6  # steps three and four were taken again, the first two were not


def test_what_is_left_out_is_scored_and_not_trained_on(modules, packed, tmp_path):
    bundle = modules["bundle"].read_bundle(packed, ["checker"])
    assert {row["generator"] for row in bundle.train + bundle.validation} == {"real", "stripes"}
    assert {row["generator"] for row in bundle.left_out} == {"checker"}
    report = train(modules, packed, tmp_path, leave_out=["checker"])
    assert report["left_out"]["images"] == {"checker ()": 16}
    assert set(report["validation"]["pairs"]) == {"stripes ()"}


def test_a_table_counts_collections_alike_whatever_their_size(modules):
    names = np.array(["a"] * 20 + ["b"] * 20 + ["x"] * 40 + ["y"] * 10 + ["few"])
    labels = np.array([0] * 40 + [1] * 51)
    scores = np.array([-1.0] * 20 + [1.0] * 20 + [2.0] * 40 + [0.0] * 10 + [9])
    found = modules["scoring"].table(scores, names, labels)
    assert found["pairs"] == {"x": {"a": 1, "b": 1}, "y": {"a": 1, "b": 0}}
    assert found["macro"] == 0.75 and found["worst"] == 0.5 and found["false_positives"] == {"a": 0, "b": 1}


def test_the_rate_rises_and_falls_to_almost_nothing(modules):
    rates = [modules["train"].one_cycle(done) for done in np.linspace(0, 1, 101)]
    assert max(rates) == pytest.approx(1, abs=0.01) and np.argmax(rates) == 8
    assert rates[0] == pytest.approx(0.04) and rates[-1] < 1e-4 and rates[8:] == sorted(rates[8:], reverse=True)


def test_minutes_end_a_training_that_steps_would_not(modules, packed, tmp_path):
    report = train(modules, packed, tmp_path, steps=100_000, minutes=0.02)
    assert 0 < report["steps"] < 1000


def test_what_cannot_be_is_refused(modules, inputs, packed, tmp_path):
    bundle, options = modules["bundle"], inputs | {"output": str(tmp_path / "new")}
    with pytest.raises(UserError, match="no weights at"):
        bundle.main(bundle.BundleArguments(**options | {"weights": "nowhere"}))
    with pytest.raises(UserError, match="Raise --max_mib"):
        bundle.main(bundle.BundleArguments(**options, max_mib=1.0))
    with pytest.raises(UserError, match="there already"):
        bundle.main(bundle.BundleArguments(**options | {"output": str(tmp_path)}))
    with pytest.raises(UserError, match="no bundle"):
        train(modules, tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match="nothing matches no image"):
        train(modules, packed, tmp_path / "out", leave_out=["nothing"])
    with pytest.raises(UserError, match="one class is left"):
        train(modules, packed, tmp_path / "out", leave_out=["checker", "stripes"])
    with pytest.raises(UserError, match="multiple of 8"):
        train(modules, packed, tmp_path / "out", batch=12)
    with pytest.raises(UserError, match="--draw does not fit"):
        train(modules, packed, tmp_path / "out", draw='{"sharpness": 1}')


def test_how_to_draw_travels_in_the_bundle_and_the_command_line_goes_before_it(modules, inputs, packed, tmp_path):
    bundle = modules["bundle"]
    assert json.loads((packed / "bundle.json").read_text())["draw"]["jpeg"] == 0.6  # the default's
    said = {"output": str(tmp_path / "said"), "draw": '{"jpeg": 0.25, "noise": 0.5}'}
    bundle.main(bundle.BundleArguments(**inputs | said))
    report = train(modules, tmp_path / "said", tmp_path / "one", draw='{"noise": 0.1}', steps=2)
    assert (report["draw"]["jpeg"], report["draw"]["noise"]) == (0.25, 0.1)
    # A bundle from before they travelled is read as it was.
    facts = json.loads((tmp_path / "said" / "bundle.json").read_text())
    del facts["draw"]
    (tmp_path / "said" / "bundle.json").write_text(json.dumps(facts))
    assert train(modules, tmp_path / "said", tmp_path / "two", steps=2)["draw"]["jpeg"] == 0.6
    with pytest.raises(UserError, match="--draw does not fit"):
        bundle.main(bundle.BundleArguments(**inputs | {"output": str(tmp_path / "new"), "draw": '{"sharpness": 1}'}))
    assert not (tmp_path / "new").exists()


def test_a_gpu_that_does_not_compute_in_bfloat16_trains_in_32_bit_floats(modules, monkeypatch):
    precision = modules["train"].precision
    assert precision(torch.device("cpu")) == (None, "")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla V100")
    for capability, dtype in (((7, 0), None), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        found, note = precision(torch.device("cuda"))
        assert found == dtype
        assert note == (
            "" if dtype else "Tesla V100 does not compute in bfloat16: training in 32-bit floats, which takes longer."
        )


def test_make_bench_leaves_it_out_for_it_wants_data():
    shown = subprocess.run(["make", "-n", "bench"], cwd=SCRIPTS.parent, capture_output=True, text=True, check=True)
    assert "benchmarks/training.py" in shown.stdout and "benchmarks/flagship" not in shown.stdout


@pytest.fixture(scope="module")
def runs(modules, packed, tmp_path_factory):
    """Two trainings, each without one generator and one source of real images."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = tmp_path_factory.mktemp("runs")
    shutil.copytree(packed, root / "bundle")
    for name in ("train", "validation"):
        rows = pq.read_table(root / "bundle" / f"{name}.parquet").to_pylist()
        for number, row in enumerate(rows):
            row["source"] = "fakes" if row["label"] else ("camera-a", "web")[number // 2 % 2]
        pq.write_table(pa.Table.from_pylist(rows), root / "bundle" / f"{name}.parquet")
    for name, leave_out in (("one", ["checker", "camera-*"]), ("other", ["stripes", "web"])):
        train(modules, root / "bundle", root / name, leave_out=leave_out)
    return [root / "one", root / "other"]


def test_trainings_are_joined_and_calibrated_on_what_they_left_out(modules, runs, tmp_path, capsys):
    from fakelens import load_detector

    combine = load_script("combine", FOLDER)
    arguments = combine.CombineArguments(runs=[str(run) for run in runs], output=str(tmp_path / "joint"))
    found = combine.main(arguments)
    assert set(found["pairs"]) == {"checker (fakes)", "stripes (fakes)"}
    assert {name: set(values) for name, values in found["pairs"].items()} == {
        "checker (fakes)": {"cameras"},
        "stripes (fakes)": {"web"},
    }
    assert found["fraction decided"]["count"] == 64 and found["camera originals predicted fake"]["count"] == 16
    # At most these rates on the images that the thresholds come from.
    assert found["real images predicted fake"]["value"] <= 0.05 and found["fakes predicted real"]["value"] <= 0.1
    assert "| worst collection | 0.65 |" in capsys.readouterr().out
    one, other, joint = (
        load_file(folder / "model" / "model.safetensors")["backbone.conv_stem.weight"]
        for folder in (*runs, tmp_path / "joint")
    )
    assert torch.allclose((one + other) / 2, joint, atol=1e-6) and not torch.equal(one, joint)
    detector = load_detector(tmp_path / "joint" / "model")
    low, high = detector.uncertain_band
    assert 0 <= low <= 0.5 <= high <= 1
    record = json.loads((tmp_path / "joint" / "model" / "run.json").read_text())
    assert record["data"]["held_out"] == []  # who trains it further asks
    assert record["data"]["crops"] == 48 and record["calibration"]["uncertain_band"] == [low, high]
    with pytest.raises(UserError, match="holds a model already"):
        combine.main(arguments)


def test_a_training_on_everything_gives_the_weights_and_the_others_the_thresholds(modules, runs, tmp_path):
    combine = load_script("combine", FOLDER)
    bundle = runs[0].parent / "bundle"
    train(modules, bundle, tmp_path / "everything", steps=4)
    moved = shutil.copytree(bundle, tmp_path / "moved")
    arguments = combine.CombineArguments(
        runs=[str(run) for run in runs], everything=str(tmp_path / "everything"), output=str(tmp_path / "new"),
        bundle=str(moved), before=str(runs[0]),
    )  # fmt: skip
    found = combine.main(arguments)
    assert found["fraction decided"]["count"] == 64
    name = "model.safetensors"
    own, taken = (load_file(tmp_path / folder / "model" / name) for folder in ("everything", "new"))
    assert torch.equal(own["backbone.conv_stem.weight"], taken["backbone.conv_stem.weight"])
    record = json.loads((tmp_path / "new" / "model" / "run.json").read_text())
    assert record["data"]["crops"] == 32 + 24 and record["data"]["before"][0]["steps"] == 3
    assert record["recipe"]["leave_out"][0] == ["checker", "camera-*"]
    arguments.everything, arguments.output = str(tmp_path / "none"), str(tmp_path / "other")
    with pytest.raises(UserError, match="no finished training"):
        combine.main(arguments)


def test_only_trainings_that_left_something_out_are_joined(modules, packed, tmp_path):
    combine = load_script("combine", FOLDER)
    with pytest.raises(UserError, match="no finished training"):
        combine.main(combine.CombineArguments(runs=[str(tmp_path)], output=str(tmp_path / "out")))
    train(modules, packed, tmp_path / "everything", steps=2)
    with pytest.raises(UserError, match="left nothing out"):
        combine.main(combine.CombineArguments(runs=[str(tmp_path / "everything")], output=str(tmp_path / "out")))


WAYS = {
    "as it is": {},
    "without pairs": {"draw": {"pairs": 0}},
    "high pass": {"model": {"high_pass": True}, "candidate": False},
}


def test_ways_are_tried_by_fold_and_the_best_is_trained_for_long(modules, runs, tmp_path, capsys):
    """`runs` made a bundle in which cameras and another collection stand beside both generators."""
    (tmp_path / "ways.json").write_text(json.dumps(WAYS))
    folds = {"one": ["checker", "camera-*"], "other": ["stripes", "web"]}
    arguments = modules["folds"].FoldsArguments(
        bundle=str(runs[0].parent / "bundle"), ways=str(tmp_path / "ways.json"), output=str(tmp_path / "out"),
        folds=json.dumps(folds), steps=2, long_steps=[3], jobs=2, batch=8, device="cpu",
    )  # fmt: skip
    found = modules["folds"].main(arguments)
    assert set(found["short"]) == set(WAYS)
    for row in found["short"].values():
        assert set(row["collections"]) == {"checker (fakes)", "stripes (fakes)"} and row["crops"] == 32
        assert row["macro"] == pytest.approx(np.mean(list(row["collections"].values())))
    assert found["best"] in found["long"] and "high pass" not in found["long"]
    best = tmp_path / "out" / "long" / found["best"]
    assert sorted(path.name for path in best.iterdir()) == ["everything", "one", "other"]
    report = json.loads((best / "one" / "report.json").read_text())
    assert report["steps"] == 3 and report["arguments"]["leave_out"] == folds["one"]
    assert "| high pass | 32 |" in capsys.readouterr().out
    # A second time nothing is trained again.
    stamps = [path.stat().st_mtime_ns for path in sorted((tmp_path / "out").rglob("model.safetensors"))]
    assert modules["folds"].main(arguments)["best"] == found["best"]
    assert [p.stat().st_mtime_ns for p in sorted((tmp_path / "out").rglob("model.safetensors"))] == stamps


def test_all_that_is_better_than_the_first_way_is_taken_together(modules):
    ways = {
        "a": {},
        "b": {"draw": {"jpeg": 1}},
        "c": {"draw": {"jpeg": 0, "noise": 1}, "batch": 16},
        "d": {"batch": 8},
    }
    tried = {name: {"macro": macro} for name, macro in (("a", 0.7), ("b", 0.72), ("c", 0.71), ("d", 0.69))}
    chosen = modules["folds"].candidates(ways, tried)
    assert list(chosen) == ["b", "c+b"]
    assert chosen["c+b"] == {"draw": {"jpeg": 1, "noise": 1}, "model": {}, "batch": 16}
    assert list(modules["folds"].candidates({"a": {}, "b": {}}, tried)) == ["b"]
    with pytest.raises(UserError, match="No way could be trained"):
        modules["folds"].candidates({"a": {}}, {"a": {"macro": None}})


def test_time_is_shared_out_by_length(modules):
    longest = modules["folds"]._longest
    assert longest([10] * 6, 4) == 20 and longest([10, 10, 2, 2, 2], 3) == 10 and longest([10, 20], 1) == 30


def test_a_way_that_fails_does_not_stop_the_others_and_bad_files_are_refused(modules, runs, tmp_path, capsys):
    folds, bundle = modules["folds"], str(runs[0].parent / "bundle")
    path = tmp_path / "ways.json"
    common = {"bundle": bundle, "ways": str(path), "output": str(tmp_path / "out"), "device": "cpu", "batch": 8}
    common |= {"folds": json.dumps({"one": ["checker", "camera-*"]}), "steps": 2, "long_steps": [2, 3]}
    path.write_text(json.dumps({"good": {}, "bad": {"model": {"stages": 99}}}))
    found = folds.main(folds.FoldsArguments(**common))
    assert found["short"]["bad"]["macro"] is None and set(found["long"]) == {"good (2 steps)", "good (3 steps)"}
    assert "bad/one failed: " in capsys.readouterr().out
    for text, message in (("{", "no JSON"), ("[]", "no ways"), ('{"a": {"sharpness": 1}}', "unknown key sharpness")):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            folds.main(folds.FoldsArguments(**common))
    with pytest.raises(UserError, match="cannot be read"):
        folds.main(folds.FoldsArguments(**common | {"ways": str(tmp_path / "none.json")}))
    path.write_text('{"a": {}}')
    with pytest.raises(UserError, match="matches no image"):
        folds.main(folds.FoldsArguments(**common | {"folds": '{"one": ["nobody"]}'}))
