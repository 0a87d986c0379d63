"""A recipe: one YAML file that says all there is to say about a training run.

Its keys are the fields of three dataclasses, read by transformers' HfArgumentParser: `ModelArguments`,
`DataArguments` and `RunArguments`, the last being transformers' own `TrainingArguments` with our defaults. Any key can
be overridden on the command line: `--learning_rate 1e-4`, and inside phases `--phases.0.steps 10`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from transformers import HfArgumentParser, TrainingArguments

from fakelens.data.sources.columns import ReadOptions
from fakelens.data.sources.patterns import is_pattern
from fakelens.data.splits import protocols
from fakelens.data.splits.exclusion import Exclusion, check_patterns
from fakelens.errors import UserError
from fakelens.resources import find_recipe
from fakelens.training.calibration.thresholds import check_method, check_rule
from fakelens.training.recipe.keys import check_keys, read_keys
from fakelens.training.recipe.phase import Phase

# A single name stands for a list of one.
LISTS = ("exclude_generators", "exclude_sources", "only_generators", "generators", "extra_data", "rehearsal")
# What a trained detector brings itself.
NETWORK = ("architecture", "pretrained", "weights", "image_size", "model_options", "processor_options", "members")


@dataclass
class ModelArguments:
    """Which network, and where its first weights come from."""

    architecture: str = field(default="custom_cnn", metadata={"help": "A name of the zoo, or timm/NAME."})
    pretrained: bool = field(
        default=False, metadata={"help": "Start from the weights of the architecture's ImageNet backbone."}
    )
    weights: str | None = field(
        default=None, metadata={"help": "Start from this safetensors file: a backbone's weights or a whole network's."}
    )
    start_from: str | None = field(
        default=None,
        metadata={"help": "Train this detector further (a folder or Hub repo), with its own head and processor."},
    )
    start_label_map: Any = field(
        default=None,
        metadata={"help": "What its classes mean where their names do not say: real=NAME,fake=NAME, or a mapping."},
    )
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
        default="0.5",
        metadata={
            "help": "P(fake) from which an image is predicted fake, or best_f1 or max_fpr:RATE on validation data."
        },
    )
    calibration: str = field(
        default="temperature",
        metadata={"help": "On validation data: temperature, platt (and a bias), or none: thresholds alone."},
    )


@dataclass
class DataArguments:
    """What to train on."""

    # what is read
    data: str = field(default="sample", metadata={"help": "SOURCE: a Hub data set, a folder, or `sample`."})
    train_split: str = field(default="train", metadata={"help": "Split to train on."})
    validation_split: str = field(default="validation", metadata={"help": "Split for thresholds and early stopping."})
    label_map: Any = field(
        default=None,
        metadata={"help": "What the data's classes mean: real=NAME,fake=NAME,skip=NAME, or a mapping of these."},
    )
    real_label: str | None = field(
        default=None, metadata={"help": "The data's class of real images; all that are not named are fake."}
    )
    image_column: str | None = field(default=None, metadata={"help": "The data's column of images, or of paths."})
    label_column: str | None = field(default=None, metadata={"help": "The data's column of labels."})
    generator_column: str | None = field(
        default=None, metadata={"help": "The data's column of generators; `folder` for class folders."}
    )
    holdout: float | None = field(
        default=None, metadata={"help": "Take this fraction of the training split for validation instead, by content."}
    )
    holdout_if_unsplit: bool = field(
        default=False, metadata={"help": "Take the holdout only where the data has no validation split."}
    )
    min_per_class: int = field(
        default=1, metadata={"help": "Refuse to train on fewer images than this of real or of fake."}
    )
    max_validation_rows: int = field(default=5000, metadata={"help": "Validation images kept in memory, at most."})
    train_rows: int | None = field(default=None, metadata={"help": "Rows an epoch, where the source does not say."})
    shuffle_buffer: int = field(default=1000, metadata={"help": "Undecoded images held for shuffling."})

    # which generators
    protocol: str | None = field(
        default=None,
        metadata={"help": "Published split by name, such as openfake: data, columns and held-out generators."},
    )
    exclude_generators: list[str] | None = field(
        default=None,
        metadata={"help": "Generators left out of training and validation: names in any spelling, or patterns."},
    )
    exclude_sources: list[str] | None = field(
        default=None,
        metadata={
            "help": "Sources left out likewise, real images too: NAME, PATTERN with * and ?, or PATTERN#K/N for the "
            "K-th of N parts of what it matches."
        },
    )
    only_generators: list[str] | None = field(
        default=None, metadata={"help": "Of the fakes in data use these generators' alone, and as many real images."}
    )
    classes: str = field(default="verdict", metadata={"help": "verdict (real, fake) or generator (real, each name)."})
    generators: list[str] | None = field(
        default=None, metadata={"help": "With classes: generator, their names; default: all in the training split."}
    )

    # what is mixed in
    extra_data: list[str] = field(
        default_factory=list, metadata={"help": "Further SOURCEs mixed into training, such as reconstructed pairs."}
    )
    extra_fraction: float = field(
        default=0.2, metadata={"help": "Fraction of training rows that come from extra_data."}
    )
    rehearsal: list[str] = field(
        default_factory=list,
        metadata={
            "help": "With start_from: SOURCEs that it learnt from, to be trained and evaluated on along with data."
        },
    )
    rehearsal_fraction: float = field(
        default=0.5, metadata={"help": "Fraction of training rows that come from rehearsal; at 0 it is not read."}
    )
    measure_forgetting: bool = field(
        default=False,
        metadata={"help": "With rehearsal_fraction: 0, still score rehearsal's validation rows before and after."},
    )

    # what is done to training images
    augmentation: list[dict[str, Any]] = field(
        default_factory=list, metadata={"help": "Augmentations of training images, in order."}
    )
    degradations: list[dict[str, Any]] = field(
        default_factory=list, metadata={"help": "Degradations of training images, in order, after augmentation."}
    )
    cutmix: float = field(
        default=0.0,
        metadata={
            "help": "Fraction of training images that get a rectangle of another one, and labels to match; 0 for none."
        },
    )
    train_crop: int | None = field(
        default=None,
        metadata={
            "help": "Where the processor crops at native resolution: train on one crop of this side in pixels, from "
            "the middle of what the degradations leave. Validation sees the processor's own crops."
        },
    )

    @property
    def read(self) -> ReadOptions:
        """What is said of the data's columns and classes.

        Raises:
            UserError: If the label map is not understood.
        """
        return ReadOptions.parse(
            self.label_map, self.real_label, self.image_column, self.label_column, self.generator_column
        )

    @property
    def mixed_in(self) -> list[str]:
        """SOURCEs that are trained on beside `data`."""
        return [*self.extra_data, *(self.rehearsal if self.rehearsal_fraction else ())]

    @property
    def excluded(self) -> list[str]:
        """Generators that are left out of all data, by protocol, by name or by pattern."""
        by_protocol = protocols.get(self.protocol).held_out if self.protocol else ()
        own = self.exclude_generators or []
        names = protocols.unite(by_protocol, [name for name in own if not is_pattern(name)])
        return [*names, *(name for name in own if is_pattern(name))]

    @property
    def exclusion(self) -> Exclusion:
        """Generators and sources that are left out of all data."""
        return Exclusion(tuple(self.excluded), tuple(self.exclude_sources or ()))


@dataclass
class RunArguments(TrainingArguments):
    """How to train: transformers' TrainingArguments with defaults for streams of images, and phases."""

    output_dir: str | None = field(default=None, metadata={"help": "Where to write; default: runs/RECIPE's name."})
    phases: list[dict[str, Any]] = field(default_factory=list, metadata={"help": "Phases, run in order."})
    resume: bool = field(default=False, metadata={"help": "Go on with the run in output_dir."})
    dry_run: bool = field(
        default=False, metadata={"help": "Take a few steps on every process, say what was found, keep nothing."}
    )
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
        path: The YAML file, or the name of a recipe that fakelens brings.
        overrides: `["--key", "value", ...]`; values are read as YAML, a dotted key reaches into lists and mappings.

    Raises:
        UserError: If the file is missing or no YAML mapping, a key is not known (the nearest is suggested), or a value
            is out of range.
    """
    path = find_recipe(path)
    keys = read_keys(path, overrides or [])
    parser = recipe_parser()
    check_keys(keys, [f.name for t in parser.dataclass_types for f in fields(t) if f.init], str(path))
    _complete(keys)
    record = {k: v for k, v in keys.items() if k not in ("resume", "dry_run")}
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


def overrides_of(keys: Mapping[str, Any]) -> list[str]:
    """Return a recipe's keys as `load_recipe` takes overrides, and a command line words.

    Args:
        keys: Their values as JSON takes them.
    """
    return [word for key, value in keys.items() for word in (f"--{key}", json.dumps(value))]


def _complete(keys: dict[str, Any]) -> None:
    """Fill in what a key of the recipe stands for, and refuse what does not go with it."""
    for key in LISTS:
        if isinstance(keys.get(key), str):
            keys[key] = [keys[key]]
    if keys.get("protocol") is not None:
        protocol = protocols.get(keys["protocol"])
        if protocol.data is None and "data" not in keys:
            raise UserError(
                f"The data of the protocol {protocol.name} are not on the Hub ({protocol.citation}). Get them and "
                "name their folder with --data."
            )
        own = protocol.keys() if protocol.data in (None, keys.get("data", protocol.data)) else {}
        for key, value in own.items():
            keys.setdefault(key, value)
    if keys.get("start_from") is not None:
        if given := [key for key in NETWORK if keys.get(key)]:
            raise UserError(f"start_from brings its own network and processor: leave {given[0]} out.")
    elif keys.get("rehearsal"):
        raise UserError("rehearsal needs start_from, the detector that learnt from it.")


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
    _ = data.read  # refuses a label map that is not understood
    if data.holdout is not None and not 0 < data.holdout < 1:
        raise UserError(f"holdout is {data.holdout}; it is a fraction between 0 and 1.")
    if not 0 < data.extra_fraction < 1:
        raise UserError(f"extra_fraction is {data.extra_fraction}; it is a fraction between 0 and 1.")
    if not 0 <= data.rehearsal_fraction < 1:
        raise UserError(f"rehearsal_fraction is {data.rehearsal_fraction}; it is a fraction from 0 to below 1.")
    if data.extra_data and data.rehearsal and data.extra_fraction + data.rehearsal_fraction >= 1:
        raise UserError("extra_fraction and rehearsal_fraction add up to 1 or more: nothing is left for data.")
    check_patterns([*(data.exclude_generators or ()), *(data.exclude_sources or ())])
    if data.only_generators is not None and not data.only_generators:
        raise UserError("only_generators names none. Leave it out, or name at least one.")
    if out := [name for name in data.only_generators or () if data.exclusion.covers_generator(name)]:
        raise UserError(f"only_generators names {out[0]}, which protocol or exclude_generators leaves out.")
    if data.train_crop is not None and data.train_crop < 1:
        raise UserError(f"train_crop is {data.train_crop}; it is a side in pixels, at least 1.")
    if not 0 <= data.cutmix <= 1:
        raise UserError(f"cutmix is {data.cutmix}; it is a fraction from 0 to 1.")
    if min(data.shuffle_buffer, data.max_validation_rows, data.min_per_class) < 1:
        raise UserError("shuffle_buffer, max_validation_rows and min_per_class must be at least 1.")
    model.decision_threshold = str(model.decision_threshold)
    check_rule(model.decision_threshold)
    check_method(model.calibration)
