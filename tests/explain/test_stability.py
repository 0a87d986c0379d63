import dataclasses

import numpy as np
import pytest
from PIL import Image

from fakelens.data.transforms.degradations import PROTOCOLS, degrade
from fakelens.errors import UserError
from fakelens.explain.stability import Step, stability, stability_sentence
from fakelens.inference.detector import load_detector
from tests.abuse import make_image


def test_every_step_is_what_the_detector_says_of_that_image(tiny_model, monkeypatch):
    detector = load_detector(tiny_model, device="cpu")
    image, batches = make_image(120, 80), []
    predict = detector.predict
    monkeypatch.setattr(
        detector, "predict", lambda inputs: batches.append(len(inputs["pixel_values"])) or predict(inputs)
    )
    steps = stability(detector, image)
    assert batches == [10]
    assert [step.name for step in steps] == [
        "as it is",
        *("JPEG 90", "JPEG 70", "JPEG 50", "JPEG 30"),
        *("resize 0.75", "resize 0.5", "resize 0.25"),
        *("screenshot", "social media"),
    ]
    assert [step.image_size for step in steps[:8]] == [(120, 80)] * 5 + [(90, 60), (60, 40), (30, 20)]
    (alone,) = detector([image])
    assert steps[0].score == pytest.approx(alone.score, abs=1e-6) and steps[0].verdict == alone.verdict
    assert steps[4].score == pytest.approx(detector.scores([degrade(image, PROTOCOLS["jpeg_30"], 0)]).item(), abs=1e-6)
    assert len({step.score for step in steps}) > 5
    assert stability(detector, image) == steps


def test_verdicts_follow_the_threshold_that_is_asked_for(tiny_model):
    detector = load_detector(tiny_model, device="cpu")
    image = make_image(64, 48)
    score = stability(detector, image)[0].score
    detector.uncertain_band, detector.fpr_thresholds = (score - 0.2, score - 0.1), {0.01: score + 0.3}
    detector.threshold = score - 0.15
    assert stability(detector, image)[0].verdict == "fake"
    assert stability(detector, image, max_fpr=0.01)[0].verdict == "uncertain"
    with pytest.raises(UserError, match="was not calibrated"):
        stability(detector, image, max_fpr=0.001)
    detector.scores = lambda images: np.full(len(images), np.nan)
    with pytest.raises(UserError, match="not a number"):
        stability(detector, Image.new("RGB", (8, 8)))


def test_the_sentence_counts_the_changes_that_alter_the_verdict():
    first = Step("as it is", (10, 10), "fake", 0.93)
    same = [dataclasses.replace(first, name=name, score=0.93) for name in ("JPEG 90", "JPEG 30")]
    assert stability_sentence([first, *same]) == (
        'None of the 2 changes alters the verdict "fake"; the score moves by less than 0.01.'
    )
    other = [Step("resize 0.25", (2, 2), "real", 0.1), Step("screenshot", (8, 8), "uncertain", 0.5)]
    assert stability_sentence([first, *same, other[0]]).startswith(
        '1 of the 3 changes alters the verdict "fake": resize 0.25 (real). The score moves by at most 0.83 (resize'
    )
    assert "2 of the 4 changes alter " in stability_sentence([first, *same, *other])
    assert "resize 0.25 (real), screenshot (uncertain)." in stability_sentence([first, *same, *other])
