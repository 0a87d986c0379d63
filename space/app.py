"""The Space: an image in, two probabilities out.

Runs on its own from `space/requirements.txt`: the model brings its code from its repo. `FAKELENS_MODEL` names it, a
Hub id or a folder.
"""

import os

import gradio as gr
from PIL import Image
from transformers import ImageClassificationPipeline, pipeline

MODEL = os.environ.get("FAKELENS_MODEL", "runs/demo/model")
MIN_SIDE = 8  # pixels; below, there is nothing left to look at


def build(detector: ImageClassificationPipeline, name: str) -> gr.Blocks:
    """Return the app around a loaded pipeline.

    Args:
        detector: An `image-classification` pipeline with the labels real and fake.
        name: What to call the model on the page.
    """

    def classify(image: Image.Image | None) -> dict[str, float] | None:
        """Tell how likely an image is a photograph ("real") or AI-generated ("fake").

        Args:
            image: The image to judge.
        """
        if image is None:  # the page was cleared
            return None
        if min(image.size) < MIN_SIDE:
            raise gr.Error(
                f"This image has {image.width} x {image.height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed.",
                print_exception=False,
            )
        return {row["label"]: row["score"] for row in detector(image)}

    with gr.Blocks(title="fakelens") as app:
        gr.Markdown(
            "# fakelens\nIs this a photograph, or was it generated? The probabilities below are a detector's opinion, "
            f"not evidence by themselves.\n\nModel: `{name}`"
        )
        with gr.Row():
            image = gr.Image(type="pil", label="Image", sources=["upload", "clipboard", "webcam"])
            scores = gr.Label(num_top_classes=2, label="Verdict")
        image.change(classify, image, scores, api_name="classify", show_progress="minimal")
    return app


def main() -> None:
    """Load the model and serve the page."""
    # Our models carry their code in their repo; without this, loading would ask on standard input.
    detector = pipeline("image-classification", model=MODEL, trust_remote_code=True)
    build(detector, MODEL).queue(max_size=32).launch(mcp_server=False)


if __name__ == "__main__":
    main()
