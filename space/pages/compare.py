"""The Compare page: one image through several models, and through what happens to images on their way."""

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr
from gradio import FileData
from server.health import counter
from server.uploads import delete, read_and_delete, refuse, upload_of

from fakelens.data.decode import DecodedImage, ImageError, decode_image
from fakelens.errors import UserError
from fakelens.explain.stability import stability, stability_sentence
from fakelens.inference.detector import Detector
from fakelens.inference.verdict import Row, verdict_row
from pages.api import answer
from pages.choices import chosen
from pages.compare_tables import models_table, stability_table
from pages.data_urls import data_url
from pages.verdict_card import error_card
from pages.zone import zone

SHOWN = 480  # pixels of the longer side
# A wide table scrolls, and does not make the page as wide.
STYLE = ".fl-wide { overflow-x: auto; contain: inline-size; }"


def page(detectors: dict[str, Detector]) -> None:
    """Build the page inside the tab that is open.

    Args:
        detectors: By their names on the page; at least one.
    """
    gr.Markdown(
        ("What does each model here predict of one image, and does" if len(detectors) > 1 else "Does")
        + " the verdict last when the image is compressed, shrunk, taken off a screen or posted?"
    )
    gr.HTML(zone("compare", "Scoring the image …"), padding=False)
    sent = gr.JSON(visible=False)
    ask = gr.Button("ask", elem_id="ask-compare", visible="hidden")
    models = gr.HTML(css_template=STYLE, elem_id="compared", padding=False)
    changes = gr.HTML(css_template=STYLE, elem_id="stability", padding=False)

    def fill(sent: Any) -> Iterator[tuple[Any, Any]]:
        """Show what the models say, then how stable each one's verdict is."""
        if not sent:
            yield gr.skip(), gr.skip()
            return
        try:
            name, data, image = received(sent)
        except ImageError as error:
            yield error_card(f"This image cannot be scored: {error}", "compare"), ""
            return
        rows = compared(detectors, name, data)
        said = agreement(rows)
        shown = f'<img class="fl-compared" src="{data_url(image.image, longest=SHOWN)}" alt="The image">'
        shown += models_table(detectors, rows) + (f"<p><strong>{escape(said)}</strong></p>" if said else "")
        done = ""
        for label, detector in detectors.items():
            yield shown, f'{done}<p class="fl-quiet" role="status">{escape(label)}: scoring changed copies …</p>'
            try:
                steps = stability(detector, image.image)
            except UserError as error:
                done += f"<p>{escape(str(error))}</p>"
                continue
            done += stability_table(label, detector, steps)
        yield shown, done

    ask.click(
        fill,
        sent,
        [models, changes],
        js="(...values) => window.fakelens.ask('compare', ...values)",
        api_visibility="private",
        preprocess=False,
        show_progress="hidden",
        trigger_mode="always_last",
        concurrency_id="compare",
    ).then(js="() => window.fakelens.rest('compare')", fn=None, api_visibility="private")
    endpoints(detectors)


def endpoints(detectors: dict[str, Detector]) -> None:
    """Add what the page shows as endpoints for programs.

    Args:
        detectors: By their names on the page; at least one.
    """

    def compare(image: FileData) -> dict[str, Any]:
        """Ask every model that is offered about one image.

        Args:
            image: The image file, at most 50 MiB.

        Returns:
            `rows`, one a model, as `classify` returns them, with `max_fpr`, the false-positive rate that the
            model's threshold keeps to, or null; and `agreement`, a sentence, or null where there is one model.
        """
        try:
            name, data, _ = received(image)
        except ImageError as error:
            raise refuse(f"This image cannot be scored: {error}") from None
        rows = compared(detectors, name, data)
        return {"rows": [answer(row) for row in rows], "agreement": agreement(rows) or None}

    def stable(image: FileData, model: str | None = None, max_fpr: float | None = None) -> dict[str, Any]:
        """Tell whether a model's verdict on an image lasts under JPEG compression, resizing, screenshots and posting.

        Args:
            image: The image file, at most 50 MiB.
            model: Which detector to ask; the first one offered if left out.
            max_fpr: Predict at most this fraction of photographs fake, such as 0.05; the model's own if left out.

        Returns:
            `model`; `steps`, each with `name`, `image_size` (width and height in pixels), `verdict` and `score`
            (P(fake), 0 to 1), the image as it is first; and `sentence`, in plain words.
        """
        try:
            detector, rate = chosen(detectors, model, max_fpr)
            _, _, decoded = received(image)
            steps = stability(detector, decoded.image, rate)
        except UserError as error:
            raise refuse(f"This image cannot be scored: {error}") from None
        finally:
            delete([upload_of(image)[1]])
        return {
            "model": detector.name,
            "steps": [
                {"name": s.name, "image_size": list(s.image_size), "verdict": s.verdict, "score": s.score}
                for s in steps
            ],
            "sentence": stability_sentence(steps),
        }

    gr.api(compare, api_name="compare", concurrency_id="compare")
    gr.api(stable, api_name="stability", concurrency_id="compare")


def received(sent: Any) -> tuple[str, bytes, DecodedImage]:
    """Return an upload's name, its bytes and its image; the upload is deleted.

    Args:
        sent: What the client sent.

    Raises:
        ImageError: If it cannot be read.
        gradio.Error: If it is no upload.
    """
    if isinstance(sent, dict) and "problem" in sent:  # the browser could not send it
        raise ImageError(str(sent["problem"])[:300])
    name, path = upload_of(sent)
    data = read_and_delete(path)
    return name, data, decode_image(data)


def compared(detectors: dict[str, Detector], name: str, data: bytes) -> list[Row]:
    """Return each model's row of an image, with `max_fpr` beside the usual fields.

    Args:
        detectors: By their names on the page.
        name: What its sender calls the image.
        data: The file's bytes, which decode.
    """
    rows = []
    for label, detector in detectors.items():
        rate = detector.own_rate
        (verdict,) = detector([data], rate)
        rows.append(verdict_row(name, label, verdict) | {"max_fpr": rate})
    counter.add(len(rows))
    return rows


def agreement(rows: list[Row]) -> str:
    """Say in a sentence whether the models agree; "" of one model alone, which has none to agree with.

    Args:
        rows: What `compared` returned; at least one.
    """
    scored = [row for row in rows if row["verdict"] is not None]
    if not scored:
        return "No model could score this image."
    if len(scored) == 1:
        return ""
    said = {word: [row["model"] for row in scored if row["verdict"] == word] for word in ("fake", "uncertain", "real")}
    said = {word: names for word, names in said.items() if names}
    low, high = min(row["score"] for row in scored), max(row["score"] for row in scored)
    spread = f"Their scores go from {low:.2f} to {high:.2f}."
    if len(said) == 1:
        return (
            f"All {len(scored)} models predict {next(iter(said))}. {spread} Models trained on the same images share "
            "their mistakes, so this is less than that many independent opinions."
        )
    parts = [f"{word} by {', '.join(names)}" for word, names in said.items()]
    return f"The models disagree: {'; '.join(parts)}. {spread} Rely on none of them alone."
