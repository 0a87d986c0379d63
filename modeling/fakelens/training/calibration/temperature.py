"""One temperature for all logits of a model, fitted on validation data and applied by the model itself.

Guo et al., "On Calibration of Modern Neural Networks" (2017, https://arxiv.org/abs/1706.04599): dividing the logits by
one number leaves the order of a detector's scores as it is and makes P(fake) mean what it says.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax
from torch import nn

from fakelens.data.sources.labels import FAKE, REAL
from fakelens.inference.detector import Detector, p_fake
from fakelens.models import DetectorConfig

BOUNDS = (0.05, 20.0)  # of a model's temperature: beyond them scores are 0 and 1, or all one half
TINY = np.finfo(np.float64).tiny


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray, current: float = 1.0) -> float:
    """Return the temperature at which the labels are likeliest: the least mean negative log-likelihood.

    Where not one image is misclassified, that would be a temperature of 0: more certainty than any number of images
    can show. Each class then counts two images more, one of each label: Platt's targets (1999),
    (n + 1) / (n + 2) instead of 1.

    Args:
        probabilities: Of each class as the model gives them now, of shape `(count, classes)`, "real" first.
        labels: 0 real, 1 fake, of shape `(count,)`, both present.
        current: The temperature that the model applies already, above 0.

    Returns:
        The whole temperature, the current one included, within `BOUNDS`.
    """
    logits = _log(probabilities) * current
    if not separated(probabilities, labels):
        return _likeliest(logits, labels.astype(np.float64))
    real_count, fake_count = int((labels == REAL).sum()), int((labels == FAKE).sum())
    return _likeliest(logits, np.where(labels == FAKE, (fake_count + 1) / (fake_count + 2), 1 / (real_count + 2)))


def separated(probabilities: np.ndarray, labels: np.ndarray) -> bool:
    """Tell whether no image is misclassified, so that no finite temperature has the highest likelihood.

    Args:
        probabilities: Of each class, of shape `(count, classes)`, "real" first.
        labels: 0 real, 1 fake, of shape `(count,)`.
    """
    return bool(((probabilities.argmax(axis=1) > 0) == (labels == FAKE)).all())


def negative_log_likelihood(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over images of -log P(what the image is), in nats; 0.693 is what a coin would have.

    Args:
        probabilities: Of each class, of shape `(count, classes)`, "real" first.
        labels: 0 real, 1 fake, of shape `(count,)`.
    """
    real, fake = _log_verdicts(_log(probabilities))
    return -float(np.mean(np.where(labels == FAKE, fake, real)))


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return what the probabilities would be, were the logits behind them divided by a temperature.

    Args:
        probabilities: Of each class, of shape `(count, classes)`.
        temperature: Above 0.
    """
    return softmax(_log(probabilities) / temperature, axis=1)


def uncalibrated(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Return what P(fake) was before the model's logits were divided by its temperature, of shape `(count,)`.

    Args:
        scores: P(fake) now, of shape `(count,)`; of a model that tells generators apart, whose P(fake) is a sum, the
            probabilities of its classes, of shape `(count, classes)`, "real" first.
        temperature: What the model divides its logits by (`Detector.temperature`), above 0.
    """
    probabilities = np.stack([1 - scores, scores], axis=1) if scores.ndim == 1 else scores
    return p_fake(at_temperature(probabilities, 1 / temperature))


def apply_temperature(detector: Detector, factor: float, images: Sequence[Image.Image]) -> bool:
    """Divide a model's logits by a factor from now on, saved and loaded again too.

    A network of ours, or an ensemble, has a place for it in its configuration. A class of transformers' own has none:
    the weights and bias of its last linear layer are divided, and the configuration says so in
    `calibrated_temperature`, which nothing reads to compute a score.

    Args:
        detector: Whose model to change.
        factor: Above 0, relative to the temperature that the model applies already.
        images: A few, on which it is checked that dividing the layer divided the logits.

    Returns:
        Whether it was done; if not, the last linear layer is not what makes the logits, and nothing was changed.
    """
    config = detector.model.config
    if isinstance(config, DetectorConfig):
        config.logit_temperature *= factor
    else:
        if not _divide_last_layer(detector, factor, images):
            return False
        config.calibrated_temperature = detector.temperature * factor
    detector.read_config()
    return True


def _divide_last_layer(detector: Detector, factor: float, images: Sequence[Image.Image]) -> bool:
    wide = detector.model.config.num_labels
    layers = [m for m in detector.model.modules() if isinstance(m, nn.Linear) and m.out_features == wide]
    if not layers:
        return False
    expected = at_temperature(detector.probabilities(list(images)), factor)
    before = {name: tensor.clone() for name, tensor in layers[-1].state_dict().items()}
    with torch.no_grad():
        for parameter in layers[-1].parameters():
            parameter.div_(factor)
    divided, wanted = _logits(detector.probabilities(list(images))), _logits(expected)
    if np.abs(divided - wanted).max() <= 1e-3 * np.abs(wanted).max():
        return True
    layers[-1].load_state_dict(before)
    return False


def _likeliest(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return the temperature at which P(fake) is nearest to the targets, fractions of shape `(count,)`."""

    def loss(log_temperature: float) -> float:
        real, fake = _log_verdicts(log_softmax(logits / np.exp(log_temperature), axis=1))
        return -float(np.mean(targets * fake + (1 - targets) * real))

    found = minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded", options={"xatol": 1e-7})
    return float(np.exp(found.x))


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, TINY))


def _logits(probabilities: np.ndarray) -> np.ndarray:
    """Return logits whose mean over classes is 0."""
    logits = _log(probabilities)
    return logits - logits.mean(axis=1, keepdims=True)


def _log_verdicts(log_probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log P(real) and log P(fake)."""
    return log_probabilities[:, 0], logsumexp(log_probabilities[:, 1:], axis=1)
