"""Is one model better than another on the same images? Paired tests of AUROC and accuracy, their table and image.

AUROCs are compared by the test of DeLong, DeLong & Clarke-Pearson (1988), its placements from midranks as in Sun & Xu
(2014), https://doi.org/10.1109/LSP.2014.2337313; verdicts by McNemar's (1947) exact test.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import binomtest, norm, rankdata

from fakelens.data.sources.labels import FAKE, REAL
from fakelens.errors import UserError
from fakelens.evaluation.plots.plots import BLACK, COLOURS, STYLE, save
from fakelens.evaluation.scoring.predict import Predictions
from fakelens.metrics.bootstrap import LEVEL
from fakelens.metrics.detection import check_scores

ROUNDING = 1e-12
SIGNIFICANT = 0.05
MARKERS = ("o", "s", "^", "D")
COLUMNS = (
    "view", "model A", "model B", "AUROC A", "AUROC B", "A - B", "95 %", "p", "p, adjusted", "accuracy, A - B",
    "McNemar's p", "McNemar's p, adjusted", "images",
)  # fmt: skip


def compare(predictions: Mapping[str, Sequence[Predictions]], thresholds: Mapping[str, float]) -> list[dict[str, Any]]:
    """Test every pair of models on every split and view.

    Args:
        predictions: By model, one for each split, in one order for all models.
        thresholds: P(fake) from which each model's verdict is "fake", by model.

    Returns:
        A mapping a pair: `split`, `view`, `model_a`, `model_b`, `auroc_a`, `auroc_b`, their `difference` (a - b), its
        95 % `interval` [low, high] and `p_value` by DeLong's test, `accuracy_difference` (a - b), `mcnemar_p` and
        `images`. `p_adjusted` and `mcnemar_p_adjusted` are Holm's (1979), each over all pairs, splits and views, so
        that one false alarm in the whole table is as rare as a single p-value promises. What one class, or a single
        image of a class, leaves undefined is None.

    Raises:
        UserError: If models were evaluated on different images, or a score is not a number.
    """
    rows = []
    for (name_a, all_a), (name_b, all_b) in combinations(predictions.items(), 2):
        for a, b in zip(all_a, all_b, strict=True):
            if not np.array_equal(a.ids, b.ids) or not np.array_equal(a.labels, b.labels):
                raise UserError(
                    f"{name_a} and {name_b} were not evaluated on the same images of split {a.split!r}, so that they "
                    "cannot be compared. Evaluate both in one run."
                )
            for view, scores in a.scores.items():
                scores_a, labels = check_scores(scores, a.labels)
                scores_b, _ = check_scores(b.scores[view], b.labels)
                predicted_fake = scores_a >= thresholds[name_a], scores_b >= thresholds[name_b]
                rows.append(
                    {"split": a.split, "view": view, "model_a": name_a, "model_b": name_b}
                    | delong(scores_a, scores_b, labels)
                    | mcnemar(*predicted_fake, labels)
                    | {"images": len(labels)}
                )
    for name, adjusted in (("p_value", "p_adjusted"), ("mcnemar_p", "mcnemar_p_adjusted")):
        for row, p in zip(rows, holm([row[name] for row in rows]), strict=True):
            row[adjusted] = p
    return rows


def delong(scores_a: np.ndarray, scores_b: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Test whether two models have the same AUROC, on the same images.

    A fake's placement is the fraction of real images it outscores, a real's the fraction of fakes that outscore it,
    ties counting half; AUROC is the mean of either. With d the difference of two models' placements, the difference of
    their AUROCs has the variance var(d of fakes) / fakes + var(d of real images) / real images, and is taken to be
    normal.

    Args:
        scores_a: P(fake) by the first model, of shape `(count,)`.
        scores_b: P(fake) by the second one, likewise.
        labels: 0 real, 1 fake, likewise.

    Returns:
        `auroc_a`, `auroc_b`, `difference`, `interval`, `p_value`; None where a class is absent. Interval and p-value
        are None also where a class has a single image, and where both models' placements differ by a constant that is
        not 0, which leaves no variance to test.
    """
    (fakes_a, real_a), (fakes_b, real_b) = (placements(scores, labels) for scores in (scores_a, scores_b))
    undefined = dict.fromkeys(("auroc_a", "auroc_b", "difference", "interval", "p_value"))
    if not len(fakes_a) or not len(real_a):
        return undefined
    difference = float((fakes_a - fakes_b).mean())
    found = {"auroc_a": float(fakes_a.mean()), "auroc_b": float(fakes_b.mean()), "difference": difference}
    if min(len(fakes_a), len(real_a)) < 2:
        return undefined | found
    error = np.sqrt(sum(np.var(d, ddof=1) / len(d) for d in (fakes_a - fakes_b, real_a - real_b)))
    if error < ROUNDING:
        alike = abs(difference) < ROUNDING
        return undefined | found | ({"interval": [0.0, 0.0], "p_value": 1.0} if alike else {})
    reach = float(norm.ppf((1 + LEVEL) / 2) * error)
    return found | {
        "interval": [max(-1.0, difference - reach), min(1.0, difference + reach)],
        "p_value": float(2 * norm.sf(abs(difference) / error)),
    }


def placements(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the fraction of real images below each fake, and of fakes above each real image; a tie counts half.

    Args:
        scores: P(fake), of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.
    """
    fakes, real_scores = scores[labels == FAKE], scores[labels == REAL]
    ranks = rankdata(np.concatenate([fakes, real_scores]))
    # A rank among all less the rank among one's own leaves those of the other class that lie below.
    below_fakes = ranks[: len(fakes)] - rankdata(fakes)
    below_real = ranks[len(fakes) :] - rankdata(real_scores)
    return below_fakes / max(1, len(real_scores)), 1 - below_real / max(1, len(fakes))


def mcnemar(predicted_a: np.ndarray, predicted_b: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Test whether two models are right equally often, by the images that only one of them classifies right.

    Args:
        predicted_a: Whether the first model's verdict is "fake", of shape `(count,)`.
        predicted_b: Whether the second one's is, likewise.
        labels: 0 real, 1 fake, likewise.

    Returns:
        `accuracy_difference` (a - b) and `mcnemar_p`, exact and two-sided; 1 where they are right on the same images.
    """
    right_a, right_b = predicted_a == (labels == FAKE), predicted_b == (labels == FAKE)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return {"accuracy_difference": (only_a - only_b) / len(labels), "mcnemar_p": p}


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values for their number (Holm, 1979); None stays None and does not count.

    Args:
        p_values: Each in [0, 1].
    """
    order = sorted((p, number) for number, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    so_far = 0.0
    for done, (p, number) in enumerate(order):
        so_far = max(so_far, min(1.0, p * (len(order) - done)))
        adjusted[number] = so_far
    return adjusted


def comparison_rows(comparison: Sequence[Mapping[str, Any]], split: str) -> list[tuple[Any, ...]]:
    """Return the rows of a table under `COLUMNS`, for `fakelens.evaluation.report.markdown.table`.

    Args:
        comparison: What `compare` returned.
        split: Whose rows.
    """
    return [
        (
            *(row[key] for key in ("view", "model_a", "model_b", "auroc_a", "auroc_b")),
            _signed(row["difference"]),
            row["interval"] and f"{row['interval'][0]:+.3f} to {row['interval'][1]:+.3f}",
            *(_chance(row[key]) for key in ("p_value", "p_adjusted")),
            _signed(row["accuracy_difference"]),
            *(_chance(row[key]) for key in ("mcnemar_p", "mcnemar_p_adjusted")),
            row["images"],
        )
        for row in comparison
        if row["split"] == split
    ]


def draw_comparison(comparison: Sequence[Mapping[str, Any]], split: str, folder: Path) -> Path | None:
    """Draw the differences of AUROC with their intervals, a line a pair and view.

    Args:
        comparison: What `compare` returned.
        split: Whose rows.
        folder: Where to write `comparison_{split}.png`.

    Returns:
        The image, None if no difference of this split has an interval.
    """
    rows = [row for row in comparison if row["split"] == split and row["interval"]]
    if not rows:
        return None
    views = list(dict.fromkeys(row["view"] for row in rows))
    pairs = list(dict.fromkeys((row["model_a"], row["model_b"]) for row in rows))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 1.5 + len(pairs) * max(0.45, 0.2 * len(views))), layout="constrained")
        axes = figure.add_subplot()
        axes.axvline(0, color=BLACK, linewidth=0.8)
        for number, view in enumerate(views):
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            axes.plot([], [], color=colour, marker=marker, label=view)
            for row in (row for row in rows if row["view"] == view):
                y = pairs.index((row["model_a"], row["model_b"])) + (number - (len(views) - 1) / 2) * 0.7 / len(views)
                axes.plot(row["interval"], [y, y], color=colour, linewidth=1.6)
                fill = colour if row["p_adjusted"] < SIGNIFICANT else "white"
                axes.plot(row["difference"], y, marker, color=colour, markerfacecolor=fill, markersize=6)
        axes.set_yticks(range(len(pairs)), [f"{a}\nminus {b}" for a, b in pairs], fontsize=8)
        axes.set_ylim(len(pairs) - 0.5, -0.5)
        axes.set(title=f"Difference of AUROC, {split}", xlabel=f"filled: adjusted p < {SIGNIFICANT}; line: 95 %")
        axes.grid(axis="y", visible=False)
        if len(views) > 1:
            figure.legend(loc="outside lower center", ncols=len(views), fontsize=8)
        return save(figure, folder / f"comparison_{split}.png")


def _signed(number: float | None) -> str | None:
    return None if number is None else f"{number:+.3f}"


def _chance(p: float | None) -> str | None:
    return "< 0.001" if p is not None and p < 0.001 else None if p is None else f"{p:.3f}"
