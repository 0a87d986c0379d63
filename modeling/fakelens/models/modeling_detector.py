"""What all our own networks share: from the last layer's units to logits, and averaging over crops."""

from collections.abc import Callable
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import ImageClassifierOutputWithNoAttention


class DetectorConfig(PreTrainedConfig):
    r"""The part of a configuration that says what a detector's scores mean.

    Labels default to `{0: "real", 1: "fake"}`. A detector that names generators has "real" first and one label for
    each generator after it.

    Args:
        logit_temperature (`float`, *optional*, defaults to 1.0): Logits are divided by it; fitted on validation data.
        decision_threshold (`float`, *optional*, defaults to 0.5): P(fake) from which a verdict is "fake".
        **kwargs: Passed to `PreTrainedConfig`.

    Raises:
        ValueError: If the temperature or the threshold is out of range, or there are fewer than two labels.

    Examples:
        >>> from fakelens import DetectorConfig
        >>> DetectorConfig(logit_temperature=1.5).labels
        ['real', 'fake']
    """

    def __init__(self, logit_temperature: float = 1.0, decision_threshold: float = 0.5, **kwargs: Any):
        self.logit_temperature = logit_temperature
        self.decision_threshold = decision_threshold
        if logit_temperature <= 0 or not 0 <= decision_threshold <= 1:
            raise ValueError("logit_temperature must lie above 0 and decision_threshold in [0, 1].")
        if "num_labels" not in kwargs:
            kwargs.setdefault("id2label", {0: "real", 1: "fake"})
            kwargs.setdefault("label2id", {label: int(i) for i, label in kwargs["id2label"].items()})
        super().__init__(**kwargs)
        if len(self.labels) < 2:
            # One label makes transformers train a regression and pipelines hide the other label.
            raise ValueError(f"A detector needs at least two labels, real and fake; id2label has {len(self.labels)}.")

    @property
    def labels(self) -> list[str]:
        """The labels in the order of the logits."""
        return [str(label) for _, label in sorted((self.id2label or {}).items())]


# A protocol, not a base class: a network that was loaded from its repo's own code would inherit from another copy.
@runtime_checkable
class PatchScores(Protocol):
    """Has scores of its own for every patch."""

    def patch_logits(self, pixel_values: torch.Tensor) -> torch.Tensor:
        r"""Score every patch of a batch of images.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch_size, 3, height, width)`): Normalised images.

        Returns:
            `torch.Tensor` of shape `(batch_size, rows, columns)`: logit(fake) - logit(real) of each patch, divided by
            the configuration's temperature as the image's own logits are; rows and columns lie evenly over the image.
        """
        ...


def num_units(config: DetectorConfig) -> int:
    """How wide the last layer is: one unit tells two labels apart, more labels need a unit each."""
    return 1 if len(config.labels) == 2 else len(config.labels)


class DetectorPreTrainedModel(PreTrainedModel):
    r"""A network that scores pixels; subclasses define `score` and name their configuration class.

    With two labels the last layer's one unit z leaves as the pair [0, z]: softmax gives sigmoid(z) for "fake",
    cross-entropy on the pair is binary cross-entropy on z, and an `image-classification` pipeline shows both labels.

    Examples:
        >>> import torch
        >>> from fakelens import DetectorConfig, DetectorPreTrainedModel
        >>> class Brightness(DetectorPreTrainedModel):
        ...     config_class = DetectorConfig
        ...     def score(self, pixel_values):
        ...         return pixel_values.mean(dim=(1, 2, 3))[:, None]
        >>> Brightness(DetectorConfig())(torch.ones(1, 3, 8, 8)).logits
        tensor([[0., 1.]])
    """

    main_input_name = "pixel_values"
    # The loss is a mean over the batch at hand; without this word the Trainer takes `**kwargs` for a promise to scale
    # it, and gradients grow with the accumulation steps.
    accepts_loss_kwargs = False
    # The modules that a file with a backbone alone need not hold.
    head_names: ClassVar[tuple[str, ...]] = ("classifier",)
    # Maps images of shape `(batch_size, 3, height, width)` to units of shape `(batch_size, num_units)`.
    score: Callable[[torch.Tensor], torch.Tensor]

    def bias_effect(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Say what one more in the last layer's bias adds to each image's unit, of shape `(batch_size,)`: one.

        Args:
            pixel_values: Normalised images of shape `(batch_size, 3, height, width)`.
        """
        return pixel_values.new_ones(len(pixel_values))

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Draw weights for rectified layers (He et al. 2015, https://arxiv.org/abs/1502.01852)."""
        if isinstance(module, nn.Conv2d | nn.Linear):
            init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                init.zeros_(module.bias)
        else:
            super()._init_weights(module)

    def forward(
        self,
        pixel_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> ImageClassifierOutputWithNoAttention:
        r"""Score a batch of images.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch_size, 3, height, width)`): Normalised images; or
                `(batch_size, num_crops, 3, height, width)`, whose crops' logits are averaged.
            labels (`torch.Tensor` of shape `(batch_size,)`, *optional*): 0 for real, 1 for fake (or the generator).
            **kwargs: Accepted for the pipelines' sake, unused.

        Returns:
            [`ImageClassifierOutputWithNoAttention`]: `logits` of shape `(batch_size, num_labels)`, divided by the
            configuration's temperature, and `loss` if labels were given.
        """
        if pixel_values.ndim == 5:
            units = self.score(pixel_values.flatten(0, 1))  # (batch_size * num_crops, num_units)
            units = units.unflatten(0, pixel_values.shape[:2]).mean(dim=1)
        else:
            units = self.score(pixel_values)  # (batch_size, num_units)
        if units.shape[1] == 1:
            units = torch.cat([torch.zeros_like(units), units], dim=1)
        logits = units / self.config.logit_temperature

        loss = None if labels is None else self.loss_function(labels, logits, self.config)
        return ImageClassifierOutputWithNoAttention(loss=loss, logits=logits)


__all__ = ["DetectorConfig", "DetectorPreTrainedModel", "PatchScores", "num_units"]
