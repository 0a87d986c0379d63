"""Where in the image a detector sees evidence: its own scores of patches, or Grad-CAM, on an absolute scale.

Grad-CAM (Selvaraju et al., 2017, https://arxiv.org/abs/1610.02391) weighs a network's last feature maps by the
gradient of its answer. Here the answer is logit(fake) - logit(real), and the map is not stretched to its own extremes:
each location's contribution to the answer goes through a sigmoid, so that 0.5 is no evidence, 1 is fake and 0 is real,
and two images can be compared. A network that scores patches itself is asked for these scores instead.
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import nn

from fakelens.errors import UserError
from fakelens.inference.detector import Detector
from fakelens.models import DetectorImageProcessor, EnsembleForImageClassification
from fakelens.models.modeling_detector import PatchScores

WINDOW = 1024  # pixels a side, from the centre, where a network looks at native resolution
COLOURS = "coolwarm"  # blue for real, red for fake; told apart by the colour-blind


def heat_map(detector: Detector, image: Image.Image) -> np.ndarray:
    """Return the evidence for "fake" at every pixel of an image.

    Args:
        detector: Any detector of the zoo; an ensemble's map is its members' weighted mean. A network with
            `patch_logits` (`PatchScores`) is asked for them, any other is explained by Grad-CAM.
        image: A decoded RGB image.

    Returns:
        An array of shape `(image.height, image.width)` in [0, 1]; 0.5 is no evidence either way.

    Raises:
        UserError: If the network has no spatial feature maps.
    """
    detector.require_pytorch()
    model = detector.model
    if isinstance(model, EnsembleForImageClassification):
        members = zip(model.members, detector.processor.processors, model.config.member_weights, strict=True)
        maps = [w * heat_map(Detector(m, p, detector.name, str(detector.device)), image) for m, p, w in members]
        return np.sum(maps, axis=0)
    left, top, right, bottom = box = _seen(detector, image)
    pixels = _pixels(detector, image.crop(box))
    if isinstance(model, PatchScores):
        heat = patch_heat_map(model, pixels)
    else:
        heat = grad_cam(model, pixels, detector.readout)
    full = np.full((image.height, image.width), 0.5, dtype=np.float32)
    grid = Image.fromarray(heat).resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    full[top:bottom, left:right] = np.asarray(grid)
    return full


def patch_heat_map(model: PatchScores, pixel_values: torch.Tensor) -> np.ndarray:
    """Return the map of one image by the network's own scores of its patches.

    Args:
        model: A network in eval mode.
        pixel_values: Of shape `(1, 3, height, width)`, processed.

    Returns:
        An array of shape `(rows, columns)` in [0, 1].
    """
    with torch.inference_mode():
        return model.patch_logits(pixel_values)[0].sigmoid().cpu().float().numpy()


def grad_cam(
    model: nn.Module, pixel_values: torch.Tensor, readout: Callable[[torch.Tensor], torch.Tensor] | None = None
) -> np.ndarray:
    """Return the map of one image on the grid of the network's last feature maps.

    A patch has what the answer would be, to first order, if all others were like it; the mean of these is the answer.

    Args:
        model: A classifier in eval mode.
        pixel_values: Of shape `(1, 3, height, width)`, processed.
        readout: What puts the class of photographs first, as a detector's does; all others speak for "fake". None
            where it is first.

    Returns:
        An array of shape `(rows, columns)` in [0, 1].

    Raises:
        UserError: If no module of the network gives feature maps with more than one location.
    """
    maps: list[torch.Tensor] = []

    def keep(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
            maps[:] = [output]

    hooks = [module.register_forward_hook(keep) for module in model.modules()]
    try:
        with torch.enable_grad():
            # Asked of the input, so that networks with frozen parameters have a graph too.
            logits = model(pixel_values=pixel_values.requires_grad_(True)).logits[0].float()
    finally:
        for hook in hooks:
            hook.remove()
    if not maps:
        raise UserError("This network has no feature maps with patches in them, so there is no heat map of it.")
    logits = logits if readout is None else readout(logits[None])[0]
    answer = logits[1:].logsumexp(0) - logits[0]
    (gradient,) = torch.autograd.grad(answer, maps[0])
    contributions = (gradient.sum(dim=(2, 3), keepdim=True) * maps[0]).sum(dim=1)[0]  # (rows, columns)
    # Their mean is the answer but for biases, and for what follows the pooling: after ConvNeXt's layer normalisation
    # it is 0 whatever the answer, and the map of a fake would be half "real".
    contributions = contributions - contributions.mean() + answer
    return contributions.sigmoid().detach().cpu().float().numpy()


def overlay(image: Image.Image, heat: np.ndarray, strength: float = 0.5) -> Image.Image:
    """Lay a heat map over its image.

    Args:
        image: The RGB image.
        heat: What `heat_map` returned for it.
        strength: Opacity of the colours, in [0, 1].
    """
    colours = matplotlib.colormaps[COLOURS](heat)[..., :3]
    return Image.blend(image, Image.fromarray((colours * 255).round().astype(np.uint8)), strength)


def unused(folder: Path, name: str, ending: str) -> Path:
    """Return a path for a drawing of an image, numbered where its name is taken.

    Args:
        folder: Where it is to lie.
        name: The image's.
        ending: What follows the name, with the suffix.
    """
    path, number = folder / f"{name}{ending}", 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}{ending}"
    return path


def save_overlay(image: Image.Image, heat: np.ndarray, folder: Path, name: str) -> Path:
    """Write an image's overlay to a folder as `NAME.heatmap.png`, numbered where that name is taken.

    Args:
        image: The RGB image.
        heat: What `heat_map` returned for it.
        folder: Made if it is not there.
        name: The image's own name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = unused(folder, name, ".heatmap.png")
    overlay(image, heat).save(path)
    return path


def _seen(detector: Detector, image: Image.Image) -> tuple[int, int, int, int]:
    """Return the box of the image that the map can cover: all of it, or at native resolution a central window."""
    if not _is_native(detector):
        return 0, 0, image.width, image.height
    width, height = min(image.width, WINDOW), min(image.height, WINDOW)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return left, top, left + width, top + height


def _pixels(detector: Detector, image: Image.Image) -> torch.Tensor:
    # A network that looks at crops looks at one crop of everything, so that every patch has its evidence.
    full = {"crop_size": {"height": image.height, "width": image.width}, "crops_per_side": 1}
    options = full if _is_native(detector) else {}
    return detector.processor(images=image, return_tensors="pt", **options)["pixel_values"].to(detector.device)


def _is_native(detector: Detector) -> bool:
    return isinstance(detector.processor, DetectorImageProcessor) and detector.processor.do_native_crop
