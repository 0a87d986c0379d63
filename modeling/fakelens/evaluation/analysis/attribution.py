"""Which generator made it: a model's answers, and how often they are right.

A wish of reference system S3. The question is an open one: data have generators that the model never saw, for which
the right answer is "unknown generator", by a threshold on the score of the likeliest one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import metrics

from fakelens.data.sources.labels import FAKE
from fakelens.errors import UserError
from fakelens.evaluation.analysis.summary import UNSTATED
from fakelens.evaluation.scoring.predict import Predictions

REAL_NAME = "real"
UNKNOWN = "unknown generator"
UNKNOWN_BELOW = 0.5


def check_unknown_below(unknown_below: float) -> None:
    """Refuse a fraction that is none.

    Args:
        unknown_below: As a person typed it.

    Raises:
        UserError: If it lies outside [0, 1].
    """
    if not 0 <= unknown_below <= 1:
        raise UserError(f"unknown_below is a fraction of P(fake), in [0, 1]: not {unknown_below}.")


def name_generators(
    probabilities: np.ndarray, classes: Sequence[str], threshold: float, unknown_below: float = UNKNOWN_BELOW
) -> np.ndarray:
    """Answer who made each image.

    Args:
        probabilities: Of shape `(count, classes)`, "real" first.
        classes: "real", then the generators.
        threshold: P(fake) from which the verdict is "fake": below it the answer is "real".
        unknown_below: The fraction of P(fake) that the likeliest generator must have, in [0, 1], to be named.

    Returns:
        "real", a generator's name or "unknown generator", of shape `(count,)`.
    """
    likeliest = np.array(classes[1:])[probabilities[:, 1:].argmax(axis=1)]
    named = np.where(likeliest_fraction(probabilities) >= unknown_below, likeliest, UNKNOWN)
    return np.where(probabilities[:, 1:].sum(axis=1) >= threshold, named, REAL_NAME)


def likeliest_fraction(probabilities: np.ndarray) -> np.ndarray:
    """Return the likeliest generator's fraction of P(fake), in [0, 1], of shape `(count,)`.

    Args:
        probabilities: Of shape `(count, classes)`, "real" first.
    """
    fake = probabilities[:, 1:].sum(axis=1)
    return np.divide(probabilities[:, 1:].max(axis=1), fake, out=np.zeros_like(fake), where=fake > 0)


def attribute(
    predictions: Predictions, view: str, threshold: float, unknown_below: float = UNKNOWN_BELOW
) -> dict[str, Any] | None:
    """Compare a model's answers with who made the images.

    Args:
        predictions: Of a model that tells generators apart.
        view: The view's name.
        threshold: P(fake) from which the model's verdict is "fake".
        unknown_below: See `name_generators`.

    Returns:
        None if the data name no generators; else `rows` (the makers that the data name: what the model knows in its
        order, then the others), `labels` (the answers: the model's classes and "unknown generator"), `confusion`
        (counts, a list a row), `accuracy` (fraction of images with the right answer, which is "unknown generator"
        where the model does not know the maker), `macro_recall` (the mean of that fraction over rows),
        `closed_set_accuracy` (fraction of images of the model's own classes whose likeliest class is the right one, no
        answer being unknown), `open_set_auroc` (how well the likeliest generator's fraction of P(fake) tells fakes of
        known makers from those of unknown ones), the last two None where undefined, `unknown_below` and `unstated`,
        the number of fakes left out because the data do not say who made them.
    """
    stated = predictions.generators != UNSTATED
    truth, probabilities = predictions.generators[stated], predictions.probabilities[view][stated]
    fake = predictions.labels[stated] == FAKE
    if not fake.any():
        return None
    classes = np.array(predictions.classes)
    known = np.isin(truth, classes)
    rows = [name for name in predictions.classes if name in truth] + sorted(set(truth[~known].tolist()))
    labels = [*predictions.classes, UNKNOWN]
    answers = name_generators(probabilities, predictions.classes, threshold, unknown_below)
    confusion = [[int(((truth == row) & (answers == label)).sum()) for label in labels] for row in rows]
    right = answers == np.where(known, truth, UNKNOWN)
    closed = classes[probabilities.argmax(axis=1)] == truth
    both = len(set(known[fake].tolist())) == 2
    return {
        "rows": rows,
        "labels": labels,
        "confusion": confusion,
        "accuracy": float(right.mean()),
        "macro_recall": float(np.mean([right[truth == row].mean() for row in rows])),
        "closed_set_accuracy": float(closed[known].mean()) if known.any() else None,
        "open_set_auroc": (
            float(metrics.roc_auc_score(known[fake], likeliest_fraction(probabilities)[fake])) if both else None
        ),
        "unknown_below": unknown_below,
        "unstated": int((~stated).sum()),
    }
