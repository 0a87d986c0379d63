"""Uploads: each under a path of its own, read once into memory, and deleted before anything is done with it.

Events take them unprocessed (`preprocess=False`, or `gr.api`): Gradio's own preprocessing opens images before we can
say what is wrong with them. What a broken connection leaves behind is swept up by `temporary.sweep`.
"""

import html
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio.to_thread
import gradio as gr
from gradio import processing_utils, route_utils, state_holder
from gradio.context import LocalContext
from gradio.utils import get_upload_folder, is_in_or_equal

from fakelens.data.decode import ImageError, read_file
from fakelens.data.web import fetch

MAX_UPLOAD = 50 * 2**20  # bytes of one file


class _OwnPath(route_utils.GradioUploadFile):
    """Gradio names an upload's folder after its content: two people with the same image would share one file."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.sha.update(secrets.token_bytes(16))


async def _download(url: str, cache_dir: str) -> str:
    """Fetch what a client names by its address: Gradio's own download knows no limit of size."""
    try:
        data = await anyio.to_thread.run_sync(lambda: fetch(url, public_only=True))
    except ImageError as error:
        raise refuse(f"This address cannot be read: {error}") from None
    file = Path(cache_dir) / secrets.token_hex(16) / "download"
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    return str(file)


def _forget(self: state_holder.SessionState, key: int, value: object) -> None:
    """Do not note what a page was sent and shown: Gradio would keep that for thousands of sessions."""


route_utils.GradioUploadFile = _OwnPath
state_holder.SessionState._update_value_in_config = _forget
processing_utils.async_ssrf_protected_download = _download


def upload_of(sent: Any) -> tuple[str, Path]:
    """Return an upload's name, as its sender calls it, and where it lies.

    Args:
        sent: What the client sent, a dictionary of Gradio's `FileData`; nothing in it is to be trusted.

    Raises:
        gradio.Error: If it is no upload of this server's.
    """
    path = sent.get("path") if isinstance(sent, dict) else None
    if not isinstance(path, str) or "\0" in path or not is_in_or_equal(path, get_upload_folder()):
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
    blocks = LocalContext.blocks.get(None)
    for path in paths:
        if not path.is_file():
            continue
        path.unlink(missing_ok=True)
        if path.parent != Path(get_upload_folder()) and not any(path.parent.iterdir()):
            path.parent.rmdir()
        # Gradio remembers each file to delete it one day: these sets would grow for ever.
        for known in blocks.temp_file_sets if blocks else []:
            known.discard(str(path))


def refuse(message: str) -> gr.Error:
    """Return the error that shows a message in the page, and no traceback in the log.

    Args:
        message: Plain text; Gradio takes it for HTML.
    """
    return gr.Error(html.escape(message, quote=False), title="Not judged", print_exception=False)
