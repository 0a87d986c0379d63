"""The Batch page: many images, or a zip of them, scored one after the other into a table."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import FileData
from server.health import counter
from server.uploads import delete, read_and_delete, refuse, upload_of

from fakelens.cli.inputs.archives import Member, members
from fakelens.data.decode import ImageError, decode_image
from fakelens.errors import UserError
from fakelens.inference.detector import CPU_BATCH, Detector
from fakelens.inference.verdict import Row, error_row, verdict_row
from pages.api import answer
from pages.batch_table import results_table
from pages.choices import chosen, model_select, rate_select
from pages.data_urls import data_url

MAX_FILES = 200  # images in one go, those in zips counted
MAX_TOTAL = 200 * 2**20  # bytes of uploads in one go
THUMBNAIL = 96  # pixels of the longer side
ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # how a zip begins, the second an empty one


@dataclass(frozen=True)
class Item:
    """One image to be scored.

    Attributes:
        name: What its sender calls it; `photos.zip/inner.jpg` for one in a zip.
        source: Where it lies; None if there is nothing to read.
        error: Why there is not.
    """

    name: str
    source: Path | Member | None = None
    error: str = ""

    def read(self) -> bytes:
        """Return the image's bytes; an upload is deleted.

        Raises:
            ImageError: If it cannot be read.
        """
        if self.source is None:
            raise ImageError(self.error)
        return read_and_delete(self.source) if isinstance(self.source, Path) else self.source.read()

    @property
    def upload(self) -> Path | None:
        """The file that was uploaded: the image or its zip."""
        return self.source.archive if isinstance(self.source, Member) else self.source


def page(detectors: dict[str, Detector]) -> None:
    """Build the page inside the tab that is open.

    Args:
        detectors: By their names on the page; at least one.
    """
    gr.Markdown(
        f"Up to {MAX_FILES} images at once, or a zip of them. Neither the images nor the table are kept here: "
        "download the table before you leave the page."
    )
    files = gr.File(file_count="multiple", label="Images, or a zip of images", height=220)
    with gr.Row():
        model = model_select(detectors)
        max_fpr = rate_select(detectors, model)
    with gr.Row():
        go = gr.Button("Score all", variant="primary", scale=0, min_width=200)
        stop = gr.Button("Stop", scale=0, min_width=120, elem_classes="fl-stop")
    table = results_table()

    def fill(sent: list[Any] | None, name: str, rate: float | None) -> Iterator[tuple[Any, Any]]:
        """Fill the table row by row. The uploads are gone afterwards, so the list of them is emptied."""
        try:
            detector, rate = chosen(detectors, name, rate)
            items = items_of(sent)
            rows: list[Row] = []
            yield {"rows": [], "total": len(items), "done": False}, gr.skip()
            for row, small in scored(detector, items, rate):
                rows.append(row | {"thumbnail": small})
                if len(rows) % CPU_BATCH == 0:
                    yield {"rows": list(rows), "total": len(items), "done": False}, gr.skip()
            yield {"rows": rows, "total": len(items), "done": True}, None
        except gr.Error as error:  # stays beside the emptied list, where a toast would pass
            yield {"rows": [], "total": 0, "done": True, "message": error.message}, None
        finally:
            delete_all(sent)

    running = go.click(
        fill,
        [files, model, max_fpr],
        [table, files],
        api_visibility="private",
        preprocess=False,
        show_progress="hidden",
        concurrency_limit=1,
        concurrency_id="batch",
    )
    stop.click(None, cancels=[running], api_visibility="private")
    endpoint(detectors)


def endpoint(detectors: dict[str, Detector]) -> None:
    """Add what the page does as an endpoint for programs.

    Args:
        detectors: By their names on the page; at least one.
    """

    def classify_batch(
        files: list[FileData], model: str | None = None, max_fpr: float | None = None
    ) -> list[dict[str, Any]]:
        """Predict of many images, or zips of images, whether they are photographs or AI-generated.

        Args:
            files: Image files and zips of them, at most 200 images in all.
            model: Which detector to ask; the first one offered if left out.
            max_fpr: Predict at most this fraction of photographs fake, such as 0.05; the model's own if left out.

        Returns:
            One row an image, in order: name, verdict ("real", "fake", "uncertain" or null), score (P(fake), 0 to 1),
            model, sentence, warnings, provenance, disagreement, notes, error (why it could not be scored, or null).
        """
        try:
            detector, rate = chosen(detectors, model, max_fpr)
            return [answer(row) for row, _ in scored(detector, items_of(files), rate, thumbnails=False)]
        finally:
            delete_all(files)

    gr.api(classify_batch, api_name="classify_batch", concurrency_limit=1, concurrency_id="batch")


def items_of(sent: Any) -> list[Item]:
    """Return what there is to score, in order, zips opened.

    Args:
        sent: What the client sent: a list of uploads.

    Raises:
        gradio.Error: If there is nothing, something that is no upload, or too much.
    """
    if not sent or not isinstance(sent, list):
        raise refuse("Choose images first, or a zip of them.")
    _check_count(len(sent))
    uploads = [upload_of(one) for one in sent]
    total = sum(path.stat().st_size for _, path in uploads if path.is_file())
    if total > MAX_TOTAL:
        raise refuse(
            f"These are {total >> 20} MiB; at most {MAX_TOTAL >> 20} MiB are taken at once. Send them in parts."
        )
    items: list[Item] = []
    for name, path in uploads:
        items += _opened(name, path) if _is_zip(name, path) else [Item(name, path)]
    _check_count(len(items))
    return items


def scored(
    detector: Detector, items: list[Item], max_fpr: float | None, thumbnails: bool = True
) -> Iterator[tuple[Row, str]]:
    """Yield each image's row and a thumbnail of it as a data URL, "" where there is none.

    Args:
        detector: Who scores them.
        items: What `items_of` returned.
        max_fpr: As a detector takes it.
        thumbnails: Draw thumbnails.
    """
    for start in range(0, len(items), CPU_BATCH):
        for upload in {item.upload for item in items[start:] if item.upload}:
            with suppress(FileNotFoundError):
                os.utime(upload)  # so that it is not swept away as forgotten while others are scored
        batch = items[start : start + CPU_BATCH]
        read: list[bytes | ImageError] = []
        for item in batch:
            try:
                read.append(item.read())
            except ImageError as error:
                read.append(error)
        found = detector([data for data in read if isinstance(data, bytes)], max_fpr)
        counter.add(len(found))
        verdicts = iter(found)
        for item, data in zip(batch, read, strict=True):
            if isinstance(data, ImageError):
                yield error_row(item.name, detector.name, str(data)), ""
                continue
            verdict = next(verdicts)
            drawn = thumbnails and verdict.error is None
            yield verdict_row(item.name, detector.name, verdict), thumbnail(data) if drawn else ""


def thumbnail(data: bytes) -> str:
    """Return a thumbnail of an image file that decodes, as a data URL."""
    return data_url(decode_image(data).image, longest=THUMBNAIL)


def delete_all(sent: Any) -> None:
    """Delete what was uploaded, as far as it is an upload."""
    for one in sent if isinstance(sent, list) else []:
        try:
            delete([upload_of(one)[1]])
        except gr.Error:  # said already
            continue


def _check_count(count: int) -> None:
    if count > MAX_FILES:
        raise refuse(f"These are {count} images; at most {MAX_FILES} are scored at once. Send them in parts.")


def _is_zip(name: str, path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return name.lower().endswith(".zip") or file.read(4) in ZIP


def _opened(name: str, path: Path) -> list[Item]:
    """Return a zip's images, or its own row with what is wrong with it."""
    try:
        found = members(path)
    except UserError as error:
        return [Item(name, error=str(error))]
    if not found:
        return [Item(name, error=f"no images in this zip; it holds {found.left_out} other files")]
    return [Item(f"{name}/{member.name}", member) for member in found]
