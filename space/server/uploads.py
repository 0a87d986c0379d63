"""Uploads: each read once into memory, and deleted before anything is done with it.

Events take them unprocessed (`preprocess=False`, or `gr.api`): Gradio's own preprocessing opens images before we can
say what is wrong with them. `upload_route` receives them; `temporary.sweep` removes what a broken connection leaves.
"""

import html
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gradio as gr

from fakelens.data.decode import read_file
from server.gradio_memory import forget_paths
from server.temporary import upload_folder

MAX_UPLOAD = 50 * 2**20  # bytes of one file


def upload_of(sent: Any) -> tuple[str, Path]:
    """Return an upload's name, as its sender calls it, and its path.

    Args:
        sent: What the client sent, a dictionary of Gradio's `FileData`; nothing in it is to be trusted.

    Raises:
        gradio.Error: If it is no upload of this server's.
    """
    path = sent.get("path") if isinstance(sent, dict) else None
    if not isinstance(path, str) or "\0" in path or not Path(path).resolve().is_relative_to(upload_folder().resolve()):
        raise refuse("This is no uploaded file. Upload it first, then name the path that the upload returned.")
    name = sent.get("orig_name")
    return (name if isinstance(name, str) and name else Path(path).name)[:200], Path(path)


def read_and_delete(path: Path) -> bytes:
    """Return an upload's bytes and delete it, also if it cannot be read.

    Args:
        path: As `upload_of` returned it.

    Raises:
        ImageError: If it is not there any more, or too large.
    """
    try:
        return read_file(path)
    finally:
        delete([path])


def delete(paths: Iterable[Path]) -> None:
    """Delete uploads with the folders that each had to itself; those that are gone are passed over.

    Args:
        paths: As `upload_of` returned them.
    """
    deleted = []
    for path in paths:
        if not path.is_file():
            continue
        path.unlink(missing_ok=True)
        if path.parent != upload_folder() and not any(path.parent.iterdir()):
            path.parent.rmdir()
        deleted.append(path)
    forget_paths(deleted)


def refuse(message: str) -> gr.Error:
    """Return the error that shows a message in the page, and no traceback in the log.

    Args:
        message: Plain text; Gradio takes it for HTML.
    """
    return gr.Error(html.escape(message, quote=False), title="Not scored", print_exception=False)
