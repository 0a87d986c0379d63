"""A figure of a verdict: the image, its heat map, the score on a scale, and the sentence."""

import textwrap
import warnings
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from fakelens.errors import UserError
from fakelens.explain.maps.heatmap import COLOURS, heat_map, overlay
from fakelens.inference.detector import Detector
from fakelens.inference.onnx_model import OnnxModel
from fakelens.inference.verdict import Verdict

SHOWN = 768  # pixels of the image's longer side; the evidence is of the whole image
FORMATS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".pdf", ".svg"})
# Okabe and Ito's (2008), which the colour-blind tell apart; the word and the scale say the same without them.
VERDICTS = {"real": ("#0072B2", "REAL"), "fake": ("#D55E00", "FAKE"), "uncertain": ("#6E6E6E", "UNCERTAIN")}
LINE = 128  # characters
LINE_HEIGHT = 0.19  # inches
SIZE = (9.6, 4.3)  # inches, without the text


def verdict_figure(
    detector: Detector,
    image: Image.Image,
    verdict: Verdict,
    name: str,
    max_fpr: float | None = None,
    heat: np.ndarray | None = None,
) -> Figure:
    """Draw an image with its heat map, its verdict, the score on a scale with the uncertain band, and the warnings.

    Args:
        detector: The detector. One in ONNX has no heat map, and the figure says so.
        image: The RGB image that was scored.
        verdict: What the detector said of it.
        name: What to call the image.
        max_fpr: As the detector was asked.
        heat: What `heat_map` returned of the image, where that is there already.

    Returns:
        The figure, to be saved with its `savefig`.

    Raises:
        UserError: If the image was not scored, or its network has no spatial feature maps.
    """
    if verdict.verdict is None or verdict.score is None:
        raise UserError(f"{name} was not scored ({verdict.error}), so there is nothing to draw.")
    if heat is None and not isinstance(detector.model, OnnxModel):
        heat = heat_map(detector, image)
    small = image.copy()
    small.thumbnail((SHOWN, SHOWN))
    text = [verdict.sentence, *filter(None, [verdict.disagreement]), *verdict.warnings, *verdict.notes]
    lines = [line for part in text for line in textwrap.wrap(part, LINE)]
    figure = Figure(figsize=(SIZE[0], SIZE[1] + LINE_HEIGHT * (len(lines) + 1)), layout="constrained", dpi=120)
    areas = figure.subplot_mosaic(
        [["image", "heat_map"], ["score", "score"], ["text", "text"]],
        height_ratios=[SIZE[1] - 0.9, 0.45, LINE_HEIGHT * (len(lines) + 1)],
    )
    colour, word = VERDICTS[verdict.verdict]
    figure.suptitle(f"Verdict: {word}", color=colour, fontsize=15, fontweight="bold")
    _image(areas["image"], small, textwrap.shorten(Path(name).name, 60, placeholder="...") or "image")
    _heat(figure, areas["heat_map"], small, heat)
    thresholds = detector.thresholds(max_fpr)
    _scale(areas["score"], verdict.score, colour, thresholds.real_below, thresholds.fake_from)
    areas["text"].axis("off")
    # Names and sentences may hold a $, which is not the beginning of a formula.
    said = "\n".join([*lines, f"Scored by {detector.name}"])
    areas["text"].text(0, 1, said, va="top", fontsize=9, transform=areas["text"].transAxes, parse_math=False)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure, in the format of the file's name.

    Args:
        figure: What `verdict_figure` returned.
        path: The file; one that is there is replaced.

    Raises:
        UserError: If it cannot be written.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in a script that the font lacks
            figure.savefig(path)
    except OSError as error:
        raise UserError(f"{path} could not be written: {error.strerror or error}.") from None


def _image(axes: Axes, image: Image.Image, title: str) -> None:
    axes.imshow(image)
    axes.set_title(title, fontsize=9, parse_math=False)
    axes.axis("off")


def _heat(figure: Figure, axes: Axes, small: Image.Image, heat: np.ndarray | None) -> None:
    """Draw the evidence over the image, with the scale of its colours."""
    if heat is None:
        axes.axis("off")
        axes.text(0.5, 0.5, "No heat map: the network\nis in ONNX, without gradients.", ha="center", va="center")
        return
    shrunk = np.asarray(Image.fromarray(heat).resize(small.size, Image.Resampling.BILINEAR))
    _image(axes, overlay(small, shrunk), "Heat map, on an absolute scale")
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), COLOURS), ax=axes, ticks=[0, 0.5, 1], shrink=0.8)
    bar.ax.set_yticklabels(["real", "none", "fake"], fontsize=8)


def _scale(axes: Axes, score: float, colour: str, low: float, high: float) -> None:
    """Draw the score on a line from 0 to 1, with the uncertain band hatched and where "fake" begins."""
    axes.set(xlim=(0, 1), ylim=(0, 1), yticks=[])
    axes.add_patch(Rectangle((0, 0), score, 1, color=colour, alpha=0.85))
    if high > low:
        axes.add_patch(Rectangle((low, 0), high - low, 1, fill=False, hatch="///", edgecolor="#444444", linewidth=0))
    axes.axvline(high, color="black", linewidth=1.5)
    axes.plot([score], [1], marker="v", markersize=9, color=colour, clip_on=False)
    band = f"; hatched: uncertain, from {low:.2f} on" if high > low else ""
    axes.set_xlabel(f"P(fake). The line at {high:.2f}: from here on predicted fake{band}", fontsize=8)
    axes.tick_params(labelsize=8)
