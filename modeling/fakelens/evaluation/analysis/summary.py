"""Scores -> the numbers of a report: overall, per generator, per source, with intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fakelens.data.sources.labels import FAKE, REAL
from fakelens.errors import UserError
from fakelens.evaluation.analysis.verdicts import verdict_metrics
from fakelens.evaluation.scoring.predict import Predictions
from fakelens.inference.thresholds import Thresholds
from fakelens.metrics.bootstrap import LEVEL, METHOD, Replicates, bootstrap, interval, intervals_of, replicates_for
from fakelens.metrics.detection import check_scores, detection_metrics

UNSTATED = "unstated"
SEED = 0  # of the resamples


def summarise(predictions: Predictions, thresholds: Thresholds) -> dict[str, dict[str, Any]]:
    """Compute every number of one model on one split, by view.

    Args:
        predictions: The model's scores.
        thresholds: Where its verdict changes.

    Returns:
        By view, see `summarise_view`.

    Raises:
        UserError: If a score is not a number.
    """
    try:
        return {
            view: summarise_view(scores, predictions.labels, predictions.generators, predictions.sources, thresholds)
            for view, scores in predictions.scores.items()
        }
    except UserError as error:
        raise UserError(f"{predictions.model} on split {predictions.split!r}: {error}") from None


def summarise_view(
    scores: np.ndarray, labels: np.ndarray, generators: np.ndarray, sources: np.ndarray, thresholds: Thresholds
) -> dict[str, Any]:
    """Compute the numbers of one view; all arrays are of shape `(count,)`.

    Args:
        scores: P(fake) in [0, 1].
        labels: 0 real, 1 fake.
        generators: Names of the models that made the images.
        sources: Names of the collections that they come from, "" where the data does not say.
        thresholds: Where the verdict changes.

    Returns:
        `overall`; `per_generator` (that generator's fakes against all real images of the split) and `per_source` (that
        collection's rows alone; empty if the data names none), by name: each the metrics of `detection_metrics` at the
        decision threshold, `intervals`, their 95 % intervals by metric, None where there is none, and `verdicts`, what
        `verdict_metrics` counts where the verdict itself changes. Of the AUROCs of each kind of group,
        `macro_auroc_over_generators` and `macro_auroc_over_sources`, their mean, `..._interval`, its interval from
        joint resamples, and `worst_generator` and `worst_source` (`name`, `auroc`, and `interval`, that group's own);
        all None where no AUROC is defined, the interval of a mean also where that of one group is undefined.
        `intervals` says how the intervals were made: `method`, `level`, `replicates` and `seed`.

    Raises:
        UserError: If a score is not a number.
    """
    scores, labels = check_scores(scores, labels)
    replicates, rng, threshold = replicates_for(len(scores)), np.random.default_rng(SEED), thresholds.decision
    real, fake = labels == REAL, labels == FAKE

    def resampled(real: np.ndarray, fakes: Sequence[np.ndarray]) -> list[Replicates]:
        return bootstrap(scores[real], [scores[chosen] for chosen in fakes], threshold, replicates, rng)

    made_by = {str(name): fake & (generators == name) for name in np.unique(generators[fake])}
    named = np.unique(sources if (sources != "").any() else sources[:0])
    held_by = {str(name) or UNSTATED: sources == name for name in named}
    # One draw of real images for all generators: their AUROCs are as dependent as that makes them.
    of_all, *of_generators = resampled(real, [fake, *made_by.values()])
    of_generator = dict(zip(made_by, of_generators, strict=True))
    of_source = {name: resampled(rows & real, [rows & fake])[0] for name, rows in held_by.items()}

    def numbers(chosen: np.ndarray, found: Replicates) -> dict[str, Any]:
        metrics = detection_metrics(scores[chosen], labels[chosen], threshold)
        verdicts = verdict_metrics(scores[chosen], labels[chosen], thresholds)
        return {**metrics, "intervals": intervals_of(found, metrics), "verdicts": verdicts}

    overall = numbers(real | fake, of_all)
    per_generator = {name: numbers(real | chosen, of_generator[name]) for name, chosen in made_by.items()}
    per_source = {name: numbers(rows, of_source[name]) for name, rows in held_by.items()}
    return {
        "overall": overall,
        "per_generator": per_generator,
        "per_source": per_source,
        **_over_groups("generator", per_generator, of_generator),
        **_over_groups("source", per_source, of_source),
        "intervals": {"method": METHOD, "level": LEVEL, "replicates": replicates, "seed": SEED},
    }


def _over_groups(
    kind: str, groups: Mapping[str, Mapping[str, Any]], replicates: Mapping[str, Replicates]
) -> dict[str, Any]:
    """Return the mean AUROC over the groups, its interval, and the worst group."""
    aurocs = {name: numbers["auroc"] for name, numbers in groups.items() if numbers["auroc"] is not None}
    resampled = [values for name in aurocs if (values := replicates[name]["auroc"]) is not None]
    complete = aurocs and len(resampled) == len(aurocs)
    worst = min(aurocs, key=lambda name: aurocs[name], default=None)
    return {
        f"macro_auroc_over_{kind}s": float(np.mean(list(aurocs.values()))) if aurocs else None,
        f"macro_auroc_over_{kind}s_interval": interval(np.mean(resampled, axis=0)) if complete else None,
        f"worst_{kind}": None
        if worst is None
        else {"name": worst, "auroc": aurocs[worst], "interval": groups[worst]["intervals"]["auroc"]},
    }


def shortcut_gap(results: dict[str, dict[str, Any]]) -> float | None:
    """Return raw minus normalised AUROC of one split's results, None if either is not there or not defined.

    Args:
        results: What `summarise` returned.
    """
    raw, normalised = (results[v]["overall"]["auroc"] if v in results else None for v in ("raw", "normalised"))
    return None if raw is None or normalised is None else float(raw - normalised)
