"""What Gradio would remember of images, forgotten: the one file that reaches into Gradio's own code.

Gradio has no public switch for either. It keeps what each page was sent and shown, images included, for as long as it
remembers the session; and it keeps the path of every upload, so as to delete a file that is long gone. `check` names
what a newer Gradio has moved, and the app does not start then: it could not keep its promise to forget.
"""

import importlib
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gradio as gr

from fakelens.errors import UserError

# What is used -> its parameters as they were in the Gradio that this was written for; None if it is no function.
LEANS_ON: dict[str, tuple[str, ...] | None] = {
    "gradio.state_holder:SessionState._update_value_in_config": ("self", "key", "value"),
    "gradio.context:LocalContext.blocks": None,
}


def check() -> None:
    """Make sure that Gradio is built as this file expects.

    Raises:
        UserError: If it is not, with the name of what has moved and the way out.
    """
    for name, parameters in LEANS_ON.items():
        module, _, path = name.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in path.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError):
            raise _moved(name, "is gone") from None
        if parameters is not None and tuple(inspect.signature(found).parameters) != parameters:
            raise _moved(name, f"takes {tuple(inspect.signature(found).parameters)}, not {parameters}")


def forget_values() -> None:
    """Keep Gradio from noting what pages were sent and shown.

    Raises:
        UserError: If the installed Gradio is built in another way than expected.
    """
    check()
    from gradio.state_holder import SessionState

    SessionState._update_value_in_config = lambda self, key, value: None


def forget_paths(paths: Iterable[Path]) -> None:
    """Take uploads off the list of files that Gradio means to delete one day; outside an event, do nothing.

    Args:
        paths: Files that are gone.
    """
    from gradio.context import LocalContext

    blocks = LocalContext.blocks.get(None)
    gone = {str(path) for path in paths}
    for block in blocks.blocks.values() if blocks else ():
        block.temp_files -= gone


def _moved(name: str, what: str) -> UserError:
    return UserError(
        f"In gradio {gr.__version__}, {name.replace(':', '.')} {what}. The app replaces or reads it to forget images "
        "(space/server/gradio_memory.py). Install the gradio that space/requirements.txt names: "
        "pip install -r space/requirements.txt"
    )
