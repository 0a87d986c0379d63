"""The image processor of the detectors that are our own classes: resized whole, or cropped at native resolution.

Resizing is how most published systems read an image; it also blurs the traces that generators leave in neighbouring
pixels. Native crops keep them. Works on PIL and NumPy alone, without torchvision.
"""

from typing import Any

import numpy as np
from transformers.image_processing_backends import PilBackend
from transformers.image_processing_utils import BatchFeature
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, PILImageResampling, SizeDict
from transformers.processing_utils import ImagesKwargs, Unpack
from transformers.utils import TensorType


class DetectorImageProcessorKwargs(ImagesKwargs, total=False):
    r"""What the processor takes beside the usual image arguments.

    Args:
        do_native_crop (`bool`, *optional*, defaults to `False`): Cut crops of `crop_size` out of the image as it is,
            instead of resizing it. An image smaller than a crop is mirrored at its edges until it fills one.
        crops_per_side (`int`, *optional*, defaults to 1): With 1, one crop from the centre. With n, n x n crops spread
            evenly from edge to edge.
    """

    do_native_crop: bool
    crops_per_side: int


class DetectorImageProcessor(PilBackend):
    r"""Turn images of any size into `pixel_values`.

    Args:
        **kwargs ([`DetectorImageProcessorKwargs`]): `size` (resize target), `crop_size` (native crops), `do_resize`,
            `do_native_crop`, `crops_per_side`, `image_mean`, `image_std` and the usual rest.

    Raises:
        ValueError: If both or neither of `do_resize` and `do_native_crop` are set, or `crops_per_side` is below 1.

    Examples:
        >>> from PIL import Image
        >>> from fakelens import DetectorImageProcessor
        >>> image = Image.new("RGB", (640, 480))
        >>> DetectorImageProcessor(size={"height": 64, "width": 64})(image, return_tensors="pt").pixel_values.shape
        torch.Size([1, 3, 64, 64])
        >>> crops = DetectorImageProcessor(do_resize=False, do_native_crop=True, crops_per_side=2)
        >>> crops([image, image], return_tensors="pt").pixel_values.shape  # images, crops, channels, height, width
        torch.Size([2, 4, 3, 224, 224])
    """

    valid_kwargs = DetectorImageProcessorKwargs
    model_input_names = ["pixel_values"]

    resample = PILImageResampling.BILINEAR
    image_mean = IMAGENET_DEFAULT_MEAN
    image_std = IMAGENET_DEFAULT_STD
    size = {"height": 224, "width": 224}
    default_to_square = True
    crop_size = {"height": 224, "width": 224}
    do_resize = True
    do_native_crop = False
    crops_per_side = 1
    do_rescale = True
    do_normalize = True
    do_convert_rgb = True

    def __init__(self, **kwargs: Unpack[DetectorImageProcessorKwargs]):
        super().__init__(**kwargs)
        if self.do_resize == self.do_native_crop:
            raise ValueError("Set exactly one of do_resize and do_native_crop.")
        if self.crops_per_side < 1:
            raise ValueError(f"crops_per_side must be at least 1, not {self.crops_per_side}.")

    def _preprocess(
        self,
        images: list[np.ndarray],
        do_resize: bool,
        size: SizeDict,
        resample: PILImageResampling,
        do_native_crop: bool,
        crop_size: SizeDict,
        crops_per_side: int,
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: tuple[float, ...],
        image_std: tuple[float, ...],
        return_tensors: str | TensorType | None,
        **kwargs: Any,
    ) -> BatchFeature:
        batch = []
        for image in images:  # (3, height, width), uint8
            if do_native_crop:
                crops = native_crops(image, crop_size.height, crop_size.width, crops_per_side)
            else:
                crops = [self.resize(image, size, resample) if do_resize else image]
            if do_rescale:
                crops = [self.rescale(crop, rescale_factor) for crop in crops]
            if do_normalize:
                crops = [self.normalize(crop, image_mean, image_std) for crop in crops]
            batch.append(np.stack(crops) if do_native_crop and crops_per_side > 1 else crops[0])
        return BatchFeature(data={"pixel_values": batch}, tensor_type=return_tensors)


def native_crops(image: np.ndarray, height: int, width: int, per_side: int) -> list[np.ndarray]:
    """Cut `per_side` x `per_side` windows of `height` x `width` pixels out of a `(channels, rows, columns)` array."""
    rows, columns = image.shape[-2:]
    short = [max(0, height - rows), max(0, width - columns)]
    if any(short):
        # Half on each side, mirrored: no invented flat border for a detector to latch on to.
        image = np.pad(image, [(0, 0), *((s // 2, s - s // 2) for s in short)], mode="symmetric")
        rows, columns = image.shape[-2:]

    def starts(length: int, window: int) -> list[int]:
        if per_side == 1:
            return [(length - window) // 2]
        return [round(i * (length - window) / (per_side - 1)) for i in range(per_side)]

    return [
        image[:, top : top + height, left : left + width]
        for top in starts(rows, height)
        for left in starts(columns, width)
    ]


__all__ = ["DetectorImageProcessor"]
