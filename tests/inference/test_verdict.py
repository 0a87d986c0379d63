import pytest

from fakelens.inference.thresholds import Thresholds
from fakelens.inference.verdict import verdict_sentence


def band(max_fpr):
    return Thresholds(0.29, 0.8, 0.5, max_fpr)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0.9991, band(0.05)), ["Probably AI-generated", "above 0.99", "Of 100 photographs", "at most 5 get"]),
        ((0.8, band(0.01)), ["0.80", "Of 100 photographs", "at most 1 get"]),
        ((0.8, band(0.002)), ["Of 1,000 photographs", "at most 2 get"]),
        ((0.8, band(None)), ["Probably AI-generated", "card"]),
        ((0.0, band(0.05)), ["Probably a photograph", "below 0.01", "no proof"]),
        ((0.5, band(0.05)), ["cannot tell", "0.50", "photographs (below 0.29)", "images (from 0.80 on)"]),
        ((0.5, band(0.05)), ["leans towards AI-generated, and falls short of that verdict by 0.30."]),
        ((0.49, band(0.05)), ["leans towards a photograph, and falls short of that verdict by 0.20."]),
        ((0.7985, band(0.05)), ["falls short of that verdict by less than 0.01."]),
        ((None, band(0.05)), ["Not scored"]),
    ],
)
def test_a_verdict_is_said_with_what_it_is_worth(arguments, words):
    sentence = verdict_sentence(*arguments)
    assert all(word in sentence for word in words), sentence
