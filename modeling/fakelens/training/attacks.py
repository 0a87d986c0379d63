"""Adversarial attacks in pixel space, and how a training phase mixes them into its batches.

FGSM: Goodfellow et al., "Explaining and Harnessing Adversarial Examples", ICLR 2015, https://arxiv.org/abs/1412.6572.
PGD: Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018,
https://arxiv.org/abs/1706.06083. The mixes are those of reference systems S2 (samples) and S4 (batches).

An attack moves the pixels of the image, in [0, 1]; the processor's normalisation happens inside it, so that eps
means the same for every model: 8/255 is eight intensity levels.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from transformers.image_processing_utils import BaseImageProcessor

from fakelens.errors import UserError

# A sign is the same for any scale, but in fp16 the gradient at the pixels is often too small for a number: it becomes
# zero and leaves a fifth of a 224 x 224 image untouched. Same scale as a GradScaler's first one at a batch of 128.
_LOSS_SCALE = 512.0
# How far beyond [0, 1] the rounding of half-precision pixel values may lead; anything more is the wrong normalisation.
_PIXEL_TOLERANCE = 0.01


@dataclass(frozen=True)
class Normalisation:
    """The step from pixels in [0, 1] to a model's `pixel_values`, per channel, both ways.

    Args:
        mean: Subtracted from the pixels, one number a channel.
        std: Divides what remains, one number a channel, above 0.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, processor: BaseImageProcessor) -> "Normalisation":
        """Read the normalisation of an image processor.

        Args:
            processor: One of ours, any of transformers with the usual `do_rescale`, `do_normalize`, `image_mean` and
                `image_std`, or the timm wrapper's.

        Raises:
            UserError: If the processor has no such settings.
        """
        settings = processor.to_dict()
        if "data_config" in settings:  # the timm wrapper's, which always takes pixels in [0, 1]
            return cls(tuple(settings["data_config"]["mean"]), tuple(settings["data_config"]["std"]))
        try:
            # What a pixel of 1.0 becomes before the mean is subtracted: 1, or 255 where nothing is rescaled.
            white = 255 * settings["rescale_factor"] if settings["do_rescale"] else 255.0
            mean, std = settings["image_mean"], settings["image_std"]
            if not settings["do_normalize"]:
                mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        except KeyError as error:
            kind = type(processor).__name__
            raise UserError(
                f"Image processor {kind} has no {error}: give an attack Normalisation(mean, std)."
            ) from None
        return cls(tuple(m / white for m in mean), tuple(s / white for s in std))

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalise `pixels` of shape `(..., channels, height, width)`, values in [0, 1]."""
        return (pixels - self._per_channel(self.mean, pixels)) / self._per_channel(self.std, pixels)

    def invert(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Take normalised `pixel_values` of shape `(..., channels, height, width)` back to pixels in [0, 1]."""
        return pixel_values * self._per_channel(self.std, pixel_values) + self._per_channel(self.mean, pixel_values)

    @staticmethod
    def _per_channel(numbers: tuple[float, ...], like: torch.Tensor) -> torch.Tensor:
        return torch.tensor(numbers, dtype=like.dtype, device=like.device).view(-1, 1, 1)


def fgsm(
    model: nn.Module,
    pixels: torch.Tensor,
    labels: torch.Tensor,
    eps: float | torch.Tensor,
    normalisation: Normalisation,
) -> torch.Tensor:
    """Attack with one step of `eps` along the sign of the loss's gradient (Goodfellow et al. 2015).

    The model is scored in eval mode and left as it was: modes, batch statistics and gradients.

    Args:
        model: Called as `model(pixel_values=...)`, returns `.logits` of shape `(batch_size, classes)`.
        pixels: Shape `(batch_size, 3, height, width)` or `(batch_size, num_crops, 3, height, width)`, in [0, 1].
        labels: True class of each image, shape `(batch_size,)`.
        eps: Largest change of a pixel, in [0, 1]; one for all, or one an image, shape `(batch_size,)`.
        normalisation: From pixels to `pixel_values`.

    Returns:
        The attacked pixels, in [0, 1], detached, of the shape and dtype of `pixels`.

    Raises:
        UserError: If `eps` lies outside [0, 1].
        ValueError: If `pixels` do.
    """
    start, radius = _checked(pixels, eps)
    return _ascend(model, start, start, labels, radius, radius, 1, normalisation, pixels.dtype)


def pgd(
    model: nn.Module,
    pixels: torch.Tensor,
    labels: torch.Tensor,
    eps: float | torch.Tensor,
    normalisation: Normalisation,
    *,
    step_size: float | None = None,
    steps: int = 10,
    random_start: bool = True,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Attack with small signed steps, each brought back within `eps` of the image (Madry et al. 2018).

    The model is scored in eval mode and left as it was: modes, batch statistics and gradients.

    Args:
        model: Called as `model(pixel_values=...)`, returns `.logits` of shape `(batch_size, classes)`.
        pixels: Shape `(batch_size, 3, height, width)` or `(batch_size, num_crops, 3, height, width)`, in [0, 1].
        labels: True class of each image, shape `(batch_size,)`.
        eps: Largest change of a pixel, in [0, 1]; one for all, or one an image, shape `(batch_size,)`.
        normalisation: From pixels to `pixel_values`.
        step_size: Change of a pixel in one step; a quarter of `eps` if not given.
        steps: Number of steps, at least 1.
        random_start: Begin at a random point within `eps` of the image, instead of at the image.
        generator: Source of the random start; torch's global one if not given.

    Returns:
        The attacked pixels, in [0, 1], detached, of the shape and dtype of `pixels`.

    Raises:
        UserError: If `eps` lies outside [0, 1] or `steps` is below 1.
        ValueError: If `pixels` lie outside [0, 1].
    """
    if steps < 1:
        raise UserError(f"steps of an attack must be at least 1, not {steps}.")
    clean, radius = _checked(pixels, eps)
    step = radius / 4 if step_size is None else torch.full_like(radius, step_size)
    start = clean
    if random_start:
        device = pixels.device if generator is None else generator.device
        noise = torch.rand(clean.shape, generator=generator, device=device).to(clean)
        start = (clean + radius * (2 * noise - 1)).clamp(0, 1)
    return _ascend(model, clean, start, labels, radius, step, steps, normalisation, pixels.dtype)


@dataclass(frozen=True)
class AdversarialMix:
    """How much of a phase's training data is attacked, and how; `adversarial:` in a recipe's phase.

    S4 attacks a fraction of the batches, each whole; S2 a fraction of the samples, drawn anew in every epoch.

    Args:
        fraction: Share that is attacked, in [0, 1].
        eps: Strengths, each in [0, 1]; every attacked batch, or sample, draws one.
        unit: What is drawn: "batch" or "sample".
        method: "fgsm" or "pgd", the latter from a random start.
        steps: Steps of PGD, at least 1.

    Raises:
        UserError: If a value is of the wrong kind or out of range.
    """

    fraction: float
    eps: list[float]
    unit: Literal["batch", "sample"] = "batch"
    method: Literal["fgsm", "pgd"] = "fgsm"
    steps: int = 10

    def __post_init__(self) -> None:
        if not _in_unit_interval(self.fraction):
            raise UserError(f"adversarial: fraction is {self.fraction!r}; it is a number in [0, 1].")
        if not isinstance(self.eps, list) or not self.eps or not all(map(_in_unit_interval, self.eps)):
            raise UserError(f"adversarial: eps is {self.eps!r}; it is a list of numbers in [0, 1], such as [0.05].")
        if self.unit not in ("batch", "sample"):
            raise UserError(f"adversarial: unit is {self.unit!r}; it is batch or sample.")
        if self.method not in ("fgsm", "pgd"):
            raise UserError(f"adversarial: method is {self.method!r}; it is fgsm or pgd.")
        if type(self.steps) is not int or self.steps < 1:
            raise UserError(f"adversarial: steps is {self.steps!r}; it is a whole number from 1.")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> "AdversarialMix":
        """Read a recipe's mapping; one number for `eps` stands for a list of one.

        Args:
            settings: Names and values of the fields above.

        Raises:
            UserError: If a name is unknown or missing, or a value does not fit.
        """
        if not isinstance(settings, Mapping):
            raise UserError(f"adversarial is {settings!r}; it is a mapping, such as {{fraction: 0.3, eps: [0.05]}}.")
        known = [field.name for field in fields(cls)]
        for name in settings:
            if name not in known:
                near = get_close_matches(str(name), known, n=1)
                hint = f"Did you mean {near[0]}?" if near else f"It knows {', '.join(known)}."
                raise UserError(f"adversarial: unknown key {name!r}. {hint}")
        for field in fields(cls):
            if field.default is MISSING and field.name not in settings:
                raise UserError(
                    f"adversarial: {field.name} is missing; say for example {{fraction: 0.3, eps: [0.05]}}."
                )
        eps = settings["eps"]
        return cls(**{**settings, "eps": eps if isinstance(eps, list) else [eps]})

    def apply(
        self,
        model: nn.Module,
        pixel_values: torch.Tensor,
        labels: torch.Tensor,
        normalisation: Normalisation,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Attack what the generator draws of a batch, as the Trainer sees it.

        Args:
            model: Called as `model(pixel_values=...)`, returns `.logits`; left as it was.
            pixel_values: Normalised, of shape `(batch_size, [num_crops,] 3, height, width)`.
            labels: True class of each image, shape `(batch_size,)`.
            normalisation: What `pixel_values` went through.
            generator: The one source of chance: which, how strongly, and the random starts.

        Returns:
            A batch of the same shape and dtype; `pixel_values` itself if nothing was drawn.
        """
        draws = len(pixel_values) if self.unit == "sample" else 1
        drawn = torch.rand(draws, generator=generator, device=generator.device) < self.fraction
        strength = torch.randint(len(self.eps), (draws,), generator=generator, device=generator.device)
        if not drawn.any():
            return pixel_values
        chosen = drawn.expand(len(pixel_values)).nonzero()[:, 0]  # rows of the batch
        eps = torch.tensor(self.eps, device=generator.device)[strength].expand(len(pixel_values))[chosen]
        rows = chosen.to(pixel_values.device)
        dtype = pixel_values.dtype  # what the model takes
        clean = normalisation.invert(_at_least_float32(pixel_values[rows])).to(dtype)
        if self.method == "fgsm":
            attacked = fgsm(model, clean, labels[rows], eps, normalisation)
        else:
            attacked = pgd(model, clean, labels[rows], eps, normalisation, steps=self.steps, generator=generator)
        result = pixel_values.clone()
        result[rows] = normalisation.apply(_at_least_float32(attacked)).to(dtype)
        return result


def _ascend(
    model: nn.Module,
    clean: torch.Tensor,
    start: torch.Tensor,
    labels: torch.Tensor,
    radius: torch.Tensor,
    step: torch.Tensor,
    steps: int,
    normalisation: Normalisation,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Climb the loss in signed steps, within `radius` of `clean` and within [0, 1]; the model sees `dtype`."""
    # DistributedDataParallel's own forward sends buffers around, but other ranks may attack nothing in this step.
    network = model.module if isinstance(model, DistributedDataParallel) else model
    attacked = start
    # Gradients are of the weights as they are stored, not of a lower precision that a caller trains in.
    with _in_eval_mode(network), torch.enable_grad(), torch.autocast(clean.device.type, enabled=False):
        for _ in range(steps):
            pixels = attacked.detach().requires_grad_()
            logits = _at_least_float32(network(pixel_values=normalisation.apply(pixels).to(dtype)).logits)
            loss = F.cross_entropy(logits, labels, reduction="sum") * _LOSS_SCALE
            # With respect to the pixels alone: parameters' .grad is neither computed nor touched.
            (gradient,) = torch.autograd.grad(loss, pixels)
            attacked = pixels.detach() + step * gradient.sign()
            attacked = attacked.clamp(clean - radius, clean + radius).clamp(0, 1)
    return attacked.to(dtype)


@contextmanager
def _in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Hold every module in eval mode, then put each back as it was: frozen parts may differ from the rest."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _checked(pixels: torch.Tensor, eps: float | torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pixels detached and in [0, 1], in 32 bits or more, and eps in a shape to add to them."""
    clean = _at_least_float32(pixels.detach())
    radius = torch.as_tensor(eps, dtype=clean.dtype, device=clean.device)
    if not ((radius >= 0) & (radius <= 1)).all():
        raise UserError(f"eps of an attack must lie in [0, 1], in units of a pixel from black to white, not {eps}.")
    if clean.numel() and not (clean.min() >= -_PIXEL_TOLERANCE and clean.max() <= 1 + _PIXEL_TOLERANCE):
        raise ValueError(
            f"Pixels to attack must lie in [0, 1], not [{clean.min():.3g}, {clean.max():.3g}]: is their normalisation "
            "undone, and with the mean and std that it was done with?"
        )
    return clean.clamp(0, 1), radius.reshape(-1, *[1] * (clean.ndim - 1))


def _at_least_float32(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _in_unit_interval(number: object) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= 1
