"""The Space: an image in, two probabilities out.

Runs on its own from `space/requirements.txt`, with fakelens installed or, as on the Hub, in the folder `fakelens`
beside this file. The models are those that README.md's front matter lists; `FAKELENS_MODEL`, a Hub id or a folder,
stands in for them.
"""

import os
from pathlib import Path

import gradio as gr
from huggingface_hub import metadata_load

from fakelens.detector import Detector, load_detector
from fakelens.loading import DEFAULT_MODEL


def model_names() -> list[str]:
    """Return the models to offer, the first one chosen beforehand."""
    if name := os.environ.get("FAKELENS_MODEL"):
        return [name]
    listed = metadata_load(Path(__file__).with_name("README.md")) or {}
    return listed.get("models") or [DEFAULT_MODEL]


def build(detectors: dict[str, Detector]) -> gr.Blocks:
    """Return the app around loaded detectors.

    Args:
        detectors: By their names on the page; at least one.
    """
    names = list(detectors)

    def classify(path: str | None, model: str) -> dict[str, float] | None:
        """Tell how likely an image is a photograph ("real") or AI-generated ("fake").

        Args:
            path: The image to judge.
            model: The detector to ask.
        """
        if path is None:  # the page was cleared
            return None
        (verdict,) = detectors[model]([path])
        if verdict.score is None:
            raise gr.Error(f"This image cannot be judged: {verdict.error}", print_exception=False)
        return {"real": 1 - verdict.score, "fake": verdict.score}

    with gr.Blocks(title="fakelens") as app:
        gr.Markdown(
            "# fakelens\nIs this a photograph, or was it generated? The probabilities below are a detector's opinion, "
            f"not evidence by themselves.\n\nModel: {', '.join(f'`{name}`' for name in names)}"
        )
        with gr.Row():
            # The file as it was sent, not what a browser or Gradio would make of it.
            image = gr.Image(
                type="filepath", image_mode=None, label="Image", sources=["upload", "clipboard", "webcam"]
            )
            scores = gr.Label(num_top_classes=2, label="Verdict")
        model = gr.Dropdown(names, value=names[0], label="Model", visible=len(names) > 1)
        gr.on(
            [image.change, model.change],
            classify,
            [image, model],
            scores,
            api_name="classify",
            show_progress="minimal",
        )
    return app


def main() -> None:
    """Load the models and serve the page."""
    detectors = {name: load_detector(name) for name in model_names()}
    build(detectors).queue(max_size=32).launch(mcp_server=False)


if __name__ == "__main__":
    main()
