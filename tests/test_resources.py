"""Recipes are found by name, by the path that they have in a checkout, and behind a file of one's own."""

from pathlib import Path

import pytest

from fakelens import resources
from fakelens.errors import UserError
from fakelens.resources import find_recipe, recipe_names, resource
from fakelens.training.recipe.recipe import load_recipe


def test_a_recipe_goes_by_its_name_and_by_its_path_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = resource("recipes") / "s3_efficientnet_b0.yaml"
    for name in ("s3_efficientnet_b0", "s3_efficientnet_b0.yaml", "recipes/s3_efficientnet_b0.yaml"):
        assert find_recipe(name) == own
    assert load_recipe("s3_efficientnet_b0").model.architecture == "efficientnet_b0_mlp"
    for name in ("nothing", "nothing.yaml", "elsewhere/demo.yaml", "demo.json"):
        assert find_recipe(name) == Path(name)


def test_a_file_here_goes_before_ours(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo.yaml").write_text("architecture: resnet_se\n")
    assert load_recipe("demo.yaml").model.architecture == "resnet_se"
    assert load_recipe("demo").model.architecture == "custom_cnn"


def test_what_is_not_there_names_what_is():
    with pytest.raises(UserError, match=r"nothing cannot be read: .*custom_cnn, .*s3_efficientnet_b0"):
        load_recipe("nothing")
    assert {"custom_cnn", "demo", "patch_lens"} <= set(recipe_names())


def test_an_installed_package_looks_inside_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "PACKAGE", tmp_path)
    assert resource("space") == resources.CHECKOUT / "space"
    (tmp_path / "space").mkdir()
    assert resource("space") == tmp_path / "space"
