"""Which columns of a table are the image, the label and the generator: as the user says, or the only one that can be.

Also what is read at all: `ReadOptions`, the options that every verb, recipe and `open_source` share.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import datasets

from fakelens.data.sources.label_rules import LabelRules, class_key
from fakelens.data.sources.labels import FAKE, REAL
from fakelens.data.sources.skips import SkipLog
from fakelens.data.sources.vocabulary import SAY_IT, find_label, in_words, is_placeholder
from fakelens.errors import UserError

# Lower case; the first one is taken though others are there, of the rest only one may be.
IMAGES = (
    *("image", "img", "images", "photo", "picture", "image_data", "image_bytes", "file_name", "filename", "file"),
    *("path", "file_path", "filepath", "image_path", "img_path", "url", "image_url"),
    *("jpg", "jpeg", "png", "webp"),  # WebDataset's
)
LABELS = (
    *("label", "labels", "class", "target", "cls", "binary_label", "label_name", "label_text", "class_name"),
    *("is_fake", "is_ai", "is_generated", "is_synthetic", "is_real", "fake", "real", "ai_generated"),
)
GENERATORS = ("model", "generator", "source_model", "model_name", "generator_name", "gen_model", "generator_model")
SOURCE, ID = "source", "id"


@dataclass(frozen=True)
class ReadOptions:
    """What a user says of a data set.

    Attributes:
        rules: Which classes are real, fake or skipped.
        image: The image column; found by itself if None.
        label: The label column, likewise.
        generator: The column that names generators, likewise; there may be none.
        is_labelled: Whether rows must have labels; without, neither labels nor generators are read, whatever there is.
        skips: Where rows are counted that the stream leaves out; a log of each source's own if None.
    """

    rules: LabelRules = field(default_factory=LabelRules)
    image: str | None = None
    label: str | None = None
    generator: str | None = None
    is_labelled: bool = True
    skips: SkipLog | None = None

    @classmethod
    def parse(
        cls,
        label_map: str | Mapping[str, Any] | None = None,
        real_label: object = None,
        image_column: str | None = None,
        label_column: str | None = None,
        generator_column: str | None = None,
        is_strict: bool = True,
    ) -> "ReadOptions":
        """Read what a command line or a recipe says.

        Args:
            label_map: `real=NAME,fake=NAME,skip=NAME`, or a mapping, see `LabelRules.parse`.
            real_label: The class of real images; all others are fake.
            image_column: Name of the image column.
            label_column: Name of the label column.
            generator_column: Name of the column that names generators.
            is_strict: Refuse a class name that the data lacks, see `LabelRules`.

        Raises:
            UserError: If the label map is not understood.
        """
        rules = LabelRules.parse(label_map, real_label, is_strict)
        return cls(rules, image_column, label_column, generator_column)

    def for_others(self) -> "ReadOptions":
        """Return the options for data beside the one that they were said of: classes alone, and none need be there."""
        return replace(self, rules=replace(self.rules, is_strict=False), image=None, label=None, generator=None)

    def record(self) -> dict[str, Any]:
        """Return what the user said, for reports and records; empty if nothing."""
        said = {"image_column": self.image, "label_column": self.label, "generator_column": self.generator}
        return self.rules.record() | {key: value for key, value in said.items() if value is not None}


@dataclass(frozen=True)
class Columns:
    """The columns of a table that are read.

    Attributes:
        image: The image: an Image feature, bytes, or a path or address.
        label: The label; None for a table without.
        generator: What made the image; None for a table that does not say.
        source: The collection it comes from; None likewise.
        id: The row's name; None likewise.
        where: How messages name the label column.
        rules: What the label column's values mean.
        classes: What its class numbers mean, 0, 1 or `SKIP`; None if it is no `ClassLabel`.
        class_names: Their names, likewise.
        said_by_name: What yes means by the column's own name, as in `is_fake`; None if it says nothing.
        generators: Names of the generator column's class numbers; None if it is no `ClassLabel`.
    """

    image: str
    label: str | None
    generator: str | None
    source: str | None
    id: str | None
    where: str
    rules: LabelRules
    classes: tuple[int, ...] | None = None
    class_names: tuple[str, ...] | None = None
    said_by_name: int | None = None
    generators: tuple[str, ...] | None = None

    @property
    def used(self) -> list[str]:
        """Their names, each once."""
        named = (self.id, self.image, self.label, self.generator, self.source)
        return list(dict.fromkeys(name for name in named if name))

    def label_of(self, value: Any) -> int:
        """Return 0 (real), 1 (fake) or `SKIP` for a value of the label column.

        Args:
            value: A class number, a number, a bool or text.

        Raises:
            UserError: If nobody said what it means and its words do not.
        """
        if self.classes is not None:
            return self.classes[int(value)]
        if self.said_by_name is not None and class_key(value) in ("0", "1"):
            return self.said_by_name if class_key(value) == "1" else 1 - self.said_by_name
        return self.rules.label_of(value, self.where)

    def check(self, values: Iterable[Any], elsewhere: Callable[[], Iterable[Any]] | None = None) -> tuple[str, ...]:
        """Refuse classes that are not understood, and a label map of others, before the first image is read.

        Args:
            values: Every value of the label column.
            elsewhere: Returns those of other splits, which the label map may name too; asked where one is missing.

        Returns:
            The classes' names.

        Raises:
            UserError: As `LabelRules.labels_of` does.
        """
        there = [value for value in values if value not in (None, "")]
        names = [self.class_of(value) for value in there]
        asked = self.rules.missing(there if self.class_names is None else names)
        others: list[Any] = []
        if asked and self.rules.is_strict and elsewhere is not None:
            others = [value for value in elsewhere() if value not in (None, "")]
            asked = self.rules.missing([*there, *others] if self.class_names is None else names)
        if asked and self.rules.is_strict:
            raise UserError(
                f"{self.where} has the classes {in_words(names)}; the label map names {asked[0]!r}, which is not "
                f"among them. {SAY_IT}"
            )
        if self.classes is None and len(there) > 1 and all(isinstance(value, str) for value in there):
            self.rules.labels_of(there, self.where, others)
        for value in there:
            self.label_of(value)
        return tuple(names)

    def class_of(self, value: Any) -> str:
        """Return the name of the class that a value of the label column stands for."""
        return str(value) if self.class_names is None else self.class_names[int(value)]

    def generator_of(self, value: Any, label: Any) -> str | None:
        """Return the generator that a row names, None if it names none.

        Args:
            value: The generator column's; None if there is none.
            label: The label column's: a class that is no word for fake, such as `sdxl`, is a generator's name.
        """
        if self.generator is not None:
            return None if value is None else str(value) if self.generators is None else self.generators[int(value)]
        if label is None:
            return None
        name = self.class_of(label)
        return None if find_label(name) is not None or is_placeholder(name) or isinstance(label, bool) else name


def find_columns(features: Mapping[str, Any], options: ReadOptions, spec: str) -> Columns:
    """Find the columns of a table.

    Args:
        features: Its columns with their types, as `datasets` has them; None for a type that is not known.
        options: What the user says.
        spec: How the user named the data.

    Raises:
        UserError: If a column is missing or several can be meant, with the option that names it.
    """
    search = _Search(features, spec)
    image = search.find("image", options.image, IMAGES, _only_image(features))
    if image is None:
        raise UserError(f"{spec} has no column 'image'; it has: {search.listed}. Name it with --image-column NAME.")
    label = generator = None
    if options.is_labelled:
        label = search.find("label", options.label, LABELS, _only_class_label(features))
    if label is None and options.is_labelled:
        raise UserError(
            f"{spec} has no column 'label'; it has: {search.listed}. Name the one that holds the labels with "
            "--label-column NAME."
        )
    if options.is_labelled:
        generator = search.find("generator", options.generator, GENERATORS)
    where, rules, classes = f"The column {label!r} of {spec}", options.rules, None
    names: list[str] = []
    if isinstance(features.get(label or ""), datasets.ClassLabel):
        names = list(features[str(label)].names)
        classes = tuple([rules.label_of(names[0], where)] if len(names) == 1 else rules.labels_of(names, where))
    makers = features.get(generator or "")
    return Columns(
        image=image,
        label=label,
        generator=generator,
        source=SOURCE if SOURCE in features else None,
        id=ID if ID in features else None,
        where=where,
        rules=rules,
        classes=classes,
        class_names=tuple(names) if classes is not None else None,
        said_by_name=None if rules.record() or label is None else find_label(label),
        generators=tuple(makers.names) if isinstance(makers, datasets.ClassLabel) else None,
    )


@dataclass(frozen=True)
class _Search:
    """Looks for columns in one table."""

    features: Mapping[str, Any]
    spec: str

    @property
    def listed(self) -> str:
        return ", ".join(self.features) or "(none)"

    def find(self, kind: str, said: str | None, known: Sequence[str], only: str | None = None) -> str | None:
        """Return the column that is meant: the one that was said, the usual one, or the only one that can be."""
        option = f"--{kind}-column NAME"
        if said is not None and said not in self.features:
            raise UserError(f"{self.spec} has no column {said!r}; it has: {self.listed}. Name another with {option}.")
        if said is not None:
            return said
        there = [name for name in self.features if name.lower() in known]
        usual = [name for name in there if name.lower() == known[0]]
        found = usual or ([only] if only else there)
        if len(found) > 1:
            raise UserError(f"{self.spec} has the columns {', '.join(found)}: say which is the {kind} with {option}.")
        return found[0] if found else None


def _only_image(features: Mapping[str, Any]) -> str | None:
    found = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    return found[0] if len(found) == 1 else None


def _only_class_label(features: Mapping[str, Any]) -> str | None:
    """Return the only column whose class names are real and fake by the vocabulary."""
    found = [
        name
        for name, feature in features.items()
        if isinstance(feature, datasets.ClassLabel) and {REAL, FAKE} <= set(map(find_label, feature.names))
    ]
    return found[0] if len(found) == 1 else None
