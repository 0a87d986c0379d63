"""A recipe: one YAML file that says all there is to say about a training run.

Its keys are the fields of three dataclasses, read by transformers' HfArgumentParser: `ModelArguments`,
`DataArguments` and `RunArguments`, the last being transformers' own `TrainingArguments` with our defaults. Any key can
be overridden on the command line: `--learning_rate 1e-4`, and inside phases `--phases.0.steps 10`.
"""

import difflib
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import HfArgumentParser, TrainingArguments

from fakelens.errors import UserError
from fakelens.training.phases import Phase


@dataclass
class ModelArguments:
    """Which network, and where its first weights come from."""

    architecture: str = field(default="custom_cnn", metadata={"help": "A name of the zoo, or timm/NAME."})
    pretrained: bool = field(default=False, metadata={"help": "Start from the architecture's published weights."})
    weights: str | None = field(default=None, metadata={"help": "Start from this safetensors file or model folder."})
    image_size: int | None = field(default=None, metadata={"help": "Input side in pixels; default: the network's."})
    model_options: dict[str, Any] = field(default_factory=dict, metadata={"help": "Further settings of the network."})
    processor_options: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "Further settings of its image processor."}
    )
    members: list[str] | None = field(
        default=None, metadata={"help": "With architecture: ensemble, its members' recipes, or folders of models."}
    )
    member_weights: Any = field(
        default="accuracy", metadata={"help": "accuracy (on validation data), equal, or a list of numbers."}
    )
    member_overrides: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "Keys that are set in every member's recipe."}
    )
    decision_threshold: str = field(
        default="0.5", metadata={"help": "P(fake) from which an image is called fake, or best_f1 on validation data."}
    )


@dataclass
class DataArguments:
    """What to train on."""

    data: str = field(default="sample", metadata={"help": "SOURCE: a Hub data set, a folder, or `sample`."})
    train_split: str = field(default="train", metadata={"help": "Split to train on."})
    validation_split: str = field(default="validation", metadata={"help": "Split for thresholds and early stopping."})
    holdout: float | None = field(
        default=None, metadata={"help": "Take this share of the training split for validation instead, by content."}
    )
    classes: str = field(default="verdict", metadata={"help": "verdict (real, fake) or generator (real, each name)."})
    generators: list[str] | None = field(
        default=None, metadata={"help": "With classes: generator, their names; default: all in the training split."}
    )
    exclude_generators: list[str] | None = field(default=None, metadata={"help": "Generators left out of training."})
    shuffle_buffer: int = field(default=1000, metadata={"help": "Undecoded images held for shuffling."})
    max_validation_rows: int = field(default=5000, metadata={"help": "Validation images kept in memory, at most."})
    train_rows: int | None = field(default=None, metadata={"help": "Rows an epoch, where the source does not say."})
    augmentation: list[dict[str, Any]] = field(
        default_factory=list, metadata={"help": "Augmentations of training images, in order."}
    )
    extra_data: list[str] = field(
        default_factory=list, metadata={"help": "Further SOURCEs mixed into training, such as reconstructed pairs."}
    )
    extra_share: float = field(default=0.2, metadata={"help": "Share of training rows that come from extra_data."})
    degradations: list[dict[str, Any]] = field(
        default_factory=list, metadata={"help": "Degradations of training images, in order, after augmentation."}
    )


@dataclass
class RunArguments(TrainingArguments):
    """How to train: transformers' TrainingArguments with defaults for streams of images, and phases."""

    output_dir: str | None = field(default=None, metadata={"help": "Where to write; default: runs/RECIPE's name."})
    phases: list[dict[str, Any]] = field(default_factory=list, metadata={"help": "Phases, walked in order."})
    resume: bool = field(default=False, metadata={"help": "Go on with the run in output_dir."})
    license: str | None = field(default=None, metadata={"help": "Licence of the weights, as the Hub spells it."})
    num_train_epochs: float = field(default=3.0, metadata={"help": "Passes over the data, where a phase says none."})
    per_device_train_batch_size: int = field(default=32, metadata={"help": "Images per step and device."})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Images per evaluation step and device."})
    learning_rate: float = field(default=1e-3, metadata={"help": "Peak learning rate, where a phase says none."})
    weight_decay: float = field(default=0.01, metadata={"help": "Of AdamW."})
    report_to: str = field(default="trackio", metadata={"help": "Where runs are tracked: trackio (local), none, ..."})
    project: str = field(default="fakelens", metadata={"help": "Project that tracked runs belong to."})
    logging_steps: float = field(default=10, metadata={"help": "Steps between two log lines."})
    save_total_limit: int | None = field(default=2, metadata={"help": "Checkpoints kept per phase."})
    seed: int = field(default=42, metadata={"help": "Of weights, shuffling, augmentation, degradations and attacks."})
    remove_unused_columns: bool = field(default=False, metadata={"help": "Streams bring what the model takes."})
    dataloader_pin_memory: bool = field(
        default_factory=torch.cuda.is_available, metadata={"help": "Pin memory for the copy to a GPU."}
    )
    accelerator_config: dict | str | None = field(
        # Each rank reads its own shards; dispatching would decode everything on rank 0.
        default_factory=lambda: {"dispatch_batches": False},
        metadata={"help": "Settings of accelerate's Accelerator."},
    )


@dataclass
class Recipe:
    """A recipe, read and checked.

    Attributes:
        name: The file's name without its suffix.
        model: Which network.
        data: Which data.
        run: How to train.
        phases: The phases in order; one of all defaults if the file names none.
        keys: What the file and the overrides said, for the record.
        notes: What was changed to fit this machine, for a person to read.
    """

    name: str
    model: ModelArguments
    data: DataArguments
    run: RunArguments
    phases: list[Phase]
    keys: dict[str, Any]
    notes: list[str]


def recipe_parser(**kwargs: Any) -> HfArgumentParser:
    """Return the parser that knows every key of a recipe."""
    return HfArgumentParser((ModelArguments, DataArguments, RunArguments), **kwargs)


def load_recipe(path: str | Path, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe, apply overrides and check every key.

    Args:
        path: The YAML file.
        overrides: `["--key", "value", ...]`; values are read as YAML, a dotted key reaches into lists and mappings.

    Raises:
        UserError: If the file is missing or no YAML mapping, a key is not known (the nearest is suggested), or a value
            is out of range.
    """
    path = Path(path)
    try:
        keys = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise UserError(
            f"The recipe {path} cannot be read: {error.strerror}. See recipes/ for those there are."
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"The recipe {path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(keys, dict):
        raise UserError(f"The recipe {path} is not a mapping of keys to values.")
    for key, value in _pairs(overrides or []):
        _set(keys, key, value)
    parser = recipe_parser()
    _check_keys(keys, [f.name for t in parser.dataclass_types for f in fields(t) if f.init], str(path))
    record = {k: v for k, v in keys.items() if k != "resume"}
    keys = dict(keys)
    keys.setdefault("output_dir", f"runs/{path.stem}")
    keys.setdefault("run_name", path.stem)
    keys["eval_strategy"], keys["save_strategy"] = "steps", "steps"
    notes = _fit_to_machine(keys)
    try:
        model, data, run = parser.parse_dict(keys)
    except (ValueError, TypeError, ImportError) as error:
        raise UserError(f"The recipe {path} has a value that does not fit: {' '.join(str(error).split())}") from None
    _check_values(model, data)
    phases = [Phase.from_dict(p, f"phases.{i}") for i, p in enumerate(run.phases or [{}])]
    return Recipe(path.stem, model, data, run, phases, record, notes)


class _Loader(yaml.SafeLoader):
    """YAML whose `1e-3` is a number: YAML 1.1 asks for `1.0e-3` and would read a text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def _pairs(overrides: list[str]) -> list[tuple[str, Any]]:
    pairs = []
    rest = list(overrides)
    while rest:
        key = rest.pop(0)
        if not key.startswith("--"):
            raise UserError(f"{key!r} stands where a --key should. Overrides are written --key value.")
        key, equals, value = key[2:].partition("=")
        if not equals:
            if not rest:
                raise UserError(f"--{key} has no value. Overrides are written --key value.")
            value = rest.pop(0)
        pairs.append((key, yaml.load(value, Loader=_Loader)))
    return pairs


def _set(keys: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = dotted.split(".")
    place: Any = keys
    try:
        for step in path:
            place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
        if isinstance(place, list):
            place[int(last)] = value
        else:
            place[last if path else last.replace("-", "_")] = value
    except (IndexError, ValueError, AttributeError, TypeError):
        raise UserError(f"--{dotted} leads nowhere in this recipe.") from None


def _check_keys(keys: dict[str, Any], known: list[str], where: str) -> None:
    for key in keys:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=3)
            hint = f"Did you mean {' or '.join(near)}?" if near else "See `scripts/train.py --help` for every key."
            raise UserError(f"{where}: unknown key {key!r}. {hint}")


def _fit_to_machine(keys: dict[str, Any]) -> list[str]:
    """Drop what this machine lacks, and say so."""
    if not torch.accelerator.is_available():
        # Else several processes on CPUs would each train alone: transformers joins them for GPUs, or if told of CPUs.
        keys["use_cpu"] = True
    notes = []
    for half in ("fp16", "bf16", "tf32"):
        if keys.get(half) and not torch.cuda.is_available():
            keys[half] = None if half == "tf32" else False
            notes.append(f"{half} needs a CUDA device and there is none: training in 32-bit floats instead")
    return notes


def _check_values(model: ModelArguments, data: DataArguments) -> None:
    if (model.architecture == "ensemble") != bool(model.members):
        raise UserError("members and architecture: ensemble go together; this recipe has one without the other.")
    if data.classes not in ("verdict", "generator"):
        raise UserError(f"classes is {data.classes!r}; it is verdict or generator.")
    if data.holdout is not None and not 0 < data.holdout < 1:
        raise UserError(f"holdout is {data.holdout}; it is a share between 0 and 1.")
    if not 0 < data.extra_share < 1:
        raise UserError(f"extra_share is {data.extra_share}; it is a share between 0 and 1.")
    if data.shuffle_buffer < 1 or data.max_validation_rows < 1:
        raise UserError("shuffle_buffer and max_validation_rows must be at least 1.")
    model.decision_threshold = str(model.decision_threshold)
    if model.decision_threshold != "best_f1":
        try:
            inside = 0 <= float(model.decision_threshold) <= 1
        except ValueError:
            inside = False
        if not inside:
            raise UserError(f"decision_threshold is {model.decision_threshold!r}; it is in [0, 1], or best_f1.")
