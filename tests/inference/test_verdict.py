import pytest

from fakelens.inference.verdict import verdict_sentence


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fake", 0.9991, 0.05), ["Probably AI-generated", "above 0.99", "Of 100 photographs", "at most 5 get"]),
        (("fake", 0.8, 0.01), ["0.80", "Of 100 photographs", "at most 1 get"]),
        (("fake", 0.8, 0.002), ["Of 1,000 photographs", "at most 2 get"]),
        (("fake", 0.8), ["Probably AI-generated", "card"]),
        (("real", 0.0, 0.05), ["Probably a photograph", "below 0.01", "no proof"]),
        (("uncertain", 0.5), ["cannot tell", "0.50"]),
        ((None, None), ["Not scored"]),
    ],
)
def test_a_verdict_is_said_with_what_it_is_worth(arguments, words):
    sentence = verdict_sentence(*arguments)
    assert all(word in sentence for word in words), sentence
