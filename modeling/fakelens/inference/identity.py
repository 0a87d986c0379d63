"""What decides a detector's scores, so that results are kept, reused and published for that detector alone."""

import hashlib
from typing import Any

import PIL
import torch
import transformers

import fakelens
from fakelens.inference.detector import Detector


def identity(detector: Detector) -> dict[str, Any]:
    """Return what decides a detector's scores: its weights' SHA-256, settings, processor, device and the libraries.

    Args:
        detector: The detector.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(detector.model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return {
        "model": detector.name,
        "weights": digest.hexdigest(),
        "config": detector.model.config.to_dict(),
        "classes": detector.readout.labels,
        "processor": detector.processor.to_dict(),
        "device": detector.device.type,
        "versions": [fakelens.__version__, str(torch.__version__), transformers.__version__, PIL.__version__],
    }
