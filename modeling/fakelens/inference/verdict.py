"""What a detector says of one image: the verdict, the sentence that explains it, and the row that JSON holds of it.

Imports neither torch nor transformers, which take seconds: `fakelens --help` does without.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it brings NumPy, and `fakelens --help` does without
    from fakelens.inference.thresholds import Thresholds

Row = dict[str, Any]

# Beside them stand the paths of the drawings that were asked for: DRAWINGS.
FIELDS = (
    *("path", "verdict", "score", "model"),
    *("sentence", "warnings", "provenance", "disagreement", "notes", "error"),
)
DRAWINGS = ("heatmap", "figure")
ROUND_COUNTS = (100, 1000, 10_000, 100_000)


@dataclass(frozen=True)
class Verdict:
    """What a detector says of one image.

    Attributes:
        verdict: "real", "fake", or "uncertain" where the score lies in the detector's uncertain band; None if the
            image could not be scored.
        score: P(fake) in [0, 1]; None likewise.
        sentence: The verdict in plain words, with what it is worth.
        warnings: In what the image differs from the photographs that a detector knows.
        provenance: What the file states of itself (format, size, claims of origin); never part of the score.
        disagreement: Where the file states one thing and the detector another; None if they agree.
        notes: What was done to the image before it was scored.
        error: Why it could not be scored; None if it was.

    Examples:
        >>> from fakelens import Verdict
        >>> verdict = Verdict("fake", 0.93, provenance={"format": "JPEG", "width": 640, "height": 480})
        >>> f"{verdict.verdict}: P(fake) = {verdict.score:.2f}"
        'fake: P(fake) = 0.93'
    """

    verdict: str | None
    score: float | None
    sentence: str = ""
    warnings: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    disagreement: str | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None


def verdict_sentence(
    score: float | None, thresholds: "Thresholds", word: str | None = None, leaning: str | None = None
) -> str:
    """Say a verdict in words.

    Args:
        score: P(fake) in [0, 1]; None for an image that could not be scored.
        thresholds: Where the verdict changes.
        word: The verdict, where the score is a rounded one that might get another; the score's own if None.
        leaning: Likewise, to which side an uncertain score leans, "real" or "fake".
    """
    if score is None:
        return "Not scored."
    word = word or thresholds.verdict(score)
    if word == "real":
        return (
            f"Probably a photograph: the detector's score for AI-generated is {rounded(score)}. "
            "That is no proof: it may miss generators that it was not trained on."
        )
    if word == "uncertain":
        return (
            f"The detector cannot tell: its score of {rounded(score)} lies between those of photographs (below "
            f"{thresholds.real_below:.2f}) and those of AI-generated images (from {thresholds.fake_from:.2f} on). "
            f"{_leaning(score, thresholds, leaning or thresholds.leaning(score))} Rely on other evidence."
        )
    if thresholds.max_fpr is None:
        kept = "How many photographs get this verdict by mistake, the model's card says."
    else:
        among = next((n for n in ROUND_COUNTS if thresholds.max_fpr * n >= 1), ROUND_COUNTS[-1])
        kept = (
            f"Of {among:,} photographs like those it was calibrated on, at most {thresholds.max_fpr * among:g} get "
            "this verdict by mistake; of others it may be more."
        )
    return f"Probably AI-generated: the detector's score for it is {rounded(score)}. {kept}"


def short_form(sentence: str) -> str:
    """Return what a table says of a verdict: the sentence's first clause, and to which side an uncertain score leans.

    Args:
        sentence: What `verdict_sentence` returned.
    """
    leaning = next((part for part in sentence.split(". ") if part.startswith("It leans")), "")
    return " ".join(f"{part}." for part in (sentence.partition(":")[0].rstrip("."), leaning) if part)


def _leaning(score: float, thresholds: "Thresholds", leaning: str) -> str:
    """Say to which side an uncertain score leans, and by how much it falls short of that verdict."""
    if leaning == "fake":
        side, end = "AI-generated", thresholds.fake_from
    else:
        side, end = "a photograph", thresholds.real_below
    # Between the numbers as they are shown, so that a reader who subtracts them gets the same.
    gap = abs(round(end, 2) - round(score, 2))
    short = f"{gap:.2f}" if gap >= 0.005 else "less than 0.01"
    return f"It leans towards {side}, and falls short of that verdict by {short}."


def rounded(score: float) -> str:
    """Return a score with two decimals that never claims certainty.

    Args:
        score: P(fake) in [0, 1].
    """
    return "above 0.99" if score > 0.99 else "below 0.01" if score < 0.01 else f"{score:.2f}"


def verdict_row(name: str, model: str, verdict: Verdict) -> Row:
    """Return the row of an image that a detector was shown.

    Args:
        name: What to call the image: its path or address.
        model: The detector's name.
        verdict: What it said; one with an `error` gives a row with it.

    Returns:
        A value for each of `FIELDS`, fit for JSON.
    """
    return {
        "path": name,
        "verdict": verdict.verdict,
        "score": verdict.score,
        "model": model,
        "sentence": verdict.sentence or None,
        "warnings": list(verdict.warnings),
        "provenance": verdict.provenance,
        "disagreement": verdict.disagreement,
        "notes": list(verdict.notes),
        "error": verdict.error,
    }


def error_row(name: str, model: str, error: str) -> Row:
    """Return the row of an image that no detector could be shown.

    Args:
        name: What to call the image: its path or address.
        model: The detector's name.
        error: Why, in one line.
    """
    empty: Row = dict.fromkeys(FIELDS)
    return empty | {"path": name, "model": model, "warnings": [], "provenance": {}, "notes": [], "error": error}
