"""A recipe's file and the words of a command line -> a mapping of keys to values, not yet understood."""

import difflib
import re
from pathlib import Path
from typing import Any

import yaml

from fakelens.errors import UserError
from fakelens.resources import recipe_names

# Keys of older recipes, which are still read -> their names now.
RENAMED = {"extra_share": "extra_fraction", "rehearsal_share": "rehearsal_fraction"}
RENAMED_INSIDE = re.compile(r"((?:phases\.\d+\.adversarial|degradations\.\d+)\.)share")


def read_keys(path: Path, overrides: list[str]) -> dict[str, Any]:
    """Read a recipe's file and apply overrides.

    Args:
        path: The YAML file.
        overrides: `["--key", "value", ...]`; values are read as YAML, a dotted key reaches into lists and mappings.

    Raises:
        UserError: If the file is missing or no YAML mapping, or an override leads nowhere.
    """
    try:
        keys = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        own = ", ".join(recipe_names())
        raise UserError(
            f"The recipe {path} cannot be read: {error.strerror}. Name a YAML file, or one of ours: {own}."
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"The recipe {path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(keys, dict):
        raise UserError(f"The recipe {path} is not a mapping of keys to values.")
    keys = current_keys(keys)
    for key, value in _pairs(overrides):
        _set(keys, current_name(key), value)
    return current_keys(keys)


def current_keys(keys: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe's keys under their names now, wherever an older recipe has others.

    Args:
        keys: The recipe's.

    Raises:
        UserError: If a key is there under both names.
    """
    keys = _renamed(keys, RENAMED)
    for name, inner in (("phases", "adversarial"), ("degradations", None)):
        if isinstance(keys.get(name), list):
            keys[name] = [_with_fraction(entry, inner) for entry in keys[name]]
    return keys


def current_name(key: str) -> str:
    """Return a dotted key under its name now.

    Args:
        key: As a command line has it, such as `phases.1.adversarial.share`.
    """
    plain = key.replace("-", "_")
    return RENAMED.get(plain) or RENAMED_INSIDE.sub(r"\1fraction", key)


def check_keys(keys: dict[str, Any], known: list[str], where: str) -> None:
    """Refuse a key that there is not, and suggest the nearest.

    Args:
        keys: The recipe's.
        known: Every key that a recipe may have.
        where: How to name the recipe.

    Raises:
        UserError: If there is one.
    """
    for key in keys:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=3)
            hint = f"Did you mean {' or '.join(near)}?" if near else "See `fakelens train --keys` for every key."
            raise UserError(f"{where}: unknown key {key!r}. {hint}")


def _renamed(entry: Any, names: dict[str, str]) -> Any:
    if not isinstance(entry, dict):
        return entry
    if twice := [old for old, new in names.items() if old in entry and new in entry]:
        raise UserError(f"The recipe has both {twice[0]} and {names[twice[0]]}, its name now. Keep one.")
    return {names.get(key, key): value for key, value in entry.items()}


def _with_fraction(entry: Any, inner: str | None) -> Any:
    """Rename `share` in a phase's `inner` mapping, or in a step itself."""
    if inner is None:
        return _renamed(entry, {"share": "fraction"})
    if not isinstance(entry, dict) or inner not in entry:
        return entry
    return {**entry, inner: _renamed(entry[inner], {"share": "fraction"})}


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
    node: Any = keys
    try:
        for step in path:
            node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
        if isinstance(node, list):
            node[int(last)] = value
        else:
            node[last if path else last.replace("-", "_")] = value
    except (IndexError, ValueError, AttributeError, TypeError):
        raise UserError(f"--{dotted} leads nowhere in this recipe.") from None
