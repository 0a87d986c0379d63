"""What the configurations of all our own detectors share: the labels, a temperature and a decision threshold."""

from typing import Any

from transformers import PreTrainedConfig


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


__all__ = ["DetectorConfig"]
