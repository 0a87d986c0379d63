"""A recipe's list of names and numbers -> transforms: functions of an image, each done with a probability of its own.

What augmentations and degradations share: how a list is read and refused, and how a number or a range of numbers is
checked and drawn from.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from PIL import Image

from fakelens.errors import UserError

Range = float | Sequence[float]  # one number, or the lowest and the highest of those drawn from


@dataclass(frozen=True)
class Transform:
    """One step.

    Args:
        transform: From an image to an image; what else it takes is for who calls it to say.
        p: How likely it is to be done, in [0, 1].
    """

    transform: Callable[..., Image.Image]
    p: float


@dataclass(frozen=True)
class InTurn:
    """Several `(image, seed) -> image`, one after the other with the same seed. Picklable where these are.

    Args:
        parts: What is done.
    """

    parts: tuple[Callable[[Image.Image, int], Image.Image], ...]

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:
        """Return what the last part leaves."""
        for part in self.parts:
            image = part(image, seed)
        return image


def read_transforms(
    kind: str,
    settings: Sequence[Mapping[str, Any]],
    known: Mapping[str, Callable[..., Callable[..., Image.Image]]],
    example: str,
    often: Mapping[str, float] | None = None,
) -> tuple[Transform, ...]:
    """Read a recipe's list, such as `[{"name": "rotation", "degrees": 15, "p": 0.5}]`.

    Args:
        kind: The recipe's key, for messages.
        settings: For each step its `name`, its parameters and `p`.
        known: Name -> what builds the step's function from its parameters.
        example: A step as YAML, for messages.
        often: Name -> `p` where the list gives none; 1 for names that are not here.

    Raises:
        UserError: If it is no list, a name or a parameter is unknown, or a value does not fit.
    """
    if not isinstance(settings, list | tuple):
        raise UserError(f"{kind} is {settings!r}; it is a list, such as [{example}].")
    return tuple(_step(kind, step, known, example, often or {}) for step in settings)


def _step(
    kind: str,
    settings: Mapping[str, Any],
    known: Mapping[str, Callable[..., Callable[..., Image.Image]]],
    example: str,
    often: Mapping[str, float],
) -> Transform:
    if not isinstance(settings, Mapping) or "name" not in settings:
        raise UserError(f"{kind}: {settings!r} has no name; write for example {example}.")
    parameters = dict(settings)
    name = parameters.pop("name")
    if name not in list(known):  # a list takes what cannot be hashed
        raise UserError(f"{kind}: unknown name {name!r}. {_hint(name, list(known))}")
    p = parameters.pop("p", often.get(name, 1.0))
    keys = list(inspect.signature(known[name]).parameters)
    for key in parameters:
        if key not in keys:
            raise UserError(f"{kind} {name}: unknown parameter {key!r}. {_hint(key, [*keys, 'p'])}")
    try:
        if not isinstance(p, int | float) or not 0 <= p <= 1:
            raise ValueError(f"p is {p}; it lies in [0, 1].")
        return Transform(known[name](**parameters), p)
    except (ValueError, TypeError) as error:
        raise UserError(f"{kind} {name}: {' '.join(str(error).split())}") from None


def _hint(word: object, known: list[str]) -> str:
    near = get_close_matches(str(word), known, n=2)
    return f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known)}."


def require_rgb(kind: str, image: Image.Image) -> None:
    """Refuse images of other modes.

    Args:
        kind: Who refuses, for the message.
        image: An image.

    Raises:
        ValueError: If the image is not RGB.
    """
    if image.mode != "RGB":
        raise ValueError(f"{kind} takes RGB images, not {image.mode}: convert it first.")


def check_range(name: str, value: Range, low: float, high: float, integer: bool = False) -> None:
    """Refuse what is neither a number within bounds nor a range of them.

    Args:
        name: The parameter's, for the message.
        value: A number, or a list of the lowest and the highest.
        low: The least that is allowed.
        high: The most that is allowed.
        integer: Whether only whole numbers are.

    Raises:
        ValueError: With what would fit.
    """
    ends = _ends(value)
    kinds = int if integer else int | float
    fits = all(isinstance(end, kinds) and not isinstance(end, bool) and low <= end <= high for end in ends)
    if len(ends) != 2 or not fits or ends[0] > ends[1]:
        number = "whole number" if integer else "number"
        raise ValueError(f"{name} is {value}; it is a {number} from {low} to {high}, or a range [lowest, highest].")


def draw(rng: np.random.Generator, value: Range) -> float:
    """Return the number, or one drawn evenly from the range."""
    low, high = _ends(value)
    return float(rng.uniform(low, high))


def draw_integer(rng: np.random.Generator, value: Range) -> int:
    """Return the whole number, or one drawn evenly from the range, both ends included."""
    low, high = _ends(value)
    return int(rng.integers(int(low), int(high), endpoint=True))


def _ends(value: Range) -> Sequence[float]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else (value, value)
