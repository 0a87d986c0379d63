"""Detectors of AI-generated images that live on the Hugging Face Hub.

All that is public is named here; docs/api.md shows the same names. Read `inference` first: image -> verdict.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fakelens.zoo.registration import register_when_needed

if TYPE_CHECKING:
    from fakelens.errors import UserError
    from fakelens.inference.detector import Detector, load_detector
    from fakelens.inference.verdict import Verdict
    from fakelens.models import (
        CustomCNNConfig,
        CustomCNNForImageClassification,
        DetectorConfig,
        DetectorImageProcessor,
        DetectorPreTrainedModel,
        EnsembleConfig,
        EnsembleForImageClassification,
        EnsembleImageProcessor,
        PatchLensConfig,
        PatchLensForImageClassification,
        ResNetSEConfig,
        ResNetSEForImageClassification,
        TimmBackboneConfig,
        TimmBackboneForImageClassification,
    )
    from fakelens.zoo.registry import build_detector, build_processor
    from fakelens.zoo.shipped import model_folder

__version__ = version("fakelens")
__all__ = [
    "CustomCNNConfig",
    "CustomCNNForImageClassification",
    "Detector",
    "DetectorConfig",
    "DetectorImageProcessor",
    "DetectorPreTrainedModel",
    "EnsembleConfig",
    "EnsembleForImageClassification",
    "EnsembleImageProcessor",
    "PatchLensConfig",
    "PatchLensForImageClassification",
    "ResNetSEConfig",
    "ResNetSEForImageClassification",
    "TimmBackboneConfig",
    "TimmBackboneForImageClassification",
    "UserError",
    "Verdict",
    "build_detector",
    "build_processor",
    "load_detector",
    "model_folder",
]

# Where a name is defined, if not in `fakelens.models`.
_HOMES = {
    "Detector": "fakelens.inference.detector",
    "UserError": "fakelens.errors",
    "Verdict": "fakelens.inference.verdict",
    "build_detector": "fakelens.zoo.registry",
    "build_processor": "fakelens.zoo.registry",
    "load_detector": "fakelens.inference.detector",
    "model_folder": "fakelens.zoo.shipped",
}


register_when_needed()


def __getattr__(name: str) -> Any:
    # torch and transformers take seconds to import: `fakelens --help` does without.
    if name not in __all__:
        raise AttributeError(f"module 'fakelens' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES.get(name, "fakelens.models")), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
