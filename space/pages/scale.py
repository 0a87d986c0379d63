"""A score on its scale: the zones real, uncertain and fake side by side, each as wide as the others.

To scale, a zone that begins at 0.979 could not be seen. Within a zone the mark lies where the score lies between the
zone's ends, which stand below.
"""

from dataclasses import dataclass

from fakelens.inference.detector import Detector

WORDS = {"real": "Real", "uncertain": "Uncertain", "fake": "Fake"}
MARGIN = 0.04  # of a zone, which the mark keeps from its ends, so that it is seen to lie inside


@dataclass(frozen=True)
class Zone:
    """What scores of one verdict have in common.

    Attributes:
        word: The verdict.
        low: The lowest score.
        high: Where the next zone begins.
    """

    word: str
    low: float
    high: float


def zones(detector: Detector, word: str, max_fpr: float | None) -> list[Zone]:
    """Return the zones from left to right; one without any score in it is left out.

    Args:
        detector: Whose thresholds they are.
        word: The verdict on show, whose zone is there in any case.
        max_fpr: The rate of false positives that was allowed; None for the model's own.
    """
    thresholds = detector.thresholds(max_fpr)
    low, high = thresholds.real_below, thresholds.fake_from
    every = [Zone("real", 0.0, low), Zone("uncertain", low, high), Zone("fake", high, 1.0)]
    return [zone for zone in every if zone.low < zone.high or zone.word == word]


def mark_at(found: list[Zone], word: str, score: float) -> float:
    """Return where a score's mark lies, as a fraction of the scale's width.

    Args:
        found: What `zones` returned.
        word: The verdict.
        score: P(fake) in [0, 1].
    """
    number = next(number for number, zone in enumerate(found) if zone.word == word)
    zone = found[number]
    within = (score - zone.low) / (zone.high - zone.low) if zone.low < zone.high else 0.5
    return (number + min(max(within, MARGIN), 1 - MARGIN)) / len(found)


def scale(detector: Detector, word: str, score: float, max_fpr: float | None = None, small: bool = False) -> str:
    """Return a score on its scale, as HTML.

    Args:
        detector: Who predicted it.
        word: "real", "fake" or "uncertain".
        score: P(fake) in [0, 1].
        max_fpr: As in `zones`.
        small: For a table: without words and numbers.
    """
    found = zones(detector, word, max_fpr)
    at = mark_at(found, word, score)
    segments = "".join(
        f'<li class="fl-zone-{zone.word}{" fl-here" if zone.word == word else ""}">'
        f"{'' if small else WORDS[zone.word]}</li>"
        for zone in found
    )
    spoken = "; ".join(f"{zone.word} from {zone.low:.2f} to {zone.high:.2f}" for zone in found)
    mark = f'<i style="--at:{at:.4f}"></i>' + ("" if small else f'<b style="--at:{at:.4f}">{rounded(score)}</b>')
    ends = [(number / len(found), zone.low) for number, zone in enumerate(found)] + [(1.0, 1.0)]
    ticks = "".join(f'<span style="--at:{at:.4f}">{tick(value)}</span>' for at, value in ends)
    return (
        f'<div class="fl-scale{" fl-small" if small else ""}" role="meter" aria-label="Score for AI-generated" '
        f'aria-valuemin="0" aria-valuemax="1" aria-valuenow="{score:.4f}" '
        f'aria-valuetext="{score:.2f}, {word}; {spoken}"><div class="fl-bar-of-zones" aria-hidden="true">{mark}'
        f"<ol>{segments}</ol></div>"
        + ("" if small else f'<div class="fl-ticks" aria-hidden="true">{ticks}</div>')
        + "</div>"
    )


def rounded(score: float) -> str:
    """Return a score with three decimals that never claims certainty."""
    return "&gt; 0.999" if score > 0.999 else "&lt; 0.001" if score < 0.001 else f"{score:.3f}"


def tick(value: float) -> str:
    """Return a zone's end for reading: 0, 1, or three decimals."""
    return f"{value:.0f}" if value in (0, 1) else f"{value:.3f}"
