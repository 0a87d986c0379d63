"""Pretrained weights: fetched from the Hub or read from a local safetensors file, and fitted into a detector.

Only safetensors are read: unpickling a file runs whatever code its author put there.
"""

import logging
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import get_pretrained_cfg
from transformers import PreTrainedModel, TimmWrapperForImageClassification

from fakelens.errors import UserError
from fakelens.models import (
    DetectorPreTrainedModel,
    PatchLensForImageClassification,
    TimmBackboneForImageClassification,
)

logger = logging.getLogger(__name__)


def fetch_weights(repo_id: str) -> Path:
    """Get a Hub repo's `model.safetensors`, from the local cache where it lies there.

    Args:
        repo_id: The repo, such as `timm/resnet50.a1_in1k`.

    Returns:
        Where the file is on this machine.

    Raises:
        UserError: If it is neither in the cache nor to be had from the Hub.
    """
    try:
        return Path(hf_hub_download(repo_id, "model.safetensors"))
    except OSError as error:
        raise UserError(
            f"The pretrained weights {repo_id} are not here and could not be fetched from the Hub "
            f"({type(error).__name__}). Go online, or download "
            f"https://huggingface.co/{repo_id}/resolve/main/model.safetensors on a machine that is, and pass it as "
            "weights=FILE."
        ) from error


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file.

    Args:
        path: The file.

    Returns:
        Its tensors by name.

    Raises:
        UserError: If there is no such file, or it is not safetensors.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no weights file {path}. Name a .safetensors file.")
    if path.suffix != ".safetensors":
        raise UserError(
            f"{path} is not a .safetensors file. Pickled weights (.bin, .pt, .pth, .ckpt) run code when read and are "
            "refused: load them where you trust them and save them with safetensors.torch.save_file."
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path} is damaged or not a safetensors file ({error}). Download it again.") from error


def head_names(model: PreTrainedModel) -> tuple[str, ...]:
    """Name the modules of `model` that a file with a backbone alone need not hold, such as `timm_model.classifier`."""
    if isinstance(model, TimmWrapperForImageClassification):
        return _timm_classifiers(model.config.architecture, "timm_model.")
    if isinstance(model, TimmBackboneForImageClassification):
        return (*model.head_names, *_timm_classifiers(model.config.backbone, "backbone."))
    if isinstance(model, PatchLensForImageClassification):
        return (*model.head_names, *model.left_out)
    if isinstance(model, DetectorPreTrainedModel):
        return model.head_names
    return ("classifier",)


def _timm_classifiers(timm_name: str, prefix: str) -> tuple[str, ...]:
    config = get_pretrained_cfg(timm_name)
    names = (config.classifier if config else None) or ()
    return tuple(prefix + name for name in ((names,) if isinstance(names, str) else names))


def load_weights(model: PreTrainedModel, path: str | Path) -> None:
    """Put a file's tensors into `model`: a whole detector's, or its backbone's.

    Names may carry a wrapper's prefix (`timm_model.`, `backbone.`, `module.`) or none. A classifier that is absent or
    made for other labels is left as it was, which is said through logging; anything else must be there and fit.

    Args:
        model: The detector, changed in place.
        path: A safetensors file.

    Raises:
        UserError: If the file cannot be read or is another architecture's.
    """
    stored = _renamed(read_weights(path), model)
    expected = model.state_dict()
    heads = tuple(f"{name}." for name in head_names(model))
    fitting = {
        name: tensor for name, tensor in stored.items() if name in expected and tensor.shape == expected[name].shape
    }
    # Buffers other than running statistics are computed when a network is built, so files may lack them.
    learned = {name for name, _ in model.named_parameters()}
    learned |= {name for name in expected if name.endswith((".running_mean", ".running_var"))}
    modules = {name for name, _ in model.named_modules()}
    absent = sorted(learned - fitting.keys())
    # A tensor of a module that `model` lacks is a layer of another network.
    foreign = sorted(name for name in stored.keys() - expected.keys() if name.rpartition(".")[0] not in modules)
    wrong = [name for name in absent + foreign if not name.startswith(heads)]
    if wrong:
        raise UserError(
            f"{path} does not fit {_describe(model)}: {len(fitting)} of its {len(expected)} tensors match, "
            f"{len(wrong)} are missing, misshapen or another network's, such as {', '.join(wrong[:3])}. "
            "Take the file of the same architecture."
        )
    model.load_state_dict(fitting, strict=False)
    if absent:
        logger.warning(
            "%s has no classifier for the %d labels of %s: %s start untrained.",
            path,
            model.config.num_labels,
            _describe(model),
            ", ".join(absent),
        )


def _renamed(stored: dict[str, torch.Tensor], model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Trade the prefix of the stored names for the one under which most of them are found in `model`."""
    expected = model.state_dict().keys()
    old_prefixes = ["", *sorted({f"{name.partition('.')[0]}." for name in stored})]
    candidates = [
        {new + name.removeprefix(old): tensor for name, tensor in stored.items() if name.startswith(old)}
        for old in old_prefixes
        for new in ("", f"{model.base_model_prefix}.")
    ]
    return max(candidates, key=lambda renamed: len(renamed.keys() & expected))


def _describe(model: PreTrainedModel) -> str:
    if isinstance(model, TimmWrapperForImageClassification):
        return f"timm's {model.config.architecture}"
    if isinstance(model, TimmBackboneForImageClassification):
        return f"timm's {model.config.backbone} with a head"
    if isinstance(model, PatchLensForImageClassification):
        return f"the first {model.config.stages} stages of timm's {model.config.backbone}"
    return type(model).__name__
