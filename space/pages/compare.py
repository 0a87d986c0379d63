"""The Compare page: one image through several models, and through what happens to pictures on their way."""

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr
from gradio import FileData

from fakelens.data.decode import DecodedImage, ImageError, decode_image
from fakelens.errors import UserError
from fakelens.explain.stability import stability, stability_sentence
from fakelens.inference.detector import Detector
from fakelens.inference.verdict import Row, verdict_row
from pages.api import answer
from pages.choices import chosen
from pages.compare_tables import models_table, stability_table
from pages.health import counter
from pages.pictures import data_url
from pages.uploads import delete, read_and_delete, refuse, upload_of
from pages.verdict_card import error_card

EMPTY = '<p class="fl-quiet">The comparison appears here.</p>'
SHOWN = 480  # pixels of the longer side
# A wide table scrolls, and does not make the page as wide.
STYLE = ".fl-wide { overflow-x: auto; contain: inline-size; } .fl-wide td:last-child { min-width: 8rem; }"


def page(detectors: dict[str, Detector]) -> None:
    """Build the page inside the tab that is open.

    Args:
        detectors: By their names on the page; at least one.
    """
    gr.Markdown(
        "What does each model here say of one image, and does its verdict last when the image is compressed, shrunk, "
        "taken off a screen or posted?"
    )
    image = gr.Image(
        type="filepath", label="Image: drop, choose or paste one", sources=["upload", "clipboard"], height=230
    )
    models = gr.HTML(EMPTY, css_template=STYLE, elem_id="compared")
    changes = gr.HTML(css_template=STYLE, elem_id="stability")

    def fill(sent: Any) -> Iterator[tuple[Any, Any]]:
        """Show what the models say, then how stable each one's verdict is."""
        if not sent:
            yield gr.skip(), gr.skip()
            return
        try:
            name, data, picture = received(sent)
        except ImageError as error:
            yield error_card(f"This image cannot be judged: {error}"), ""
            return
        rows = compared(detectors, name, data)
        shown = f'<img class="fl-compared" src="{data_url(picture.image, longest=SHOWN)}" alt="The image">'
        shown += models_table(detectors, rows) + f"<p><strong>{escape(agreement(rows))}</strong></p>"
        done = ""
        for label, detector in detectors.items():
            yield shown, f'{done}<p class="fl-quiet" role="status">{escape(label)}: judging changed copies …</p>'
            try:
                steps = stability(detector, picture.image)
            except UserError as error:
                done += f"<p>{escape(str(error))}</p>"
                continue
            done += stability_table(label, detector, steps)
        yield shown, done

    image.input(
        fill,
        image,
        [models, changes],
        api_visibility="private",
        preprocess=False,
        show_progress="minimal",
        concurrency_id="compare",
    ).then(None, js="() => null", outputs=image, api_visibility="private")
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
            `rows`, one a model, as `classify` returns them, with `max_fpr`, the share of photographs that the model's
            threshold keeps to, or null; and `agreement`, a sentence.
        """
        try:
            name, data, _ = received(image)
        except ImageError as error:
            raise refuse(f"This image cannot be judged: {error}") from None
        rows = compared(detectors, name, data)
        return {"rows": [answer(row) for row in rows], "agreement": agreement(rows)}

    def stable(image: FileData, model: str | None = None, max_fpr: float | None = None) -> dict[str, Any]:
        """Tell whether a model's verdict on an image lasts under JPEG compression, resizing, screenshots and posting.

        Args:
            image: The image file, at most 50 MiB.
            model: Which detector to ask; the first one offered if left out.
            max_fpr: Call at most this share of photographs fake, such as 0.05; the model's own share if left out.

        Returns:
            `model`; `steps`, each with `name`, `image_size` (width and height in pixels), `verdict` and `score`
            (P(fake), 0 to 1), the image as it is first; and `sentence`, in plain words.
        """
        try:
            detector, rate = chosen(detectors, model, max_fpr)
            _, _, picture = received(image)
            steps = stability(detector, picture.image, rate)
        except UserError as error:
            raise refuse(f"This image cannot be judged: {error}") from None
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
    """Return an upload's name, its bytes and its picture; the upload is deleted.

    Args:
        sent: What the client sent.

    Raises:
        ImageError: If it cannot be read.
        gradio.Error: If it is no upload.
    """
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
    """Say in a sentence whether the models agree.

    Args:
        rows: What `compared` returned; at least one.
    """
    judged = [row for row in rows if row["verdict"] is not None]
    if not judged:
        return "No model could judge this image."
    said = {word: [row["model"] for row in judged if row["verdict"] == word] for word in ("fake", "uncertain", "real")}
    said = {word: names for word, names in said.items() if names}
    if len(judged) == 1:
        return f"{judged[0]['model']} says {judged[0]['verdict']}; there is no second opinion here."
    low, high = min(row["score"] for row in judged), max(row["score"] for row in judged)
    spread = f"Their scores go from {low:.2f} to {high:.2f}."
    if len(said) == 1:
        return (
            f"All {len(judged)} models say {next(iter(said))}. {spread} Models trained on the same images share their "
            "mistakes, so this is less than that many independent opinions."
        )
    parts = [f"{word} {'says' if len(names) == 1 else 'say'} {', '.join(names)}" for word, names in said.items()]
    return f"The models disagree: {'; '.join(parts)}. {spread} Rely on none of them alone."
