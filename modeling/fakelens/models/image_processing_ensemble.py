"""The image processor of an ensemble: every member's own processor, side by side."""

from typing import Any

from transformers.image_processing_utils import BaseImageProcessor, BatchFeature
from transformers.image_utils import ImageInput
from transformers.models.auto.image_processing_auto import get_image_processor_class_from_name
from transformers.utils import TensorType

from .image_processing_detector import DetectorImageProcessor


def build_member_processor(settings: dict[str, Any]) -> BaseImageProcessor:
    """Build the processor that `to_dict()` of a member's processor describes.

    Args:
        settings: The settings, with the class's name under `image_processor_type`.

    Returns:
        The processor.

    Raises:
        ValueError: If there is no such class here or in transformers.
    """
    name = settings["image_processor_type"]
    if name == DetectorImageProcessor.__name__:
        return DetectorImageProcessor.from_dict(settings)
    processor_class = get_image_processor_class_from_name(name)
    if processor_class is None:
        raise ValueError(f"{name} is neither an image processor of transformers nor one that travels with ensembles.")
    return processor_class.from_dict(settings)


class EnsembleImageProcessor(BaseImageProcessor):
    r"""Turn images into one input for each member: `pixel_values_0`, `pixel_values_1` and so on.

    Args:
        members (`list[dict[str, Any]]`, *optional*, defaults to `[]`): The settings of each member's processor, as
            its `to_dict()` gives them.
        **kwargs: Kept as attributes, as every processor does.

    Examples:
        >>> from PIL import Image
        >>> from fakelens import DetectorImageProcessor, EnsembleImageProcessor
        >>> members = [DetectorImageProcessor(size={"height": side, "width": side}).to_dict() for side in (32, 64)]
        >>> inputs = EnsembleImageProcessor(members=members)(Image.new("RGB", (640, 480)), return_tensors="pt")
        >>> {name: tuple(pixels.shape) for name, pixels in inputs.items()}
        {'pixel_values_0': (1, 3, 32, 32), 'pixel_values_1': (1, 3, 64, 64)}
    """

    def __init__(self, members: list[dict[str, Any]] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.processors = [build_member_processor(settings) for settings in members or []]

    @property
    def model_input_names(self) -> list[str]:
        """The names of the members' inputs."""
        return [f"pixel_values_{index}" for index in range(len(self.processors))]

    def preprocess(
        self,
        images: ImageInput,
        return_tensors: str | TensorType | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Run every member's processor on the same images.

        Args:
            images: One image or a list of them.
            return_tensors: `"pt"` for tensors, `"np"` for arrays, `None` for lists.
            **kwargs: Passed to every member's processor.

        Returns:
            `pixel_values_i` of shape `(batch_size, 3, height_i, width_i)` for each member i, with a dimension for
            crops after the first where the member's processor cuts several.
        """
        outputs = [member(images, return_tensors=return_tensors, **kwargs) for member in self.processors]
        return BatchFeature(
            {name: output["pixel_values"] for name, output in zip(self.model_input_names, outputs, strict=True)}
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the settings of all members, in the order of their inputs."""
        settings = super().to_dict()
        del settings["processors"]
        settings["members"] = [processor.to_dict() for processor in self.processors]
        return settings


__all__ = ["EnsembleImageProcessor"]
