"""The scores at which a verdict changes: the one place from which everything that says a verdict takes it.

Detector, report, gallery, card, Space and browser ask `Thresholds` for the word. Imports neither torch nor
transformers: a card is written without them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fakelens.errors import UserError

WORDS = ("real", "uncertain", "fake")


@dataclass(frozen=True)
class Thresholds:
    """Where "real" ends and "fake" begins; between the two an image is uncertain.

    Attributes:
        real_below: An image is real below this P(fake), in [0, 1].
        fake_from: It is fake from this P(fake) on; equal to `real_below` where there is no uncertain band.
        decision: What divides two verdicts where only two are wanted, in [0, 1]; an uncertain image leans to the side
            of it on which its score lies.
        max_fpr: The fraction of photographs, in (0, 1), that `fake_from` keeps to; None if it is not known.

    Examples:
        >>> from fakelens.inference.thresholds import Thresholds
        >>> [Thresholds(0.3, 0.9).verdict(score) for score in (0.2, 0.8, 0.95)]
        ['real', 'uncertain', 'fake']
    """

    real_below: float
    fake_from: float
    decision: float = 0.5
    max_fpr: float | None = None

    @property
    def has_band(self) -> bool:
        """Whether there are scores of which it is uncertain."""
        return self.real_below < self.fake_from

    def in_words(self) -> str:
        """Say which scores get which verdict."""
        if not self.has_band:
            return f"fake from {self.fake_from:.4g} on, else real"
        return f"real below {self.real_below:.4g}, fake from {self.fake_from:.4g} on, uncertain between"

    def verdict(self, score: float) -> str:
        """Return "real", "fake" or "uncertain".

        Args:
            score: P(fake) in [0, 1].
        """
        return "fake" if score >= self.fake_from else "real" if score < self.real_below else "uncertain"

    def verdicts(self, scores: np.ndarray) -> np.ndarray:
        """Return the verdict of each score.

        Args:
            scores: P(fake) in [0, 1], of shape `(count,)`.

        Returns:
            "real", "fake" or "uncertain", of shape `(count,)`.
        """
        return np.select([scores >= self.fake_from, scores < self.real_below], ["fake", "real"], "uncertain")

    def leaning(self, score: float) -> str:
        """Return to which side an uncertain score leans, "real" or "fake".

        Args:
            score: P(fake) in [0, 1].
        """
        return "fake" if score >= self.decision else "real"


def thresholds_of(config: Mapping[str, Any], max_fpr: float | None = None, name: str = "The model") -> Thresholds:
    """Read a model's thresholds from its configuration.

    Args:
        config: The content of `config.json`; what was never calibrated has one threshold, 0.5 if it names none.
        max_fpr: The highest false-positive rate on real images, in (0, 1), that "fake" may have; None for the upper
            end of the model's own band.
        name: What to call the model in messages.

    Raises:
        UserError: If `max_fpr` is out of range, or the model carries no threshold for it.
    """
    return choose(*calibration_of(config), max_fpr, name)


def calibration_of(config: Mapping[str, Any]) -> tuple[float, tuple[float, float], dict[float, float]]:
    """Return what calibration wrote into a configuration.

    Args:
        config: The content of `config.json`.

    Returns:
        The decision threshold; the uncertain band, empty at that threshold where there is none; and the score that
        keeps to each fraction of real images predicted fake.
    """
    decision = float(config.get("decision_threshold", 0.5))
    low, high = config.get("uncertain_band") or (decision, decision)
    rates = {float(rate): float(score) for rate, score in (config.get("fpr_thresholds") or {}).items()}
    return decision, (float(low), float(high)), rates


def choose(
    decision: float,
    band: tuple[float, float],
    rates: Mapping[float, float],
    max_fpr: float | None = None,
    name: str = "The model",
) -> Thresholds:
    """Return the thresholds of a verdict.

    Args:
        decision: The decision threshold.
        band: Real below the first, fake from the second on, where nobody asks for another rate.
        rates: The fraction of real images that may be predicted fake -> the score that keeps to it.
        max_fpr: As in `thresholds_of`.
        name: What to call the model in messages.

    Raises:
        UserError: As `thresholds_of` does.
    """
    if max_fpr is None:
        fake_from = band[1]
        max_fpr = next((rate for rate in sorted(rates) if max(decision, rates[rate]) == fake_from), None)
    elif not 0 < max_fpr < 1:
        raise UserError(f"A maximum false-positive rate lies between 0 and 1, not {max_fpr}.")
    else:
        kept = [rate for rate in rates if rate <= max_fpr]
        if not kept:
            has = ", ".join(f"{rate:g}" for rate in sorted(rates)) or "none"
            raise UserError(
                f"{name} was not calibrated for a false-positive rate of {max_fpr:g} (it carries: {has}). "
                "Ask for one of these, or calibrate it on more real images (fakelens calibrate)."
            )
        fake_from = max(decision, rates[max(kept)])
    return Thresholds(min(band[0], fake_from), fake_from, decision, max_fpr)
