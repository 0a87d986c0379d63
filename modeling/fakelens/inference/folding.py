"""A network as the CPU runs it: batch normalisations folded into the convolutions before them.

In evaluation a batch normalisation only scales and shifts each channel, which the convolution before it can do by its
own weights (Jacob et al. 2018, https://arxiv.org/abs/1712.05877, section 3.2). A CPU then passes over each
feature map once instead of twice. Knows PyTorch's modules, not fakelens'.
"""

import copy
import itertools
from threading import Lock
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class FoldedNetwork:
    """Calls a network by way of a folded copy, which is made anew whenever the network's weights have changed.

    Which module comes before which is guessed from the order in which they were registered, so the first call is
    answered by both: where they disagree, and where there is nothing to fold, the network itself answers from then on.
    May be called from several threads.

    Args:
        model: The network; not changed, and its gradients and hooks are its own.
    """

    def __init__(self, model: nn.Module):
        self.model = model
        self._copy: nn.Module | None = None
        self._made_of: Any = None
        self._lock = Lock()

    def __call__(self, **batch: Any) -> Any:
        """Return what the network returns for a batch, its `logits` to within rounding."""
        if self.model.training:
            return self.model(**batch)
        with self._lock:
            made_of = _state(self.model)
            if made_of != self._made_of:
                self._copy, self._made_of = folded(self.model), made_of
                if self._copy is not None:
                    expected, found = self.model(**batch), self._copy(**batch)
                    if torch.allclose(found.logits, expected.logits, rtol=1e-3, atol=1e-4, equal_nan=True):
                        return found
                    self._copy = None
                    return expected
            network = self.model if self._copy is None else self._copy
        return network(**batch)


def folded(model: nn.Module) -> nn.Module | None:
    """Return a copy without the batch normalisations that directly follow a convolution; None if there are none.

    The copy shares the configuration, so that a temperature set there holds for both.

    Args:
        model: A network in evaluation mode.
    """
    if not any(_pairs(module) for module in model.modules()):
        return None
    shared = {id(config): config for config in (getattr(module, "config", None) for module in model.modules())}
    twin = copy.deepcopy(model, shared)
    for module in list(twin.modules()):
        for (first, convolution), (second, norm) in _pairs(module):
            setattr(module, first, fuse_conv_bn_eval(convolution, norm))
            # timm's normalisations bring their activation along.
            rest = [part for part in (getattr(norm, "drop", None), getattr(norm, "act", None)) if part is not None]
            setattr(module, second, nn.Sequential(*rest))
    return twin.requires_grad_(False)


def _pairs(module: nn.Module) -> list[tuple[tuple[str, Any], tuple[str, Any]]]:
    """Return a module's convolutions whose next neighbour is a batch normalisation of as many channels, by name."""
    return [
        (one, other)
        for one, other in itertools.pairwise(module.named_children())
        if isinstance(one[1], nn.Conv2d)
        and isinstance(other[1], nn.BatchNorm2d)
        and other[1].track_running_stats
        and one[1].out_channels == other[1].num_features
    ]


def _state(model: nn.Module) -> Any:
    """Return what changes when a network's weights, configuration or hooks do."""
    tensors = itertools.chain(model.parameters(), model.buffers())
    weights = tuple((t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors)
    return weights, id(getattr(model, "config", None)), sum(len(module._forward_hooks) for module in model.modules())
