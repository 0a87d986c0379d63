"""Configuration of the patch lens, our own network at native resolution."""

from typing import Any

from .configuration_detector import DetectorConfig


class PatchLensConfig(DetectorConfig):
    r"""Sizes and settings of `PatchLensForImageClassification`.

    Args:
        backbone (`str`, *optional*, defaults to `"tf_efficientnet_lite0"`): Name in timm of a network of the
            EfficientNet family, whose first stages are the trunk.
        stages (`int`, *optional*, defaults to 5): How many of its stages are kept. Each keeps the network looking at
            smaller neighbourhoods than the next: fewer stages see texture alone.
        high_pass (`bool`, *optional*, defaults to `False`): Give the trunk's first layer the image's fixed second
            differences beside its colours.
        evidence (`float`, *optional*, defaults to 4.0): Fine detail, in grey levels of 255 where pictures are
            normalised to [-1, 1], from which on a place counts in full; with less it counts for as much less. In
            training, and with 0, all count alike.
        dropout (`float`, *optional*, defaults to 0.2): Dropout rate on the features of each place, in [0, 1).
        **kwargs: Passed to [`DetectorConfig`]: labels, `logit_temperature`, `decision_threshold`.

    Raises:
        ValueError: If there are no stages, or evidence or dropout is out of range.
    """

    model_type = "patch_lens"

    def __init__(
        self,
        backbone: str = "tf_efficientnet_lite0",
        stages: int = 5,
        high_pass: bool = False,
        evidence: float = 4.0,
        dropout: float = 0.2,
        **kwargs: Any,
    ):
        self.backbone = backbone
        self.stages = stages
        self.high_pass = high_pass
        self.evidence = evidence
        self.dropout = dropout
        if stages < 1:
            raise ValueError(f"stages must be at least 1, not {stages}.")
        if evidence < 0:
            raise ValueError(f"evidence must be 0 or more, not {evidence}.")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), not {dropout}.")
        super().__init__(**kwargs)


__all__ = ["PatchLensConfig"]
