"""What a user says of classes (`--label-map`, `--real-label`), and the vocabulary where they say nothing."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fakelens.data.sources.labels import FAKE, ID2LABEL, REAL
from fakelens.data.sources.vocabulary import SAY_IT, find_label, in_words, is_neither, is_placeholder
from fakelens.errors import UserError

SKIP = -1  # a class whose rows are left out and counted
TARGETS = {**{name: label for label, name in ID2LABEL.items()}, "skip": SKIP}
SEVERAL = "|"  # between the classes of one target: `fake=sd|midjourney`
BOOLEANS = {"true": "1", "false": "0"}


@dataclass(frozen=True)
class LabelRules:
    """Which classes are real, fake or skipped; the vocabulary decides on those that are not named.

    Attributes:
        named: What the user said: a class, as `class_key` has it, and 0 (real), 1 (fake) or `SKIP`.
        real: The class of real images, as `class_key` has it: every class that is not named is then fake.
        is_strict: Refuse a name that a closed list of classes lacks. Where one map serves models and data together,
            it is checked once against all of them instead, by `check_named`.
    """

    named: tuple[tuple[str, int], ...] = ()
    real: str | None = None
    is_strict: bool = True

    @classmethod
    def parse(
        cls, label_map: str | Mapping[str, Any] | None = None, real_label: object = None, is_strict: bool = True
    ) -> "LabelRules":
        """Read what a command line or a recipe says.

        Args:
            label_map: `real=NAME,fake=NAME,skip=NAME`, several names as `fake=A|B`, or a mapping of `real`, `fake` and
                `skip` to a name or a list of names.
            real_label: The class of real images; all others are fake.
            is_strict: See the class.

        Raises:
            UserError: If the map is not of that form or says two things of one class.
        """
        named: dict[str, int] = {}
        for target, name in _pairs(label_map):
            if TARGETS.get(target) is None:
                raise UserError(
                    f"--label-map says {target}={name}; before the = stands real, fake or skip, after it a class of "
                    "the model or data: --label-map real=human,fake=ai,skip=unknown."
                )
            if named.setdefault(class_key(name), TARGETS[target]) != TARGETS[target]:
                raise UserError(f"--label-map says two things of the class {name!r}. Name it once.")
        real = None if real_label is None else class_key(real_label)
        if real is not None and named.get(real, REAL) != REAL:
            raise UserError(f"--real-label and --label-map say different things of the class {real_label!r}.")
        return cls(tuple(named.items()), real, is_strict)

    def label_of(self, value: object, where: str) -> int:
        """Return 0 (real), 1 (fake) or `SKIP` for one class of an open list, such as a column of strings.

        Args:
            value: The class: text, a number or a bool.
            where: What it is a class of, for the message.

        Raises:
            UserError: If nobody said what it means and its words do not.
        """
        named = dict(self.named).get(class_key(value), REAL if self.real == class_key(value) else None)
        own = find_label(value)
        # `--real-label human` may be said of a model beside: what names itself keeps its meaning.
        label = named if named is not None else own if not self.is_strict and own is not None else self._said(value)
        if label is None:
            label = own
        if label is not None:
            return label
        if isinstance(value, (bool, int, float)) or is_placeholder(value):
            raise UserError(f"{where} has the label {value!r} and no name for it. {example(['0', '1'])}")
        known = f" The label map names {', '.join(name for name, _ in self.named)}." if self.named else ""
        raise UserError(
            f"{where} has the label {value!r}, which is neither real nor fake by its words.{known} {SAY_IT} "
            f"Rows of a class are left out with skip={value}."
        )

    def labels_of(self, names: Sequence[object], where: str, elsewhere: Iterable[object] = ()) -> list[int]:
        """Return 0 (real), 1 (fake) or `SKIP` for every class of a closed list, such as a model's.

        Where one class is real, those that the vocabulary does not know are fakes: a model may name its generators.

        Args:
            names: The classes.
            where: What they are classes of, for the messages.
            elsewhere: Classes that the label map may name too, such as those of other splits.

        Raises:
            UserError: If a name of the user's is missing, two classes sound real, none is real, all sound fake, or one
                is neither real nor fake.
        """
        if not self.is_strict and self.real is not None and self.real not in map(class_key, names):
            return replace(self, real=None).labels_of(names, where, elsewhere)  # it was said of something else
        listed = f"{where} has the classes {in_words(names)}"
        if self.is_strict and (missing := self.missing([*names, *elsewhere])):
            raise UserError(f"{listed}; the label map names {missing[0]!r}, which is not among them. {SAY_IT}")
        said = [self._said(name) for name in names]
        found = [find_label(name) if label is None else label for name, label in zip(names, said, strict=True)]
        sound = [name for name, label, own in zip(names, found, said, strict=True) if label == REAL and own is None]
        if len(set(map(class_key, sound))) > 1 or (sound and REAL in said):
            real = [str(name) for name, label in zip(names, found, strict=True) if label == REAL]
            both = shlex.quote(f"real={SEVERAL.join(real)}")
            raise UserError(
                f"{listed}, of which {in_words(real)} all sound real. If they are, say --label-map {both}; if not, "
                f"what they are: --label-map real={real[0]},fake={real[1]} or real={real[0]},skip={real[1]}."
            )
        if REAL not in found and (FAKE not in said or None in found):
            if names and all(label == FAKE for label in found):
                raise UserError(f"{listed}, which all sound fake: none is of real images. {example(names)}")
            raise UserError(f"{listed}, and none is known as that of real images. {example(names)}")
        for name, label in zip(names, found, strict=True):
            if label is None and (is_neither(name) or is_placeholder(name)):
                raise UserError(f"{listed}; {str(name)!r} is neither real nor fake. {example(names)}")
        return [FAKE if label is None else label for label in found]

    def missing(self, names: Iterable[object]) -> list[str]:
        """Return which of the user's names are not among some classes.

        Args:
            names: The classes.
        """
        there = {class_key(name) for name in names}
        asked = [*(name for name, _ in self.named), *([] if self.real is None else [self.real])]
        return [name for name in asked if name not in there]

    def record(self) -> dict[str, Any]:
        """Return what the user said, for reports: `label_map` and `real_label`, each only if it was said."""
        said: dict[str, list[str]] = {}
        for name, label in self.named:
            said.setdefault("skip" if label == SKIP else ID2LABEL[label], []).append(name)
        return ({"label_map": said} if said else {}) | ({} if self.real is None else {"real_label": self.real})

    def or_else(self, label_map: Mapping[str, Any] | None) -> "LabelRules":
        """Return these rules, and what a label map says of the classes that they do not name.

        Args:
            label_map: As `parse` takes it; None says nothing.

        Raises:
            UserError: If the map is not understood.
        """
        if label_map is None:
            return self
        more = LabelRules.parse(label_map)
        named = dict(self.named)
        return replace(self, named=(*self.named, *((key, label) for key, label in more.named if key not in named)))

    def _said(self, value: object) -> int | None:
        key = class_key(value)
        label = dict(self.named).get(key)
        if label is None and self.real is not None and is_placeholder(key) == is_placeholder(self.real):
            return REAL if key == self.real else FAKE
        return label


def split_maps(said: Sequence[str], models: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """Return the label map of data and of all models, and those that were said of one model: `MODEL=real=A,fake=B`.

    Args:
        said: Label maps, each with or without a model before it.
        models: The models, as the user named them.

    Raises:
        UserError: If one begins with what is neither a model nor real, fake or skip, or a model has two.
    """
    shared: list[str] = []
    own: dict[str, str] = {}
    for one in said:
        model = next((m for m in sorted(models, key=len, reverse=True) if one.startswith(f"{m}=")), None)
        if model in own:
            raise UserError(f"--label-map says two maps of the model {model}. Join them: {model}=real=NAME,fake=NAME.")
        if model is not None:
            own[model] = one.removeprefix(f"{model}=")
        elif one.count("=") > 1 and one.partition("=")[0].strip().lower() not in TARGETS:
            raise UserError(
                f"--label-map says {one}, which begins with no model that is named here: {', '.join(models)}. It is "
                "written MODEL=real=NAME,fake=NAME, the model as --model has it."
            )
        else:
            shared.append(one)
    return ",".join(shared) or None, own


def class_key(name: object) -> str:
    """Return what a class is compared by: its text in lower case; a bool and a whole float as 0 or 1.

    Args:
        name: A class name, a number or a bool.
    """
    if isinstance(name, float) and name.is_integer():
        name = int(name)
    text = str(name).strip().casefold()
    return BOOLEANS.get(text, text)


def example(names: Sequence[object]) -> str:
    """Return the question that is asked where classes are not understood, with their own names in it.

    Args:
        names: The classes.
    """
    if len(names) < 2:
        return SAY_IT
    first, second = names[:2]
    return f"Say which is which: --label-map real={first},fake={second} or --label-map real={second},fake={first}" + (
        f", and skip={names[2]} for what is neither." if len(names) > 2 else "."
    )


def _pairs(label_map: str | Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return what a map says as pairs of target and class name."""
    if label_map is None:
        return []
    if isinstance(label_map, Mapping):
        entries = [(str(k), v if isinstance(v, (list, tuple)) else [v]) for k, v in label_map.items()]
        return [(target.strip().lower(), str(name)) for target, names in entries for name in names]
    parts = [part.partition("=") for part in str(label_map).split(",") if part.strip()]
    if not parts or any(not equals or not names.strip() for _, equals, names in parts):
        raise UserError(f"--label-map is {label_map!r}; it is written real=NAME,fake=NAME,skip=NAME.")
    return [(t.strip().lower(), name.strip()) for t, _, names in parts for name in names.split(SEVERAL)]
