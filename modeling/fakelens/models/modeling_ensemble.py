"""Several detectors in one: a soft vote over members with their own input sizes and normalisations.

The vote is reference system S4's: the weighted mean of the members' probabilities.
"""

from typing import Any

import torch
from torch import nn
from transformers import CONFIG_MAPPING, AutoModelForImageClassification, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutputWithNoAttention

from .modeling_custom_cnn import CustomCNNConfig, CustomCNNForImageClassification
from .modeling_detector import DetectorConfig, DetectorPreTrainedModel
from .modeling_resnet_se import ResNetSEConfig, ResNetSEForImageClassification
from .modeling_timm_backbone import TimmBackboneConfig, TimmBackboneForImageClassification


class EnsembleConfig(DetectorConfig):
    r"""Members and weights of `EnsembleForImageClassification`.

    Args:
        members (`list[dict[str, Any]]`, *optional*, defaults to `[]`): Each member's configuration as a dictionary,
            with its `model_type`.
        member_weights (`list[float]`, *optional*): Each member's weight in the vote, scaled to sum to 1. Equal weights
            by default.
        **kwargs: Passed to [`DetectorConfig`]: labels, `logit_temperature`, `decision_threshold`.

    Raises:
        ValueError: If there is not one weight for each member, or the weights are negative or all zero.

    Examples:
        >>> from fakelens import CustomCNNConfig, EnsembleConfig
        >>> member = CustomCNNConfig(hidden_sizes=[8]).to_dict()
        >>> EnsembleConfig(members=[member, member], member_weights=[3, 1]).member_weights
        [0.75, 0.25]
    """

    model_type = "detector_ensemble"

    def __init__(
        self,
        members: list[dict[str, Any]] | None = None,
        member_weights: list[float] | None = None,
        **kwargs: Any,
    ):
        self.members = [dict(member) for member in members or []]
        weights = [1.0] * len(self.members) if member_weights is None else [float(weight) for weight in member_weights]
        if len(weights) != len(self.members):
            raise ValueError(f"member_weights has {len(weights)} weights for {len(self.members)} members.")
        if weights and (min(weights) < 0 or not 0 < sum(weights) < float("inf")):
            raise ValueError(f"member_weights must not be negative, nor all zero: {weights}.")
        self.member_weights = [weight / sum(weights) for weight in weights]
        super().__init__(**kwargs)


# Our own classes are named here, not looked up, so that their code travels with the ensemble's.
OWN_CLASSES: dict[str, tuple[type[DetectorConfig], type[DetectorPreTrainedModel]]] = {
    "custom_cnn": (CustomCNNConfig, CustomCNNForImageClassification),
    "resnet_se": (ResNetSEConfig, ResNetSEForImageClassification),
    "timm_backbone_detector": (TimmBackboneConfig, TimmBackboneForImageClassification),
}


def build_member(config: dict[str, Any]) -> PreTrainedModel:
    """Build a member with new weights from its configuration as a dictionary."""
    model_type = config["model_type"]
    if model_type in OWN_CLASSES:
        config_class, model_class = OWN_CLASSES[model_type]
        return model_class(config_class.from_dict(config))
    return AutoModelForImageClassification.from_config(CONFIG_MAPPING[model_type].from_dict(config))


class EnsembleForImageClassification(PreTrainedModel):
    r"""The weighted mean of its members' probabilities, as logits.

    Source: the soft vote of reference system S4.

    Args:
        config ([`EnsembleConfig`]): Members' configurations, and weights.

    Raises:
        ValueError: If the configuration has no members.

    Examples:
        >>> import torch
        >>> from fakelens import CustomCNNConfig, EnsembleConfig, EnsembleForImageClassification
        >>> member = CustomCNNConfig(hidden_sizes=[8]).to_dict()
        >>> model = EnsembleForImageClassification(EnsembleConfig(members=[member, member])).eval()
        >>> pixels = torch.zeros(1, 3, 16, 16)
        >>> model(pixel_values_0=pixels, pixel_values_1=pixels).logits.shape
        torch.Size([1, 2])
    """

    config_class = EnsembleConfig
    base_model_prefix = "ensemble"
    main_input_name = "pixel_values_0"
    # The loss is a mean over the batch at hand; without this word the Trainer takes `**inputs` for a promise to scale
    # it, and gradients grow with the accumulation steps.
    accepts_loss_kwargs = False

    def __init__(self, config: EnsembleConfig):
        super().__init__(config)
        if not config.members:
            raise ValueError("An ensemble needs at least one member; the configuration's `members` is empty.")
        self.members = nn.ModuleList(build_member(member) for member in config.members)
        self.post_init()

    def forward(
        self,
        labels: torch.Tensor | None = None,
        **inputs: Any,
    ) -> ImageClassifierOutputWithNoAttention:
        r"""Score a batch of images, each given once for every member.

        Args:
            labels (`torch.Tensor` of shape `(batch_size,)`, *optional*): 0 for real, 1 for fake (or the generator).
            **inputs: `pixel_values_0`, `pixel_values_1`, ...: for each member the images as it wants them, of shape
                `(batch_size, 3, height, width)`, or with a dimension for crops after the first where the member
                averages over crops. [`EnsembleImageProcessor`] makes them. Anything else is ignored.

        Returns:
            [`ImageClassifierOutputWithNoAttention`]: `logits` of shape `(batch_size, num_labels)`, whose softmax at
            temperature 1 is the weighted mean of the members' probabilities, and `loss` if labels were given.

        Raises:
            ValueError: If a member's input is missing.
        """
        votes = []
        for index, member in enumerate(self.members):
            name = f"pixel_values_{index}"
            if name not in inputs:
                raise ValueError(f"{name} is missing: an ensemble wants what its own image processor makes.")
            votes.append(member(pixel_values=inputs[name]).logits.float().log_softmax(dim=-1))
        weights = torch.tensor(self.config.member_weights, device=votes[0].device)
        # log(sum(weight * probability)), without leaving the logarithms.
        logits = torch.logsumexp(torch.stack(votes) + weights.log()[:, None, None], dim=0)
        logits = logits / self.config.logit_temperature

        loss = None if labels is None else self.loss_function(labels, logits, self.config)
        return ImageClassifierOutputWithNoAttention(loss=loss, logits=logits)


__all__ = ["EnsembleConfig", "EnsembleForImageClassification"]
