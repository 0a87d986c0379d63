import pytest

from fakelens.data.sources.labels import FAKE, REAL
from fakelens.data.sources.vocabulary import label_id
from fakelens.errors import UserError


@pytest.mark.parametrize("name", ["real", "REAL", "Real", "authentic", "Camera", "0_real"])
def test_names_of_real_images(name):
    assert label_id(name) == REAL


@pytest.mark.parametrize("name", ["fake", "FAKE", "AI", "ai-generated", "AI_Generated", "synthetic", "1_fake"])
def test_names_of_fake_images(name):
    assert label_id(name) == FAKE


@pytest.mark.parametrize("name", ["cat", "", 0, 1, None])
def test_other_names_are_refused_with_the_option_that_says_what_they_mean(name):
    with pytest.raises(UserError, match="neither real nor fake.*--label-map real=NAME"):
        label_id(name)
