"""Augmentations of training images as recipe data: a list of names and numbers becomes a seeded function of an image.

The function never sees a label: real and fake images go through the same. The geometric and colour transforms are
torchvision's v2; texture and sensor noise are ours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torchvision.transforms import v2

from fakelens.data.transforms.transforms import Transform, read_transforms, require_rgb

Function = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Texture:
    """Change what surfaces look like: here smooth as wax, there shiny as wet paint. Reference system S0's wish.

    Smooth is a guided filter (He, Sun & Tang, "Guided Image Filtering", TPAMI 2013), which flattens fine texture and
    leaves edges. Shiny doubles what that filter takes away and lifts what is brighter than its surroundings towards
    white. A random, slowly varying mask blends the two over the image.

    Args:
        strength: The most that is done, in [0, 1]; each image draws between nothing and this.
    """

    strength: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength is {self.strength}; it lies in [0, 1].")

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the image with its surfaces changed, drawing from torch's global generator."""
        pixels = _to_tensor(image)  # (3, height, width), in [0, 1]
        size = pixels.shape[-2:]
        strength = self.strength * float(torch.rand(()))
        radius = int(torch.randint(2, 6, ()))  # in pixels
        base = _guided_filter(pixels, radius, (0.12 * strength) ** 2 + 1e-6)
        luma = pixels.mean(dim=0, keepdim=True)
        surroundings = _resize(F.adaptive_avg_pool2d(luma, 8), size)
        glint = (luma - surroundings).clamp(min=0) * luma * 2 * strength  # white light, where it is bright already
        shiny = pixels + strength * (pixels - base) + glint * (1 - pixels).clamp(min=0) * 2
        mask = _resize(torch.rand(1, 3, 3), size)
        mask = ((mask - 0.5) * 4 + 0.5).clamp(0, 1)  # mostly one or the other
        return _to_image(mask * base + (1 - mask) * shiny)


@dataclass(frozen=True)
class IsoNoise:
    """Add the noise of a sensor at high ISO, without which night photographs are taken for fakes. S0's wish.

    In linear light x = pixel ** 2.2, of variance `shot * x + read ** 2` (Foi et al., "Practical Poissonian-Gaussian
    Noise Modeling", TIP 2008), with gain = iso / 100:

        shot = 1e-4 * gain  (photons: a full well of 10,000 electrons at ISO 100),  read = 2e-4 * gain
        y = x + sqrt(shot * x + read ** 2) * (grain + 0.5 * blotches)

    `grain` is standard normal noise, independent in each pixel and channel. `blotches` is the same at half the
    resolution, without its grey part: the colour noise that demosaicing leaves.

    Args:
        iso: Lowest and highest ISO, above 0; each image draws between them, evenly on a logarithmic scale.
    """

    iso: Sequence[float] = (100.0, 6400.0)

    def __post_init__(self) -> None:
        if not isinstance(self.iso, list | tuple) or len(self.iso) != 2 or not 0 < self.iso[0] <= self.iso[1]:
            raise ValueError(f"iso is {self.iso}; it is the lowest and the highest ISO, such as [100, 6400].")

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the noisy image, drawing from torch's global generator."""
        light = _to_tensor(image) ** 2.2
        low, high = self.iso
        gain = low * (high / low) ** float(torch.rand(())) / 100
        deviation = (1e-4 * gain * light + (2e-4 * gain) ** 2).sqrt()
        channels, height, width = light.shape
        blotches = torch.randn(channels, (height + 1) // 2, (width + 1) // 2)
        blotches = _resize(blotches - blotches.mean(dim=0), (height, width))
        noisy = light + deviation * (torch.randn(light.shape) + 0.5 * blotches)
        return _to_image(noisy.clamp(0, 1) ** (1 / 2.2))


def _horizontal_flip() -> Function:
    return v2.RandomHorizontalFlip(p=1)


def _vertical_flip() -> Function:
    return v2.RandomVerticalFlip(p=1)


def _rotation(degrees: float = 15.0) -> Function:
    return v2.RandomRotation(degrees, interpolation=v2.InterpolationMode.BILINEAR)


def _colour_jitter(
    brightness: float = 0.2, contrast: float = 0.2, saturation: float = 0.2, hue: float = 0.0
) -> Function:
    return v2.ColorJitter(brightness, contrast, saturation, hue)


def _perspective(distortion: float = 0.2) -> Function:
    return v2.RandomPerspective(distortion, p=1)


# A recipe's name -> what builds it; its parameters are the recipe's, beside `p`.
TRANSFORMS: dict[str, Callable[..., Function]] = {
    "horizontal_flip": _horizontal_flip,
    "vertical_flip": _vertical_flip,
    "rotation": _rotation,
    "colour_jitter": _colour_jitter,
    "perspective": _perspective,
    "texture": Texture,
    "iso_noise": IsoNoise,
}
# How likely each is where a recipe does not say; the rest are always done.
OFTEN = {"horizontal_flip": 0.5, "vertical_flip": 0.5}


@dataclass(frozen=True)
class Augmentation:
    """Steps done in order, each with its own probability. Picklable, for it goes to the loader's workers.

    Args:
        steps: What is done, each keeping size and mode and drawing from torch's global generator; none leaves the
            image as it is.
    """

    steps: tuple[Transform, ...] = ()

    @classmethod
    def from_list(cls, settings: Sequence[Mapping[str, Any]]) -> "Augmentation":
        """Read a recipe's list, such as `[{"name": "rotation", "degrees": 15, "p": 0.5}]`.

        Args:
            settings: For each step its `name`; `p`, 0.5 for flips and 1 for the rest if not given; and its parameters:

                - `horizontal_flip`, `vertical_flip`: none
                - `rotation`: `degrees` (15), the most to either side
                - `colour_jitter`: `brightness`, `contrast`, `saturation` (0.2 each), `hue` (0, at most 0.5)
                - `perspective`: `distortion` (0.2), in [0, 1]
                - `texture`: `strength` (0.5), see `Texture`
                - `iso_noise`: `iso` ([100, 6400]), see `IsoNoise`

        Raises:
            UserError: If a name or a parameter is unknown, or a value does not fit.
        """
        return cls(read_transforms("augmentation", settings, TRANSFORMS, "{name: rotation, degrees: 15}", OFTEN))

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:
        """Augment an image; the same seed always does the same.

        torchvision draws from torch's global generator, which is lent out meanwhile and given back as it was: safe in
        the loader's processes, not in threads.

        Args:
            image: Of mode RGB and any size.
            seed: Of every choice.

        Returns:
            An image of the same size and mode.

        Raises:
            ValueError: If the image is not RGB.
        """
        require_rgb("Augmentation", image)
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed: that would seed the accelerators too.
            torch.random.default_generator.manual_seed(seed)
            for step in self.steps:
                if float(torch.rand(())) < step.p:
                    image = step.transform(image)
        return image


def _guided_filter(pixels: torch.Tensor, radius: int, variance: float) -> torch.Tensor:
    """Flatten what varies less than `variance` within `radius` pixels; each channel guides itself."""
    mean = _box_mean(pixels, radius)
    spread = (_box_mean(pixels * pixels, radius) - mean * mean).clamp(min=0)
    slope = spread / (spread + variance)
    return _box_mean(slope, radius) * pixels + _box_mean((1 - slope) * mean, radius)


def _box_mean(pixels: torch.Tensor, radius: int) -> torch.Tensor:
    """Average over a square window, cut off at the image's border, `pixels` of shape `(channels, height, width)`."""
    for kernel, padding in (((2 * radius + 1, 1), (radius, 0)), ((1, 2 * radius + 1), (0, radius))):
        pixels = F.avg_pool2d(pixels, kernel, stride=1, padding=padding, count_include_pad=False)
    return pixels


def _resize(pixels: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Interpolate `pixels` of shape `(channels, height, width)` to a new height and width."""
    return F.interpolate(pixels[None], size=tuple(size), mode="bilinear", align_corners=False)[0]


def _to_tensor(image: Image.Image) -> torch.Tensor:
    return v2.functional.pil_to_tensor(image) / 255


def _to_image(pixels: torch.Tensor) -> Image.Image:
    return v2.functional.to_pil_image((pixels.clamp(0, 1) * 255).round().to(torch.uint8))
