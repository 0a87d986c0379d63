"""A temperature and a bias, for detectors that lean to one side: what no temperature puts right.

Platt, "Probabilistic Outputs for Support Vector Machines" (1999). Training images are degraded and their classes mixed
in a recipe's fractions; on images as they come, one class may then be favoured by a constant. It is added to the bias
of the network's last layer, so the order of a detector's scores stays as it is; except in a patch lens, whose patches
are weighted by their local contrast: there a bias moves an image with little contrast less than others.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from torch import nn

from fakelens.data.sources.labels import FAKE, REAL
from fakelens.inference.detector import Detector
from fakelens.models import DetectorConfig, DetectorPreTrainedModel
from fakelens.training.calibration.temperature import BOUNDS, TINY

LEAN = 20.0  # the largest bias, in log-odds
TOLERANCE = 1e-3  # of a shifted score, in log-odds


def fit_platt(
    probabilities: np.ndarray, labels: np.ndarray, current: float = 1.0, effect: np.ndarray | float = 1.0
) -> tuple[float, float]:
    """Return the temperature and the bias at which the labels are likeliest.

    Each class counts two images more, one of each label: Platt's targets, (n + 1) / (n + 2) instead of 1.

    Args:
        probabilities: Of "real" and "fake" as the model gives them now, of shape `(count, 2)`.
        labels: 0 real, 1 fake, of shape `(count,)`, both present.
        current: The temperature that the model applies already, above 0.
        effect: How much of a bias each image's log-odds feel, of shape `(count,)`; see `bias_effect`.

    Returns:
        The whole temperature, the current one included, within `BOUNDS`; and what is then added to the log-odds of
        "fake", from -20 to 20, where a bias is felt in full.
    """
    odds = log_odds(probabilities)
    real_count, fake_count = int((labels != FAKE).sum()), int((labels == FAKE).sum())
    targets = np.where(labels == FAKE, (fake_count + 1) / (fake_count + 2), 1 / (real_count + 2))

    def loss(settings: np.ndarray) -> float:
        calibrated = odds * current / np.exp(settings[0]) + settings[1] * effect
        return -float(np.mean(targets * log_expit(calibrated) + (1 - targets) * log_expit(-calibrated)))

    low, high = np.log(BOUNDS)
    start = np.clip(np.log(current), low, high), 0.0
    found = minimize(loss, start, bounds=[(low, high), (-LEAN, LEAN)], method="L-BFGS-B", options={"ftol": 1e-12})
    return float(np.exp(found.x[0])), float(found.x[1])


def bias_effect(detector: Detector, inputs: dict[str, torch.Tensor]) -> np.ndarray:
    """Return how much of a bias of the last layer each image's log-odds feel, of shape `(batch_size,)`: mostly 1.

    Args:
        detector: Of any network.
        inputs: What its `process` made.
    """
    pixels = inputs.get("pixel_values")
    if pixels is None or not isinstance(detector.model, DetectorPreTrainedModel):
        return np.ones(len(next(iter(inputs.values()))))
    with torch.inference_mode():
        pixels = pixels.to(detector.device)
        crops = pixels if pixels.ndim == 5 else pixels[:, None]
        effect = detector.model.bias_effect(crops.flatten(0, 1)).unflatten(0, crops.shape[:2]).mean(dim=1)
    return effect.double().cpu().numpy()


def shifted(probabilities: np.ndarray, bias: np.ndarray | float) -> np.ndarray:
    """Return what the probabilities are once a bias is added to the log-odds of "fake".

    Args:
        probabilities: Of "real" and "fake", of shape `(count, 2)`.
        bias: In log-odds, of all images or of each, of shape `(count,)`.
    """
    fake = expit(log_odds(probabilities) + bias)
    return np.stack([1 - fake, fake], axis=1)


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """Return log P(fake) - log P(real), of shape `(count,)`, finite.

    Args:
        probabilities: Of "real" and "fake", of shape `(count, 2)`.
    """
    real, fake = np.log(np.maximum(probabilities, TINY)).T
    return fake - real


def apply_bias(detector: Detector, bias: float, images: Sequence[Image.Image]) -> bool:
    """Add a bias to a model's log-odds of "fake" from now on, saved and loaded again too.

    Args:
        detector: Whose model to change, of two classes.
        bias: In log-odds, after the division by the model's temperature.
        images: A few, on which it is checked that the layer's bias became the score's.

    Returns:
        Whether it was done; if not, no last layer with a bias makes the logits, and nothing was changed.
    """
    # A native class's temperature is folded into the layer; in ours the logits are divided after it.
    temperature = detector.temperature if isinstance(detector.model.config, DetectorConfig) else 1.0
    inputs = detector.process(list(images))
    wanted = log_odds(detector.predict(inputs)) + bias * bias_effect(detector, inputs)
    layers = [m for m in detector.model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    sizes = (1, detector.model.config.num_labels)  # a head of ours may have one unit for two classes
    answers = [layer.bias for layer in layers if layer.bias is not None and layer.bias.numel() in sizes]
    if not answers:
        return False
    before = answers[-1].detach().clone()
    # One logit may be the log-odds of real, and a stranger's fake need not be its last class.
    single, fake = detector.readout.single, detector.readout.fake
    at = 0 if answers[-1].numel() == 1 else fake[0]
    with torch.no_grad():
        answers[-1][at] += (-bias if single == REAL else bias) * temperature
        if np.abs(log_odds(detector.predict(inputs)) - wanted).max() <= TOLERANCE * max(1, abs(bias)):
            return True
        answers[-1].copy_(before)
    return False
