"""A verdict on the page: in word and sign, its score on its scale, and what the threshold is worth."""

from html import escape

from fakelens.inference.detector import Detector
from fakelens.inference.verdict import ROUND_COUNTS, Verdict

SIGNS = {"real": "✓", "fake": "✕", "uncertain": "?"}  # beside the words, so that no colour is needed
WORDS = {"real": "Real", "fake": "Fake", "uncertain": "Uncertain"}


def verdict_card(detector: Detector, verdict: Verdict, picture: str, max_fpr: float | None) -> str:
    """Return the card of an image that was judged.

    Args:
        detector: Who judged it.
        verdict: What it said.
        picture: The image as a data URL.
        max_fpr: The share of photographs that the threshold keeps to; None if it is not known.
    """
    word, score = str(verdict.verdict), float(verdict.score or 0)
    remarks = [f"<li>{escape(text)}</li>" for text in verdict.warnings]
    notes = "; ".join(map(escape, verdict.notes))
    return (
        f'<article class="fl-card fl-{word}"><figure><img src="{picture}" alt="The image that was judged"></figure>'
        f'<div class="fl-said"><h2><span class="fl-sign" aria-hidden="true">{SIGNS[word]}</span> {WORDS[word]}</h2>'
        f'<p class="fl-sentence">{escape(verdict.sentence)}</p>'
        f"{meter(detector, word, score, max_fpr)}"
        f'<p class="fl-quiet">{threshold_sentence(detector, max_fpr)}</p>'
        + (_box("fl-conflict", "The file and the detector disagree", f"<p>{escape(verdict.disagreement)}</p>")
           if verdict.disagreement else "")
        + (_box("fl-warnings", "When not to trust it", f"<ul>{''.join(remarks)}</ul>") if remarks else "")
        + (f'<p class="fl-quiet">Before it was judged: {notes}.</p>' if notes else "")
        + "</div></article>"
    )  # fmt: skip


def error_card(message: str) -> str:
    """Return the card of an image that could not be judged.

    Args:
        message: Why, in plain text.
    """
    return (
        '<article class="fl-card fl-error" role="alert"><div class="fl-said"><h2><span class="fl-sign" '
        f'aria-hidden="true">!</span> Not judged</h2><p class="fl-sentence">{escape(message)}</p>'
        '<p class="fl-quiet">Nothing of it was kept. Try another image.</p></div></article>'
    )


def meter(detector: Detector, word: str, score: float, max_fpr: float | None) -> str:
    """Return the score on its scale from 0 to 1, with the uncertain band and the threshold drawn.

    Args:
        detector: Whose band it is.
        word: "real", "fake" or "uncertain".
        score: P(fake) in [0, 1].
        max_fpr: As in `verdict_card`.
    """
    low, high = detector.uncertain_band[0], detector.fake_threshold(max_fpr)
    low = min(low, high)
    band = f"uncertain from {low:.2f} to {high:.2f}" if low < high else f"fake from {high:.2f} on"
    label = f"uncertain<br>{low:.2f} – {high:.2f}" if low < high else ""
    return (
        f'<div class="fl-scale" style="--low:{low:.4f};--high:{high:.4f};--score:{score:.4f}">'
        f'<p class="fl-score"><span>Score</span> <b>{score:.3f}</b></p>'
        '<div class="fl-meter" role="meter" aria-label="Score for AI-generated" aria-valuemin="0" aria-valuemax="1" '
        f'aria-valuenow="{score:.4f}" aria-valuetext="{score:.2f}, {word}; {band}"><i></i></div>'
        '<div class="fl-ends" aria-hidden="true"><span>0<br>photograph</span>'
        f"<span>{label}</span><span>1<br>AI-generated</span></div></div>"
    )


def threshold_sentence(detector: Detector, max_fpr: float | None) -> str:
    """Say what the threshold for "fake" is, and how many photographs reach it.

    Args:
        detector: Whose threshold it is.
        max_fpr: As in `verdict_card`.
    """
    start = f"Called fake from {detector.fake_threshold(max_fpr):.3f} on."
    if max_fpr is None:
        return f"{start} How many photographs reach that was not measured for this model."
    among = next((n for n in ROUND_COUNTS if max_fpr * n >= 1), ROUND_COUNTS[-1])
    return (
        f"{start} That stands for a false-positive rate of {100 * max_fpr:g} %: of {among:,} photographs like those "
        f"that it was calibrated on, at most {max_fpr * among:g} reach it."
    )


def _box(kind: str, title: str, content: str) -> str:
    return f'<section class="fl-box {kind}"><h3>{title}</h3>{content}</section>'
