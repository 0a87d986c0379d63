"""A verdict's figure: what it shows, in every state that a verdict can have, and how it is written."""

import numpy as np
import pytest
from PIL import Image

from fakelens import load_detector
from fakelens.errors import UserError
from fakelens.explain import figure as drawing
from fakelens.explain.figure import save_figure, verdict_figure
from fakelens.inference.verdict import Verdict
from tests.abuse import make_image


@pytest.fixture(scope="module")
def detector(tiny_model):
    detector = load_detector(tiny_model, "cpu")
    detector.uncertain_band, detector.fpr_thresholds = (0.3, 0.8), {0.01: 0.9, 0.05: 0.8}
    return detector


def texts(figure):
    found = [t.get_text() for axes in figure.axes for t in (*axes.texts, axes.title, axes.xaxis.label)]
    return "\n".join([figure.get_suptitle(), *found])


@pytest.mark.parametrize("word", ["real", "fake", "uncertain"])
def test_a_figure_shows_all_that_the_verdict_says(detector, tmp_path, word):
    said = Verdict(word, 0.42, "One $sentence$ in words.", ("A warning.",), {}, "A disagreement.", ("A note.",))
    figure = verdict_figure(detector, make_image(300, 200), said, "folder/$1_東京.png", 0.01)
    shown = texts(figure)
    assert f"Verdict: {word.upper()}" in shown and "$1_東京.png" in shown and "folder" not in shown
    assert all(part in shown for part in (said.sentence, *said.warnings, said.disagreement, *said.notes))
    assert "The line at 0.90" in shown and "uncertain, from 0.30 on" in shown and detector.name in shown
    (scale,) = (axes for axes in figure.axes if "P(fake)" in axes.get_xlabel())
    score, band = scale.patches
    assert score.get_width() == pytest.approx(0.42)
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((0.3, 0.9))
    for suffix in (".png", ".jpg", ".svg"):
        path = tmp_path / f"out{suffix}"
        save_figure(figure, path)
        assert path.stat().st_size > 1000


def test_the_evidence_is_laid_over_the_image(detector, monkeypatch):
    heat = np.full((200, 300), 0.5, dtype=np.float32)
    heat[:, :150] = 1  # the left half speaks for fake
    monkeypatch.setattr(drawing, "heat_map", lambda *_: heat)
    figure = verdict_figure(detector, Image.new("RGB", (300, 200), "grey"), Verdict("fake", 0.9), "a.png")
    plain, laid = (axes.images[0].get_array().astype(int) for axes in figure.axes[:2])
    redness = laid[..., 0] - laid[..., 2]
    assert redness[:, :140].min() > 50 and abs(redness[:, 160:]).max() < 20
    assert (plain == 128).all() and plain.shape == laid.shape


def test_an_exported_network_has_no_heat_map_and_says_so(detector, monkeypatch):
    monkeypatch.setattr(drawing, "OnnxModel", type(detector.model))
    assert "No heat map" in texts(verdict_figure(detector, make_image(), Verdict("real", 0.1), "a.png"))


def test_what_cannot_be_drawn_or_written_is_said(detector, tmp_path):
    with pytest.raises(UserError, match="a.png was not scored"):
        verdict_figure(detector, make_image(), Verdict(None, None, error="too small"), "a.png")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="could not be written"):
        save_figure(verdict_figure(detector, make_image(), Verdict("real", 0.1), "a"), tmp_path / "file" / "a.png")
