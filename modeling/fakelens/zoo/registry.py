"""The model zoo: every architecture by name, with its weights and the image processor that belongs to it."""

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
from huggingface_hub.errors import StrictDataclassError
from PIL import Image
from timm.models import get_pretrained_cfg
from torch import nn
from transformers import (
    MobileNetV2Config,
    MobileNetV2ForImageClassification,
    PreTrainedConfig,
    PreTrainedModel,
    TimmWrapperConfig,
    TimmWrapperForImageClassification,
    ViTImageProcessor,
)
from transformers.image_processing_utils import BaseImageProcessor

from fakelens.errors import UserError
from fakelens.models import (
    CustomCNNConfig,
    CustomCNNForImageClassification,
    DetectorConfig,
    DetectorImageProcessor,
    PatchLensConfig,
    PatchLensForImageClassification,
    ResNetSEConfig,
    ResNetSEForImageClassification,
    TimmBackboneConfig,
    TimmBackboneForImageClassification,
)
from fakelens.zoo.pretrained import fetch_weights, load_weights

LABELS = ["real", "fake"]
TIMM_PREFIX = "timm/"
NEW_CLASSIFIER_STD = 0.02  # transformers' own


@dataclass(frozen=True)
class Architecture:
    """One row of the zoo.

    Args:
        name: What `build_detector` knows it by.
        model_class: The class it is built from.
        config_class: The class of its configuration.
        timm_name: Where the network is timm's, its name there, with the tag of the weights whose pixels it expects.
        pretrained: The Hub repo with its pretrained weights; none where it is trained from scratch.
        options: Arguments of its configuration.
        pixels: Arguments of its image processor, where timm does not know them or ours are others.
    """

    name: str
    model_class: type[PreTrainedModel]
    config_class: type[PreTrainedConfig]
    timm_name: str | None = None
    pretrained: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    pixels: Mapping[str, Any] = field(default_factory=dict)

    @property
    def native(self) -> bool:
        """Whether it loads without running code from its repo: the class is transformers' own."""
        return self.model_class.__module__.startswith("transformers.")

    def configure(self, labels: list[str], options: Mapping[str, Any]) -> PreTrainedConfig:
        """Make its configuration.

        Args:
            labels: The labels, in order.
            options: Arguments of the configuration class; of `timm.create_model` where the network is timm's own.

        Returns:
            The configuration.

        Raises:
            UserError: If there is no such option, or its value is out of range.
        """
        arguments: dict[str, Any] = {
            "id2label": dict(enumerate(labels)),
            "label2id": {label: index for index, label in enumerate(labels)},
        }
        if self.config_class is TimmWrapperConfig and self.timm_name:
            architecture = self.timm_name.partition(".")[0]
            return TimmWrapperConfig(architecture=architecture, model_args=dict(options) or None, **arguments)
        known = set(inspect.signature(self.config_class).parameters)
        if not self.native:
            known |= set(inspect.signature(DetectorConfig).parameters)
        if unknown := sorted(options.keys() - known):
            raise UserError(f"{self.name} has no option {unknown[0]}.{_nearest(unknown[0], known)}")
        try:
            return self.config_class(**{**self.options, **options}, **arguments)
        except (TypeError, ValueError, StrictDataclassError) as error:
            raise UserError(f"{self.name}: {' '.join(str(error).split())}") from error

    def build(self, config: PreTrainedConfig) -> PreTrainedModel:
        """Build the network with new weights.

        Args:
            config: What `configure` made.

        Returns:
            The model.

        Raises:
            UserError: If timm does not take an option.
        """
        if not isinstance(config, TimmWrapperConfig):
            return self.model_class(config)
        try:
            model = TimmWrapperForImageClassification(config)
        except TypeError as error:
            raise UserError(f"{self.name}: timm does not take these options ({error}).") from error
        # transformers redraws every weight from one normal distribution; training from scratch deserves timm's own.
        model.timm_model = timm.create_model(
            config.architecture, num_classes=config.num_labels, **(config.model_args or {})
        )
        # Some of timm's draw a classifier's weights by the number of its outputs: with two, the first loss is above 3.
        classifier = model.timm_model.get_classifier()
        for parameter in classifier.parameters() if isinstance(classifier, nn.Module) else ():
            nn.init.normal_(parameter, std=NEW_CLASSIFIER_STD) if parameter.ndim > 1 else nn.init.zeros_(parameter)
        return model

    def processor_settings(self) -> dict[str, Any]:
        """Give the size, resampling and normalisation that its pretrained weights were made with."""
        config = get_pretrained_cfg(self.timm_name) if self.timm_name else None
        if config is None:
            return dict(self.pixels)
        _, height, width = config.input_size
        return {
            "size": {"height": height, "width": width},
            "resample": Image.Resampling[config.interpolation.upper()],
            "image_mean": list(config.mean),
            "image_std": list(config.std),
            **self.pixels,
        }


def _timm(name: str, timm_name: str, **options: Any) -> Architecture:
    """Row of a timm network: transformers' wrapper, or with `options` our class with a head of its own."""
    pretrained = TIMM_PREFIX + timm_name
    if not options:
        return Architecture(name, TimmWrapperForImageClassification, TimmWrapperConfig, timm_name, pretrained)
    options["backbone"] = timm_name.partition(".")[0]
    return Architecture(
        name, TimmBackboneForImageClassification, TimmBackboneConfig, timm_name, pretrained, options=options
    )


ARCHITECTURES = {
    row.name: row
    for row in (
        Architecture("custom_cnn", CustomCNNForImageClassification, CustomCNNConfig),
        Architecture(
            "resnet_se", ResNetSEForImageClassification, ResNetSEConfig, pixels={"size": {"height": 32, "width": 32}}
        ),
        _timm("efficientnetv2_s", "tf_efficientnetv2_s.in21k"),
        _timm("efficientnet_b0", "efficientnet_b0.ra_in1k"),
        _timm("resnet50", "resnet50.a1_in1k"),
        _timm("convnext_tiny", "convnext_tiny.fb_in1k"),
        Architecture(
            "mobilenet_v2",
            MobileNetV2ForImageClassification,
            MobileNetV2Config,
            pretrained="google/mobilenet_v2_1.0_224",
            pixels={"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]},
        ),
        _timm("efficientnet_b2", "efficientnet_b2.ra_in1k", dropout=0.4),
        _timm("efficientnet_b0_mlp", "efficientnet_b0.ra_in1k", hidden_sizes=[256], dropout=0.5),
        Architecture(
            "patch_lens",
            PatchLensForImageClassification,
            PatchLensConfig,
            timm_name="tf_efficientnet_lite0.in1k",
            pretrained="timm/tf_efficientnet_lite0.in1k",
            pixels={"do_resize": False, "do_native_crop": True},
        ),
    )
}


def names() -> list[str]:
    """List the names of the zoo; beside them, `timm/NAME` builds any network of timm."""
    return list(ARCHITECTURES)


def architecture(name: str) -> Architecture:
    """Look a row up.

    Args:
        name: One of `names()`, or `timm/` before the name of a timm model, with or without the tag of its weights.

    Returns:
        The row.

    Raises:
        UserError: If there is no such architecture; the nearest names are suggested.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    if name == "ensemble":
        raise UserError("An ensemble is made of trained detectors: use fakelens.zoo.ensembles.build_ensemble.")
    timm_name = name.removeprefix(TIMM_PREFIX)
    if timm_name == name:
        known = [*names(), *(TIMM_PREFIX + model for model in timm.list_models())]
        suggestion = f" timm has it: {TIMM_PREFIX}{name}." if timm.is_model(name) else _nearest(name, known)
        raise UserError(f"There is no architecture {name!r}.{suggestion} The zoo has {', '.join(names())}.")
    try:
        config = get_pretrained_cfg(timm_name)
    except RuntimeError:  # the model exists, the tag does not
        config = None
    if config is None:
        known = [TIMM_PREFIX + model for model in (*timm.list_models(), *timm.list_pretrained())]
        raise UserError(f"timm {timm.__version__} has no model {timm_name!r}.{_nearest(name, known)}")
    return Architecture(name, TimmWrapperForImageClassification, TimmWrapperConfig, timm_name, config.hf_hub_id)


def build_detector(
    name: str,
    pretrained: bool = False,
    weights: str | Path | None = None,
    labels: list[str] | None = None,
    **options: Any,
) -> PreTrainedModel:
    """Build a detector by name.

    Args:
        name: One of `names()`, or `timm/NAME`.
        pretrained: Start from the weights of its ImageNet backbone, fetched from the Hub.
        weights: Start from this safetensors file instead: a backbone's weights or a whole detector's.
        labels: "real" first, then "fake" (the default), or the generators to tell apart.
        **options: Arguments of the architecture's configuration, such as `width_multiplier`; where the network is
            timm's own, arguments of `timm.create_model`, such as `drop_rate`.

    Returns:
        The model, in evaluation mode.

    Raises:
        UserError: If the name, an option or the labels are not usable, or the weights cannot be had or do not fit.

    Examples:
        >>> from fakelens import build_detector
        >>> model = build_detector("resnet_se", width_multiplier=0.1)
        >>> model.config.id2label
        {0: 'real', 1: 'fake'}
    """
    row = architecture(name)
    labels = LABELS if labels is None else list(labels)
    if len(labels) < 2 or labels[0] != "real" or len(set(labels)) != len(labels):
        raise UserError(f"labels must be different names, real first, then at least one more; they are {labels}.")
    if pretrained and weights is None and row.pretrained is None:
        raise UserError(
            f"{name} has no pretrained weights; it is trained from scratch. Leave pretrained out, or pass "
            "weights=FILE."
        )
    model = row.build(row.configure(labels, options))
    if len(labels) > 2:  # a generator may have any name, one that says real or nothing too
        model.config.label_map = {"real": labels[:1], "fake": labels[1:]}
    if weights is not None:
        load_weights(model, weights)
    elif pretrained and row.pretrained:
        load_weights(model, fetch_weights(row.pretrained))
    return model.eval()


def build_processor(name: str, image_size: int | None = None, **options: Any) -> BaseImageProcessor:
    """Build the image processor that belongs to an architecture, to be trained with and saved beside its model.

    Images are resized whole to a square, never cropped, unless options say otherwise; for the patch lens they are
    cropped at native resolution, never resized.

    Args:
        name: One of `names()`, or `timm/NAME`.
        image_size: Side of the square in pixels, where it is not the architecture's own.
        **options: Arguments of the processor, such as `image_mean`; for architectures that are our own classes those
            of `DetectorImageProcessor`.

    Returns:
        transformers' `ViTImageProcessor` (resize, rescale, normalise) where the class is transformers' own, so that
        nothing of ours is needed to load it; else a `DetectorImageProcessor`.

    Raises:
        UserError: If the name or an option is not usable.

    Examples:
        >>> from PIL import Image
        >>> from fakelens import build_processor
        >>> processor = build_processor("custom_cnn", image_size=64)
        >>> processor(Image.new("RGB", (640, 480)), return_tensors="pt").pixel_values.shape
        torch.Size([1, 3, 64, 64])
    """
    row = architecture(name)
    processor_class = ViTImageProcessor if row.native else DetectorImageProcessor
    settings = row.processor_settings()
    if row.native:
        settings["do_convert_rgb"] = True
    if image_size is not None:
        if image_size < 1:
            raise UserError(f"image_size must be at least 1 pixel, not {image_size}.")
        settings["size"] = settings["crop_size"] = {"height": image_size, "width": image_size}
    known = processor_class.valid_kwargs.__annotations__.keys()
    if unknown := sorted(options.keys() - known):
        raise UserError(f"The image processor of {name} has no option {unknown[0]}.{_nearest(unknown[0], known)}")
    try:
        return processor_class(**{**settings, **options})
    except (TypeError, ValueError) as error:
        raise UserError(f"The image processor of {name}: {error}") from error


def _nearest(name: str, known: Any) -> str:
    """Say which of the known names are nearest, in a sentence that follows another."""
    nearest = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(nearest)}?" if nearest else ""
