"""What a detector gained on new data and lost on old: both measured before and after it was trained further."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from fakelens.atomic import write_json
from fakelens.inference.detector import Detector, load_detector
from fakelens.training.data.training_data import TrainingData
from fakelens.training.loop.validation import measure_validation

NAMES = {"auroc": "AUROC", "accuracy": "accuracy", "recall": "recall", "false_positive_rate": "false positives"}


def compare(start_from: str, after: Detector, data: TrainingData, label_map: Any = None) -> dict[str, Any]:
    """Score old and new validation images by the detector that training started from, and by its result.

    Args:
        start_from: The former: a folder or Hub repo.
        after: The latter. Each is scored at its own threshold.
        data: Whose validation rows, old and new `apart`, to use.
        label_map: What the classes of the former mean, as `load_detector` takes it.

    Returns:
        `start_from`; for `old` and `new` each `real` and `fake` (images), `before` and `after` (`auroc`, `accuracy`,
        `recall`, `false_positive_rate`, `threshold`); `forgetting`: before less after on old data, of AUROC and
        accuracy, below 0 where the old got better.
    """
    before = load_detector(start_from, str(after.device), label_map=label_map)
    found: dict[str, Any] = {"start_from": start_from}
    for age, source in data.apart.items():
        found[age] = {}
        for time, detector in (("before", before), ("after", after)):
            measured = measure_validation(detector, replace(data, validation=source))
            found[age] |= {name: measured[name] for name in ("real", "fake")}
            found[age][time] = {name: measured[name] for name in (*NAMES, "threshold")}
    old = found["old"]
    found["forgetting"] = {name: old["before"][name] - old["after"][name] for name in ("auroc", "accuracy")}
    return found


def write_comparison(found: dict[str, Any], folder: Path) -> None:
    """Write continual.json and continual.md.

    Args:
        found: What `compare` returned.
        folder: The run's.
    """
    write_json(folder / "continual.json", found)
    (folder / "continual.md").write_text(comparison_page(found), encoding="utf-8")


def comparison_page(found: dict[str, Any]) -> str:
    """Return the comparison as Markdown.

    Args:
        found: What `compare` returned.
    """
    lines = [f"| data | model | {' | '.join(NAMES.values())} |", f"|---|---|{'---|' * len(NAMES)}"]
    for age in ("old", "new"):
        for time in ("before", "after"):
            cells = " | ".join(f"{found[age][time][name]:.4f}" for name in NAMES)
            lines.append(f"| {age}: {found[age]['fake']} fake, {found[age]['real']} real | {time} | {cells} |")
    lost = found["forgetting"]
    return "\n".join(
        [
            f"# Old and new data, before and after training from `{found['start_from']}`",
            "",
            *lines,
            "",
            f"Forgetting, which is before less after on old data: AUROC {lost['auroc']:+.4f}, accuracy "
            f"{lost['accuracy']:+.4f}.",
            "",
            "Validation images, each model at its own threshold. They also chose the checkpoint and the threshold of",
            "the model after, so that its figures flatter it a little: evaluate both on a test split.",
            "",
        ]
    )
