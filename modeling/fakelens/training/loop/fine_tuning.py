"""What training a detector further on somebody's own images did to it, in numbers and in plain words."""

from typing import Any

from fakelens.inference.detector import Detector, load_detector
from fakelens.inference.thresholds import thresholds_of
from fakelens.training.data.training_data import TrainingData
from fakelens.training.loop.validation import measure_validation


def before_and_after(start_from: str, after: Detector, data: TrainingData) -> dict[str, Any]:
    """Score the validation images by the detector that training started from, and by its result.

    Args:
        start_from: The former: a folder or Hub repo.
        after: The latter, calibrated.
        data: Whose validation split to use.

    Returns:
        `start_from`, `before` and `after`, each as `measure_validation` returns it.
    """
    before = load_detector(start_from, str(after.device))
    return {
        "start_from": start_from,
        "before": measure_validation(before, data),
        "after": measure_validation(after, data),
    }


def in_words(record: dict[str, Any]) -> str:
    """Say what a run did to the detector that it started from, a line a fact.

    Args:
        record: The run's, with `fine_tuning`.
    """
    found = record["fine_tuning"]
    before, after = found["before"], found["after"]
    base = f", made from {record['base_model']}" if record["base_model"] else ""
    licence = f"licence {record['license']}" if record["license"] else "no licence known"
    lines = [f"Started from {found['start_from']}. The result{base}, has {licence}."]
    for phase in record["phases"]:
        part = "all" if phase["trainable_parameters"] == record["parameters"] else f"of {record['parameters']:,}"
        lines.append(
            f"Phase {phase['name']}: {phase['steps']} steps, {phase['trainable_parameters']:,} parameters ({part}); "
            f"taken at step {phase['best_step']}, with the best {phase['monitor'].removeprefix('eval_')}."
        )
    lines.append(f"On the {before['real']} real and {before['fake']} fake images held back from training:")
    for name, key in (("AUROC", "auroc"), ("recall at its threshold", "recall"),
                      ("real images predicted fake there", "false_positive_rate"),
                      ("decided, not uncertain", "decided"), ("wrong among the decided", "wrong")):  # fmt: skip
        lines.append(f"  {name}: {_number(before[key])} before, {_number(after[key])} after")
    lines.append("  (they also chose checkpoint and calibration, so `after` flatters a little: keep a test split)")
    if after["auroc"] <= before["auroc"]:
        lines.append("It did not get better at telling them apart: more images, or other ones, are needed.")
    kept = record["calibration"].get("kept")
    if kept:
        lines.append(f"Calibration: that of {found['start_from']} was kept. The new one failed: {kept['why'][0]}.")
        lines += [f"  and {reason}" for reason in kept["why"][1:]]
        lines.append("  Calibrate on more images of yours with `fakelens calibrate`.")
    else:
        count, verdicts = record["calibration"]["count"], thresholds_of(record["calibration"]).in_words()
        lines.append(f"Calibration: new, from these {count} images: {verdicts}.")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
