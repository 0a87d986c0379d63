"""What a recipe says of data -> opened splits that share no image, and the classes to tell apart."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

from fakelens.data.aligned.reconstruct import original_of
from fakelens.data.sources.labels import FAKE, REAL
from fakelens.data.sources.opening import ReadOptions, Source, content_id, open_source
from fakelens.data.sources.reading import read
from fakelens.data.sources.skips import SkipLog
from fakelens.data.splits import protocols
from fakelens.data.splits.exclusion import Exclusion
from fakelens.errors import UserError
from fakelens.training.data.examples import Classes, Prepare, ValidationSet, held_out
from fakelens.training.data.mixing import Part, mix, side_by_side
from fakelens.training.data.stream import TrainingStream
from fakelens.training.recipe.recipe import DataArguments, RunArguments

LOOK_AHEAD = 20_000  # rows; after so many of one class, the other is believed to come


@dataclass(frozen=True)
class TrainingData:
    """A recipe's data, opened.

    Attributes:
        train: Where training rows come from: those in use, of every source.
        validation: Where validation rows come from, likewise.
        classes: What the model is to tell apart.
        rows: Training rows in an epoch; None if the source does not say.
        max_validation_rows: Validation rows kept, at most.
        protocol: Name of the split by generators that was kept to, if any.
        held_out: Generators of which the trained model will have seen no image.
        apart: Where there is rehearsal, the validation rows of the `old` and of the `new` data.
    """

    train: Source
    validation: Source
    classes: Classes
    rows: int | None
    max_validation_rows: int
    protocol: str | None = None
    held_out: list[str] = field(default_factory=list)
    apart: dict[str, Source] = field(default_factory=dict)

    def training_stream(self, prepare: Prepare, seed: int, buffer: int, run: RunArguments) -> TrainingStream:
        """Return the endless stream of prepared training examples, as this process of a run is dealt them."""
        # A pass cannot be mixed more than by holding all of it.
        buffer = min(buffer, self.rows or buffer)
        return TrainingStream(
            self.train,
            prepare,
            seed,
            buffer,
            batch_size=run.train_batch_size,
            rank=run.process_index,
            ranks=run.world_size,
        )

    def validation_set(self, prepare: Prepare) -> ValidationSet:
        """Return the validation split, in memory."""
        return ValidationSet(self.validation, prepare, self.max_validation_rows)

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
            "protocol": self.protocol,
            "held_out": self.held_out,
        } | ({"read_as": self.train.said} if self.train.said else {})


@dataclass(frozen=True)
class Choice:
    """Which rows of a source are used.

    Attributes:
        excluded: Generators and sources that are not.
        only: Of the fakes, those of these generators alone; of all if None.
        fraction: Of the images, by content, how many are held out; None for none.
        seed: Of that draw.
    """

    excluded: Exclusion
    only: frozenset[str] | None
    fraction: float | None
    seed: int

    def takes(self, generator: str) -> bool:
        """Tell whether a generator's fakes are used."""
        if self.excluded.covers_generator(generator):
            return False
        return self.only is None or protocols.name_key(generator) in self.only

    def training(self, source: Source) -> Source:
        """Return a split's rows to train on."""
        rows = None if source.rows is None else max(1, round(source.rows * (1 - (self.fraction or 0))))
        return self._narrow(replace(source, rows=rows), held=False)

    def validation(self, spec: str, train_split: str, validation_split: str, read: ReadOptions) -> Source:
        """Return a source's rows to validate on: the held-out fraction of training, or another split."""
        split = validation_split if self.fraction is None else train_split
        return self._narrow(open_source(spec, split, read), held=True)

    def _narrow(self, source: Source, held: bool) -> Source:
        if not self.excluded and self.only is None and self.fraction is None:
            return source
        keep = partial(self._keeps, held)
        columns = ["id", "image", "label", "generator", "source"]
        return replace(source, stream=source.stream.filter(keep, input_columns=columns))

    def _keeps(self, held: bool, row_id: str, image: dict[str, Any], label: int, generator: str, source: str) -> bool:
        if self.excluded.covers_source(source) or (label == FAKE and not self.takes(generator)):
            return False
        # A row's id may be a path. What was made from an image goes where the image goes.
        content = self.fraction is not None and (original_of(row_id) or content_id(image))
        return not content or held_out(content, self.fraction or 0, self.seed) == held


def open_training_data(
    data: DataArguments, seed: int, unseen: Collection[str] | None = None, skips: SkipLog | None = None
) -> TrainingData:
    """Open what a recipe names.

    Args:
        data: The recipe's keys.
        seed: Of the held-out fraction and of mixing.
        unseen: Generators that the detector to start from never saw; None if training starts afresh.
        skips: Where rows are counted that the data's label map leaves out.

    Raises:
        UserError: If a source, a split or the generators' names are not there, or training has not both classes.
    """
    said = replace(data.read, skips=skips)
    if data.holdout_if_unsplit and _has_split(data.data, data.validation_split, data.read):
        data = replace(data, holdout=None)
    excluded = data.exclusion
    only = None if data.only_generators is None else frozenset(map(protocols.name_key, data.only_generators))
    everything = Choice(excluded, None, data.holdout, seed)
    new = replace(everything, only=only)
    # What the detector has not seen yet is nothing to be rehearsed.
    old = replace(everything, excluded=replace(excluded, generators=(*excluded.generators, *(unseen or ()))))

    others = said.for_others()
    extra_fraction = data.extra_fraction if data.extra_data else 0.0
    rehearsal_fraction = data.rehearsal_fraction if data.rehearsal else 0.0
    parts = _new_parts(
        new.training(open_source(data.data, data.train_split, said)), only, 1 - extra_fraction - rehearsal_fraction
    )
    if rehearsal_fraction:
        sources = [old.training(open_source(spec, data.train_split, others)) for spec in data.rehearsal]
        parts += [Part(source, rehearsal_fraction / len(sources), is_complete=False) for source in sources]
    classes = _classes(data, parts)
    if data.extra_data:
        sources = [everything.training(open_source(spec, data.train_split, others)) for spec in data.extra_data]
        parts += [Part(source, extra_fraction / len(sources)) for source in sources]
    validation = new.validation(data.data, data.train_split, data.validation_split, said)
    apart = {}
    if data.rehearsal and (rehearsal_fraction or data.measure_forgetting):
        rehearsed = [old.validation(spec, data.train_split, data.validation_split, others) for spec in data.rehearsal]
        apart = {"old": side_by_side(rehearsed), "new": validation}
        validation = side_by_side([validation, *rehearsed])
    _check_classes(parts, data.min_per_class)
    train = mix(parts, seed)
    return TrainingData(
        train,
        validation,
        classes,
        data.train_rows or train.rows,
        data.max_validation_rows,
        data.protocol,
        data.excluded if unseen is None else [g for g in protocols.unite(unseen) if not new.takes(g)],
        apart,
    )


def _new_parts(source: Source, only: frozenset[str] | None, fraction: float) -> list[Part]:
    if only is None:
        return [Part(source, fraction)]
    # One generator's fakes would be few among all real images: they get as many rows. How many there are, no source
    # says.
    source = replace(source, rows=None)
    halves = (source.stream.filter(partial(_is, label), input_columns="label") for label in (FAKE, REAL))
    return [Part(replace(source, stream=half), fraction / 2) for half in halves]


def _has_split(spec: str, split: str, read: ReadOptions) -> bool:
    try:
        open_source(spec, split, read)
    except UserError:
        return False
    return True


def _is(wanted: int, label: int) -> bool:
    return label == wanted


def _check_classes(parts: list[Part], least: int) -> None:
    """Refuse training data without rows, or with too few of a class: hours of training would end in nothing."""
    counts = {REAL: 0, FAKE: 0}
    for part in parts:
        source, found = part.source, 0
        for row in islice(read(source), LOOK_AHEAD):
            counts[row["label"]] += 1
            found += 1
            if min(counts.values()) >= least:
                break
        if not found:
            raise UserError(
                f"The split {source.split!r} of {source.spec} has no rows to train on, once those left out by "
                "protocol, exclude_generators, exclude_sources, only_generators or holdout are gone."
            )
        if found == LOOK_AHEAD:
            return
    first = parts[0].source
    if not min(counts.values()):
        raise UserError(
            f"The split {first.split!r} of {first.spec} has only {'fake' if counts[FAKE] else 'real'} images to "
            "train on; both classes are needed. Add a data set of the other one with --extra_data, name another "
            "with --data, or look at exclude_generators, exclude_sources and only_generators."
        )
    if min(counts.values()) < least:
        raise UserError(
            f"The split {first.split!r} of {first.spec} has {counts[REAL]} real and {counts[FAKE]} fake images to "
            f"train on, validation images not counted; {least} of each are needed. Add images, or lower min_per_class."
        )


def _classes(data: DataArguments, parts: list[Part]) -> Classes:
    if data.classes == "verdict":
        return Classes()
    names = data.generators
    if names is None:
        names = sorted({row["generator"] for part in parts for row in read(part.source)} - {"real"})
    if not names or names == ["unstated"]:
        raise UserError(f"{data.data} names no generators (its `model` column), so there are none to tell apart.")
    return Classes(list(names))
