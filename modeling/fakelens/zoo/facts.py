"""The zoo's networks with their true sizes: counted, not written down."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from fakelens.zoo.registry import ARCHITECTURES, LABELS

MEGABYTE = 10**6


@dataclass(frozen=True)
class Network:
    """A network of the zoo.

    Attributes:
        name: What `build_detector` knows it by.
        architecture: Its class.
        parameters: Their number, with two labels.
        megabytes: Of its weights as they are saved, in millions of bytes.
        native: Whether it loads without code from its repo.
        pretrained: The Hub repo with its pretrained weights; None where it is trained from scratch.
    """

    name: str
    architecture: str
    parameters: int
    megabytes: float
    native: bool
    pretrained: str | None


def networks() -> Iterator[Network]:
    """Build every network of the zoo without its weights, and count."""
    for name, row in ARCHITECTURES.items():
        with torch.device("meta"):
            model = row.build(row.configure(LABELS, {}))
        stored = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
        count, native = model.num_parameters(), row.native
        yield Network(name, row.model_class.__name__, count, stored / MEGABYTE, native, row.pretrained)
