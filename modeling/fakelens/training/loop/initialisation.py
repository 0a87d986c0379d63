"""The network that a run starts with: a new one of the zoo, or a trained detector with all that belongs to it."""

import json

import torch
from PIL import Image
from torch import nn
from transformers import PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor

from fakelens.data.sources.labels import FAKE, ID2LABEL, REAL
from fakelens.errors import UserError
from fakelens.inference.classes.readout import REMEMBERED, model_classes
from fakelens.inference.detector import Detector, load_detector
from fakelens.training.recipe.recipe import ModelArguments
from fakelens.zoo.registry import build_detector, build_processor
from fakelens.zoo.shipped import model_folder


def first_model(model: ModelArguments, labels: list[str]) -> tuple[PreTrainedModel, BaseImageProcessor]:
    """Return the network to be trained, and its image processor.

    Args:
        model: The recipe's keys. `start_from` brings network, head and processor as they were saved; two classes by
            other names get ours.
        labels: "real" first, then "fake" or the generators to tell apart.

    Raises:
        UserError: If it cannot be built or loaded, or a trained detector has other labels.
    """
    if model.start_from is None:
        network = build_detector(
            model.architecture, model.pretrained, model.weights, labels=labels, **model.model_options
        )
        return network, build_processor(model.architecture, model.image_size, **model.processor_options)
    detector = load_detector(model.start_from, device="cpu", label_map=model.start_label_map)  # the Trainer moves it
    detector.require_pytorch()
    found = model_classes(detector.model.config)
    if found != labels and not (labels == list(ID2LABEL.values()) and _renamed(detector)):
        raise UserError(
            f"{model.start_from} tells {', '.join(found)} apart, and this recipe {', '.join(labels)}: training cannot "
            "start from it. Look at `classes` and `generators`, or start from another detector."
        )
    if "calibrated_temperature" in detector.model.config.to_dict():
        detector.model.config.calibrated_temperature = 1.0  # of weights that are about to change
    return detector.model, detector.processor


def _renamed(detector: Detector) -> bool:
    """Give a stranger's two classes our names and order, by way of the last layer; tell whether that could be done."""
    readout, config = detector.readout, detector.model.config
    order = [*readout.real, *readout.fake]
    if config.num_labels != 2 or sorted(order) != [REAL, FAKE]:
        return False
    if order != [REAL, FAKE]:
        layers = [m for m in detector.model.modules() if isinstance(m, nn.Linear) and m.out_features == 2]
        if not layers:
            return False
        inputs = detector.process([Image.new("RGB", (64, 64), (90, 120, 150))])
        with torch.no_grad():
            before = detector.model(**inputs).logits
            for parameter in layers[-1].parameters():
                parameter.copy_(parameter[order].clone())
            if not torch.allclose(detector.model(**inputs).logits, before[:, order], atol=1e-5):
                return False
    config.id2label, config.label2id = dict(ID2LABEL), {name: label for label, name in ID2LABEL.items()}
    if REMEMBERED in config.to_dict():
        delattr(config, REMEMBERED)
    return True


def never_seen(model: ModelArguments) -> list[str] | None:
    """Return the generators that were held out of a trained detector's own training, by its record.

    Args:
        model: The recipe's keys.

    Returns:
        Their names, none if the detector has no record; None if training starts afresh.
    """
    if model.start_from is None:
        return None
    record = model_folder(model.start_from) / "run.json"
    return json.loads(record.read_text(encoding="utf-8"))["data"]["held_out"] if record.is_file() else []
