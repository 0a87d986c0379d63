"""The network that a run starts with: a new one of the zoo, or a trained detector with all that belongs to it."""

import json

from transformers import PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor

from fakelens.errors import UserError
from fakelens.inference.detector import load_detector
from fakelens.training.recipe.recipe import ModelArguments
from fakelens.zoo.registry import build_detector, build_processor
from fakelens.zoo.shipped import model_folder


def first_model(model: ModelArguments, labels: list[str]) -> tuple[PreTrainedModel, BaseImageProcessor]:
    """Return the network to be trained, and its image processor.

    Args:
        model: The recipe's keys. `start_from` brings network, head and processor as they were saved.
        labels: "real" first, then "fake" or the generators to tell apart.

    Raises:
        UserError: If it cannot be built or loaded, or a trained detector has other labels.
    """
    if model.start_from is None:
        network = build_detector(
            model.architecture, model.pretrained, model.weights, labels=labels, **model.model_options
        )
        return network, build_processor(model.architecture, model.image_size, **model.processor_options)
    detector = load_detector(model.start_from, device="cpu")  # the Trainer moves it
    detector.require_pytorch()
    found = [name for _, name in sorted(detector.model.config.id2label.items(), key=lambda item: int(item[0]))]
    if found != labels:
        raise UserError(
            f"{model.start_from} tells {', '.join(found)} apart, and this recipe {', '.join(labels)}: training cannot "
            "start from it. Look at `classes` and `generators`, or start from another detector."
        )
    if "calibrated_temperature" in detector.model.config.to_dict():
        detector.model.config.calibrated_temperature = 1.0  # of weights that are about to change
    return detector.model, detector.processor


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
