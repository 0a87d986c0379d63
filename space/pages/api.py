"""The endpoints for programs: the same rows as the command line's, over gradio_client, REST and MCP."""

from typing import Any

import gradio as gr
from gradio import FileData
from server.health import counter
from server.uploads import delete, read_and_delete, upload_of

from fakelens.data.decode import ImageError
from fakelens.data.web import fetch
from fakelens.inference.detector import Detector
from fakelens.inference.verdict import Row, error_row, verdict_row
from pages.choices import chosen


def endpoints(detectors: dict[str, Detector]) -> None:
    """Add the endpoints for one image to the app that is being built.

    Args:
        detectors: By their names on the page; at least one.
    """

    def classify(image: FileData, model: str | None = None, max_fpr: float | None = None) -> dict[str, Any]:
        """Tell whether an image is a photograph or AI-generated.

        Args:
            image: The image file: JPEG, PNG, WebP or another kind that Pillow reads, at most 50 MiB.
            model: Which detector to ask; the first one offered if left out.
            max_fpr: Predict at most this fraction of photographs fake, such as 0.05; the model's own if left out.

        Returns:
            A row: name (the file's), verdict ("real", "fake", "uncertain" or null), score (P(fake), 0 to 1),
            model, sentence, warnings, provenance, disagreement, notes, error (why it was not scored, or null).
        """
        name, path = upload_of(image)
        try:
            detector, rate = chosen(detectors, model, max_fpr)
            return scored(detector, name, read_and_delete(path), rate)
        except ImageError as error:
            return answer(error_row(name, detector.name, str(error)))
        finally:
            delete([path])

    def classify_url(url: str, model: str | None = None, max_fpr: float | None = None) -> dict[str, Any]:
        """Tell whether an image on the public internet is a photograph or AI-generated.

        Args:
            url: Its http(s) address; private addresses are refused.
            model: Which detector to ask; the first one offered if left out.
            max_fpr: Predict at most this fraction of photographs fake, such as 0.05; the model's own if left out.

        Returns:
            A row as `classify` returns it, with the address as its name.
        """
        detector, rate = chosen(detectors, model, max_fpr)
        address = str(url).strip()
        try:
            return scored(detector, address, fetch(address, public_only=True), rate)
        except ImageError as error:
            return answer(error_row(address, detector.name, str(error)))

    gr.api(classify, api_name="classify", concurrency_id="classify")
    gr.api(classify_url, api_name="classify_url", concurrency_id="classify")


def answer(row: Row) -> Row:
    """Return the command line's row as the API answers it: with `name` for `path`.

    Clients of Gradio's take every dictionary with a `path` for a file, and try to fetch it.

    Args:
        row: What `verdict_row` or `error_row` returned.
    """
    return {"name": row["path"]} | {field: value for field, value in row.items() if field != "path"}


def scored(detector: Detector, name: str, data: bytes, max_fpr: float | None) -> Row:
    """Return an image's row.

    Args:
        detector: Who scores it.
        name: What its sender calls it.
        data: The file's bytes.
        max_fpr: As a detector takes it.
    """
    (verdict,) = detector([data], max_fpr)
    counter.add()
    return answer(verdict_row(name, detector.name, verdict))
