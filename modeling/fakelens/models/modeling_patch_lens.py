"""The patch lens, our own network: every small patch of the image, at native resolution, gives its own verdict.

Nothing is resized, because resizing blurs the traces that generators leave between neighbouring pixels. What the parts
are, and where they come from:

* the trunk: the first stages of EfficientNet-Lite (Tan and Le 2019, https://arxiv.org/abs/1905.11946; the Lite variant
  by R. Liu at TensorFlow, built by timm), which stop before a patch sees the whole image: limited receptive fields
  generalise better to other generators (Chai et al. 2020, https://arxiv.org/abs/2008.10588);
* optionally, fixed second differences of neighbouring pixels beside the colours, as steganalysis and camera forensics
  use them (Fridrich and Kodovsky 2012, https://doi.org/10.1109/TIFS.2012.2190402);
* a logit for each patch, whose mean is the image's: the map of these is the network's own heat map;
* in scoring, a patch counts for as much as it has local contrast. What is blank shows no generator's traces, and left
  to itself a network takes it for a fake, because generators' images are smoother than photographs on the whole. So a
  blank image scores one half, and is uncertain. Ours.

The arrangement, and training it on content-aligned pairs (`recipes/patch_lens.yaml`), are ours.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .modeling_detector import DetectorConfig, DetectorPreTrainedModel, num_units


class PatchLensConfig(DetectorConfig):
    r"""Sizes and settings of `PatchLensForImageClassification`.

    Args:
        backbone (`str`, *optional*, defaults to `"tf_efficientnet_lite0"`): Name in timm of a network of the
            EfficientNet family, whose first stages are the trunk.
        stages (`int`, *optional*, defaults to 5): How many of its stages are kept. Each keeps the network looking at
            smaller neighbourhoods than the next: fewer stages see texture alone.
        high_pass (`bool`, *optional*, defaults to `False`): Give the trunk's first layer the image's fixed second
            differences beside its colours.
        patch_weight_contrast (`float`, *optional*, defaults to 4.0): Local contrast, in intensity
            levels of 255 where images are normalised to [-1, 1], from which on a patch has the weight 1; with less
            contrast its weight is proportional. In training, and with 0, all patches weigh the same. Older configs
            call it `evidence`, which is still read.
        dropout (`float`, *optional*, defaults to 0.2): Dropout rate on the features of each patch, in [0, 1).
        **kwargs: Passed to [`DetectorConfig`]: labels, `logit_temperature`, `decision_threshold`.

    Raises:
        ValueError: If there are no stages, or evidence or dropout is out of range.

    Examples:
        >>> from fakelens import PatchLensConfig
        >>> PatchLensConfig(stages=3).id2label
        {0: 'real', 1: 'fake'}
    """

    model_type = "patch_lens"

    def __init__(
        self,
        backbone: str = "tf_efficientnet_lite0",
        stages: int = 5,
        high_pass: bool = False,
        patch_weight_contrast: float = 4.0,
        dropout: float = 0.2,
        **kwargs: Any,
    ):
        patch_weight_contrast = kwargs.pop("evidence", patch_weight_contrast)
        self.backbone = backbone
        self.stages = stages
        self.high_pass = high_pass
        self.patch_weight_contrast = patch_weight_contrast
        self.dropout = dropout
        if stages < 1:
            raise ValueError(f"stages must be at least 1, not {stages}.")
        if patch_weight_contrast < 0:
            raise ValueError(f"patch_weight_contrast must be 0 or more, not {patch_weight_contrast}.")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), not {dropout}.")
        super().__init__(**kwargs)


SECOND_DIFFERENCES = ((-1.0, 2.0, -1.0), (2.0, -4.0, 2.0), (-1.0, 2.0, -1.0))
INTENSITY_LEVELS = 127.5  # in one unit of a normalised image
# Intensity levels: the root of nothing has no gradient. In smaller units the square would be dropped on the way to
# ONNX.
FAINTEST = 1.275e-3
LEFT_OUT = ("conv_head", "bn2", "classifier")  # what timm's EfficientNets have after their stages
BEYOND = tuple(f"blocks.{number}" for number in range(12))  # more than any of them has


class Trunk(nn.Module):
    """The first stages of a timm EfficientNet, under timm's own names.

    Args:
        backbone: Its name in timm.
        stages: How many of its stages are kept.

    Raises:
        ValueError: If it is not of the EfficientNet family, or has fewer stages.
    """

    def __init__(self, backbone: str, stages: int):
        super().__init__()
        # timm brings torchvision and takes seconds to import: only this class's users should wait for them.
        import timm

        parts = dict(timm.create_model(backbone, pretrained=False, num_classes=0).named_children())
        if "conv_stem" not in parts or "blocks" not in parts:
            raise ValueError(f"The patch lens is cut from a network of the EfficientNet family; {backbone} is none.")
        if stages > len(list(parts["blocks"].children())):
            raise ValueError(f"{backbone} has {len(list(parts['blocks'].children()))} stages, not {stages}.")
        self.conv_stem = parts["conv_stem"]
        self.bn1 = parts["bn1"]
        self.blocks = nn.Sequential(*list(parts["blocks"].children())[:stages])

    def forward(self, pixel_values: torch.Tensor, added: torch.Tensor | None = None) -> torch.Tensor:
        """Map `(batch_size, 3, height, width)` to feature maps; `added` goes onto the first layer's output."""
        hidden_state = self.conv_stem(pixel_values)
        return self.blocks(self.bn1(hidden_state if added is None else hidden_state + added))


class HighPass(nn.Module):
    """Second differences of each colour, through a convolution to as many channels as the trunk's first layer has."""

    kernel: torch.Tensor

    def __init__(self, channels: int):
        super().__init__()
        kernel = torch.tensor(SECOND_DIFFERENCES).div(4).expand(3, 1, 3, 3).contiguous()
        # Persistent: what is kept out of the files comes back from `from_pretrained` as garbage.
        self.register_buffer("kernel", kernel)
        self.mix = nn.Conv2d(3, channels, kernel_size=3, stride=2, padding=1, bias=False)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Map `(batch_size, 3, height, width)` to `(batch_size, channels, height / 2, width / 2)`, rounded up."""
        return self.mix(F.conv2d(F.pad(pixel_values, (1, 1, 1, 1), mode="reflect"), self.kernel, groups=3))


class PatchLensForImageClassification(DetectorPreTrainedModel):
    r"""The first stages of an EfficientNet and a logit for each patch.

    Source: ours, on the first stages of EfficientNet-Lite (Tan and Le 2019, https://arxiv.org/abs/1905.11946).

    Args:
        config ([`PatchLensConfig`]): Sizes and settings.

    Examples:
        >>> import torch
        >>> from fakelens import PatchLensConfig, PatchLensForImageClassification
        >>> model = PatchLensForImageClassification(PatchLensConfig(stages=2)).eval()
        >>> model(pixel_values=torch.zeros(1, 3, 64, 64)).logits.shape
        torch.Size([1, 2])
    """

    config_class = PatchLensConfig
    base_model_prefix = "backbone"
    head_names = ("classifier", "high_pass")

    def __init__(self, config: PatchLensConfig):
        super().__init__(config)
        trunk = Trunk(config.backbone, config.stages).eval()  # one small image has no statistics to normalise by
        with torch.no_grad():
            first = trunk.conv_stem(torch.zeros(1, 3, 32, 32)).shape[1]
            last, rows = trunk(torch.zeros(1, 3, 32, 32)).shape[1:3]
        self.side = 32 // rows  # of a patch, in pixels
        self.high_pass = HighPass(first) if config.high_pass else None
        # What a file with the whole backbone holds beside the trunk.
        self.left_out = tuple(f"backbone.{name}" for name in (*LEFT_OUT, *BEYOND[config.stages :]))
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Conv2d(last, num_units(config), kernel_size=1)
        self.post_init()
        # Only now, so that a new trunk keeps the initialisation timm gave it.
        self.backbone = trunk.train()

    def units(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Map images of shape `(batch_size, 3, height, width)` to units, `(batch_size, num_units, rows, columns)`."""
        added = None if self.high_pass is None else self.high_pass(pixel_values)
        units = self.classifier(self.dropout(self.backbone(pixel_values, added)))
        if self.training or not self.config.patch_weight_contrast:
            return units  # every patch is learnt from
        return units * self.patch_weights(pixel_values, units.shape[2:])

    def patch_weights(self, pixel_values: torch.Tensor, patches: tuple[int, int]) -> torch.Tensor:
        """Return each patch's weight by its local contrast.

        That is the root mean square, within the patch, of an intensity less the mean of its 3 x 3 neighbourhood.

        Args:
            pixel_values: Normalised images of shape `(batch_size, 3, height, width)`.
            patches: Rows and columns of patches.

        Returns:
            Weights in [0, 1], of shape `(batch_size, 1, rows, columns)`.
        """
        # An image less its neighbourhood's mean, of its three colours' mean: all in one convolution.
        kernel = pixel_values.new_full((1, 3, 3, 3), -INTENSITY_LEVELS / 27)
        kernel[..., 1, 1] += INTENSITY_LEVELS / 3
        contrast = F.conv2d(F.pad(pixel_values, (1, 1, 1, 1), mode="reflect"), kernel)
        power = F.adaptive_avg_pool2d(contrast.square(), patches)
        return ((power + FAINTEST**2).sqrt() / self.config.patch_weight_contrast).clamp(max=1)

    def score(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Map images of shape `(batch_size, 3, height, width)` to units of shape `(batch_size, num_units)`."""
        return self.units(pixel_values).mean(dim=(2, 3))

    def bias_effect(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Say what one more in the last layer's bias adds to each image's unit: how much its patches count on average.

        Args:
            pixel_values: Normalised images of shape `(batch_size, 3, height, width)`.
        """
        if not self.config.patch_weight_contrast:
            return super().bias_effect(pixel_values)
        rows, columns = (-(-side // self.side) for side in pixel_values.shape[2:])
        return self.patch_weights(pixel_values, (rows, columns)).mean(dim=(1, 2, 3))

    def patch_logits(self, pixel_values: torch.Tensor) -> torch.Tensor:
        r"""Score every patch of a batch of images.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch_size, 3, height, width)`): Normalised images.

        Returns:
            `torch.Tensor` of shape `(batch_size, rows, columns)`: logit(fake) - logit(real) of each patch, divided by
            the temperature, and nearer to 0 where there is little local contrast; a patch is 16 pixels a side where
            all five stages are kept.
        """
        units = self.units(pixel_values) / self.config.logit_temperature
        return units[:, 0] if units.shape[1] == 1 else units[:, 1:].logsumexp(dim=1) - units[:, 0]


__all__ = ["PatchLensConfig", "PatchLensForImageClassification"]
