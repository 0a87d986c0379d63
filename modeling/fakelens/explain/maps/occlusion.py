"""Where in the image a detector sees evidence, without its gradients: what its score loses as each patch is hidden.

Occlusion (Zeiler and Fergus, 2014, https://arxiv.org/abs/1311.2901) asks the network once for every patch, so it is
slow, and works for any network, ONNX too. They hide a patch under a grey square. Here it is faded into the image's
own blur: a grey square brings edges and a colour of its own, which a detector may score instead of what is missing,
while the blur takes away the fine detail in which generators leave their traces, and nothing else. What a network sees
in broad colours and shapes therefore does not show.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from fakelens.errors import UserError
from fakelens.inference.detector import BATCH_SIZE, Detector, p_fake
from fakelens.models import DetectorImageProcessor


def occlusion_map(
    detector: Detector, image: Image.Image, grid: int = 12, progress: Callable[[float], object] | None = None
) -> np.ndarray:
    """Return the evidence for "fake" at every pixel of an image, on the scale of `heat_map`.

    A patch's evidence is what logit(fake) - logit(real) loses without its local contrast, times the number of patches:
    its contribution to the answer, as in Grad-CAM, exactly so for a network that averages over patches.

    Args:
        detector: Any detector.
        image: A decoded RGB image.
        grid: Patches along each side, from 2; the network scores grid x grid images and one more.
        progress: Called after each batch with the fraction done, up to 1.

    Returns:
        An array of shape `(image.height, image.width)` in [0, 1]; 0.5 is no evidence either way, also where a detector
        that scores a crop at native resolution does not look.

    Raises:
        UserError: If `grid` is below 2, or a score is not a number.
    """
    if grid < 2:
        raise UserError(f"A map by occlusion needs a grid of at least 2 x 2 patches, not {grid}.")
    left, top, right, bottom = box = scored_box(detector, image)
    width, height = right - left, bottom - top
    # As wide as a patch, so that no detail within it is left.
    soft = image.filter(ImageFilter.GaussianBlur((width / grid, height / grid))).crop(box)

    def hidden(cell: int) -> Image.Image:
        one = np.zeros((grid, grid), dtype=np.uint8)
        one.flat[cell] = 255
        # Fading over into the neighbours, as patches do in the map: no seams, and all masks add up to the whole.
        mask = Image.fromarray(one).resize((width, height), Image.Resampling.BILINEAR)
        masked = image.copy()
        masked.paste(soft, (left, top), mask)
        return masked

    (unmasked,) = _answers(detector, [image])
    answers: list[float] = []
    while len(answers) < grid * grid:
        cells = range(len(answers), min(len(answers) + BATCH_SIZE, grid * grid))
        answers += _answers(detector, [hidden(cell) for cell in cells])
        if progress is not None:
            progress(len(answers) / grid**2)
    contribution = (unmasked - np.array(answers, dtype=np.float32)).reshape(grid, grid) * grid**2
    with np.errstate(over="ignore"):  # of a fraction that is 0 or 1 to the last digit
        heat = 1 / (1 + np.exp(-contribution))
    full = np.full((image.height, image.width), 0.5, dtype=np.float32)
    full[top:bottom, left:right] = np.asarray(Image.fromarray(heat).resize((width, height), Image.Resampling.BILINEAR))
    return full


def scored_box(detector: Detector, image: Image.Image) -> tuple[int, int, int, int]:
    """Return the box (left, top, right, bottom) of the image that its score rests on.

    Args:
        detector: Any detector; one that scores a single crop at native resolution sees the image's centre, all
            others are taken to see the whole.
        image: A decoded image.
    """
    processor = detector.processor
    if not (isinstance(processor, DetectorImageProcessor) and processor.do_native_crop):
        return 0, 0, image.width, image.height
    if processor.crops_per_side > 1:
        return 0, 0, image.width, image.height
    width, height = min(image.width, processor.crop_size["width"]), min(image.height, processor.crop_size["height"])
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return left, top, left + width, top + height


def _answers(detector: Detector, images: list[Image.Image]) -> list[float]:
    """Return logit(fake) - logit(real) of each image."""
    probabilities = detector.probabilities(images)
    if not np.isfinite(probabilities).all():
        raise UserError(f"{detector.name}: the model's score is not a number. Its weights are damaged; train it anew.")
    smallest = np.finfo(np.float64).tiny
    fake, real = p_fake(probabilities).clip(smallest), probabilities[:, 0].clip(smallest)
    return (np.log(fake) - np.log(real)).tolist()
