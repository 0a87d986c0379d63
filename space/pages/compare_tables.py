"""The Compare page's tables: what each model predicts, and what becomes of a verdict under everyday changes."""

from collections.abc import Sequence
from html import escape

from fakelens.explain.stability import Step, stability_sentence
from fakelens.inference.detector import Detector
from fakelens.inference.verdict import Row
from pages.scale import rounded, scale
from pages.verdict_card import SIGNS

WIDE = ("On its scale", "Pixels")  # columns that phones do without
ROOMY = ' class="fl-roomy"'


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
            lines.append(f'<tr>{name}<td colspan="4">Not scored: {escape(str(row["error"]))}</td></tr>')
            continue
        rate = "not measured" if row["max_fpr"] is None else f"at most {100 * row['max_fpr']:g} %"
        drawn = scale(detectors[row["model"]], row["verdict"], row["score"], small=True)
        lines.append(
            f'<tr>{name}<td>{word(row["verdict"])}</td><td class="fl-number">{rounded(row["score"])}</td>'
            f'<td class="fl-roomy">{drawn}</td><td>{rate}</td></tr>'
        )
    caption = "What the model predicts" if len(rows) == 1 else "What each model predicts"
    return table(caption, ("Model", "Verdict", "Score", "On its scale", "False alarms"), lines)


def stability_table(label: str, detector: Detector, steps: Sequence[Step]) -> str:
    """Return the table of a verdict under changes, with its sentence.

    Args:
        label: The model's name on the page.
        detector: The model.
        steps: What `stability` returned.
    """
    first = steps[0]
    lines = [
        f'<tr{"" if step.verdict == first.verdict else " class=fl-changed"}><th scope="row">{escape(step.name)}</th>'
        f"<td>{word(step.verdict)}{'' if step.verdict == first.verdict else '<br>(changed)'}</td>"
        f'<td class="fl-number">{rounded(step.score)}</td>'
        f'<td class="fl-number">{"" if step is first else moved(step, first)}</td>'
        f'<td class="fl-roomy">{scale(detector, step.verdict, step.score, small=True)}</td>'
        f'<td class="fl-number fl-roomy">{step.image_size[0]} × {step.image_size[1]}</td></tr>'
        for step in steps
    ]
    heads = ("The image", "Verdict", "Score", "Change of score", "On its scale", "Pixels")
    sentence = f"<p><strong>{escape(stability_sentence(steps))}</strong></p>"
    return sentence + table(f"How stable the verdict is: {label}", heads, lines)


def moved(step: Step, first: Step) -> str:
    """Return how far a change moves the score, with its sign.

    Args:
        step: After the change.
        first: The image as it is.
    """
    by = round(step.score - first.score, 3)
    return "0.000" if by == 0 else f"{'+' if by > 0 else '−'}{abs(by):.3f}"


def table(caption: str, heads: Sequence[str], lines: Sequence[str]) -> str:
    """Return a table that scrolls inside itself where it is too wide.

    Args:
        caption: Plain text.
        heads: The columns' headings, plain text.
        lines: Rows as HTML.
    """
    head = "".join(f'<th scope="col"{ROOMY if text in WIDE else ""}>{escape(text)}</th>' for text in heads)
    return (
        f'<div class="fl-wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="fl-table">'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def word(verdict: str) -> str:
    """Return a verdict in word and sign."""
    return f'<span class="fl-number"><span aria-hidden="true">{SIGNS[verdict]}</span> {verdict}</span>'
