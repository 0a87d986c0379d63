"""Scores -> the numbers of a report: overall, per generator, per source."""

from typing import Any

import numpy as np

from fakelens.data.labels import FAKE, REAL
from fakelens.errors import UserError
from fakelens.evaluation.predict import Predictions
from fakelens.metrics import detection_metrics

UNSTATED = "unstated"


def summarise(predictions: Predictions, threshold: float) -> dict[str, dict[str, Any]]:
    """Compute every number of one model on one split, by view.

    Args:
        predictions: The model's scores.
        threshold: P(fake) from which the verdict is "fake", in [0, 1].

    Returns:
        By view: `overall`, `per_generator` (that generator's fakes against all reals of the split), `per_source` (that
        collection's rows alone; empty if the data names none), `macro_auroc_over_generators` and `worst_generator`
        (`name` and `auroc`), the last two None where no AUROC is defined.

    Raises:
        UserError: If a score is not a number.
    """
    try:
        return {
            view: summarise_view(scores, predictions.labels, predictions.generators, predictions.sources, threshold)
            for view, scores in predictions.scores.items()
        }
    except UserError as error:
        raise UserError(f"{predictions.model} on split {predictions.split!r}: {error}") from None


def summarise_view(
    scores: np.ndarray, labels: np.ndarray, generators: np.ndarray, sources: np.ndarray, threshold: float
) -> dict[str, Any]:
    """Compute the numbers of one view; all arrays are of shape `(count,)`.

    Args:
        scores: P(fake) in [0, 1].
        labels: 0 real, 1 fake.
        generators: Names of the models that made the images.
        sources: Names of the collections that they come from, "" where the data does not say.
        threshold: P(fake) from which the verdict is "fake", in [0, 1].
    """

    def metrics_of(chosen: np.ndarray) -> dict[str, Any]:
        return dict(detection_metrics(scores[chosen], labels[chosen], threshold))

    overall = dict(detection_metrics(scores, labels, threshold))  # first: it checks the scores as a whole
    made_by = np.unique(generators[labels == FAKE])
    of_generator = {str(name): metrics_of((labels == REAL) | (generators == name)) for name in made_by}
    named = np.unique(sources if (sources != "").any() else sources[:0])
    aurocs = {name: numbers["auroc"] for name, numbers in of_generator.items() if numbers["auroc"] is not None}
    worst = min(aurocs, key=lambda name: aurocs[name], default=None)
    return {
        "overall": overall,
        "per_generator": of_generator,
        "per_source": {str(name) or UNSTATED: metrics_of(sources == name) for name in named},
        "macro_auroc_over_generators": float(np.mean(list(aurocs.values()))) if aurocs else None,
        "worst_generator": {"name": worst, "auroc": aurocs[worst]} if worst is not None else None,
    }


def shortcut_gap(results: dict[str, dict[str, Any]]) -> float | None:
    """Return raw minus normalised AUROC of one split's results, None if either is not there or not defined.

    Args:
        results: What `summarise` returned.
    """
    raw, normalised = (results[v]["overall"]["auroc"] if v in results else None for v in ("raw", "normalised"))
    return None if raw is None or normalised is None else float(raw - normalised)
