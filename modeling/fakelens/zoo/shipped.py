"""What a model's name stands for: the model inside this package, a folder, or a Hub repo."""

from pathlib import Path

SHIPPED = "patch_lens"  # the model inside this package; a folder of that name is ./patch_lens
SHIPPED_FOLDER = Path(__file__).parents[1] / "shipped" / SHIPPED
SHIPPED_REPO = f"fakelens/{SHIPPED}"  # the id on the Hub that its card is written for
DEFAULT_MODEL = SHIPPED


def model_name(model: str | Path) -> str:
    """Return a model's name as it is shown and understood: a `Path` is a folder, even one called as the shipped model.

    Args:
        model: What somebody named.
    """
    return f"./{model}" if isinstance(model, Path) and str(model) == SHIPPED else str(model)


def model_folder(name: str) -> Path:
    """Return the folder that a model's name stands for: this package's own, or the name itself, which may be none.

    transformers takes the folder where it takes a model: `pipeline("image-classification", model=...)` loads the
    shipped model after `import fakelens`, or with `trust_remote_code=True`.

    Args:
        name: `patch_lens`, a folder, or a Hub id.

    Returns:
        The folder; it is not looked for.

    Raises:
        TypeError: If the name is neither text nor a path.

    Examples:
        >>> from fakelens import model_folder
        >>> (model_folder("patch_lens") / "config.json").is_file()
        True
    """
    return SHIPPED_FOLDER if name == SHIPPED else Path(name)
