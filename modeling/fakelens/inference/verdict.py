"""A verdict as one row, as JSON holds it: what the command line prints, and what the Space's API answers."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # torch and transformers take seconds to import: `fakelens --help` does without
    from fakelens.inference.verdict import Verdict

Row = dict[str, Any]

# Beside them stand the paths of the pictures that were asked for: PICTURES.
FIELDS = (
    *("path", "verdict", "score", "model"),
    *("sentence", "warnings", "provenance", "disagreement", "notes", "error"),
)
PICTURES = ("heatmap", "figure")


def verdict_row(name: str, model: str, verdict: "Verdict") -> Row:
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
