"""The Judge page: one image, its verdict, and what speaks for it."""

import base64
import functools
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from fakelens.data.decode import ImageError, decode_image
from fakelens.data.web import fetch
from fakelens.errors import UserError
from fakelens.explain.maps.heatmap import heat_map
from fakelens.explain.maps.occlusion import occlusion_map
from fakelens.inference.detector import Detector
from pages import evidence
from pages.choices import chosen, model_select, rate_select
from pages.examples import examples
from pages.health import counter
from pages.models import facts
from pages.pictures import data_url
from pages.uploads import read_and_delete, refuse, upload_of
from pages.verdict_card import error_card, verdict_card

GRADCAM = "Grad-CAM, or the network's own scores of places where it has them: which parts its answer rests on."
OCCLUSION = "Parts hidden one after the other: how much the answer changes without each."
WAIT = '<p class="fl-quiet" role="status">Looking …</p>'
EMPTY = '<p class="fl-quiet">The verdict appears here.</p>'
AGAIN = "(...values) => window.fakelens.again(...values)"
# The page's events take turns, and get what was sent as it was sent.
TURN = {"api_visibility": "private", "preprocess": False, "concurrency_id": "judge"}


def page(detectors: dict[str, Detector]) -> None:
    """Build the page inside the tab that is open.

    Args:
        detectors: By their names on the page; at least one.
    """
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=240):
            image = gr.Image(
                type="filepath",
                label="Image: drop, choose, paste or take one",
                sources=["upload", "clipboard", "webcam"],
                height=230,
                elem_id="picture",
                webcam_options=gr.WebcamOptions(mirror=False),
            )
            with gr.Row(elem_classes="fl-address"):
                url = gr.Textbox(label="Or an image's address", placeholder="https://…", max_lines=1, scale=4)
                get = gr.Button("Judge it", scale=1, min_width=90)
            model = model_select(detectors)
            rate = rate_select(detectors, model)
            gr.HTML(_example_buttons())
            again = gr.Button("again", elem_id="again", visible="hidden")
        with gr.Column(scale=3, min_width=240):
            card = gr.HTML(EMPTY, elem_id="verdict")
            with gr.Tabs():
                with gr.Tab("Where"):
                    where = gr.HTML()
                    slower = gr.Button("Slower: hide parts, one after the other", size="sm")
                with gr.Tab("Frequencies"):
                    frequencies = gr.HTML()
                with gr.Tab("Where it says it comes from"):
                    origin = gr.HTML()
                with gr.Tab("Numbers"):
                    numbers = gr.HTML()

    known = functools.cache(lambda name: facts(detectors[name]))

    def judge(sent: Any, address: str, name: str, max_fpr: float | None) -> Iterator[tuple[Any, ...]]:
        """Show the verdict first, then what takes longer."""
        if not sent and not address:
            yield (gr.skip(),) * 5
            return
        try:
            data = received(sent, address)
            detector, max_fpr = chosen(detectors, name, max_fpr)
            max_fpr = detector.own_rate if max_fpr is None else max_fpr
            (verdict,) = detector([data], max_fpr)
            counter.add()
            if verdict.error is not None:
                raise ImageError(verdict.error)
        except ImageError as error:
            yield error_card(f"This image cannot be judged: {error}"), "", "", "", ""
            return
        picture = decode_image(data).image
        shown = verdict_card(detector, verdict, data_url(picture), max_fpr)
        stated = evidence.provenance(verdict.provenance, verdict.disagreement)
        yield shown, WAIT, WAIT, stated, WAIT
        scores = probabilities(detector, picture, float(verdict.score or 0))
        yield gr.skip(), gr.skip(), gr.skip(), gr.skip(), evidence.numbers(scores, known(name))
        yield gr.skip(), gr.skip(), evidence.frequencies(picture), gr.skip(), gr.skip()
        yield gr.skip(), where_map(detector, picture), gr.skip(), gr.skip(), gr.skip()

    def hide_parts(
        sent: Any,
        address: str,
        name: str,
        max_fpr: float | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  Gradio finds its progress bar by this very default
    ) -> str:
        """Draw the map by occlusion."""
        if not sent and not address:
            raise refuse("Choose an image first.")
        try:
            data = received(sent, address)
            detector, _ = chosen(detectors, name, None)
            picture = decode_image(data).image
            found = occlusion_map(detector, picture, progress=lambda share: progress(share, desc="hiding parts"))
        except UserError as error:
            raise refuse(str(error)) from None
        return evidence.where(picture, found, OCCLUSION)

    inputs, outputs = [image, url, model, rate], [card, where, frequencies, origin, numbers]
    in_browser = {"fn": None, "api_visibility": "private"}
    # One event judges, whatever brings it about, so that an earlier image cannot show over a later one.
    done = again.click(judge, inputs, outputs, js=AGAIN, trigger_mode="always_last", show_progress_on=card, **TURN)
    done.then(js="() => window.fakelens.show()", **in_browser)
    for asked in (url.submit, get.click):
        asked(js="(url) => window.fakelens.judge({ url: url.trim() })", inputs=url, **in_browser)
    model.input(js="() => window.fakelens.otherModel()", **in_browser)
    rate.input(js="() => window.fakelens.press()", **in_browser)
    # The camera's picture alone is sent by Gradio.
    image.input(js="(image) => { window.fakelens.taken(image); return []; }", inputs=image, **in_browser)
    slower.click(hide_parts, inputs, where, js=AGAIN, **TURN)


def received(sent: Any, address: str) -> bytes:
    """Return the bytes of what somebody sent, which is deleted, or of what an address leads to.

    Args:
        sent: An upload as the client names it; None if there is none.
        address: Of an image on the public internet.

    Raises:
        ImageError: If it cannot be read.
        gradio.Error: If it is no upload of this server's.
    """
    return read_and_delete(upload_of(sent)[1]) if sent else fetch(address.strip(), public_only=True)


def probabilities(detector: Detector, picture: Image.Image, score: float) -> dict[str, float]:
    """Return the probability of each class; with two classes the score says both.

    Args:
        detector: Who judged the picture.
        picture: The RGB picture.
        score: P(fake) in [0, 1].
    """
    if len(detector.classes) == 2:
        return dict(zip(detector.classes, (1 - score, score), strict=True))
    return dict(zip(detector.classes, detector.probabilities([picture])[0].tolist(), strict=True))


def where_map(detector: Detector, picture: Image.Image) -> str:
    """Return the quick heat map, or why there is none.

    Args:
        detector: Whose evidence to show.
        picture: The RGB picture.
    """
    try:
        return evidence.where(picture, heat_map(detector, picture), GRADCAM)
    except UserError as error:
        return f"<p>{escape(str(error))} The slower way below works for any model.</p>"


def _example_buttons() -> str:
    buttons = []
    for name, (title, data) in examples().items():
        kind = "jpeg" if Path(name).suffix == ".jpg" else "png"
        source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        buttons.append(
            f'<button type="button" data-fl="example" data-name="{name}" data-image="{source}">'
            f'<img src="{source}" alt=""><span>{title}</span></button>'
        )
    return (
        f'<div class="fl-examples"><p>Or one of these, drawn by this program:</p>{"".join(buttons)}'
        '<p class="fl-quiet">They are neither photographs nor generated: they show what the page says, not how good '
        "a detector is.</p></div>"
    )
