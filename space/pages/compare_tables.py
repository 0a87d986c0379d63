"""The Compare page's tables: what each model says, and what becomes of a verdict under everyday changes."""

from collections.abc import Sequence
from html import escape

from fakelens.explain.stability import Step, stability_sentence
from fakelens.inference.detector import Detector
from fakelens.inference.verdict import Row
from pages.verdict_card import SIGNS


def models_table(detectors: dict[str, Detector], rows: Sequence[Row]) -> str:
    """Return the table of the models' verdicts.

    Args:
        detectors: By the names that the rows' `model` is.
        rows: What `compared` returned.
    """
    lines = []
    for row in rows:
        name = f'<th scope="row">{escape(row["model"])}</th>'
        if row["verdict"] is None:
            lines.append(f'<tr>{name}<td colspan="4">Not judged: {escape(str(row["error"]))}</td></tr>')
            continue
        rate = "not measured" if row["max_fpr"] is None else f"at most {100 * row['max_fpr']:g} %"
        lines.append(
            f"<tr>{name}<td>{word(row['verdict'])}</td>{scale(detectors[row['model']], row['verdict'], row['score'])}"
            f"<td>{rate}</td></tr>"
        )
    return table(
        "What each model says", ("Model", "Verdict", "P(fake)", "On its scale", "Photographs it calls fake"), lines
    )


def stability_table(label: str, detector: Detector, steps: Sequence[Step]) -> str:
    """Return the table of a verdict under changes, with its sentence.

    Args:
        label: The model's name on the page.
        detector: The model.
        steps: What `stability` returned.
    """
    lines = [
        f'<tr><th scope="row">{escape(step.name)}</th><td>{step.image_size[0]} × {step.image_size[1]}</td>'
        f"<td>{word(step.verdict)}{'' if step.verdict == steps[0].verdict else ' (changed)'}</td>"
        f"{scale(detector, step.verdict, step.score)}</tr>"
        for step in steps
    ]
    heads = ("Change", "Pixels", "Verdict", "P(fake)", "On its scale")
    sentence = f"<p><strong>{escape(stability_sentence(steps))}</strong></p>"
    return table(f"How stable the verdict is: {label}", heads, lines) + sentence


def table(caption: str, heads: Sequence[str], lines: Sequence[str]) -> str:
    """Return a table that scrolls inside itself where it is too wide.

    Args:
        caption: Plain text.
        heads: The columns' headings, plain text.
        lines: Rows as HTML.
    """
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    return (
        f'<div class="fl-wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="fl-table">'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def word(verdict: str) -> str:
    """Return a verdict in word and sign."""
    return f'<span aria-hidden="true">{SIGNS[verdict]}</span> {verdict}'


def scale(detector: Detector, verdict: str, score: float) -> str:
    """Return two cells: a score, and a mark for it on its scale with the uncertain band drawn.

    Args:
        detector: Whose band it is.
        verdict: "real", "fake" or "uncertain".
        score: P(fake) in [0, 1].
    """
    low, high = detector.uncertain_band
    return (
        f'<td>{score:.3f}</td><td style="--low:{low:.4f};--high:{high:.4f};--score:{score:.4f}"><div class="fl-meter" '
        f'role="meter" aria-label="P(fake)" aria-valuemin="0" aria-valuemax="1" aria-valuenow="{score:.4f}" '
        f'aria-valuetext="{score:.2f}, {verdict}; uncertain from {low:.2f} to {high:.2f}"><i></i></div></td>'
    )
