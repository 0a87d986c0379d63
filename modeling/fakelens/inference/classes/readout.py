"""A classifier's logits -> real first, then each kind of fake: what its classes mean, whatever it calls them."""

from dataclasses import dataclass

import torch
from transformers import PreTrainedConfig

from fakelens.data.sources.label_rules import SKIP, LabelRules, class_key
from fakelens.data.sources.labels import FAKE, ID2LABEL, REAL
from fakelens.data.sources.vocabulary import find_label
from fakelens.errors import UserError
from fakelens.models import DetectorConfig

REMEMBERED = "label_map"  # the key of a saved model's configuration that says what its classes mean


@dataclass(frozen=True)
class Readout:
    """What the logits of a classifier mean.

    Attributes:
        classes: What the columns of a read-out are: "real", then the fakes by the model's own names.
        real: Which logits are of real images; several count as one class.
        fake: Which are of fakes.
        single: Where the model has one logit, what it is the log-odds of: 0 (real) or 1 (fake); None for more.
        labels: The model's own classes and what each was taken for, for reports: "real", "fake" or "skip".
    """

    classes: tuple[str, ...]
    real: tuple[int, ...]
    fake: tuple[int, ...]
    single: int | None
    labels: dict[str, str]

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        """Return logits of `classes`, of shape `(batch_size, classes)`, for a model's own.

        Args:
            logits: Of shape `(batch_size, num_labels)`.
        """
        if self.single is not None:
            pair = [torch.zeros_like(logits[:, 0]), torch.zeros_like(logits[:, 0])]
            pair[self.single] = logits[:, 0]
            return torch.stack(pair, dim=1)
        real = logits[:, list(self.real)].logsumexp(dim=1, keepdim=True)
        return torch.cat([real, logits[:, list(self.fake)]], dim=1)

    def remember(self, config: PreTrainedConfig) -> None:
        """Write into a configuration what its classes were taken for, where their names are not "real" and the fakes'.

        A copy that is saved then needs no label map of the user's, in the browser either, and keeps its own names.

        Args:
            config: Of the model that is about to be saved.
        """
        real = [name for name, label in self.labels.items() if label == ID2LABEL[REAL]]
        if [name.lower() for name in real] == [ID2LABEL[REAL]] and "skip" not in self.labels.values():
            return
        said: dict[str, list[str]] = {}
        for name, label in self.labels.items():
            said.setdefault(label, []).append(name)
        setattr(config, REMEMBERED, said)


def read_classes(config: PreTrainedConfig, rules: LabelRules, name: str) -> Readout:
    """Find out what a model's classes mean: as the user says, as its configuration remembers, by the vocabulary.

    Args:
        config: The model's configuration.
        rules: What the user says of them.
        name: The model's name, for messages.

    Raises:
        UserError: If it is not understood which classes are real and which fake, with the option that says so; or it
            has a regression head.
    """
    names = model_classes(config)
    if rules.real not in [class_key(one) for one in names]:
        remembered = config.to_dict().get(REMEMBERED)
        if isinstance(config, DetectorConfig) and names[0] == ID2LABEL[REAL]:  # of ours: the others are fakes
            remembered = {ID2LABEL[REAL]: names[0], ID2LABEL[FAKE]: names[1:]}
        rules = rules.or_else(remembered)
    if len(names) == 1:
        return _single(names[0], config, rules, name)
    labels = rules.labels_of(names, f"The model {name}")
    real, fake = ([i for i, label in enumerate(labels) if label == wanted] for wanted in (REAL, FAKE))
    if not real or not fake:
        missing = ID2LABEL[FAKE if real else REAL]
        raise UserError(
            f"The model {name} has the classes {', '.join(names)}, of which none is left for {missing} images by the "
            "label map. Name one with --label-map."
        )
    taken = {names[i]: "skip" if label == SKIP else ID2LABEL[label] for i, label in enumerate(labels)}
    classes = (ID2LABEL[REAL], *(names[i] for i in fake))
    return Readout(classes, tuple(real), tuple(fake), None, taken)


def model_classes(config: PreTrainedConfig) -> list[str]:
    """Return a model's own names of its classes, in their order.

    Args:
        config: Its configuration.
    """
    return [str(label) for _, label in sorted(config.id2label.items(), key=lambda item: int(item[0]))]


def _single(own: str, config: PreTrainedConfig, rules: LabelRules, name: str) -> Readout:
    """Return the read-out of one logit."""
    said = dict(rules.named).get(class_key(own), REAL if rules.real == class_key(own) else None)
    regresses = config.problem_type == "regression"
    label = find_label(own) if said is None and not regresses else said
    if label not in (REAL, FAKE):
        kind = "a regression head (problem_type: regression)" if regresses else f"one class, {own}"
        raise UserError(
            f"The model {name} has {kind}. If its one output is the log-odds of fake, say --label-map fake={own}; "
            f"of real, --label-map real={own}."
        )
    return Readout((ID2LABEL[REAL], ID2LABEL[FAKE]), (), (), label, {own: ID2LABEL[label]})
