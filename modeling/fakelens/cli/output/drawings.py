"""What `fakelens` draws of the images that it scores: heat maps and figures, where they go, and showing them."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import typer

from fakelens.data.decode import IMAGE_SUFFIXES, decode_image
from fakelens.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from fakelens.cli.detect import Drawing
    from fakelens.inference.detector import Detector
    from fakelens.inference.verdict import Row, Verdict


class Look:
    """A detector that looks at one image after the other: the last one's heat map serves all its drawings.

    Args:
        detector: Whose evidence to show.
    """

    def __init__(self, detector: "Detector"):
        self.detector = detector
        self._last: tuple[Path | bytes, Image.Image, np.ndarray] | None = None

    def __call__(self, image: Path | bytes) -> "tuple[Image.Image, np.ndarray]":
        """Return an image, and its heat map of shape `(height, width)` in [0, 1].

        Args:
            image: Its file or bytes.

        Raises:
            UserError: If the network has no spatial feature maps.
        """
        from fakelens.explain.maps.heatmap import heat_map

        if self._last is None or self._last[0] is not image:
            decoded = decode_image(image).image
            self._last = (image, decoded, heat_map(self.detector, decoded))
        return self._last[1:]


def heatmaps(look: Look, folder: Path) -> "Drawing":
    """Return what writes each image's heat map to a folder, as its row's `heatmap`.

    Args:
        look: Whose evidence to show.
        folder: Made if it is not there.

    Raises:
        UserError: If the network is in ONNX, or the folder cannot be made.
    """
    from fakelens.explain.maps.heatmap import save_overlay

    look.detector.require_pytorch()
    make_folder(folder)

    def draw(image: Path | bytes, name: str, verdict: "Verdict") -> "Row":
        try:
            path = save_overlay(*look(image), folder, _stem(name))
        except OSError as error:
            raise UserError(f"{folder} cannot be written to: {error.strerror or error}.") from None
        return {"heatmap": str(path)}

    return draw


def figures(look: Look, path_of: Callable[[str], Path], max_fpr: float | None) -> "Drawing":
    """Return what writes a figure of each verdict, as its row's `figure`.

    Args:
        look: The detector.
        path_of: What `paths_in` returned.
        max_fpr: As the detector is asked.
    """
    from fakelens.explain.figure import save_figure, verdict_figure
    from fakelens.inference.onnx_model import OnnxModel

    detector = look.detector

    def draw(image: Path | bytes, name: str, verdict: "Verdict") -> "Row":
        is_onnx = isinstance(detector.model, OnnxModel)
        decoded, heat = (decode_image(image).image, None) if is_onnx else look(image)
        path = path_of(name)
        save_figure(verdict_figure(detector, decoded, verdict, name, max_fpr, heat), path)
        return {"figure": str(path)}

    return draw


def paths_in(save: Path | None, count: int) -> Callable[[str], Path]:
    """Return what gives each image's figure its path.

    Args:
        save: A file for one image, a folder for several; None for a folder of the system's temporary files.
        count: How many images there are.

    Raises:
        UserError: If a file is named for several images or has no format of figures, or a folder cannot be made.
    """
    from fakelens.explain.figure import FORMATS
    from fakelens.explain.maps.heatmap import unused

    if save is not None and save.suffix.lower() in FORMATS | IMAGE_SUFFIXES and not save.is_dir():
        if save.suffix.lower() not in FORMATS:
            raise UserError(f"A figure cannot be written as {save.suffix}; say one of {', '.join(sorted(FORMATS))}.")
        if count > 1:
            raise UserError(f"{save} names one file, and there are {count} images. Name a folder.")
        make_folder(save.parent)
        return lambda name: save
    folder = Path(tempfile.mkdtemp(prefix="fakelens-")) if save is None else save
    make_folder(folder)
    return lambda name: unused(folder, _stem(name), ".figure.png")


def make_folder(folder: Path) -> None:
    """Make a folder, before the work begins.

    Args:
        folder: The folder; it may be there.

    Raises:
        UserError: If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be made: {error.strerror or error}.") from None


def show(paths: list[Path]) -> None:
    """Open a figure in the desktop's viewer, or the folder of several; where there is none, say where they are.

    Args:
        paths: The figures.
    """
    if not paths:
        return
    wanted = paths[0] if len(paths) == 1 else paths[0].parent
    where = f"the figure is at {wanted}" if len(paths) == 1 else f"{len(paths)} figures are in {wanted}"
    desktop = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not desktop:
        typer.echo(f"fakelens: there is no display here; {where}", err=True)
    elif typer.launch(str(wanted)) != 0:
        typer.echo(f"fakelens: no viewer could be opened; {where}", err=True)
    else:
        typer.echo(f"fakelens: {where}", err=True)


def _stem(name: str) -> str:
    """Return what an image's drawings are called by: the end of its name, which in an address may be very long."""
    return PurePosixPath(name).name[-60:] or "image"
