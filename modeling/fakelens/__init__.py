"""Detectors of AI-generated images that live on the Hugging Face Hub."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakelens.inference.detector import load_detector
    from fakelens.zoo.registry import build_detector

__version__ = version("fakelens")
__all__ = ["build_detector", "load_detector"]


def __getattr__(name: str) -> Any:
    # torch and transformers take seconds to import: `fakelens --help` does without.
    if name == "load_detector":
        from fakelens.inference.detector import load_detector

        return load_detector
    if name == "build_detector":
        from fakelens.zoo.registry import build_detector

        return build_detector
    raise AttributeError(f"module 'fakelens' has no attribute {name!r}")
