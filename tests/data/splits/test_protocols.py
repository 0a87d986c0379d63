"""Published splits by name, and generators' names in any spelling."""

import pytest

from fakelens.data.splits import protocols
from fakelens.errors import UserError


def test_openfake_holds_out_twenty_generators_and_is_tested_on_core_and_reddit_apart():
    protocol = protocols.get("openfake")
    assert len({protocols.name_key(name) for name in protocol.held_out}) == 20
    assert (protocol.data, protocol.train_split, protocol.validation_split) == (
        "ComplexDataLab/OpenFake:core",
        "train",
        "validation",
    )
    assert protocol.tests == (("ComplexDataLab/OpenFake:core", "test"), ("ComplexDataLab/OpenFake:reddit", "test"))
    assert "2509.09495" in protocol.citation


def test_names_are_the_same_in_any_spelling_and_no_two_generators_are():
    unseen = protocols.get("openfake").unseen
    assert all(map(unseen, ("Midjourney 7", "midjourney_7", "MIDJOURNEY-7", "Flux.2 Klein 9B", "ernie_image Turbo")))
    assert not any(map(unseen, ("midjourney-6", "midjourney-7.1", "nano-banana", "gpt-image-1", "flux.1-dev", "real")))
    assert protocols.unite(["sd-3.5", "Veo 3"], ["veo-3", "SD_3.5", "aurora"]) == ["Veo 3", "aurora", "sd-3.5"]


def test_a_name_that_is_nearly_right_is_put_right():
    with pytest.raises(UserError, match="no protocol 'openfak'. Did you mean openfake"):
        protocols.get("openfak")
