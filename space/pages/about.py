"""The About page: how to read a verdict, the models offered, what happens to an image, and the API."""

from html import escape

import gradio as gr
from server.temporary import in_memory, upload_folder
from server.uploads import MAX_UPLOAD

from fakelens.data.decode import MAX_PIXELS, MIN_SIDE
from fakelens.inference.detector import Detector
from pages.batch import MAX_FILES
from pages.models import facts

AT = '<span class="fl-at">http://127.0.0.1:7860</span>'
# The page's own address: behind a proxy the browser alone knows it.
FILL_IN = """
for (const at of element.querySelectorAll(".fl-at")) at.textContent = window.gradio_config.root.replace(/\\/$/, "");
"""
READING = """
## How to read a verdict

A detector gives a **score** from 0 (photograph) to 1 (AI-generated). Two numbers divide the scale, and both were
measured on photographs that the detector had not seen:

- **Fake** means that the score reached the threshold. The page says how many photographs reach it by mistake, such as
  1 in 100. If you check a hundred photographs, expect about that many false alarms.
- **Real** means that the score lies below the band. It is no proof: a generator that the detector never met may pass.
- **Uncertain** means that the score lies between the two. Rely on something else.

With fewer allowed false alarms fewer photographs are accused, and more generated images get away. Allow the fewest
where an accusation would hurt somebody.

On the scale the three zones are drawn equally wide, so that each can be seen; the numbers below them are their ends.

**When not to trust it:** warnings say where an image is unlike what detectors were measured on: tiny, enlarged,
blurred, heavily compressed, a screenshot, a document, a drawing. What the file states of its origin stands apart from
the score and never enters it; where the two disagree, the page says so. The heat map shows what the answer rests on,
not which part was edited.

A verdict is one machine's opinion. Do not use it alone against anybody.
"""


def page(detectors: dict[str, Detector]) -> None:
    """Build the page inside the tab that is open.

    Args:
        detectors: By their names on the page; at least one.
    """
    gr.Markdown(READING, elem_classes="fl-about")
    gr.Markdown("## The models offered here")
    for detector in detectors.values():
        rows = "".join(f"<dt>{name}</dt><dd>{escape(str(v))}</dd>" for name, v in facts(detector).items() if v)
        gr.HTML(f'<dl class="fl-facts">{rows}</dl>', padding=False)
    gr.Markdown(limits() + privacy(), elem_classes="fl-about")
    gr.HTML(
        programs(next(iter(detectors.values()))),
        elem_id="programs",
        elem_classes="fl-about",
        js_on_load=FILL_IN,
        padding=False,
    )


def limits() -> str:
    """Return what is taken and what is refused, as Markdown."""
    return (
        f"\n## Limits\n\nAn image may have up to {MAX_UPLOAD // 2**20} MiB and {MAX_PIXELS // 10**6} million pixels, "
        f"and at least {MIN_SIDE} × {MIN_SIDE}. Of an animation the first frame is scored. Up to "
        f"{MAX_FILES} images are scored in one go, those in zips counted. An address has to be on the public "
        "internet. When too many people ask at once, the "
        "page says that the queue is full: try again in a minute.\n"
    )


def privacy() -> str:
    """Return what happens to an image, as Markdown; the truth about the folder that uploads are put in."""
    place = (
        "It is kept in memory, not on a disk,"
        if in_memory(upload_folder())
        else "It is put into a private temporary file, as this server has too little memory for uploads,"
    )
    return (
        f"\n## What happens to your image\n\nYour browser sends it to this server. {place} and deleted as soon as its "
        "turn comes: it is read once, scored, and forgotten. An image whose turn never comes is deleted after ten "
        "minutes at the latest. Images, names, verdicts and addresses are not stored, not logged, not passed on, and "
        "nobody counts visitors. For another model or another rate your browser sends its own copy again. For an "
        "address, this server asks the site that it names.\n"
    )


def programs(detector: Detector) -> str:
    """Return how programs ask, with commands for the running server, as HTML.

    Args:
        detector: One that is offered, for the examples.
    """
    rate = next(iter(sorted(detector.fpr_thresholds)), None)
    python = (
        "from gradio_client import Client, handle_file  # pip install gradio_client\n\n"
        f'client = Client("{AT}", verbose=False)\n'
        'row = client.predict(handle_file("photo.jpg"), api_name="/classify")\n'
        'print(row["verdict"], row["score"], row["sentence"])\n'
        + (f'client.predict(handle_file("photo.jpg"), max_fpr={rate:g}, api_name="/classify")\n' if rate else "")
    )
    rest = (
        f"at={AT}\n"
        "file=$(curl -s -F files=@photo.jpg $at/gradio_api/upload | tr -d '[]\"')\n"
        "id=$(curl -s $at/gradio_api/call/classify -H 'Content-Type: application/json' \\\n"
        '  -d \'{"data": [{"path": "\'"$file"\'", "meta": {"_type": "gradio.FileData"}}, null, null]}\' \\\n'
        "  | tr -d '{}\" ' | cut -d: -f2)\n"
        "curl -sN $at/gradio_api/call/classify/$id\n"
    )
    mcp = f'{{"mcpServers": {{"fakelens": {{"url": "{AT}/gradio_api/mcp/"}}}}}}'
    return (
        "<h2>For programs</h2>"
        "<p>The answer is the row that the command line prints as JSON, with <code>name</code> for <code>path</code>: "
        "verdict, score, model, sentence, warnings, provenance, disagreement, notes, error. An image that cannot be "
        "scored is no failure of the call: its row has an <code>error</code>.</p>"
        f'<h3>Python</h3><pre id="in-python"><code>{python}</code></pre>'
        f'<h3>REST, with curl</h3><pre id="in-rest"><code>{rest}</code></pre>'
        "<p>The three values of <code>data</code> are the image, the model and the largest fraction of photographs "
        "that may be predicted fake; <code>null</code> stands for the first model and its own. The endpoints are "
        "<code>classify</code>, <code>classify_url</code> (an address instead of an image), "
        "<code>classify_batch</code> (a list of images or zips), <code>compare</code> and <code>stability</code>; "
        f"<code>{AT}/gradio_api/info</code> describes them.</p>"
        f'<h3>MCP, for assistants</h3><pre id="in-mcp"><code>{mcp}</code></pre>'
        "<p>Each endpoint is a tool; images are given by their addresses.</p>"
        f'<h3>Is it up?</h3><pre id="in-health"><code>curl -s {AT}/health</code></pre>'
        "<p>200 and its version, models and the number of images scored, or 503 while it starts.</p>"
    )
