"""What a recipe says of data -> opened splits that share no image, and the classes to tell apart."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fakelens.data.sources import Source, open_source
from fakelens.errors import UserError
from fakelens.training.examples import Classes, Prepare, ValidationSet, held_out
from fakelens.training.mixing import mix
from fakelens.training.recipe import DataArguments, RunArguments
from fakelens.training.stream import TrainingStream

Keep = Callable[[str, str], bool]  # (id, generator) of a row -> whether it is used


@dataclass(frozen=True)
class TrainingData:
    """A recipe's data, opened.

    Attributes:
        train: Where training rows come from.
        validation: Where validation rows come from; the same source when a share of training is held out.
        keep: Which of the training rows are used; None for all.
        keep_validation: Likewise for validation rows.
        classes: What the model is to tell apart.
        rows: Training rows in one pass; None if the source does not say.
        max_validation_rows: Validation rows kept, at most.
    """

    train: Source
    validation: Source
    keep: Keep | None
    keep_validation: Keep | None
    classes: Classes
    rows: int | None
    max_validation_rows: int

    def training_stream(self, prepare: Prepare, seed: int, buffer: int, run: RunArguments) -> TrainingStream:
        """Return the endless stream of prepared training examples, as this process of a run is dealt them."""
        # A pass cannot be mixed more than by holding all of it.
        buffer = min(buffer, self.rows or buffer)
        return TrainingStream(
            self.train, prepare, seed, buffer, self.keep, run.train_batch_size, run.process_index, run.world_size
        )

    def validation_set(self, prepare: Prepare) -> ValidationSet:
        """Return the validation split, in memory."""
        return ValidationSet(self.validation, prepare, self.max_validation_rows, self.keep_validation)

    def facts(self) -> dict[str, Any]:
        """Return what the run's record says of its data."""
        return {
            "source": self.train.spec,
            "description": self.train.description,
            "revision": self.train.revision,
            "train_split": self.train.split,
            "validation_split": self.validation.split,
            "rows": self.rows,
            "classes": self.classes.labels,
        }


def open_training_data(data: DataArguments, seed: int) -> TrainingData:
    """Open what a recipe names.

    Args:
        data: The recipe's keys.
        seed: Of the held-out share.

    Raises:
        UserError: If a source, a split or the generators' names are not there.
    """
    train = open_source(data.data, data.train_split)
    excluded = frozenset(data.exclude_generators or ())
    rows = data.train_rows or train.rows
    if data.holdout is None:
        keep = keep_validation = partial(_kept, excluded=excluded) if excluded else None
        validation = open_source(data.data, data.validation_split)
    else:
        share = partial(_kept, excluded=excluded, share=data.holdout, seed=seed)
        keep, keep_validation = partial(share, inside=False), partial(share, inside=True)
        validation = train
        rows = rows and max(1, round(rows * (1 - data.holdout)))
    classes = _classes(data, train, excluded)
    if data.extra_data:
        # After validation was taken from it: what is mixed in is for training alone.
        extra = [open_source(spec, data.train_split) for spec in data.extra_data]
        mixed = mix(train, extra, data.extra_share, seed)
        # The mixture's pass, less the share that is held out of both.
        rows = data.train_rows or (mixed.rows and max(1, round(mixed.rows * (1 - (data.holdout or 0)))))
        train = mixed
    return TrainingData(train, validation, keep, keep_validation, classes, rows, data.max_validation_rows)


def _kept(
    row_id: str,
    generator: str,
    excluded: frozenset[str],
    share: float | None = None,
    seed: int = 0,
    inside: bool = False,
) -> bool:
    return generator not in excluded and (share is None or held_out(row_id, share, seed) == inside)


def _classes(data: DataArguments, source: Source, excluded: frozenset[str]) -> Classes:
    if data.classes == "verdict":
        return Classes()
    names = data.generators
    if names is None:
        column = source.stream.select_columns(["generator"])
        names = sorted({row["generator"] for row in column} - {"real"} - excluded)
    if not names or names == ["unstated"]:
        raise UserError(f"{source.spec} names no generators (its `model` column), so there are none to tell apart.")
    return Classes(list(names))
