"""What a trained model inherits of its data and its first weights: licence and base model."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, metadata_load
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from fakelens.data.sources.opening import HUB_ID, SHORT_NAMES
from fakelens.training.recipe.recipe import DataArguments, ModelArguments
from fakelens.zoo.registry import architecture
from fakelens.zoo.shipped import SHIPPED, SHIPPED_REPO, model_folder

OPENFAKE, OPENFAKE_LICENSE = "ComplexDataLab/OpenFake", "cc-by-nc-4.0"


def inherited(model: ModelArguments, data: DataArguments, own: str | None) -> dict[str, str | list[str] | None]:
    """Return the `license` and `base_model` of what a recipe trains; None where nothing is known, a list of several.

    A licence that forbids commercial use goes before the recipe's own, which goes before any other.

    Args:
        model: The recipe's keys: `start_from`, members that are trained models, and a pretrained backbone.
        data: The recipe's keys: every SOURCE that is trained on.
        own: The licence that the recipe states.
    """
    starts = [model.start_from] if model.start_from else [m for m in model.members or () if Path(m).is_dir()]
    parents = [origin(start) for start in starts]
    licenses = [OPENFAKE_LICENSE] if any(map(is_openfake, (data.data, *data.mixed_in))) else []
    licenses += [parent["license"] for parent in parents if parent["license"]]
    restricted = [name for name in licenses if "-nc" in name]
    bases = list(dict.fromkeys(base for parent in parents for base in parent["base_model"]))
    if model.pretrained and not starts and (backbone := architecture(model.architecture).pretrained):
        bases.append(backbone)
    return {
        "license": next(iter([*restricted, *([own] if own else []), *licenses]), None),
        "base_model": bases if len(bases) > 1 else bases[0] if bases else None,
    }


def origin(name: str) -> dict[str, Any]:
    """Return the `license` of a model, and as `base_model` its id on the Hub or the ids of what it was made from.

    Args:
        name: `patch_lens`, a folder, or `USER/NAME` on the Hub.
    """
    folder = model_folder(name)
    found: dict[str, Any] = {}
    if (folder / "run.json").is_file():
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        by_data = OPENFAKE_LICENSE if is_openfake(run.get("data", {}).get("source") or "") else None
        found = {"license": by_data or run.get("license"), "base_model": run.get("base_model")}
    elif (folder / "README.md").is_file():
        found = metadata_load(folder / "README.md") or {}
    elif not folder.is_dir() and HUB_ID.fullmatch(name):
        found = {"license": _published_license(name), "base_model": name}
    if name == SHIPPED:
        found["base_model"] = SHIPPED_REPO
    bases = found.get("base_model") or []
    return {"license": found.get("license"), "base_model": [bases] if isinstance(bases, str) else bases}


def is_openfake(spec: str) -> bool:
    """Tell whether a SOURCE is OpenFake, whose licence the weights inherit; a folder of that name is not.

    Args:
        spec: The SOURCE.
    """
    name = SHORT_NAMES.get(spec, spec).partition("@")[0].partition(":")[0]
    return name == OPENFAKE and not Path(spec).expanduser().exists()


def _published_license(repo_id: str) -> str | None:
    try:
        return ModelCard.load(repo_id).data.license
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError):
        return None
