"""The images that a detector was surest of: the right ones, with their images and numbers."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from fakelens.data.sources.opening import open_source
from fakelens.evaluation.report.gallery import KINDS, build_gallery, heat_map_fractions, surest, write_gallery
from fakelens.evaluation.scoring.predict import predict
from fakelens.inference.detector import load_detector
from fakelens.inference.thresholds import Thresholds


class Words(HTMLParser):
    """Collects a page's images and text."""

    def __init__(self, text):
        super().__init__()
        self.images, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def shown(tiny_model, parquet, tmp_path_factory):
    detector = load_detector(tiny_model, device="cpu")
    source = open_source(str(parquet), "test")
    predictions = predict(detector, source, ("raw",))
    threshold = float(np.median(predictions.scores["raw"]))
    detector.threshold, detector.uncertain_band = threshold, (threshold, threshold)
    exhibits = build_gallery(detector, source, predictions, "raw", each=2)
    folder = tmp_path_factory.mktemp("report")
    return predictions, threshold, folder, write_gallery(folder, {"tiny": {"test": exhibits}})["tiny"]["test"]


def test_each_kind_is_led_by_its_surest(shown):
    predictions, threshold, _, said = shown
    scores, labels = predictions.scores["raw"], predictions.labels
    predicted_fake = np.where(scores >= threshold, 1, 0)
    for kind, (verdict, truth) in {
        "false_positive": (1, 0), "false_negative": (0, 1), "true_positive": (1, 1), "true_negative": (0, 0),
    }.items():  # fmt: skip
        of_kind = scores[(predicted_fake == verdict) & (labels == truth)]
        expected = sorted(of_kind, reverse=bool(verdict))[:2]
        assert [one["score"] for one in said if one["kind"] == kind] == expected
    assert {one["kind"] for one in said} <= set(KINDS)


def test_the_page_shows_what_the_report_says(shown):
    _, _, folder, said = shown
    json.dumps(said, allow_nan=False)
    page = Words((folder / "gallery" / "index.html").read_text())
    assert len(page.images) == 2 * len(said)
    for one in said:
        for key in ("image", "heat_map"):
            with Image.open(folder / one[key]) as opened:
                assert opened.size == (one["file"]["width"], one["file"]["height"])
        assert one["id"] in page.text
        assert one["remark"] in page.text
    assert all((folder / "gallery" / image["src"]).is_file() and image["alt"] for image in page.images)
    assert len({image["src"] for image in page.images}) == len(page.images)


def test_the_surest_of_a_perfect_detector_has_no_errors(shown):
    predictions, *_ = shown
    perfect = dict(predictions.scores, raw=predictions.labels.astype(float))
    found = surest(type(predictions)(**(vars(predictions) | {"scores": perfect})), "raw", Thresholds(0.5, 0.5))
    assert (found["false_positive"], found["false_negative"]) == ([], [])
    assert len(found["true_positive"]) == 4


def test_where_the_evidence_lies():
    heat = np.full((30, 60), 0.5)
    assert heat_map_fractions(heat) == {"fake": 0, "real": 0, "strongest": None}
    heat[20:, :20] = 0.9
    heat[:10] = 0.1
    assert heat_map_fractions(heat) == {"fake": pytest.approx(1 / 9), "real": pytest.approx(1 / 3),
                                         "strongest": "lower left"}  # fmt: skip
