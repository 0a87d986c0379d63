"""One score, one word: detector, report, gallery, card, Space and browser agree on scores around the thresholds."""

import importlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from fakelens import load_detector
from fakelens.evaluation.analysis.verdicts import verdict_metrics
from fakelens.evaluation.report.gallery import surest
from fakelens.evaluation.scoring.predict import Predictions
from fakelens.hub.card.card import render_card
from fakelens.hub.facts.checkpoint import read_checkpoint
from fakelens.inference.thresholds import thresholds_of
from fakelens.inference.verdict import verdict_sentence
from tests.conftest import SCRIPTS

BAND = [0.29, 0.979]
SETTINGS = {"decision_threshold": 0.5, "uncertain_band": BAND, "fpr_thresholds": {"0.01": 0.979, "0.05": 0.8}}
SCORES = {
    **dict.fromkeys((0.0, 0.1, np.nextafter(0.29, 0)), "real"),
    **dict.fromkeys((0.29, 0.4996, 0.5, 0.514, 0.804, np.nextafter(0.979, 0)), "uncertain"),
    **dict.fromkeys((0.979, 0.985, 1.0), "fake"),
}
OPENINGS = {"real": "Probably a photograph", "uncertain": "The detector cannot tell", "fake": "Probably AI-generated"}
SPACE = SCRIPTS.parent / "space"
VERDICT_JS = SPACE / "browser" / "verdict.js"
if str(SPACE) not in sys.path:
    sys.path.insert(0, str(SPACE))
models, scale = map(importlib.import_module, ("pages.models", "pages.scale"))
ASK = """
import {{ verdictOf }} from {module};
const [scores, verdicts] = {given};
console.log(JSON.stringify(scores.map((score) => verdictOf(score, verdicts))));
"""


@pytest.fixture(scope="module")
def model(tiny_model, tmp_path_factory):
    """A tiny model's folder that was calibrated so."""
    folder = shutil.copytree(tiny_model, tmp_path_factory.mktemp("calibrated") / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | SETTINGS))
    return folder


@pytest.fixture(scope="module")
def detector(model):
    return load_detector(model, "cpu")


def test_the_detector_and_its_configuration_say_the_same(detector):
    thresholds = detector.thresholds()
    assert thresholds == thresholds_of(SETTINGS) and thresholds.max_fpr == detector.own_rate == 0.01
    assert thresholds.verdicts(np.array(list(SCORES))).tolist() == list(SCORES.values())
    for score, word in SCORES.items():
        assert thresholds.verdict(score) == word
        assert verdict_sentence(score, thresholds).startswith(OPENINGS[word])


def test_a_report_counts_these_verdicts_and_the_gallery_shows_them(detector):
    scores = np.array(list(SCORES))
    for label, truth in enumerate(("real", "fake")):
        labels = np.full(len(scores), label)
        counted = verdict_metrics(scores, labels, detector.thresholds())[truth]
        assert counted == {word: list(SCORES.values()).count(word) for word in ("real", "uncertain", "fake")}
        nothing = labels.astype(str)
        predictions = Predictions("m", "test", nothing, labels, nothing, nothing, {"raw": scores}, {}, 1.0)
        shown = surest(predictions, "raw", detector.thresholds(), each=99)
        found = {kind: {list(SCORES.values())[i] for i in members} for kind, members in shown.items() if members}
        right = {"true_positive": {"fake"}, "false_negative": {"real"}}
        assert found == (right if truth == "fake" else {"false_positive": {"fake"}, "true_negative": {"real"}})


def test_the_card_says_how_to_read_the_pipeline_and_its_line_gives_these_verdicts(model, detector):
    card = render_card(read_checkpoint(model), "user/tiny")
    (line,) = (line for line in card.splitlines() if line.startswith("verdict = "))
    for score, word in SCORES.items():
        said = {"p_fake": score}
        exec(line, said)
        assert said["verdict"] == word
    assert "`fake` from P(fake) = 0.979 on, `real` below 0.29, `uncertain` between them" in card
    assert "A `fake` that comes first with less than 0.979 is no verdict of fake." in card
    assert "for at most 1 % of real images: from P(fake) = 0.979 on" in card


def test_the_space_draws_each_score_in_the_zone_of_its_verdict_and_states_the_same_thresholds(detector):
    for score, word in SCORES.items():
        (zone,) = (z for z in scale.zones(detector, word, None) if z.low <= score < z.high or score == z.high == 1)
        assert zone.word == word
    assert models.facts(detector)["Verdict"] == detector.thresholds().in_words()
    assert models.facts(detector)["Verdict"] == "real below 0.29, fake from 0.979 on, uncertain between"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_browser_says_the_same_words_and_sentences(detector, space_script):
    verdicts = space_script.verdicts(detector.thresholds())
    given = json.dumps([list(SCORES), verdicts])
    code = ASK.format(module=json.dumps(VERDICT_JS.as_uri()), given=given)
    done = subprocess.run(["node", "--input-type=module", "-e", code], capture_output=True, text=True, check=True)
    for (score, word), found in zip(SCORES.items(), json.loads(done.stdout), strict=True):
        assert (found["verdict"], found["band"]) == (word, BAND)
        assert found["sentence"] == verdict_sentence(score, detector.thresholds())
