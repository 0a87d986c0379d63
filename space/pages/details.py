"""Beside a verdict: the heat map, the frequencies, what the file states of its origin, the numbers."""

from collections.abc import Mapping
from html import escape
from typing import Any

import matplotlib
import numpy as np
from PIL import Image

from fakelens.explain.maps.frequency import log_spectrum, residual, what_to_look_for
from fakelens.explain.maps.heatmap import COLOURS
from pages.data_urls import data_url

MAP_SIDE = 384  # pixels of a map's longer side: it is smooth, and the browser enlarges it
PARTS = (
    *("upper left", "top", "upper right"),
    *("left", "centre", "right"),
    *("lower left", "bottom", "lower right"),
)
STANDS_OUT = 0.1  # how far from 0.5 a part's mean is, to be named
SAYS = {"ai": "AI-generated", "camera": "from a camera", "edited": "edited", "unknown": "says neither"}
KINDS = {"c2pa": "C2PA content credentials", "exif": "EXIF", "xmp": "XMP", "iptc": "IPTC", "png_text": "PNG text"}
SIGNATURES = {
    "valid": "It holds, and the signer is on the trust list.",
    "untrusted signer": "It holds; the signer is on no trust list that this server was given.",
    "invalid": "It does not hold: the file was changed after it was signed, or wrongly signed.",
    "none": "None. Most files have none, so that says nothing.",
}


def where(image: Image.Image, heat: np.ndarray, how: str) -> str:
    """Return a heat map over its image, with a slider for its strength and a legend.

    Args:
        image: The RGB image.
        heat: Of its shape, in [0, 1]; 0.5 speaks for neither.
        how: A sentence on how the map was made, plain text.
    """
    colours = matplotlib.colormaps[COLOURS]
    pixels = Image.fromarray((colours(heat)[..., :3] * 255).round().astype(np.uint8))
    stops = ", ".join(matplotlib.colors.to_hex(colours(stop)) for stop in np.linspace(0, 1, 9))
    words = parts_sentence(heat)
    return (
        '<div class="fl-where" style="--strength:0.55"><figure class="fl-stack">'
        f'<img src="{data_url(image)}" alt="The image that was scored">'
        f'<img class="fl-map" src="{data_url(pixels, longest=MAP_SIDE)}" alt="Heat map. {words}"></figure>'
        '<div><label class="fl-slider">Strength of the colours <input type="range" min="0" max="100" value="55" '
        'data-fl="strength"></label>'
        f'<div class="fl-legend"><i style="background:linear-gradient(to right, {stops})"></i>'
        "<span>0<br>speaks for a photograph</span><span>0.5<br>neither</span>"
        "<span>1<br>speaks for AI-generated</span></div>"
        f'<p>{words}</p><p class="fl-quiet">{escape(how)} The scale is the same for every image.</p></div></div>'
    )


def parts_sentence(heat: np.ndarray) -> str:
    """Say in words which parts of a heat map stand out, for those who cannot see it.

    Args:
        heat: Of shape `(height, width)`, in [0, 1].
    """
    cells = [float(c.mean()) for row in np.array_split(heat, 3) for c in np.array_split(row, 3, axis=1)]
    most, least = int(np.argmax(cells)), int(np.argmin(cells))
    found = []
    if cells[most] > 0.5 + STANDS_OUT:
        found.append(f"the {PARTS[most]} speaks most for AI-generated ({cells[most]:.2f})")
    if cells[least] < 0.5 - STANDS_OUT:
        found.append(f"the {PARTS[least]} most for a photograph ({cells[least]:.2f})")
    return f"Of the image's nine parts, {', '.join(found)}." if found else "No part of the image stands out."


def frequencies(image: Image.Image) -> str:
    """Return the log spectrum and the residual, each with what to look for.

    Args:
        image: The RGB image.
    """
    sentences = what_to_look_for()
    drawn = {"spectrum": ("Spectrum", log_spectrum(image)), "residual": ("Noise residual", residual(image))}
    figures = "".join(
        f'<figure><img src="{data_url(panel)}" alt="{title} of the image"><figcaption><h3>{title}</h3>'
        f"<p>{escape(sentences[key])}</p></figcaption></figure>"
        for key, (title, panel) in drawn.items()
    )
    return f'<p class="fl-quiet">For your eyes: none of this enters the score.</p><div class="fl-pair">{figures}</div>'


def origin(stated: Mapping[str, Any]) -> str:
    """Return what a file states of its origin as tables.

    Args:
        stated: A verdict's `provenance`.
    """
    facts = {
        "Format": stated.get("format") or "unknown",
        "Size": f"{stated['width']} × {stated['height']} pixels",
        "Camera": stated.get("camera"),
        "Software": stated.get("software"),
        "Signature (C2PA)": SIGNATURES[stated["signature"]],
    }
    rows = "".join(
        f'<tr><th scope="row">{escape(KINDS.get(claim["kind"], claim["kind"]))}</th><td>{SAYS[claim["says"]]}</td>'
        f"<td>{escape(claim['statement'])}{_details(claim['detail'])}</td></tr>"
        for claim in stated["claims"]
    )
    claims = (
        '<table class="fl-table"><caption>What it claims</caption><thead><tr><th scope="col">Where</th>'
        f'<th scope="col">Says</th><th scope="col">In words</th></tr></thead><tbody>{rows}</tbody></table>'
        if rows
        else "<p>It claims nothing of its origin. Most images on the web have lost what they once stated.</p>"
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in stated["notes"])
    return (
        '<p class="fl-quiet">Read from the file, and kept apart from the score: none of this enters it. Everything '
        "but a signature can be written by anyone.</p>"
        f"{_pairs(facts)}{claims}" + (f"<ul>{notes}</ul>" if notes else "")
    )


def numbers(probabilities: Mapping[str, float], model: Mapping[str, Any]) -> str:
    """Return the scores of all classes, and what is known of the model.

    Args:
        probabilities: By class, in [0, 1].
        model: What `models.facts` returned.
    """
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{value:.6f}</td><td><i class="fl-bar" '
        f'style="--share:{value:.4f}"></i></td></tr>'
        for name, value in probabilities.items()
    )
    return (
        '<table class="fl-table fl-raw"><caption>Calibrated probability of each class</caption><thead><tr>'
        '<th scope="col">Class</th><th scope="col">Score</th><th scope="col"><span class="fl-hidden">Bar</span></th>'
        f"</tr></thead><tbody>{rows}</tbody></table><h3>The model</h3>{_pairs(model)}"
    )


def _pairs(facts: Mapping[str, Any]) -> str:
    rows = "".join(f"<dt>{name}</dt><dd>{escape(str(value))}</dd>" for name, value in facts.items() if value)
    return f'<dl class="fl-facts">{rows}</dl>'


def _details(detail: Mapping[str, str]) -> str:
    if not detail:
        return ""
    rows = "".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(text)}</dd>" for name, text in detail.items()
    )
    return f'<details><summary>Details</summary><dl class="fl-facts">{rows}</dl></details>'
