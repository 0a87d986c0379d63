"""The licence and the base model that a trained model inherits."""

import json

import pytest

from fakelens.resources import recipe_names
from fakelens.training.loop import inherited as module
from fakelens.training.loop.inherited import inherited, is_openfake
from fakelens.training.recipe.recipe import DataArguments, ModelArguments, load_recipe

NC = "cc-by-nc-4.0"
FRESH = ModelArguments()


def parent(folder, **record):
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(record))
    return ModelArguments(start_from=str(folder))


def test_openfake_hands_its_licence_on_and_a_folder_of_ones_own_has_none(tmp_path):
    assert inherited(FRESH, DataArguments(data="openfake:reddit"), None) == {"license": NC, "base_model": None}
    assert inherited(FRESH, DataArguments(data=str(tmp_path)), None) == {"license": None, "base_model": None}
    assert inherited(FRESH, DataArguments(data=str(tmp_path)), "mit")["license"] == "mit"
    assert inherited(FRESH, DataArguments(data="openfake"), "mit")["license"] == NC
    mixed = DataArguments(data=str(tmp_path), extra_data=["ComplexDataLab/OpenFake:core@v1.0"])
    assert inherited(FRESH, mixed, "mit")["license"] == NC
    rehearsed = DataArguments(data=str(tmp_path), rehearsal=["openfake"])
    assert inherited(FRESH, rehearsed, None)["license"] == NC
    rehearsed.rehearsal_fraction = 0.0
    assert inherited(FRESH, rehearsed, None)["license"] is None


def test_a_folder_that_is_called_as_openfake_is_somebodys_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_openfake("ComplexDataLab/OpenFake:core") and is_openfake("openfake:v1") and not is_openfake("sample")
    (tmp_path / "ComplexDataLab" / "OpenFake").mkdir(parents=True)
    assert not is_openfake("ComplexDataLab/OpenFake")


def test_a_fine_tune_inherits_the_licence_and_the_base_model_of_its_start(tmp_path):
    data = DataArguments(data=str(tmp_path))
    shipped = ModelArguments(start_from="patch_lens")
    assert inherited(shipped, data, None) == {"license": NC, "base_model": "fakelens/patch_lens"}
    assert inherited(shipped, data, "apache-2.0")["license"] == NC  # nobody may loosen it
    free = parent(tmp_path / "free", license="apache-2.0", base_model="someone/else")
    assert inherited(free, data, None) == {"license": "apache-2.0", "base_model": "someone/else"}
    assert inherited(free, data, "mit")["license"] == "mit"
    silent = parent(tmp_path / "silent", license=None, data={"source": "ComplexDataLab/OpenFake:core"})
    assert inherited(silent, data, None)["license"] == NC
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "README.md").write_text("---\nlicense: mit\nbase_model: [a/b, c/d]\n---\n# Tiny\n")
    card = ModelArguments(start_from=str(tmp_path / "card"))
    assert inherited(card, data, None) == {"license": "mit", "base_model": ["a/b", "c/d"]}
    joined = ModelArguments(architecture="ensemble", members=[str(free.start_from), "recipe.yaml"])
    assert inherited(joined, data, None) == {"license": "apache-2.0", "base_model": "someone/else"}
    joined.members = [str(free.start_from), str(tmp_path / "card"), "recipe.yaml"]
    assert inherited(joined, data, None)["base_model"] == ["someone/else", "a/b", "c/d"]
    backbone = ModelArguments(architecture="efficientnet_b0", pretrained=True)
    assert inherited(backbone, data, None) == {"license": None, "base_model": "timm/efficientnet_b0.ra_in1k"}
    assert inherited(ModelArguments(architecture="custom_cnn"), data, None)["base_model"] is None


def test_a_model_on_the_hub_is_asked_for_its_card(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_published_license", {"you/tiny": "cc-by-nc-sa-4.0"}.get)
    start = ModelArguments(start_from="you/tiny")
    found = inherited(start, DataArguments(data=str(tmp_path)), "mit")
    assert found == {"license": "cc-by-nc-sa-4.0", "base_model": "you/tiny"}


def test_a_hub_that_does_not_answer_is_a_licence_that_is_not_known():
    assert module.origin("nobody/nothing") == {"license": None, "base_model": ["nobody/nothing"]}


@pytest.mark.parametrize("name", recipe_names())
def test_no_recipe_states_a_licence_that_its_data_do_not_have(name, tmp_path):
    """Each is read with a folder of one's own in the place of its data."""
    recipe = load_recipe(name, ["--data", str(tmp_path)])
    assert recipe.run.license in (None, "apache-2.0")
