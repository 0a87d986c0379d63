"""Which parameters of a model a phase trains: the head, the last layers, or all."""

from torch import nn
from transformers import PreTrainedModel

from fakelens.errors import UserError
from fakelens.zoo.pretrained import head_names


def set_trainable(model: PreTrainedModel, trainable: str | int) -> int:
    """Freeze a model but for the part that a phase trains.

    Args:
        model: A classifier of the zoo; its parameters' `requires_grad` is set in place.
        trainable: "all", "head", or N: the last N modules that hold parameters of their own (a convolution, a
            normalisation, a linear layer), and the head with them.

    Returns:
        The number of trainable parameters.

    Raises:
        UserError: If nothing would be left to train.
    """
    model.requires_grad_(trainable == "all")
    if trainable != "all":
        if trainable == "head" or int(trainable) > 0:
            modules = dict(model.named_modules())
            # Some of the names are of parts that this model is without, such as a patch lens's high-pass filters.
            for name in head_names(model):
                if name in modules:
                    modules[name].requires_grad_(True)
        if isinstance(trainable, int) and trainable > 0:
            for layer in layers_of(model)[-trainable:]:
                layer.requires_grad_(True)
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if count == 0:
        raise UserError(
            "This phase freezes every parameter, so there is nothing to train. Say trainable: head or all."
        )
    return count


def layers_of(model: nn.Module) -> list[nn.Module]:
    """Return the modules that hold parameters of their own, in the order of their definition."""
    return [m for m in model.modules() if next(m.parameters(recurse=False), None) is not None]


def hold_frozen_statistics(model: nn.Module) -> None:
    """Put frozen batch normalisations in eval mode: a frozen backbone whose statistics drift is not frozen."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            own = list(module.parameters(recurse=False))
            if own and not any(p.requires_grad for p in own):
                module.eval()
