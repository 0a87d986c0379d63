"""Published splits by name, and generators' names in any spelling; their columns on rows of the same schema."""

import datasets
import pytest
import yaml

from fakelens.data.sources.opening import ReadOptions, examples, open_source
from fakelens.data.sources.skips import SkipLog
from fakelens.data.splits import protocols
from fakelens.errors import UserError
from fakelens.training.recipe.recipe import load_recipe
from tests.abuse import make_image
from tests.readme import ROOT
from tests.tiny_data import image

IMAGE, TEXT = datasets.Image(), datasets.Value("string")
GENERATORS = ["Real", "ADM", "BigGAN", "GLIDE", "Midjourney", "SD14", "SD15", "VQDM", "Wukong"]
# The columns that the cards of the data state, and what a fake and a real row hold in them.
SCHEMAS = {
    "openfake": (
        {"image": IMAGE, "prompt": TEXT, "label": TEXT, "model": TEXT, "type": TEXT, "release_date": TEXT},
        {"label": "fake", "model": "veo-3"},
        {"label": "real", "model": "laion"},
    ),
    "genimage": (
        {
            "image": IMAGE,
            "label": datasets.ClassLabel(names=["real", "fake"]),
            "generator": datasets.ClassLabel(names=GENERATORS),
        },
        {"label": 1, "generator": 4},
        {"label": 0, "generator": 0},
    ),
    "community-forensics": (
        {
            **{"image_name": TEXT, "format": TEXT, "mode": TEXT, "image_data": datasets.Value("binary")},
            **{"model_name": TEXT, "nsfw_flag": datasets.Value("bool"), "prompt": TEXT, "real_source": TEXT},
            **{"subset": TEXT, "split": TEXT, "label": datasets.Value("int64"), "architecture": TEXT},
        },
        {"label": 1, "model_name": "SG161222/Realistic_Vision"},
        {"label": 0, "model_name": None},
    ),
    "cifake": (
        {"image": IMAGE, "label": datasets.ClassLabel(names=["FAKE", "REAL"])},
        {"label": 0},
        {"label": 1},
    ),
    "aigibench": (
        {
            "image": IMAGE,
            "label": datasets.ClassLabel(names=["real", "fake"]),
            "generator": datasets.ClassLabel(names=["Real", "ProGAN", "SD14"]),
        },
        {"label": 1, "generator": 2},
        {"label": 0, "generator": 0},
    ),
    "so-fake": (
        {
            **{"image": IMAGE, "mask": IMAGE, "generator": TEXT, "source": TEXT, "filename": TEXT, "split": TEXT},
            "label": datasets.ClassLabel(names=["real", "tampered", "full_synthetic"]),
        },
        {"label": 1, "generator": "openai"},
        {"label": 0, "generator": None},
    ),
}
FOLDERS = {
    "openforensics-faces": ("Test/Fake", "Test/Real"),
    "wildrf": ("test/reddit/1_fake", "test/reddit/0_real"),
    "chameleon": ("test/1_fake", "test/0_real"),
}


def written(folder, name, split):
    """Write a fake and a real row as a protocol's data have them."""
    if name in FOLDERS:
        for number, place in enumerate(FOLDERS[name]):
            (folder / place).mkdir(parents=True)
            make_image(seed=number).save(folder / place / "0.png")
        return folder
    features, *rows = SCHEMAS[name]
    cells = [image(number, "checker" if number == 0 else None) for number in range(2)]
    filled = []
    for row, cell in zip(rows, cells, strict=True):
        blank = dict.fromkeys(features)
        own = {"image_data": cell["bytes"]} if "image_data" in features else {"image": cell}
        filled.append(blank | row | own)
    folder.mkdir(parents=True)
    table = datasets.Dataset.from_list(filled, features=datasets.Features(features))
    table.to_parquet(folder / f"{split}-00000-of-00001.parquet")
    return folder


@pytest.mark.parametrize("name", protocols.names())
def test_data_of_the_same_schema_are_read_by_each_protocol(tmp_path, name):
    protocol = protocols.get(name)
    split = protocol.tests[0][1]
    source = open_source(str(written(tmp_path / "data", name, split)), split, ReadOptions.parse(**protocol.read))
    rows = {example.label: example.generator for example in examples(source, SkipLog())}
    named = {"openfake": "veo-3", "genimage": "Midjourney", "community-forensics": "SG161222/Realistic_Vision"}
    named |= {"aigibench": "SD14", "so-fake": "openai"}
    assert rows == {1: named.get(name, "unstated"), 0: "real"}


@pytest.mark.parametrize("name", protocols.names())
def test_every_protocol_says_where_it_comes_from(name):
    protocol = protocols.get(name)
    assert protocol.citation and protocol.tests and set(protocol.read) <= set(protocols.READ)
    assert (protocol.validation_split is None) == (protocol.holdout is not None)
    assert protocol.data is None or protocol.license
    text = (protocols.PUBLISHED / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith("# ") and yaml.safe_load(text)["tried"] is (name == "openfake")
    assert ("# Not fetched when this was written: tried on " in text) is (name != "openfake")
    page = (ROOT / "docs" / "your-detector-your-data.md").read_text(encoding="utf-8")
    assert f"`{name}`" in page


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


def recipe(tmp_path, **keys):
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(keys))
    return load_recipe(path).data


def test_a_recipe_takes_data_splits_and_columns_from_its_protocol(tmp_path):
    data = recipe(tmp_path, protocol="community-forensics")
    assert data.data.startswith("OwensLab/CommunityForensics-Small@") and data.holdout == 0.02
    assert data.read.image == "image_data" and data.read.rules.label_of(1, "d") == 1
    assert recipe(tmp_path, protocol="genimage").excluded == [
        "ADM",
        "BigGAN",
        "GLIDE",
        "Midjourney",
        "SD15",
        "VQDM",
        "Wukong",
    ]
    assert recipe(tmp_path, protocol="genimage", data="my/folder").read.record() == {}


def test_a_protocol_whose_data_are_not_on_the_hub_asks_for_their_folder(tmp_path):
    with pytest.raises(UserError, match="wildrf are not on the Hub.*name their folder with --data"):
        recipe(tmp_path, protocol="wildrf")
    assert recipe(tmp_path, protocol="wildrf", data="my/folder").validation_split == "val"
