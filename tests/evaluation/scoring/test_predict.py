"""Scores of a whole source: each row once, in order, equal to the plain pipeline's."""

import numpy as np
import pytest
import torch
from timm.models import get_pretrained_cfg
from transformers import TimmWrapperImageProcessor, pipeline

from fakelens.data.decode import ImageError, decode_image
from fakelens.data.sources.opening import open_source, row_bytes
from fakelens.data.transforms.views import apply_view
from fakelens.errors import UserError
from fakelens.evaluation.scoring.predict import predict
from fakelens.inference.detector import Detector, load_detector
from fakelens.zoo.ensembles import build_ensemble
from fakelens.zoo.registry import build_detector, build_processor
from tests.evaluation.conftest import make_image


class Brightness:
    """A scorer without a network."""

    def scores(self, images):
        return np.array([np.asarray(image).mean() / 255 for image in images])


def decodable(source):
    """Return rows and images, one after the other, without our machinery."""
    kept = []
    for row in source.stream:
        try:
            kept.append((row, decode_image(row_bytes(row["image"])).image))
        except ImageError:
            continue
    return kept


@pytest.mark.parametrize("data", ["class_folders", "parquet"])
def test_scores_equal_the_pipelines(data, request, tiny_model):
    source = open_source(str(request.getfixturevalue(data)), "test")
    views = ("raw", "normalised", "hard")
    found = predict(load_detector(tiny_model, device="cpu"), source, views, batch_size=4, name="tiny")
    plain = pipeline("image-classification", model=str(tiny_model), device="cpu", trust_remote_code=True)
    rows = decodable(source)
    assert found.ids.tolist() == [row["id"] for row, _ in rows]
    assert found.labels.tolist() == [row["label"] for row, _ in rows]
    for view in views:
        answers = [plain(apply_view(view, image)) for _, image in rows]
        expected = [next(a["score"] for a in answer if a["label"] == "fake") for answer in answers]
        np.testing.assert_allclose(found.scores[view], expected, rtol=0, atol=1e-5)
    assert np.unique(found.scores["raw"]).size == len(rows)


def network(name, folder, **options):
    """Save a small network with random weights that are far enough apart, and return its detector."""
    torch.manual_seed(0)
    processor = options.pop("processor")
    model = build_detector(name, **options)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return load_detector(folder, device="cpu")


@pytest.fixture(scope="module")
def detectors(tmp_path_factory):
    """One for each kind of image processor."""
    folder = tmp_path_factory.mktemp("kinds")
    cnn = {"hidden_sizes": [4, 8], "classifier_size": 4}
    crops = {"do_resize": False, "do_native_crop": True}
    kinds = {
        "resized": network("custom_cnn", folder / "a", processor=build_processor("custom_cnn", 32), **cnn),
        "cropped": network("custom_cnn", folder / "b", processor=build_processor("custom_cnn", 24, **crops), **cnn),
        "crops": network(
            "custom_cnn", folder / "c", processor=build_processor("custom_cnn", 24, **crops, crops_per_side=2), **cnn
        ),
        "vit": network("timm/test_convnext", folder / "d", processor=build_processor("timm/test_convnext", 32)),
        "transformer": network("timm/test_vit", folder / "e", processor=build_processor("timm/test_vit")),
    }
    # What loads a repo of timm's own.
    processor = TimmWrapperImageProcessor(get_pretrained_cfg("test_convnext").to_dict(), "test_convnext")
    kinds["timm"] = Detector(kinds["vit"].model, processor, device="cpu")
    model, processor = build_ensemble([str(folder / "a"), str(folder / "c"), str(folder / "d")])
    kinds["ensemble"] = Detector(model.eval(), processor, device="cpu")
    return kinds


@pytest.mark.parametrize("kind", ["resized", "cropped", "crops", "vit", "transformer", "timm", "ensemble"])
def test_scores_are_those_of_one_image_after_the_other(detectors, kind, tmp_path):
    """Images of all sizes, one smaller than a crop, in an order in which neighbours differ."""
    detector = detectors[kind]
    for number in range(11):
        folder = tmp_path / "data" / ("real" if number % 2 else "fake")
        folder.mkdir(parents=True, exist_ok=True)
        image = make_image(number, side=16 + 23 * (number % 4))
        image.crop((0, 0, image.width, image.height - number)).save(folder / f"{number:02d}.png")
    source = open_source(str(tmp_path / "data"), "test")
    found = predict(detector, source, ("raw", "hard"), batch_size=5, partial=tmp_path / "partial")
    rows = decodable(source)
    assert found.ids.tolist() == [row["id"] for row, _ in rows]
    for view in ("raw", "hard"):
        expected = []
        for _, image in rows:
            inputs = detector.processor(images=apply_view(view, image), return_tensors="pt")
            with torch.no_grad():
                expected.append(detector.model(**inputs).logits.double().softmax(dim=-1)[0, 1].item())
        np.testing.assert_allclose(found.scores[view], expected, rtol=0, atol=1e-6)
        assert np.unique(np.round(found.scores[view], 6)).size > 5
    verdicts = detector([str(tmp_path / "data" / name) for name in found.ids], batch_size=5)
    np.testing.assert_allclose([v.score for v in verdicts], found.scores["raw"], rtol=0, atol=1e-6)
    assert found.model_seconds > 0 and found.seconds > 0


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_every_batch_size_scores_each_row_once(class_folders, batch_size):
    source = open_source(str(class_folders), "test")
    found = predict(Brightness(), source, batch_size=batch_size)
    assert sorted(found.ids) == sorted({row["id"] for row in source.stream} - {"test/Real/broken.jpg"})
    assert (len(found.ids), found.skipped, found.rows) == (17, {"not an image": 1}, 18)
    expected = {row["id"]: np.asarray(image).mean() / 255 for row, image in decodable(source)}
    assert found.scores["raw"].tolist() == [expected[name] for name in found.ids]


def test_limit_reads_from_the_start(parquet):
    source = open_source(str(parquet), "test")
    full, part = predict(Brightness(), source), predict(Brightness(), source, limit=6)
    assert (part.rows, sum(part.skipped.values())) == (6, 1)
    assert part.ids.tolist() == full.ids[:5].tolist()
    assert part.generators.tolist() == ["real"] * 5


def test_nothing_to_score_says_why(tmp_path):
    for name in ("real", "fake"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="No image of .* could be scored: 2 empty file"):
        predict(Brightness(), open_source(str(tmp_path), "test"))


def test_unknown_view(parquet):
    with pytest.raises(UserError, match="no view 'blurry'"):
        predict(Brightness(), open_source(str(parquet), "test"), ("raw", "blurry"))
