"""A calibrated detector calibrated anew, after it was trained further: its old calibration stays where the new fails.

A few images of one's own do not determine a temperature, a bias and two thresholds. What the detector brought, from
far more images, is then the better guess, though its weights have moved since.
"""

import copy
from typing import Any

import numpy as np

from fakelens.inference.detector import Detector
from fakelens.training.calibration.calibration import Scored, fit
from fakelens.training.calibration.temperature import BOUNDS
from fakelens.training.calibration.thresholds import MAX_FPR, MAX_MISS, images_needed

WORSE = 1e-3  # nats of log-loss by which a new calibration may be worse and not count as failed
SETTINGS = ("logit_temperature", "calibrated_temperature", "decision_threshold", "fpr_thresholds", "uncertain_band")


def refit(
    detector: Detector,
    scored: Scored,
    rule: str,
    method: str = "temperature",
    max_fpr: float = MAX_FPR,
    max_miss: float = MAX_MISS,
) -> dict[str, Any]:
    """Calibrate a detector as `fit` does, and undo it if it failed and there is an older calibration to go back to.

    Args:
        detector: Its model is calibrated in place. Its old calibration is what its config holds now.
        scored: What the detector said of images that no result will be reported on.
        rule: For the decision threshold: a number, "best_f1" or "max_fpr:RATE".
        method: One of `fakelens.training.calibration.thresholds.METHODS`.
        max_fpr: Fraction of real images that may be predicted fake outside the band, in (0, 1).
        max_miss: Fraction of fakes that may be predicted real outside the band, in (0, 1).

    Returns:
        What `fit` does. Where the old calibration was kept, its temperature, thresholds and band; `after` is then as
        `before`, and `kept` holds `why` (reasons, for a person) and `fitted` (the temperature and the band that were
        not taken).

    Raises:
        UserError: As `fit` does.
    """
    config = detector.model.config
    if not config.to_dict().get("uncertain_band"):
        return fit(detector, scored, rule, method, max_fpr, max_miss)
    settings = {name: copy.deepcopy(value) for name, value in config.to_dict().items() if name in SETTINGS}
    weights = {name: tensor.clone() for name, tensor in detector.model.state_dict().items()}
    record = fit(detector, scored, rule, method, max_fpr, max_miss)
    reasons = failures(record)
    if not reasons:
        return record
    for name in SETTINGS:
        if name in settings:
            setattr(config, name, settings[name])
    detector.model.load_state_dict(weights)
    detector.read_config()
    return record | {
        "temperature": detector.temperature,
        "bias": 0.0,
        "after": record["before"],
        "decision_threshold": detector.threshold,
        "fpr_thresholds": settings.get("fpr_thresholds", {}),
        "uncertain_band": settings["uncertain_band"],
        "notes": [f"the calibration that it brought was kept, for the new one failed: {'; '.join(reasons)}"],
        "kept": {"why": reasons, "fitted": {name: record[name] for name in ("temperature", "uncertain_band")}},
    }


def failures(record: dict[str, Any]) -> list[str]:
    """Say in what a calibration failed; nothing where it did not.

    Args:
        record: What `fit` returned.
    """
    found = []
    for name, rate in (("real", "max_fpr"), ("fake", "max_miss")):
        needed = images_needed(record[rate])
        if record[name] < needed:
            found.append(f"{record[name]} {name} images, and an uncertain band takes {needed}")
    temperature = record["temperature"]
    if any(np.isclose(temperature, bound, rtol=1e-3) for bound in BOUNDS):
        found.append(f"the temperature went to its bound, {temperature:.3g}")
    before, after = record["before"]["nll"], record["after"]["nll"]
    if not after <= before + WORSE:
        found.append(f"the log-loss rose from {before:.3f} to {after:.3f}")
    return found
