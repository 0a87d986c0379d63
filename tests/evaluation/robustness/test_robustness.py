"""Robustness: known flips, chance that hangs on nothing but the image, every protocol on every kind of detector."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from fakelens.data.sources.opening import open_source
from fakelens.data.transforms.degradations import PROTOCOLS
from fakelens.errors import UserError
from fakelens.evaluation.plots.robustness import draw_changes, draw_robustness
from fakelens.evaluation.robustness.robustness import robustness_table, verdict_changes
from fakelens.evaluation.robustness.tables import stability_rows, step_rows
from fakelens.evaluation.scoring.predict import predict
from fakelens.inference.detector import load_detector
from fakelens.metrics.detection import detection_metrics
from fakelens.zoo.ensembles import build_ensemble

BLUR_AND_NOISE = {
    "blur_2": [{"name": "blur", "sigma": 2.0}],
    "nothing": [],
    "noise_0.1": [{"name": "noise", "sigma": 0.1}],
}


class Roughness:
    """Calls fake what differs from pixel to pixel: blur hides it, noise makes it."""

    def scores(self, images):
        differences = [np.abs(np.diff(np.asarray(image).astype(float), axis=1)).mean() for image in images]
        return np.minimum(np.array(differences) / 50, 1)


class Witness(Roughness):
    """Remembers every image that it was shown."""

    def __init__(self):
        self.seen = Counter()

    def scores(self, images):
        self.seen.update(image.tobytes() for image in images)
        return super().scores(images)


def flat(level, side=24):
    return Image.new("RGB", (side, side), (level, level, level))


def checkers(level, side=24):
    pattern = np.indices((side, side)).sum(axis=0) % 2
    return Image.fromarray((level + 80 * pattern[..., None].repeat(3, axis=2)).astype(np.uint8))


@pytest.fixture
def folder(tmp_path):
    """Four flat real images and a damaged one; two fakes of checkers, and a flat one that passes for real."""
    images = [("real", flat(60 + 30 * number)) for number in range(4)]
    images += [("fake", checkers(40)), ("fake", checkers(100)), ("fake", flat(200))]
    for number, (label, image) in enumerate(images):
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / "data" / label / f"{number}.png")
    (tmp_path / "data" / "real" / "broken.png").write_bytes(b"no image")
    return tmp_path / "data"


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_flips_are_counted_image_by_image(folder, batch_size):
    source = open_source(str(folder), "test")
    table = robustness_table(Roughness(), source, 0.06, BLUR_AND_NOISE, batch_size)
    clean, (blur, nothing, noise) = table["clean"], table["steps"]
    assert (clean["count"], clean["specificity"], clean["recall"]) == (7, 1, pytest.approx(2 / 3))
    assert table["skipped"] == {"not an image": 1}
    # Blurred, both checkers pass for real.
    assert [blur[key] for key in ("flipped", "real_to_fake", "fake_to_real")] == [2 / 7, 0, 2 / 3]
    assert (blur["family"], blur["parameter"], blur["strength"]) == ("blur", "sigma", 2.0)
    assert (blur["specificity"], blur["recall"]) == (1, 0)
    # Noisy, everything is rough: the flat fake's verdict turns to the right one, which is a change all the same.
    assert [noise[key] for key in ("flipped", "real_to_fake", "fake_to_real")] == [5 / 7, 1, 0]
    assert noise["auroc_drop"] == clean["auroc"] - noise["auroc"]
    assert (nothing["flipped"], nothing["auroc_drop"], nothing["strength"]) == (0, 0, None)
    assert nothing["auroc_drop_interval"] == [0, 0]
    low, high = noise["auroc_drop_interval"]
    assert low < noise["auroc_drop"] < high and high - low > 0.1  # three fakes say little
    assert table["verdict_stability"] == pytest.approx(1 - (2 / 7 + 0 + 5 / 7) / 3)
    assert table["unstable_images"] == 1  # each in one step or the other
    headings, (row,) = stability_rows({"rough": table})
    assert (
        dict(zip(headings, row, strict=True))["worst step"] == min((blur, noise), key=lambda s: s["auroc"])["protocol"]
    )
    headings, rows = step_rows({"rough": table})
    assert [row[:2] for row in rows] == [("rough", name) for name in ("clean", *BLUR_AND_NOISE)]
    assert all(len(row) == len(headings) for row in rows)
    assert dict(zip(headings, rows[-1], strict=True))["95 %"] == f"{low:.3f} to {high:.3f}"


def test_what_happens_to_an_image_hangs_on_nothing_but_itself(tiny_data):
    """Not on the order of the rows, the other rows, the batches or the other steps."""
    source = open_source(str(tiny_data), "test")
    protocols = {name: PROTOCOLS[name] for name in ("noise_0.05", "snow", "screenshot", "social_media")}
    runs = [Witness() for _ in range(4)]
    robustness_table(runs[0], source, 0.5, protocols)
    robustness_table(runs[1], source, 0.5, dict(reversed(protocols.items())), batch_size=5)
    robustness_table(runs[2], source, 0.5, protocols, images=6)
    robustness_table(runs[3], source, 0.5, {"snow": PROTOCOLS["snow"]})
    assert runs[0].seen == runs[1].seen and len(runs[0].seen) == 24 * 5
    assert runs[2].seen < runs[0].seen and len(runs[2].seen) == 6 * 5
    assert runs[3].seen < runs[0].seen and len(runs[3].seen) == 24 * 2


def test_a_part_of_a_split_that_starts_with_one_class_has_both(parquet):
    source = open_source(str(parquet), "test")
    counts = []
    for part in ({"images": 5}, {"limit": 10}, {"limit": 6}, {}):
        table = robustness_table(Roughness(), source, 0.5, BLUR_AND_NOISE, **part)
        counts.append((table["clean"]["real"], table["clean"]["fake"], sum(table["skipped"].values())))
    assert counts == [(3, 2, 0), (7, 2, 1), (5, 0, 1), (7, 9, 1)]


def test_every_protocol_with_one_network_several_and_generators(
    tmp_path, tiny_data, learned, learned_crops, attributor
):
    source = open_source(str(tiny_data), "test")
    build, processor = build_ensemble([learned, learned_crops])
    build.save_pretrained(tmp_path / "ensemble")
    processor.save_pretrained(tmp_path / "ensemble")
    tables = {}
    for folder in (learned, attributor, tmp_path / "ensemble"):
        detector = load_detector(folder, device="cpu")
        table = robustness_table(detector, source, detector.threshold, images=8)
        clean = predict(detector, source, limit=8)  # the rows alternate
        assert table["clean"] == pytest.approx(
            dict(detection_metrics(clean.scores["raw"], clean.labels, detector.threshold)), abs=1e-6
        )
        assert [step["protocol"] for step in table["steps"]] == list(PROTOCOLS)
        assert json.loads(json.dumps(table, allow_nan=False)) == table
        tables[str(folder)] = table
    first = tables[str(learned)]
    assert first["verdict_stability"] < 1
    for models in (tables, {"one": first}):
        paths = [*draw_robustness(models, "test", tmp_path), draw_changes(models, "test", tmp_path)]
        names = ["robustness_accuracy_test.png", "robustness_auroc_test.png", "verdict_changes_test.png"]
        assert [path.name for path in paths] == names
        assert all(min(Image.open(path).size) > 400 for path in paths)


@pytest.mark.parametrize("label", ["real", "fake"])
def test_one_class_of_the_smallest_images(tmp_path, tiny_model, label):
    (tmp_path / label).mkdir()
    for number, side in enumerate((8, 9, 32)):
        checkers(20 * number, side).resize((side, 40 - side)).save(tmp_path / label / f"{number}.png")
    detector = load_detector(tiny_model, device="cpu")
    table = robustness_table(detector, open_source(str(tmp_path), "test"), detector.threshold)
    other = "fake_to_real" if label == "real" else "real_to_fake"
    assert all(step["auroc"] is None and step["auroc_drop"] is None and step[other] is None for step in table["steps"])
    assert (table["clean"]["count"], table["skipped"]) == (3, {})
    json.dumps(table, allow_nan=False)
    assert [path.name for path in draw_robustness({"m": table}, "test", tmp_path)] == ["robustness_accuracy_test.png"]
    assert draw_changes({"m": table}, "test", tmp_path).exists()
    assert stability_rows({"m": table})[1][0][2:6] == (None, None, None, None)


def test_the_threshold_itself_is_fake():
    changes = verdict_changes(np.array([0.5, 0.5, 0.4]), np.array([0.5, 0.4, 0.5]), np.array([0, 1, 0]), 0.5)
    assert changes == {"flipped": 2 / 3, "real_to_fake": 0.5, "fake_to_real": 1.0}


def test_what_cannot_be_done_is_said(folder, tmp_path):
    source = open_source(str(folder), "test")
    for arguments, message in (
        ({"images": 1}, "at least 2 images"),
        ({"protocols": {}}, "at least one protocol"),
        ({"protocols": {"x": [{"name": "rain"}]}}, "unknown name 'rain'"),
    ):
        with pytest.raises(UserError, match=message):
            robustness_table(Roughness(), source, 0.5, **arguments)
    (tmp_path / "none" / "real").mkdir(parents=True)
    (tmp_path / "none" / "real" / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match="could be scored: 1 empty file"):
        robustness_table(Roughness(), open_source(str(tmp_path / "none"), "test"), 0.5)
