"""What the Hub demands of a card's front matter and of `.eval_results` files."""

import re
from typing import Any

import yaml

# The same expression as the Hub's own, quoted in huggingface_hub/repocard.py: a block between two lines of ---.
_BLOCK = re.compile(r"^\s*---(?:\r\n|\r|\n)([\S\s]*?)(?:\r\n|\r|\n)---[ \t]*(?:\r\n|\n|$)")
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
LICENSES = frozenset(
    {
        "apache-2.0",
        "mit",
        "bsd-3-clause",
        "cc0-1.0",
        "cc-by-4.0",
        "cc-by-nc-4.0",
        "cc-by-sa-4.0",
        "openrail",
        "unknown",
        "other",
    }
)
PIPELINES = frozenset({"image-classification", "image-to-image", "feature-extraction"})


def front_matter(card: str) -> dict[str, Any]:
    """Return a card's metadata; empty if it has none or they cannot be read."""
    match = _BLOCK.search(card)
    try:
        data = yaml.safe_load(match[1]) if match else None
    except yaml.YAMLError:
        return {}
    return data if isinstance(data, dict) else {}


def metadata_errors(card: str, kind: str) -> tuple[list[str], list[str]]:
    """Return what the Hub refuses of a card, and what it warns of."""
    match = _BLOCK.search(card)
    if not match:
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        data = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        return [f"The metadata is no YAML: {' '.join(str(error).split())}"], []
    if not isinstance(data, dict):
        return ["The metadata is no mapping"], []
    if kind != "model":
        return [f'"{key}" is required' for key in ("sdk",) if kind == "space" and key not in data], []
    errors = []
    if data.get("license") not in LICENSES:
        errors.append(f'"license" must be one of [{", ".join(sorted(LICENSES))}]')
    if data.get("pipeline_tag", "image-classification") not in PIPELINES:
        errors.append('"pipeline_tag" is not known')
    for key in ("tags", "datasets", "metrics"):
        values = data.get(key, [])
        if not isinstance(values, list) or not all(isinstance(v, str) and v for v in values):
            errors.append(f'"{key}" must be an array of strings')
        elif key == "datasets" and not all(_HUB_ID.fullmatch(v) for v in values):
            errors.append('"datasets" must be ids of data sets on the Hub')
    return errors + _model_index_errors(data.get("model-index", [])), []


def _model_index_errors(index: Any) -> list[str]:
    if not isinstance(index, list):
        return ['"model-index" must be an array']
    errors = []
    for number, model in enumerate(index):
        where = f"model-index[{number}]"
        if not isinstance(model, dict) or not isinstance(model.get("name"), str) or not model.get("results"):
            errors.append(f'"{where}" must have a name and results')
            continue
        for result in model["results"]:
            if not result.get("task", {}).get("type"):
                errors.append(f'"{where}.results.task.type" is required')
            if not result.get("dataset", {}).get("type") or not result.get("dataset", {}).get("name"):
                errors.append(f'"{where}.results.dataset" must have a type and a name')
            for metric in result.get("metrics", []):
                if not metric.get("type") or not isinstance(metric.get("value"), int | float):
                    errors.append(f'"{where}.results.metrics" must have a type and a value that is a number')
    return errors


def eval_results_errors(text: str) -> list[str]:
    """Return what the Hub refuses of an `.eval_results` file."""
    try:
        entries = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return [f"no YAML: {' '.join(str(error).split())}"]
    if not isinstance(entries, list):
        return ["must be an array"]
    errors = []
    for entry in entries:
        dataset = entry.get("dataset", {})
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(dataset.get("id"))) or not isinstance(dataset.get("task_id"), str):
            errors.append("dataset must have the id of a data set on the Hub and a task_id")
        if not isinstance(entry.get("value"), int | float):
            errors.append("value must be a number")
        if not isinstance(entry.get("date", ""), str):
            errors.append("date must be a string")
    return errors
