"""Degradations as data: what happens to images between their making and their scoring, seeded, for both classes.

One module for training, where they are drawn from ranges, and for evaluation, where `PROTOCOLS` names fixed ones. None
sees a label: real and fake images go through the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from fakelens.data.transforms.codecs import Avif, Crop, Jpeg, Resize, WebP
from fakelens.data.transforms.corruptions import Blur, Fog, Noise, Snow, Speckle
from fakelens.data.transforms.social_media import OverlayText, Screenshot, SocialMedia
from fakelens.data.transforms.spectra import Spectrum
from fakelens.data.transforms.transforms import Transform, read_transforms, require_rgb

# A recipe's name -> what builds it; its parameters are the recipe's, beside `p`.
DEGRADATIONS: dict[str, Callable[..., Callable[[Image.Image, np.random.Generator], Image.Image]]] = {
    "jpeg": Jpeg,
    "webp": WebP,
    "avif": Avif,
    "resize": Resize,
    "crop": Crop,
    "blur": Blur,
    "noise": Noise,
    "speckle": Speckle,
    "spectrum": Spectrum,
    "fog": Fog,
    "snow": Snow,
    "screenshot": Screenshot,
    "social_media": SocialMedia,
    "overlay_text": OverlayText,
}

# The robustness steps of an evaluation, each family from mild to strong. The weather and the speckle are of the middle
# severity of ImageNet-C; 75 is the quality that WebP's own tools choose.
PROTOCOLS: dict[str, list[dict[str, Any]]] = {
    "jpeg_90": [{"name": "jpeg", "quality": 90}],
    "jpeg_70": [{"name": "jpeg", "quality": 70}],
    "jpeg_50": [{"name": "jpeg", "quality": 50}],
    "jpeg_30": [{"name": "jpeg", "quality": 30}],
    "webp": [{"name": "webp", "quality": 75}],
    "resize_0.5": [{"name": "resize", "scale": 0.5}],
    "resize_0.25": [{"name": "resize", "scale": 0.25}],
    "blur_0.5": [{"name": "blur", "sigma": 0.5}],
    "blur_1": [{"name": "blur", "sigma": 1.0}],
    "blur_2": [{"name": "blur", "sigma": 2.0}],
    "noise_0.02": [{"name": "noise", "sigma": 0.02}],
    "noise_0.05": [{"name": "noise", "sigma": 0.05}],
    "noise_0.1": [{"name": "noise", "sigma": 0.1}],
    "fog": [{"name": "fog", "severity": 3}],
    "snow": [{"name": "snow", "severity": 3}],
    "speckle": [{"name": "speckle", "sigma": 0.35}],
    "screenshot": [{"name": "screenshot"}],
    "social_media": [{"name": "social_media"}],
}


@dataclass(frozen=True)
class Degradations:
    """Steps done in order, each with its own probability. Picklable, for it goes to the loader's workers.

    Args:
        steps: What is done, each drawing from the generator that it is given; none leaves the image as it is.
    """

    steps: tuple[Transform, ...] = ()

    @classmethod
    def from_list(cls, settings: Sequence[Mapping[str, Any]]) -> "Degradations":
        """Read a recipe's list, such as `[{"name": "jpeg", "quality": [30, 90], "p": 0.5}]`.

        Args:
            settings: For each step its `name`; `p`, 1 if not given; and its parameters, where a number can be a range
                `[lowest, highest]` that each image draws from:

                - `jpeg`: `quality` (75), `subsampling` ("4:2:0")
                - `webp`: `quality` (75)
                - `avif`: `quality` (50)
                - `resize`: `scale` (0.5), `back` (true), `filter` ("bicubic"); without `back` the size changes
                - `crop`: `fraction` ([0.5, 1]) of each side, which changes the size
                - `blur`: `sigma` (1), in pixels
                - `noise`, `speckle`: `sigma` (0.05, 0.35), in [0, 1]
                - `spectrum`: `slope` ([1.6, 4.5]), with which power falls with frequency
                - `fog`, `snow`: `severity` (3), 1 to 5
                - `screenshot`: `scale` ([0.5, 1]), `bar` ([0.04, 0.1]), `quality` ([85, 95]); changes the size
                - `social_media`: `long_side` ([960, 1600]), `sharpen` ([0, 0.6]), `quality` ([65, 85]), `posts`
                  ([1, 2]); larger images become smaller
                - `overlay_text`: `text`, `height` ([0.05, 0.12]), `opacity` ([0.5, 1])

        Raises:
            UserError: If a name or a parameter is unknown, a value does not fit, or this machine's Pillow was built
                without a format.
        """
        return cls(read_transforms("degradations", settings, DEGRADATIONS, "{name: jpeg, quality: 50}"))

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:
        """Degrade an image; the same seed always does the same, in any thread, and touches no global generator.

        Args:
            image: Of mode RGB and any size.
            seed: Of every choice, at least 0.

        Returns:
            An RGB image, of the same size but for the steps that say otherwise.

        Raises:
            ValueError: If the image is not RGB.
        """
        require_rgb("Degradations", image)
        rng = np.random.default_rng(seed)
        for step in self.steps:
            if rng.random() < step.p:
                image = step.transform(image, rng)
        return image


def degrade(image: Image.Image, settings: Sequence[Mapping[str, Any]], seed: int) -> Image.Image:
    """Degrade one image; for many, read the list once with `Degradations.from_list`.

    Args:
        image: Of mode RGB and any size.
        settings: See `Degradations.from_list`.
        seed: Of every choice, at least 0.

    Returns:
        An RGB image, of the same size but for the steps that say otherwise.

    Raises:
        UserError: If the settings do not fit.
        ValueError: If the image is not RGB.
    """
    return Degradations.from_list(settings)(image, seed)
