"""Configuration of an ensemble: its members' own configurations and their weights in the vote."""

from typing import Any

from .configuration_detector import DetectorConfig


class EnsembleConfig(DetectorConfig):
    r"""Members and weights of `EnsembleForImageClassification`.

    Args:
        members (`list[dict[str, Any]]`, *optional*, defaults to `[]`): Each member's configuration as a dictionary,
            with its `model_type`.
        member_weights (`list[float]`, *optional*): Each member's share in the vote, scaled to sum to 1. Equal shares
            by default.
        **kwargs: Passed to [`DetectorConfig`]: labels, `logit_temperature`, `decision_threshold`.

    Raises:
        ValueError: If there is not one weight for each member, or the weights are negative or all zero.
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


__all__ = ["EnsembleConfig"]
