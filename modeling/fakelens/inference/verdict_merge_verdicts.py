"""A verdict in plain words: what it says, and how far it can be relied on."""

SHARES = (100, 1000, 10_000, 100_000)


def verdict_sentence(verdict: str | None, score: float | None = None, max_fpr: float | None = None) -> str:
    """Say a verdict in words.

    Args:
        verdict: "real", "fake", "uncertain", or None for an image that could not be judged.
        score: P(fake) in [0, 1]; None likewise.
        max_fpr: The share of photographs, in (0, 1), that the threshold for "fake" keeps to; None if it is not known.
    """
    if verdict is None or score is None:
        return "Not judged."
    if verdict == "real":
        return (
            f"Probably a photograph: the detector's score for AI-generated is {_rounded(score)}. "
            "That is no proof: it may miss generators that it was not trained on."
        )
    if verdict == "uncertain":
        return (
            f"The detector cannot tell: its score of {_rounded(score)} lies between those of photographs and those of "
            "AI-generated pictures. Rely on other evidence."
        )
    if max_fpr is None:
        kept = "How many photographs get this verdict by mistake, the model's card says."
    else:
        among = next((n for n in SHARES if max_fpr * n >= 1), SHARES[-1])
        kept = (
            f"Of {among:,} photographs like those it was calibrated on, at most {max_fpr * among:g} get this verdict "
            "by mistake; of others it may be more."
        )
    return f"Probably AI-generated: the detector's score for it is {_rounded(score)}. {kept}"


def _rounded(score: float) -> str:
    """Return a score with two decimals that never claims certainty."""
    return "above 0.99" if score > 0.99 else "below 0.01" if score < 0.01 else f"{score:.2f}"
