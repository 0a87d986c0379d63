"""What a detector's verdicts are worth: recall and false-positive rate where the verdict itself changes.

Accuracy, F1 and the like need two verdicts, and `fakelens.metrics` counts them at the decision threshold. What a user
is told has three, by `fakelens.inference.thresholds.Thresholds`, and is counted here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fakelens.data.sources.labels import FAKE, REAL
from fakelens.inference.thresholds import WORDS, Thresholds

# What is counted where the verdict changes: key, name for people.
VERDICTS = {
    "recall": "recall (fakes predicted fake)",
    "false_positive_rate": "false-positive rate (real images predicted fake)",
    "miss_rate": "fakes predicted real",
}
# Metrics that need two verdicts, and are counted at the decision threshold.
TWO_VERDICTS = frozenset({"accuracy", "precision", "f1", "recall", "specificity"})


def verdict_metrics(scores: np.ndarray, labels: np.ndarray, thresholds: Thresholds) -> dict[str, Any]:
    """Count verdicts by class.

    Args:
        scores: P(fake) in [0, 1], of shape `(count,)`.
        labels: 0 real, 1 fake, of shape `(count,)`.
        thresholds: Where the verdict changes.

    Returns:
        `real` and `fake`, the images of each class by verdict ("real", "uncertain", "fake"); of all fakes `recall`,
        predicted fake, and `miss_rate`, predicted real; of all real images `false_positive_rate`, predicted fake;
        each None without images of its class; and `intervals`, of 95 % after Wilson (1927), by rate.
    """
    words = thresholds.verdicts(scores)
    real, fake = ({word: int((words[labels == k] == word).sum()) for word in WORDS} for k in (REAL, FAKE))
    counted = {
        "recall": (fake["fake"], fake),
        "false_positive_rate": (real["fake"], real),
        "miss_rate": (fake["real"], fake),
    }
    totals = {name: (count, sum(of.values())) for name, (count, of) in counted.items()}
    return {
        "real": real,
        "fake": fake,
        **{name: count / total if total else None for name, (count, total) in totals.items()},
        "intervals": {name: _interval(count, total) for name, (count, total) in totals.items()},
    }


def at(threshold: float) -> str:
    """Return what figures are named that count two verdicts, such as "at 0.5".

    Args:
        threshold: P(fake) from which the one of the two is "fake", in [0, 1].
    """
    return f"at {threshold:.4g}"


def verdict_counts(numbers: Mapping[str, Any], label: str) -> str:
    """Say how the images of a class were predicted, such as "3 real, 1 uncertain, 20 fake".

    Args:
        numbers: What `verdict_metrics` returned.
        label: The class, "real" or "fake".
    """
    return ", ".join(f"{count} {word}" for word, count in numbers[label].items())


def _interval(count: int, total: int) -> list[float] | None:
    if not total:
        return None
    from scipy.stats import binomtest  # seconds to import, and a card or a list of models does without

    found = binomtest(count, total).proportion_ci(method="wilson")
    return [float(found.low), float(found.high)]
