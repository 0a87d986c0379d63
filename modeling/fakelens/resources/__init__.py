"""Recipes, card templates and the Space: in the package where it was installed, beside it in a checkout."""

from pathlib import Path

PACKAGE = Path(__file__).parent
CHECKOUT = Path(__file__).parents[3]


def resource(name: str) -> Path:
    """Return a folder that travels in the wheel, see `setup.py`.

    Args:
        name: `recipes`, `model_cards` or `space`.
    """
    return PACKAGE / name if (PACKAGE / name).is_dir() else CHECKOUT / name


def recipe_names() -> list[str]:
    """Return the names of the recipes that fakelens brings."""
    return sorted(path.stem for path in resource("recipes").glob("*.yaml"))


def find_recipe(name: str | Path) -> Path:
    """Return the file that a recipe's name stands for: itself if it is there, else one that fakelens brings.

    Args:
        name: A path, or `custom_cnn` or `recipes/custom_cnn.yaml` for fakelens's own.
    """
    path = Path(name)
    if path.is_file() or path.suffix not in ("", ".yaml") or path.parent.as_posix() not in (".", "recipes"):
        return path
    own = resource("recipes") / f"{path.stem}.yaml"
    return own if own.is_file() else path
