"""Scores of a whole source: each row once, in order, equal to the plain pipeline's."""

import numpy as np
import pytest
from transformers import pipeline

from fakelens.data.decode import ImageError, decode_image
from fakelens.data.sources import open_source, row_bytes
from fakelens.data.views import apply_view
from fakelens.detector import load_detector
from fakelens.errors import UserError
from fakelens.evaluation.predict import predict


class Brightness:
    """A scorer without a network."""

    def scores(self, images):
        return np.array([np.asarray(image).mean() / 255 for image in images])


def decodable(source):
    """Return rows and pictures, one after the other, without our machinery."""
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


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_every_batch_size_judges_each_row_once(class_folders, batch_size):
    source = open_source(str(class_folders), "test")
    found = predict(Brightness(), source, batch_size=batch_size)
    assert sorted(found.ids) == sorted({row["id"] for row in source.stream} - {"test/Real/broken.jpg"})
    assert (len(found.ids), found.skipped, found.rows) == (17, {"not an image": 1}, 18)
    expected = {row["id"]: np.asarray(image).mean() / 255 for row, image in decodable(source)}
    assert found.scores["raw"].tolist() == [expected[name] for name in found.ids]


def test_limit_reads_from_the_start(parquet):
    source = open_source(str(parquet), "test")
    whole, part = predict(Brightness(), source), predict(Brightness(), source, limit=6)
    assert (part.rows, sum(part.skipped.values())) == (6, 1)
    assert part.ids.tolist() == whole.ids[:5].tolist()
    assert part.generators.tolist() == ["real"] * 5


def test_nothing_to_judge_says_why(tmp_path):
    for name in ("real", "fake"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="No image of .* could be judged: 2 empty file"):
        predict(Brightness(), open_source(str(tmp_path), "test"))


def test_unknown_view(parquet):
    with pytest.raises(UserError, match="no view 'blurry'"):
        predict(Brightness(), open_source(str(parquet), "test"), ("raw", "blurry"))
