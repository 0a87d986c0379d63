"""Make one detector of several trained ones: a soft vote that lives in a single repo."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from transformers import AutoImageProcessor, AutoModelForImageClassification, PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor

from fakelens.errors import UserError
from fakelens.models import EnsembleConfig, EnsembleForImageClassification, EnsembleImageProcessor
from fakelens.zoo.registry import ARCHITECTURES
from fakelens.zoo.shipped import model_folder, model_name

Member = str | Path | tuple[PreTrainedModel, BaseImageProcessor]


def build_ensemble(
    members: Sequence[Member],
    weights: Literal["equal", "accuracy"] | Sequence[float] = "equal",
    accuracies: Sequence[float] | None = None,
) -> tuple[EnsembleForImageClassification, EnsembleImageProcessor]:
    """Join trained detectors of the zoo in one that gives the weighted mean of their probabilities.

    Args:
        members: Saved detectors (folders or Hub repos), or models with their image processors. Each keeps its own
            input size and normalisation.
        weights: "equal"; "accuracy", by validation accuracy as reference system S4 does, weight_i = accuracy_i /
            sum(accuracies); or the weights themselves, scaled to sum to 1.
        accuracies: Each member's validation accuracy in [0, 1], where weights are by accuracy.

    Returns:
        The ensemble in evaluation mode, with copies of the members' weights, and its image processor. Both are saved
        into one folder by `save_pretrained`.

    Raises:
        UserError: If a member does not load or is not of the zoo, members disagree on their labels, or weights do not
            fit the members.
    """
    if not members:
        raise UserError("An ensemble needs at least one member.")
    loaded = [_load(member) for member in members]
    labels = _shared_labels(loaded)
    config = EnsembleConfig(
        members=[_member_config(model) for _, model, _ in loaded],
        member_weights=_member_weights([name for name, _, _ in loaded], weights, accuracies),
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    ensemble = EnsembleForImageClassification(config)
    for member, (_, model, _) in zip(ensemble.members, loaded, strict=True):
        member.load_state_dict(model.state_dict())
    return ensemble.eval(), EnsembleImageProcessor([_settings(name, processor) for name, _, processor in loaded])


def _load(member: Member) -> tuple[str, PreTrainedModel, BaseImageProcessor]:
    """Give a member's name for messages, its model and its image processor."""
    if isinstance(member, tuple):
        model, processor = member
        name = type(model).__name__
    else:
        name = model_name(member)
        folder = str(model_folder(name))
        try:
            # No code from a member's repo: what is not of the zoo is refused below anyway.
            model = AutoModelForImageClassification.from_pretrained(
                folder, dtype=torch.float32, trust_remote_code=False
            )
            processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise UserError(f"The ensemble's member {name} does not load as a saved detector: {error}") from error
    if type(model) not in {row.model_class for row in ARCHITECTURES.values()}:
        raise UserError(f"The ensemble's member {name} is a {type(model).__name__}, which is not of the zoo.")
    return name, model, processor


def _shared_labels(loaded: Sequence[tuple[str, PreTrainedModel, BaseImageProcessor]]) -> list[str]:
    """Give the labels that all members share, in order."""
    (first, model, _), *rest = loaded
    labels = list((model.config.id2label or {}).values())
    for name, other, _ in rest:
        if (others := list((other.config.id2label or {}).values())) != labels:
            raise UserError(f"The ensemble's members disagree on their labels: {first} has {labels}, {name} {others}.")
    return labels


def _member_config(model: PreTrainedModel) -> dict[str, object]:
    """Give a member's configuration without what belongs to the repo it came from."""
    left_out = {"auto_map", "architectures", "dtype", "transformers_version"}
    return {key: value for key, value in model.config.to_diff_dict().items() if key not in left_out}


def _settings(name: str, processor: BaseImageProcessor) -> dict[str, object]:
    """Give a member's image processor as a dictionary, and refuse one that would not come back from it."""
    settings = {key: value for key, value in processor.to_dict().items() if key != "auto_map"}
    try:
        EnsembleImageProcessor([settings])
    except (TypeError, ValueError) as error:
        raise UserError(
            f"The image processor of the ensemble's member {name} cannot be part of an ensemble: {error}"
        ) from error
    return settings


def _member_weights(
    names: list[str], weights: Literal["equal", "accuracy"] | Sequence[float], accuracies: Sequence[float] | None
) -> list[float]:
    """Turn the way of weighting into one weight for each member."""
    if weights == "equal":
        return [1.0] * len(names)
    if weights == "accuracy":
        if accuracies is None:
            raise UserError("Weights by accuracy need each member's validation accuracy: pass accuracies.")
        given, what = accuracies, "accuracies"
    elif isinstance(weights, str):
        raise UserError(f"There is no way of weighting called {weights!r}: say equal, accuracy, or give the weights.")
    else:
        given, what = weights, "weights"
    if len(given) != len(names):
        raise UserError(f"There are {len(given)} {what} for {len(names)} members ({', '.join(names)}).")
    if not all(0 <= value < float("inf") for value in given) or sum(given) == 0:
        raise UserError(f"The {what} of an ensemble must not be negative, nor all zero: {list(given)}.")
    return [float(value) for value in given]
