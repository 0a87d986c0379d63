"""What is known of a model: for the Image page beside its verdict, and for the About page."""

from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from fakelens.inference.detector import Detector
from fakelens.inference.onnx_model import OnnxModel
from fakelens.zoo.shipped import model_folder


def facts(detector: Detector) -> dict[str, Any]:
    """Return what is known of a model, by names for the page; what is not known is None.

    Args:
        detector: Any detector.
    """
    model = detector.model
    thresholds = detector.thresholds()
    rates = ", ".join(f"{100 * p:g} % from {t:.3f}" for p, t in sorted(detector.fpr_thresholds.items()))
    return {
        "Name": Path(detector.name).name if Path(detector.name).is_absolute() else detector.name,
        "Network": "an ONNX file" if isinstance(model, OnnxModel) else type(model).__name__,
        "Parameters": None if isinstance(model, OnnxModel) else f"{sum(p.numel() for p in model.parameters()):,}",
        "Classes": ", ".join(detector.classes),
        "Verdict": thresholds.in_words(),
        "Where two verdicts are wanted": f"fake from {thresholds.decision:.4g} on",
        "Calibrated false-positive rates": rates or "none",
        "Temperature": f"{detector.temperature:.3f}",
        "Runs on": detector.device.type,
        "Licence": licence(detector.name),
    }


def licence(name: str) -> str | None:
    """Return the licence that a model's card states; None if there is no card, or it states none.

    Args:
        name: `patch_lens`, a folder, or `USER/NAME` on the Hub.
    """
    card = model_folder(name) / "README.md"
    try:
        data = ModelCard.load(card if card.is_file() else name).data
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError):
        return None
    return str(data.license) if data.license else None
