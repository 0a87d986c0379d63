"""What the list of networks says of each is what building it gives."""

import pytest
import torch

from fakelens.zoo.facts import NETWORKS, Network, is_native
from fakelens.zoo.registry import ARCHITECTURES, LABELS


def counted(name: str) -> Network:
    row = ARCHITECTURES[name]
    with torch.device("meta"):
        model = row.build(row.configure(LABELS, {}))
    stored = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    size = model.num_parameters(), stored / 10**6
    return Network(name, row.model_class.__name__, *size, row.native, row.pretrained)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_list_says_what_is_counted(name):
    (row,) = (row for row in NETWORKS if row.name == name)
    assert row == counted(name)
    assert is_native(row.architecture) == row.native


def test_the_list_has_the_zoos_names_in_its_order():
    assert [row.name for row in NETWORKS] == list(ARCHITECTURES)
    assert not is_native("EnsembleForImageClassification")
