"""A saved model's folder: which of its files may be published, and what it says of itself.

Weights are safetensors or nothing: a pickle runs code when it is opened. What the Trainer leaves beside a checkpoint
(optimizer, random states, arguments) never leaves the machine.
"""

import ast
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from fakelens.data.sources.labels import ID2LABEL, REAL
from fakelens.errors import UserError

CONFIG, PROCESSOR, RUN = "config.json", "preprocessor_config.json", "run.json"
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib"})
# Pickles too, but the Trainer's and accelerate's own, in every checkpoint: left behind without a word.
LEFTOVERS = re.compile(
    r"(optimizer|scheduler|scaler|sampler|training_args)(_\d+)?\.(pt|bin)|(rng_state|random_states)(_\d+)?\.(pth|pkl)"
)


@dataclass(frozen=True)
class Checkpoint:
    """A model folder that is fit to be published.

    Attributes:
        folder: Where it lies.
        config: `config.json`.
        processor: `preprocessor_config.json`; empty for a model whose processor reads `config.json` (timm's).
        run: `run.json`, which training leaves; empty if it is not there.
        code: Names of the Python files that loading needs; empty if transformers knows the classes itself.
        files: Names of all files to publish: settings, weights, code.
    """

    folder: Path
    config: dict[str, Any]
    processor: dict[str, Any]
    run: dict[str, Any]
    code: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def architecture(self) -> str:
        """Name of the model's class."""
        return self.config["architectures"][0]

    @property
    def labels(self) -> list[str]:
        """Names of the classes, in the order of the logits."""
        return _labels(self.config)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a folder that `save_pretrained` or the Trainer wrote, and check that it can be published.

    Args:
        folder: The model's folder.

    Raises:
        UserError: If the folder is missing, lacks its configuration, processor, code or whole safetensors weights,
            holds pickled weights, or has no class 0 named real.
    """
    if not folder.is_dir():
        raise UserError(f"No model folder at {folder}. Name the folder that training wrote (it holds {CONFIG}).")
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder} holds no {CONFIG}, so it is no saved model. Name a folder that training wrote.")
    _refuse_pickles(folder)
    config = read_json(folder / CONFIG)
    if not config.get("architectures") or not config.get("model_type"):
        raise UserError(f"{folder / CONFIG} names no architecture. Save the model with model.save_pretrained(FOLDER).")
    labels = _labels(config)
    if len(labels) < 2 or labels[REAL] != ID2LABEL[REAL]:
        raise UserError(
            f"{folder / CONFIG} has the labels {labels}; a detector's are {ID2LABEL}. Set id2label to them."
        )
    has_processor = (folder / PROCESSOR).is_file()
    # timm's processor saves nothing of its own: it reads the model's configuration.
    if not has_processor and config.get("model_type") != "timm_wrapper":
        raise UserError(
            f"{folder} holds no {PROCESSOR}. Save the image processor there: processor.save_pretrained(...)"
        )
    processor = read_json(folder / PROCESSOR) if has_processor else {}
    code = _code(folder, {CONFIG: config, PROCESSOR: processor})
    files = (CONFIG, *([PROCESSOR] if has_processor else []), *_weights(folder), *code)
    run = read_json(folder / RUN) if (folder / RUN).is_file() else {}
    return Checkpoint(folder, config, processor, run, code, files)


def weights_hash(checkpoint: Checkpoint) -> str:
    """Return the SHA-256 of a checkpoint's tensors, as `fakelens.inference.identity` takes it of the loaded network.

    Args:
        checkpoint: A model's folder.

    Returns:
        The hash in hexadecimal; "" for tensors of a type that NumPy lacks.
    """
    digest = hashlib.sha256()
    tensors: dict[str, Path] = {}
    for name in (name for name in checkpoint.files if name.endswith(".safetensors")):
        with safe_open(checkpoint.folder / name, framework="np") as file:
            tensors |= dict.fromkeys(file.keys(), checkpoint.folder / name)
    try:
        for name, path in sorted(tensors.items()):
            with safe_open(path, framework="np") as file:
                tensor = file.get_tensor(name)
            digest.update(f"{name} torch.{tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.tobytes())
    except (TypeError, AttributeError):
        return ""
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: The file.

    Raises:
        UserError: If it is not there, not JSON, or no object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} could not be read as JSON: {error}. Write it again.") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no JSON object. Write it again.")
    return value


def _labels(config: dict[str, Any]) -> list[str]:
    # transformers' wrapper of timm models stores timm's own form.
    if config.get("label_names"):
        return list(config["label_names"])
    return [name for _, name in sorted((config.get("id2label") or {}).items(), key=lambda item: int(item[0]))]


def _refuse_pickles(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PICKLES and not LEFTOVERS.fullmatch(path.name):
            raise UserError(
                f"{path} is a pickle, which can run code where it is loaded, and is not published. Load the model, "
                "save it again with save_pretrained (that writes model.safetensors), and delete this file."
            )


def _weights(folder: Path) -> tuple[str, ...]:
    """Name the weight files, each opened once to see that it is whole."""
    names = [WEIGHTS]
    has_index = (folder / WEIGHTS_INDEX).is_file()
    if has_index:
        names = sorted(set(read_json(folder / WEIGHTS_INDEX).get("weight_map", {}).values()))
    for name in names:
        if not (folder / name).is_file():
            raise UserError(f"{folder} holds no weights: {name} is missing. Save the model with save_pretrained.")
        try:
            with safe_open(folder / name, framework="np"):
                pass
        except (SafetensorError, OSError) as error:
            raise UserError(f"{folder / name} is no whole safetensors file ({error}). Save the model again.") from None
    return (*names, WEIGHTS_INDEX) if has_index else tuple(names)


def _code(folder: Path, settings: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    """Name the Python files that `auto_map` entries need: theirs, and what those import from beside them."""
    names: list[str] = []
    for file, content in settings.items():
        for value in content.get("auto_map", {}).values():
            for reference in [value] if isinstance(value, str) else [v for v in value if v]:
                repo, _, module = reference.rpartition("--")
                if repo:
                    raise UserError(
                        f"{folder / file} takes its code from another repo, {repo}. Load the model where fakelens is "
                        "installed, without trust_remote_code, and save it again: its code then lies beside it."
                    )
                names.append(module.split(".")[0] + ".py")
    found: list[str] = []
    while names:
        name = names.pop()
        if name in found:
            continue
        if not (folder / name).is_file():
            raise UserError(
                f"{folder} lacks {name}, which loading it needs. Save the model again with save_pretrained."
            )
        found.append(name)
        try:
            tree = ast.parse((folder / name).read_text(encoding="utf-8"))
        except (SyntaxError, ValueError) as error:
            raise UserError(
                f"{folder / name} is no Python ({error}). Save the model again with save_pretrained."
            ) from None
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
                names.append(node.module.split(".")[0] + ".py")
    return tuple(sorted(found))
