"""`train_crop`: training sees one native crop of its own size, validation what the processor says."""

import pytest

from fakelens.data.sources.opening import open_source
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError
from fakelens.models import DetectorImageProcessor
from fakelens.training.data.examples import Classes, Prepare
from fakelens.training.data.training_data import open_training_data
from fakelens.training.recipe.recipe import load_recipe
from tests.tiny_data import write_tiny_data


def test_training_sees_small_crops_and_validation_the_processors(tmp_path):
    (tmp_path / "recipe.yaml").write_text("architecture: custom_cnn\ntrain_crop: 8\n")
    recipe = load_recipe(tmp_path / "recipe.yaml", ["--data", str(write_tiny_data(tmp_path / "data"))])
    data = open_training_data(recipe.data, 0)
    crops = {"do_resize": False, "do_native_crop": True, "crops_per_side": 2, "crop_size": {"height": 16, "width": 16}}
    processor = DetectorImageProcessor(**crops)
    prepare = Prepare(processor, data.classes, SkipLog(), crop=recipe.data.train_crop)
    row = next(iter(open_source(recipe.data.data, "train").stream))
    assert prepare({name: [value] for name, value in row.items()}, [0])["pixel_values"][0].shape == (3, 8, 8)
    validation = data.validation_set(Prepare(processor, data.classes, SkipLog()))
    assert validation[0]["pixel_values"].shape == (4, 3, 16, 16)


def test_it_is_refused_where_nothing_is_cropped_and_where_it_is_no_side(tmp_path):
    with pytest.raises(UserError, match="train_crop is for processors that crop"):
        Prepare(DetectorImageProcessor(), Classes(), SkipLog(), crop=8)
    (tmp_path / "recipe.yaml").write_text("architecture: custom_cnn\ntrain_crop: 0\n")
    with pytest.raises(UserError, match="train_crop is 0"):
        load_recipe(tmp_path / "recipe.yaml")
