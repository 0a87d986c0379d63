"""A model's folder or Hub repo -> its network and image processor, from safetensors or ONNX and nothing else."""

from pathlib import Path

import torch
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification, PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor

import fakelens.models  # noqa: F401  registers our classes, so that they load without code from a repo
from fakelens.errors import UserError
from fakelens.inference.onnx_model import MODEL, OnnxModel
from fakelens.zoo.shipped import SHIPPED, model_folder

PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})


def load_network(
    name: str, device: str | None = None, trust_remote_code: bool = False
) -> tuple[PreTrainedModel | OnnxModel, BaseImageProcessor]:
    """Load a network with its image processor.

    Args:
        name: `patch_lens`, a folder, an ONNX file in one, or `USER/NAME` on the Hub. A folder with both kinds of
            weights gives the safetensors.
        device: Where onnxruntime is to run an ONNX file; a PyTorch network is left on the CPU.
        trust_remote_code: Run a repo's own code for an architecture that is not installed here.

    Raises:
        UserError: If there is no such model, it has no weights that may be read or no processor, or it is in ONNX and
            onnxruntime is missing or cannot use the device.
    """
    check_model_folder(name)
    exported = onnx_file(name)
    home = str(exported.parent if exported else model_folder(name))
    try:
        config = AutoConfig.from_pretrained(home, trust_remote_code=trust_remote_code)
        processor = AutoImageProcessor.from_pretrained(home, trust_remote_code=trust_remote_code)
        if exported is None:
            network = AutoModelForImageClassification.from_pretrained(
                home, config=config, trust_remote_code=trust_remote_code, use_safetensors=True, dtype=torch.float32
            )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        way_out = (
            "Pass --trust-remote-code if you trust its code."
            if "trust_remote_code" in str(error)
            else "Check the name and the files; a private repo needs `hf auth login`."
        )
        raise UserError(f"The model {name!r} does not load: {first} {way_out}") from error
    return (network if exported is None else OnnxModel(exported, config, device)), processor


def onnx_file(name: str) -> Path | None:
    """Return the ONNX file that a name stands for: itself, or a folder's that has no safetensors; None if none.

    Args:
        name: `patch_lens`, a folder, a file, or a Hub id.
    """
    path = model_folder(name)
    if path.suffix == ".onnx" and path.is_file():
        return path
    is_exported = (path / MODEL).is_file() and not any(path.glob("model*.safetensors"))
    return path / MODEL if is_exported else None


def check_model_folder(name: str) -> None:
    """Refuse a local model that is missing, incomplete, or kept as a pickle, which could run any code when read.

    Args:
        name: `patch_lens`, a folder, an ONNX file in one, or a Hub id, which is left to the Hub.

    Raises:
        UserError: With what is wrong and the way out.
    """
    exported = onnx_file(name)
    folder = model_folder(name) if exported is None else exported.parent
    if not folder.exists():
        if name == SHIPPED:
            raise UserError(
                f"This copy of fakelens lacks its own model, {name}. Install fakelens again, or name a model with "
                "--model FOLDER or --model USER/NAME."
            )
        if name.count("/") == 1 and not name.startswith((".", "/", "~")):
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
