"""A model's folder or Hub repo -> its network and image processor, from safetensors or ONNX and nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import httpx2
import torch
from huggingface_hub import hf_hub_download, list_repo_files
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.image_processing_utils import BaseImageProcessor

import fakelens.models  # noqa: F401  registers our classes, so that they load without code from a repo
from fakelens.data.sources.label_rules import LabelRules
from fakelens.errors import UserError
from fakelens.inference.classes.readout import model_classes, read_classes
from fakelens.inference.classes.zero_shot import ZeroShotClassifier, is_zero_shot
from fakelens.inference.onnx_model import MODEL, OnnxModel
from fakelens.zoo.shipped import SHIPPED, model_folder

ONNX_FOLDER = "onnx"  # where transformers.js keeps its files
IN_FOLDER = (f"{ONNX_FOLDER}/{MODEL}", f"{ONNX_FOLDER}/model_quantized.onnx")
Network: TypeAlias = PreTrainedModel | OnnxModel | ZeroShotClassifier
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})


def load_network(
    name: str, device: str | None = None, trust_remote_code: bool = False, rules: LabelRules | None = None
) -> tuple[Network, BaseImageProcessor]:
    """Load a network with its image processor.

    Args:
        name: `patch_lens`, a folder, an ONNX file in one, or `USER/NAME` on the Hub. Of both kinds of weights it
            gives the safetensors; of a Hub repo `USER/NAME/onnx/model_quantized.onnx` is that file.
        device: Where onnxruntime is to run an ONNX file; a PyTorch network is left on the CPU.
        trust_remote_code: Run a repo's own code for an architecture that is not installed here.
        rules: The texts that a model of images and texts takes for classes.

    Raises:
        UserError: If there is no such model, it has no weights that may be read, no trained classifier or no
            processor, or it is in ONNX and onnxruntime is missing or cannot use the device.
    """
    check_model_folder(name)
    exported = onnx_file(name)
    home = str(_home_of(exported) if exported else model_folder(name))
    network: Network
    try:
        if is_hub_id(name):
            home, exported = _hub_onnx(name)
        config = AutoConfig.from_pretrained(home, trust_remote_code=trust_remote_code)
        processor = AutoImageProcessor.from_pretrained(home, trust_remote_code=trust_remote_code)
        if exported is not None:
            network = OnnxModel(exported, config, device)
        elif is_zero_shot(config):
            network = ZeroShotClassifier(home, config, rules or LabelRules(), name, trust_remote_code)
        else:
            network = _load_classifier(home, config, trust_remote_code, name)
    except UserError:
        raise
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        way_out = (
            "Pass --trust-remote-code if you trust its code."
            if "trust_remote_code" in str(error)
            else "Check the name and the files; a private repo needs `hf auth login`."
        )
        raise UserError(f"The model {name!r} does not load: {first} {way_out}") from error
    return network, processor


def _load_classifier(home: str, config: PreTrainedConfig, trust_remote_code: bool, name: str) -> PreTrainedModel:
    """Load an image classifier, all of whose weights are trained ones."""
    network, found = AutoModelForImageClassification.from_pretrained(
        home,
        config=config,
        trust_remote_code=trust_remote_code,
        use_safetensors=True,
        dtype=torch.float32,
        output_loading_info=True,
    )
    if found["missing_keys"]:
        raise UserError(
            f"{name} holds no trained weights for {sorted(found['missing_keys'])[0]}, so it is a backbone and no "
            "detector. Train it first (architecture or start_from in a recipe), or name another model."
        )
    return network


def is_hub_id(name: str) -> bool:
    """Tell whether a model's name is a Hub repo's, or that of an ONNX file in one, and no folder of this machine.

    Args:
        name: As the user says it.
    """
    owner_and_repo = name.count("/") == 1 or (name.count("/") > 1 and name.endswith(".onnx"))
    return owner_and_repo and not name.startswith((".", "/", "~")) and not model_folder(name).exists()


def _hub_onnx(name: str) -> tuple[str, Path | None]:
    """Return a Hub repo's id, and its ONNX file if that is what was named or the repo has no safetensors."""
    owner, repo, *inside = name.split("/")
    repo, file = f"{owner}/{repo}", "/".join(inside)
    if not file:
        try:
            files = set(list_repo_files(repo))
        except (OSError, httpx2.HTTPError):  # no connection: what is in the cache may do
            return repo, None
        if any(one.endswith(".safetensors") for one in files):
            return repo, None
        file = next((one for one in (MODEL, *IN_FOLDER) if one in files), "")
    return repo, Path(hf_hub_download(repo, file)) if file else None


def _home_of(exported: Path) -> Path:
    """Return the folder that holds an ONNX file's settings: its own, or the one above, as transformers.js has it."""
    own = (exported.parent / "config.json").is_file() or exported.parent.name != ONNX_FOLDER
    return exported.parent if own else exported.parent.parent


def check_label_map(
    rules: LabelRules,
    data: Iterable[Sequence[str] | None],
    models: Mapping[str, LabelRules],
    trust_remote_code: bool = False,
) -> None:
    """Refuse classes of models that are not understood, and a class in a label map that neither data nor models have.

    Configurations are read and no weights: what is not understood is known before the first model has scored.

    Args:
        rules: What the user says of the data and of the models.
        data: Each source's classes; where only reading it all would tell them (None), nothing that `rules` names is
            refused.
        models: Names of models, and what the user says of each; those of `rules` share its names.
        trust_remote_code: Run a repo's own code for its configuration.

    Raises:
        UserError: If there is such a class; the message lists those that there are.
    """
    names: list[str] = []
    all_known = True
    for classes in data:
        names += classes or ()
        all_known = all_known and classes is not None
    for model, own in models.items():
        config = _config_of(model, trust_remote_code)
        if config is None or is_zero_shot(config):  # loading the model says what is wrong; texts are no names
            all_known = all_known and own is not rules
            continue
        read_classes(config, own, model)
        names += model_classes(config) if own is rules else []
    if all_known and (missing := rules.missing(names)):
        raise UserError(
            f"The label map names {missing[0]!r}, which is no class of the data or the models: {', '.join(names)}."
        )


def _config_of(model: str, trust_remote_code: bool) -> PreTrainedConfig | None:
    """Return a model's configuration without its weights; None if it cannot be read."""
    exported = onnx_file(model)
    repo = "/".join(model.split("/")[:2]) if is_hub_id(model) else model
    home = str(model_folder(repo) if exported is None else _home_of(exported))
    try:
        return AutoConfig.from_pretrained(home, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, ImportError):
        return None


def onnx_file(name: str) -> Path | None:
    """Return the ONNX file that a name stands for: itself, or a folder's that has no safetensors; None if none.

    Args:
        name: `patch_lens`, a folder, a file, or a Hub id.
    """
    path = model_folder(name)
    if path.suffix == ".onnx" and path.is_file():
        return path
    if any(path.glob("model*.safetensors")):
        return None
    return next((path / one for one in (MODEL, *IN_FOLDER) if (path / one).is_file()), None)


def check_model_folder(name: str) -> None:
    """Refuse a local model that is missing, incomplete, or kept as a pickle, which could run any code when read.

    Args:
        name: `patch_lens`, a folder, an ONNX file in one, or a Hub id, which is left to the Hub.

    Raises:
        UserError: With what is wrong and the way out.
    """
    exported = onnx_file(name)
    folder = model_folder(name) if exported is None else _home_of(exported)
    if not folder.exists():
        if name == SHIPPED:
            raise UserError(
                f"This copy of fakelens lacks its own model, {name}. Install fakelens again, or name a model with "
                "--model FOLDER or --model USER/NAME."
            )
        if is_hub_id(name):
            return
        raise UserError(
            f"There is no model at {name}. Name a model with --model FOLDER or --model USER/NAME, or leave --model "
            f"out for {SHIPPED}."
        )
    if not folder.is_dir():
        raise UserError(f"{name} is a file; a model is a folder with config.json and model.safetensors.")
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} has no config.json, so it is not a model. Name the folder that holds one.")
    if exported is None and not any(folder.glob("model*.safetensors")):
        pickles = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLES)
        if pickles:
            raise UserError(
                f"{name} holds {pickles[0]}, a pickle, which can run any code when it is read, so it is refused. "
                "Save the model again with `save_pretrained`, which writes model.safetensors."
            )
        raise UserError(f"{name} has no model.safetensors. Save the model with `save_pretrained`.")
