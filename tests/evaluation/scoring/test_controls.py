"""What looks at no image is shown for what it is."""

import numpy as np

from fakelens.data.sources.opening import open_source
from fakelens.evaluation.analysis.summary import summarise
from fakelens.evaluation.scoring.controls import ALWAYS_FAKE, FILE_FORMAT, control_predictions, file_formats
from fakelens.evaluation.scoring.predict import predict
from fakelens.inference.detector import load_detector
from fakelens.inference.thresholds import Thresholds


def test_a_data_set_whose_fakes_are_pngs_is_solved_by_their_format_and_not_once_normalised(tiny_model, class_folders):
    source = open_source(str(class_folders), "test")
    predictions = predict(load_detector(tiny_model, device="cpu"), source, ("raw", "normalised"))
    always, by_format = control_predictions(source, predictions)
    assert (always.model, by_format.model) == (ALWAYS_FAKE, FILE_FORMAT)
    results = {p.model: summarise(p, Thresholds(0.5, 0.5)) for p in (always, by_format)}
    raw, normalised = (results[FILE_FORMAT][view]["overall"] for view in ("raw", "normalised"))
    assert (raw["auroc"], raw["accuracy"]) == (1, 1)
    assert normalised["auroc"] == 0.5
    for view in ("raw", "normalised"):
        overall = results[ALWAYS_FAKE][view]["overall"]
        assert (overall["auroc"], overall["recall"], overall["specificity"]) == (0.5, 1, 0)
    np.testing.assert_array_equal(always.ids, predictions.ids)


def test_formats_come_in_the_order_asked(class_folders):
    source = open_source(str(class_folders), "test")
    assert file_formats(source, ["test/FAKE/09.png", "test/Real/00.jpeg"]) == ["PNG", "JPEG"]
