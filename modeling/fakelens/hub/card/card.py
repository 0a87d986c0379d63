"""Checkpoint and report -> the model card, from the template that all cards share.

No number is written by hand: each comes from the checkpoint's own files or from the report, and what neither holds is
said to be not recorded, or not evaluated.
"""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jinja2
import yaml
from huggingface_hub import ModelCardData

from fakelens import __version__
from fakelens.data.splits.protocols import among
from fakelens.errors import UserError
from fakelens.evaluation.analysis.verdicts import VERDICTS, at
from fakelens.hub.card.examples import widget
from fakelens.hub.facts.checkpoint import Checkpoint
from fakelens.hub.facts.public_name import OPENFAKE, Origin, origin_of, without_paths
from fakelens.hub.facts.report import METRICS, Report
from fakelens.hub.facts.results import HUB_METRICS, eval_results
from fakelens.inference.thresholds import thresholds_of
from fakelens.metrics.bootstrap import behind
from fakelens.resources import resource

TEMPLATE = resource("model_cards") / "TEMPLATE.md"
MODELS = Path(__file__).parents[2] / "models"  # what travels to the Hub
# What a card says of the uncertain band: key in the report, words for people.
BAND_FIGURES = {
    "coverage": "Coverage (images with a verdict)",
    "error": "Errors among them",
    "error_without_band": "Errors without the band",
    "false_positive_rate": "False-positive rate",
    "miss_rate": "False-negative rate",
}
OPENFAKE_LICENSE = "cc-by-nc-4.0"
# Entries of run.json that the card states elsewhere than in its table of the training.
UNTABLED = (
    "recipe", "data", "environment", "license", "base_model", "parameters", "calibration", "fine_tuning",
)  # fmt: skip


def render_card(
    checkpoint: Checkpoint,
    repo_id: str,
    report: Report | None = None,
    template: Path = TEMPLATE,
    examples: Iterable[str] = (),
    version: str | None = None,
) -> str:
    """Render a model's card.

    Args:
        checkpoint: The model.
        repo_id: `USER/NAME` that it is published as.
        report: Its evaluation; without one the card says that it was not evaluated.
        template: Jinja template of the card, front matter included.
        examples: Paths in the repo of its example images.
        version: What this version is called; None for no name.

    Returns:
        The text of `README.md`.

    Raises:
        UserError: If the template is not there.
    """
    if not template.is_file():
        raise UserError(f"No card template at {template}. Install fakelens again, or name another.")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    filters: dict[str, Callable[[Any], str]] = {"number": _number, "cell": _cell, "interval": behind}
    environment.filters |= filters
    run, bases = without_paths(checkpoint.run), checkpoint.run.get("base_model") or []
    origin = training_origin(checkpoint.run)
    license_id = license_of(checkpoint.run, origin)
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        card_data=_metadata(checkpoint, repo_id, report, examples, license_id).to_yaml(),
        repo_id=repo_id,
        name=repo_id.rpartition("/")[2],
        fakelens_version=__version__,
        version=version,
        checkpoint=checkpoint,
        code={name: _code_facts(checkpoint.folder / name) for name in checkpoint.code},
        input_size=_input_size(checkpoint.processor),
        parameters=report.parameters if report else checkpoint.run.get("parameters"),
        report=report,
        thresholds=thresholds_of(checkpoint.config, name=str(checkpoint.folder)),
        metrics={key: report.title(key) for key in METRICS} if report else {},
        verdicts={key: title[0].upper() + title[1:] for key, title in VERDICTS.items()},
        at=at,
        band_figures=BAND_FIGURES,
        is_unseen=lambda name: among(name, (report.unseen_generators if report else None) or ()),
        origin=origin,
        is_openfake=is_openfake(origin),
        bases=[bases] if isinstance(bases, str) else bases,
        license=license_id,
        recipe=yaml.safe_dump(run["recipe"], sort_keys=False, allow_unicode=True) if run.get("recipe") else "",
        network=_network(checkpoint, template.parent),
        cost=_cost(run),
        training=_facts(run, leave_out=UNTABLED),
        training_data=_facts(run.get("data", {}), leave_out=("source",)),
        training_environment=_facts(run.get("environment", {})),
        evaluation_environment=_facts(report.environment if report else {}),
    )


def training_origin(run: dict[str, Any]) -> Origin | None:
    """Tell what a checkpoint was trained on; None if `run.json` does not say."""
    data = run.get("data", {})
    return origin_of(data["source"], data.get("revision")) if data.get("source") else None


def is_openfake(origin: Origin | None) -> bool:
    """Tell whether data is OpenFake, whose licence the weights inherit."""
    return origin is not None and origin.hub_id == OPENFAKE


def license_of(run: dict[str, Any], origin: Origin | None) -> str:
    """Return the licence of the weights: OpenFake's if they learnt from it, else the record's, else "other"."""
    if is_openfake(origin):
        return OPENFAKE_LICENSE
    return run.get("license") or run.get("recipe", {}).get("license") or "other"


def _metadata(
    checkpoint: Checkpoint, repo_id: str, report: Report | None, examples: Iterable[str], license_id: str
) -> ModelCardData:
    origin = training_origin(checkpoint.run)
    results = eval_results(report) if report else []
    return ModelCardData(
        license=license_id,
        # The Hub asks for a name beside "other".
        license_name="not-recorded" if license_id == "other" else None,
        base_model=checkpoint.run.get("base_model"),
        library_name="transformers",
        pipeline_tag="image-classification",
        datasets=[origin.hub_id] if origin and origin.hub_id else None,
        metrics=sorted({r.metric_type for r in results}, key=list(HUB_METRICS.values()).index) or None,
        tags=["fakelens", "ai-generated-image-detection", "deepfake-detection", checkpoint.config["model_type"]],
        widget=widget(examples) or None,
        model_name=repo_id.rpartition("/")[2] if results else None,
        eval_results=results or None,
    )


def _code_facts(path: Path) -> tuple[str, str]:
    """Return a Python file's SHA-256, and whether it is the very file of the fakelens that runs here."""
    data = path.read_bytes()
    original = MODELS / path.name
    is_ours = original.is_file() and original.read_bytes() == data
    return hashlib.sha256(data).hexdigest(), f"as in fakelens {__version__}" if is_ours else "not fakelens's own"


def _network(checkpoint: Checkpoint, folder: Path) -> str:
    """Return what `model_cards/NAME.md` says of the checkpoint's network, by its name in the zoo; "" without one."""
    names = (checkpoint.run.get("recipe", {}).get("architecture"), checkpoint.config["model_type"])
    pages = (folder / f"{name}.md" for name in names if name and "/" not in name)
    return next((page.read_text(encoding="utf-8").strip() for page in pages if page.is_file()), "")


def _cost(run: dict[str, Any]) -> str:
    """Say what training took, "" where the record does not."""
    if not run.get("duration_s"):
        return ""
    device = run.get("environment", {}).get("device") or "a device that is not recorded"
    processes = run.get("processes") or 1
    on = f"{processes} processes on {device}" if processes > 1 else f"one process on {device}"
    return f"{run['duration_s'] / 3600:.2f} hours of {on}"


def _input_size(processor: dict[str, Any]) -> str:
    """Say how an image is brought to the network's size; "" where the processor's file does not."""
    if processor.get("do_native_crop"):
        side, crop = processor["crops_per_side"], processor["crop_size"]
        return f"{side * side} crop(s) of {crop['height']} x {crop['width']} pixels at native resolution"
    if processor.get("do_resize") and {"height", "width"} <= processor.get("size", {}).keys():
        return f"resized to {processor['size']['height']} x {processor['size']['width']} pixels"
    return ""


def _facts(record: dict[str, Any], leave_out: tuple[str, ...] = ()) -> dict[str, str]:
    """Write a record's entries for a table; what is empty, or too deep for a cell, is left out."""
    facts = {key: _fact(value) for key, value in record.items() if key not in leave_out}
    return {key: text for key, text in facts.items() if text}


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {text}" for key, text in _facts(value).items())
    if isinstance(value, list):
        return "; ".join(_fact(item) for item in value if not isinstance(item, dict | list))
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def _number(value: float | None) -> str:
    """Write a count with its thousands apart, a metric with four decimals, None as "undefined"."""
    if value is None:
        return "undefined"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _cell(value: Any) -> str:
    """Keep a text from data inside its table cell: no pipe, no line break, no markup of its own."""
    text = " ".join(str(value).split())
    return text.replace("|", "\\|").replace("<", "&lt;")
