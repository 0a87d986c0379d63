"""A verdict on the page: in word and sign, in a sentence, on its scale; each thing said once."""

from html import escape

from fakelens.inference.detector import Detector
from fakelens.inference.verdict import ROUND_COUNTS, Verdict
from pages.scale import WORDS, scale

SIGNS = {"real": "✓", "fake": "✕", "uncertain": "?"}  # beside the words, so that no colour is needed


def verdict_card(detector: Detector, verdict: Verdict, image: str, max_fpr: float | None) -> str:
    """Return the card of an image that was scored.

    Args:
        detector: Who scored it.
        verdict: What it predicted.
        image: The image as a data URL.
        max_fpr: The false-positive rate that the threshold keeps to; None if it is not known.
    """
    word, score = str(verdict.verdict), float(verdict.score or 0)
    remarks = "".join(f"<li>{escape(text)}</li>" for text in verdict.warnings)
    notes = "; ".join(map(escape, verdict.notes))
    parts = [
        f'<h2><span class="fl-sign" aria-hidden="true">{SIGNS[word]}</span> {WORDS[word]}</h2>',
        f'<p class="fl-sentence">{escape(verdict.sentence)}</p>',
        scale(detector, word, score, max_fpr),
        # The sentence of "fake" says it already.
        "" if word == "fake" else f'<p class="fl-quiet">{false_alarms(max_fpr)}</p>',
        _box("fl-conflict", "The file and the detector disagree", f"<p>{escape(verdict.disagreement)}</p>")
        if verdict.disagreement
        else "",
        _box("fl-warnings", "When not to trust it", f"<ul>{remarks}</ul>") if remarks else "",
        f'<p class="fl-quiet">Before it was scored: {notes}.</p>' if notes else "",
        '<p class="fl-next"><button type="button" class="fl-primary" data-fl="choose" data-zone="image">'
        "Check another image</button></p>",
    ]
    return (
        f'<article class="fl-card fl-{word}"><figure><img src="{image}" alt="The image that was scored"></figure>'
        f'<div class="fl-said">{"".join(parts)}</div></article>'
    )


def error_card(message: str, zone: str = "image") -> str:
    """Return the card of an image that could not be scored.

    Args:
        message: Why, in plain text.
        zone: The zone that the next image is chosen in.
    """
    return (
        '<article class="fl-card fl-error" role="alert"><div class="fl-said"><h2><span class="fl-sign" '
        f'aria-hidden="true">!</span> Not scored</h2><p class="fl-sentence">{escape(message)}</p>'
        '<p class="fl-quiet">Nothing of it was kept.</p><p class="fl-next"><button type="button" class="fl-primary" '
        f'data-fl="choose" data-zone="{zone}">Choose another image</button></p></div></article>'
    )


def false_alarms(max_fpr: float | None) -> str:
    """Say how many photographs reach the threshold for "fake".

    Args:
        max_fpr: As in `verdict_card`.
    """
    if max_fpr is None:
        return "How many photographs this model predicts fake by mistake was not measured."
    among = next((n for n in ROUND_COUNTS if max_fpr * n >= 1), ROUND_COUNTS[-1])
    return (
        f"False alarms: of {among:,} photographs like those it was calibrated on, at most {max_fpr * among:g} "
        f"{'scores' if max_fpr * among == 1 else 'score'} as fake."
    )


def _box(kind: str, title: str, content: str) -> str:
    return f'<section class="fl-box {kind}"><h3>{title}</h3>{content}</section>'
