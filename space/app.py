"""The Space: images in, verdicts out, and what speaks for them.

Runs on its own from `space/requirements.txt`, with fakelens installed or, as on the Hub, in the folder `fakelens`
beside this file. The models are those that README.md's front matter lists; `FAKELENS_MODEL`, a Hub id or a folder,
stands in for them.
"""

import os
import signal
import sys
from pathlib import Path

import gradio as gr
from huggingface_hub import metadata_load
from pages import about, api, batch, compare, examples, image
from server import gradio_memory, health
from server.addresses import FetchAddresses
from server.temporary import private_folder
from server.upload_route import Uploads
from server.uploads import MAX_UPLOAD
from starlette.middleware import Middleware

from fakelens.errors import UserError
from fakelens.inference.detector import Detector, load_detector
from fakelens.zoo.shipped import DEFAULT_MODEL

HERE = Path(__file__).parent
WAITING = 64  # requests that may wait for their turn; who comes after is told to come back later
AT_ONCE = 2  # of each kind of request
SESSIONS = 16  # whose components Gradio remembers; each takes memory, and no page of ours needs it
# Outside of what the rules in `css` can reach: on a phone, Gradio's margins would make the page wider than the screen.
MARGINS = "@media (max-width: 44rem) { .gradio-container .main.fillable { padding: 1rem 0.75rem !important; } }"
# Requests that Gradio remembers, to group them all with pandas whenever one fails: 10,000 by itself.
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")
AGE = 300  # seconds that an upload may wait for its turn


def model_names() -> list[str]:
    """Return the models to offer, the first one chosen beforehand."""
    if name := os.environ.get("FAKELENS_MODEL"):
        return [name]
    listed = metadata_load(HERE / "README.md") or {}
    return listed.get("models") or [DEFAULT_MODEL]


def build(detectors: dict[str, Detector]) -> gr.Blocks:
    """Return the app around loaded detectors, with its queue.

    Args:
        detectors: By their names on the page; at least one.
    """
    private_folder()
    gradio_memory.forget_values()
    with gr.Blocks(title="fakelens", analytics_enabled=False, delete_cache=(60, AGE)) as app:
        gr.HTML(
            "<header><h1>Is this a photograph, or was it generated?</h1><p>fakelens: a detector's opinion, not "
            'proof by itself.</p></header><p id="fl-live" class="fl-hidden" role="status"></p>',
            padding=False,
        )
        with gr.Tabs(overflow_behavior="wrap"):
            for name, page in {"Image": image, "Batch": batch, "Compare": compare, "About": about}.items():
                with gr.Tab(name, id=name.lower()):
                    page.page(detectors)
        api.endpoints(detectors)
    return app.queue(max_size=WAITING, default_concurrency_limit=AT_ONCE)


def launch(app: gr.Blocks, detectors: dict[str, Detector], prevent_thread_lock: bool = False) -> str:
    """Serve the app and return its address.

    Args:
        app: What `build` returned.
        detectors: What it was built with.
        prevent_thread_lock: Return at once, with the server in a thread of its own.
    """
    state = health.State(detectors)
    _, url, _ = app.launch(
        prevent_thread_lock=True,
        quiet=prevent_thread_lock,
        share=False,
        show_error=True,  # of Gradio's own errors the page says more than "Error" then, and never a traceback
        max_file_size=MAX_UPLOAD,
        state_session_capacity=SESSIONS,
        mcp_server=True,
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        footer_links=["api"],
        app_kwargs={
            "routes": [state.route(), examples.route(), *Uploads().routes()],
            "middleware": [Middleware(FetchAddresses)],
        },
        theme=theme(),
        css_paths=[HERE / "style.css"],
        head=f"<style>{MARGINS}</style><script>{read('page.js')}</script>",
    )
    state.warm_up()
    if not prevent_thread_lock:
        app.block_thread()
    return url


def theme() -> gr.themes.Base:
    """Return Gradio's plainest theme in our colours, with the system's own fonts."""
    system = ("system-ui", "sans-serif")
    return gr.themes.Base(primary_hue="indigo", neutral_hue="slate", font=system, font_mono=("monospace",)).set(
        button_primary_background_fill="#3b46c4",
        button_primary_background_fill_hover="#2f38a0",
        button_primary_background_fill_dark="#a3abff",
        button_primary_background_fill_hover_dark="#c2c7ff",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#14162a",
    )


def read(name: str) -> str:
    """Return the text of a file beside this one."""
    return (HERE / name).read_text(encoding="utf-8")


def main() -> None:
    """Load the models and serve the page."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the uploads' folder goes, too
    try:
        gradio_memory.check()
        detectors = {name: load_detector(name) for name in model_names()}
    except UserError as error:
        sys.exit(f"fakelens: {error}")
    launch(build(detectors), detectors)


if __name__ == "__main__":
    main()
