"""The Image page: one image, its verdict, and what stands beside it."""

import functools
from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr
from PIL import Image
from server.health import counter
from server.uploads import read_and_delete, refuse, upload_of

from fakelens.data.decode import ImageError, decode_image
from fakelens.data.web import fetch
from fakelens.errors import UserError
from fakelens.explain.maps.heatmap import heat_map
from fakelens.explain.maps.occlusion import occlusion_map
from fakelens.inference.detector import Detector
from pages import details
from pages.choices import chosen, model_select, rate_select
from pages.data_urls import data_url
from pages.examples import example_buttons
from pages.models import facts
from pages.verdict_card import error_card, verdict_card
from pages.zone import zone

GRADCAM = "Grad-CAM, or the network's own patch scores where it has them: which parts its answer rests on."
OCCLUSION = "Parts hidden one after the other: how much the answer changes without each."
WAIT = '<p class="fl-quiet" role="status">Computing …</p>'
ASK = "(...values) => window.fakelens.ask('image', ...values)"
# The page's events take turns, and get what was sent as it was sent.
TURN = {"api_visibility": "private", "preprocess": False, "concurrency_id": "image"}
IN_BROWSER = {"fn": None, "api_visibility": "private"}


def page(detectors: dict[str, Detector]) -> None:
    """Build the page inside the tab that is open.

    Args:
        detectors: By their names on the page; at least one.
    """
    with gr.Row(elem_classes="fl-page", equal_height=False):
        with gr.Column(elem_classes="fl-ask", min_width=0):
            gr.HTML(zone("image", "Scoring the image …"), padding=False)
            gr.HTML(example_buttons(), padding=False)
            with gr.Row(elem_classes="fl-address"):
                url = gr.Textbox(label="Or an image's address", placeholder="https://…", max_lines=1, scale=4)
                get = gr.Button("Check", scale=1, min_width=90)
            model = model_select(detectors)
            rate = rate_select(detectors, model)
            sent = gr.JSON(visible=False)
            ask = gr.Button("ask", elem_id="ask-image", visible="hidden")
        with gr.Column(elem_classes="fl-answer", min_width=0):
            card = gr.HTML(elem_id="verdict", padding=False)
            with gr.Column(elem_classes="fl-details", min_width=0), gr.Tabs(overflow_behavior="wrap"):
                with gr.Tab("Heat map"):
                    where = gr.HTML(padding=False)
                    slower = gr.Button("Slower map: hide parts one after the other", size="sm")
                with gr.Tab("Frequencies"):
                    frequencies = gr.HTML(padding=False)
                with gr.Tab("Origin"):
                    origin = gr.HTML(padding=False)
                with gr.Tab("Numbers"):
                    numbers = gr.HTML(padding=False)

    inputs, outputs = [sent, url, model, rate], [card, where, frequencies, origin, numbers]
    # One event scores, whatever brings it about, so that an earlier image cannot show over a later one.
    done = ask.click(
        _score(detectors), inputs, outputs, js=ASK, trigger_mode="always_last", show_progress="hidden", **TURN
    )
    done.then(js="() => window.fakelens.show('image')", **IN_BROWSER)
    for asked in (url.submit, get.click):
        asked(js="(url) => window.fakelens.address(url.trim())", inputs=url, **IN_BROWSER)
    model.input(js="() => window.fakelens.otherModel()", **IN_BROWSER)
    rate.input(js="() => window.fakelens.again('image')", **IN_BROWSER)
    slower.click(_hide_parts(detectors), inputs, where, js=ASK, **TURN).then(
        js="() => window.fakelens.rest('image')", **IN_BROWSER
    )


def _score(detectors: dict[str, Detector]) -> Any:
    known = functools.cache(lambda name: facts(detectors[name]))

    def score(sent: Any, address: str, name: str, max_fpr: float | None) -> Iterator[tuple[Any, ...]]:
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
            yield error_card(f"This image cannot be scored: {error}"), "", "", "", ""
            return
        image = decode_image(data).image
        shown = verdict_card(detector, verdict, data_url(image), max_fpr)
        yield shown, WAIT, WAIT, details.origin(verdict.provenance), WAIT
        scores = probabilities(detector, image, float(verdict.score or 0))
        yield gr.skip(), gr.skip(), gr.skip(), gr.skip(), details.numbers(scores, known(name))
        yield gr.skip(), gr.skip(), details.frequencies(image), gr.skip(), gr.skip()
        yield gr.skip(), where_map(detector, image), gr.skip(), gr.skip(), gr.skip()

    return score


def _hide_parts(detectors: dict[str, Detector]) -> Any:
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
            image = decode_image(data).image
            found = occlusion_map(detector, image, progress=lambda done: progress(done, desc="hiding parts"))
        except UserError as error:
            raise refuse(str(error)) from None
        return details.where(image, found, OCCLUSION)

    return hide_parts


def received(sent: Any, address: str) -> bytes:
    """Return the bytes of what somebody sent, which is deleted, or of what an address leads to.

    Args:
        sent: An upload as the client names it; None if there is none; `{"problem": words}` where the browser could
            not send it.
        address: Of an image on the public internet.

    Raises:
        ImageError: If it cannot be read.
        gradio.Error: If it is no upload of this server's.
    """
    if isinstance(sent, dict) and "problem" in sent:
        raise ImageError(str(sent["problem"])[:300])
    return read_and_delete(upload_of(sent)[1]) if sent else fetch(address.strip(), public_only=True)


def probabilities(detector: Detector, image: Image.Image, score: float) -> dict[str, float]:
    """Return the probability of each class; with two classes the score says both.

    Args:
        detector: Who scored the image.
        image: The RGB image.
        score: P(fake) in [0, 1].
    """
    if len(detector.classes) == 2:
        return dict(zip(detector.classes, (1 - score, score), strict=True))
    return dict(zip(detector.classes, detector.probabilities([image])[0].tolist(), strict=True))


def where_map(detector: Detector, image: Image.Image) -> str:
    """Return the quick heat map, or why there is none.

    Args:
        detector: Whose answer to show.
        image: The RGB image.
    """
    try:
        return details.where(image, heat_map(detector, image), GRADCAM)
    except UserError as error:
        return f"<p>{escape(str(error))} The slower map below works for any model.</p>"
