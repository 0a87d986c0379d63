"""What a detector gains by leaving images uncertain: its coverage against its error rate.

The curve is that of selective classification (El-Yaniv and Wiener, 2010): the images nearest to the decision threshold
are left uncertain first, and more and more with them. Its area, AURC (Geifman, Uziel and El-Yaniv, 2019,
https://arxiv.org/abs/1805.08206), is the mean error over all fractions. A model's own band is one point beside it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import binomtest

from fakelens.data.sources.labels import FAKE, REAL
from fakelens.evaluation.plots.plots import PANEL, STYLE, line, save
from fakelens.evaluation.scoring.predict import Predictions
from fakelens.inference.thresholds import Thresholds
from fakelens.metrics.bootstrap import behind
from fakelens.metrics.detection import check_scores

ALARMS = ("model", "view", "source", "real images", "false positives", "rate (95 %)")
POINTS = 100  # of a curve, at most, evenly over the coverage
CURVES = {
    "error": "Error rate of the images with a verdict",
    "false_positive_rate": "False-positive rate of the real images with a verdict",
}
COLUMNS = {
    "coverage": "coverage",
    "error": "error, covered",
    "error_without_band": "error, all",
    "false_positive_rate": "false-positive rate",
    "miss_rate": "false-negative rate",
    "uncertain_real": "uncertain real",
    "uncertain_fake": "uncertain fake",
}


def coverage(predictions: Predictions, threshold: float, band: tuple[float, float]) -> dict[str, dict[str, Any]]:
    """Return a model's coverage on one split, by view.

    Args:
        predictions: The model's scores.
        threshold: P(fake) from which its verdict is "fake" where two are wanted, in [0, 1].
        band: Its uncertain band (`Detector.uncertain_band`); empty if both ends are one.

    Returns:
        By view: `curve`, what `coverage_curve` returns, `band`, what `band_coverage` returns, and `sources`, what
        `alarms_by_source` returns.
    """
    labels = predictions.labels
    return {
        view: {
            "curve": coverage_curve(scores, labels, threshold),
            "band": band_coverage(scores, labels, threshold, band),
            "sources": alarms_by_source(scores, labels, predictions.sources, band[1]),
        }
        for view, scores in predictions.scores.items()
    }


def coverage_curve(scores: np.ndarray, labels: np.ndarray, threshold: float) -> dict[str, Any]:
    """Return error rates at falling coverage: the images nearest to the threshold are left out first.

    Nearness is that of log-odds: from 0.9, a score of 0.99 is as far as one of 0.45 is. Images of equal nearness are
    left out together, so that the curve does not depend on their order.

    Args:
        scores: P(fake) in [0, 1], of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.
        threshold: P(fake) from which the verdict is "fake".

    Returns:
        `aurc`, and from few to all images `coverage`, `error` among the covered images,
        `false_positive_rate` among the real ones and `miss_rate` among the fakes, None where none of these is
        covered.

    Raises:
        UserError: If there are no images, or scores that are not numbers in [0, 1].
    """
    scores, labels = check_scores(scores, labels)
    real, fake = labels == REAL, labels == FAKE
    # Rounded, so that 0.2 and 0.8 are equally near to 0.5.
    distance = np.abs(_log_odds(scores) - _log_odds(np.array(threshold))).round(9)
    predicted_fake = scores >= threshold
    order = np.argsort(-distance, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(distance[order])), len(scores) - 1)  # the last image of each nearness
    wrong = {REAL: np.cumsum((predicted_fake & real)[order]), FAKE: np.cumsum((~predicted_fake & fake)[order])}
    covered = {REAL: np.cumsum(real[order]), FAKE: np.cumsum(fake[order])}
    # Among images of equal nearness each fraction of them is taken to hold its fraction of their errors.
    errors = np.interp(np.arange(1, len(scores) + 1), [0, *(ends + 1)], [0, *(wrong[REAL] + wrong[FAKE])[ends]])
    if len(ends) > POINTS:
        wanted = np.linspace(0, len(scores) - 1, POINTS)
        ends = np.unique(ends[np.searchsorted(ends, wanted)])
    return {
        "aurc": float(np.mean(errors / np.arange(1, len(scores) + 1))),
        "coverage": [float((end + 1) / len(scores)) for end in ends],
        "error": [float((wrong[REAL][end] + wrong[FAKE][end]) / (end + 1)) for end in ends],
        "false_positive_rate": [_rate(wrong[REAL][end], covered[REAL][end]) for end in ends],
        "miss_rate": [_rate(wrong[FAKE][end], covered[FAKE][end]) for end in ends],
    }


def band_coverage(
    scores: np.ndarray, labels: np.ndarray, threshold: float, band: tuple[float, float]
) -> dict[str, Any]:
    """Return what an uncertain band leaves out, and what errors are left.

    Args:
        scores: P(fake) in [0, 1], of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.
        threshold: P(fake) from which the verdict would be "fake" without a band.
        band: Real below the first, fake from the second on.

    Returns:
        `low` and `high`; `coverage`, `error` among the covered images and `error_without_band` among all;
        `false_positive_rate` and `miss_rate`, of all real images and of all fakes, which is what a calibrated band
        bounds; `covered_false_positive_rate`, of the covered real images; `uncertain_real` and `uncertain_fake`,
        fractions of their class. None where there is nothing to take a fraction of.

    Raises:
        UserError: If there are no images, or scores that are not numbers in [0, 1].
    """
    scores, labels = check_scores(scores, labels)
    low, high = band
    words = Thresholds(low, high, threshold).verdicts(scores)
    predicted_fake, predicted_real = words == "fake", words == "real"
    covered, real, fake = predicted_fake | predicted_real, labels == REAL, labels == FAKE
    alarms, misses = (predicted_fake & real).sum(), (predicted_real & fake).sum()
    return {
        "low": low,
        "high": high,
        "coverage": float(covered.mean()),
        "error": _rate(alarms + misses, covered.sum()),
        "error_without_band": float(((scores >= threshold) != fake).mean()),
        "false_positive_rate": _rate(alarms, real.sum()),
        "covered_false_positive_rate": _rate(alarms, (covered & real).sum()),
        "miss_rate": _rate(misses, fake.sum()),
        "uncertain_real": _rate((~covered & real).sum(), real.sum()),
        "uncertain_fake": _rate((~covered & fake).sum(), fake.sum()),
    }


def alarms_by_source(
    scores: np.ndarray, labels: np.ndarray, sources: np.ndarray, high: float
) -> dict[str, dict[str, Any]]:
    """Return how many real images of each source are predicted fake beyond the band: a rate for all hides the worst.

    Args:
        scores: P(fake) in [0, 1], of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.
        sources: Names of the collections, "" where the data does not say: these are left out.
        high: P(fake) from which the verdict is "fake".

    Returns:
        For each source with real images: `real`, their number; `alarms`, how many are predicted fake;
        `false_positive_rate`; and `interval`, of 95 % after Wilson (1927).
    """
    found = {}
    for name in sorted(set(sources[labels == REAL]) - {""}):
        chosen = scores[(labels == REAL) & (sources == name)]
        alarms = int((chosen >= high).sum())
        interval = binomtest(alarms, len(chosen)).proportion_ci(method="wilson")
        found[str(name)] = {
            "real": len(chosen),
            "alarms": alarms,
            "false_positive_rate": alarms / len(chosen),
            "interval": [float(interval.low), float(interval.high)],
        }
    return found


def alarms_rows(found: Iterable[tuple[str, str, Mapping[str, Any]]]) -> list[tuple[Any, ...]]:
    """Return rows of a table of real images predicted fake by source, under `ALARMS`.

    Args:
        found: Model, view, and that view of what `coverage` returned.
    """
    return [
        (
            *(model, view, source, one["real"], one["alarms"]),
            f"{one['false_positive_rate']:.3f}{behind(one['interval'])}",
        )
        for model, view, covered in found
        for source, one in covered["sources"].items()
    ]


def draw_coverage(found: Mapping[str, Mapping[str, Any]], split: str, view: str, folder: Path) -> Path:
    """Draw errors, and real images predicted fake, against coverage, all models in one plot.

    Args:
        found: By model, one view of what `coverage` returned.
        split: The split's name.
        view: The view's name.
        folder: Where to write `coverage_{split}_{view}.png`.
    """
    dots = {"error": "error", "false_positive_rate": "covered_false_positive_rate"}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2 * PANEL + 0.6, PANEL + 0.25 * len(found)), layout="constrained")
        figure.suptitle(f"Coverage, {split}, {view} view", fontsize=10)
        for number, (key, title) in enumerate(CURVES.items()):
            axes = figure.add_subplot(1, len(CURVES), number + 1)
            axes.set(title=title, xlabel="coverage", ylabel="rate", xlim=(-0.01, 1.01))
            for style, (model, one) in enumerate(found.items()):
                points = [p for p in zip(one["curve"]["coverage"], one["curve"][key], strict=True) if p[1] is not None]
                label = f"{model}: AURC {one['curve']['aurc']:.3f}"
                axes.plot([x for x, _ in points], [y for _, y in points], label=label, **line(style))
                if (height := one["band"][dots[key]]) is not None:
                    axes.plot(one["band"]["coverage"], height, "o", color=line(style)["color"], markersize=5)
            axes.set_ylim(bottom=-0.01)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        title = "dot: with the model's own band"
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8, title=title, title_fontsize=8)
        return save(figure, folder / f"coverage_{split}_{view}.png")


def coverage_table(
    found: Iterable[tuple[str, str, Mapping[str, Any]]],
) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Return the header and rows of a table of models' bands, as `evaluation.markdown.table` takes them.

    Args:
        found: Model, view, and that view of what `coverage` returned.
    """
    rows = [
        (model, view, _span(one["band"]), *(one["band"][key] for key in COLUMNS), one["curve"]["aurc"])
        for model, view, one in found
    ]
    return ("model", "view", "uncertain", *COLUMNS.values(), "AURC"), rows


def _span(band: Mapping[str, Any]) -> str:
    return f"{band['low']:.3g} to {band['high']:.3g}" if band["low"] < band["high"] else "never"


def _log_odds(scores: np.ndarray) -> np.ndarray:
    inside = np.clip(scores, 1e-15, 1 - 1e-15)
    return np.log(inside) - np.log1p(-inside)


def _rate(part: int, total: int) -> float | None:
    return float(part / total) if total else None
