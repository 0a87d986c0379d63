"""Which images a recipe trains and validates on: by generator, by content, and all keys together."""

import io
import json
import shutil
from collections import Counter

import datasets
import pytest
from PIL import Image

from fakelens.data.aligned.autoencoders import Autoencoder
from fakelens.data.aligned.reconstruct import Reconstruction, original_of, write_pairs
from fakelens.data.sources.opening import content_id, open_source
from fakelens.data.sources.skips import SkipLog
from fakelens.data.splits import protocols
from fakelens.errors import UserError
from fakelens.models import DetectorImageProcessor
from fakelens.training.data.examples import Prepare
from fakelens.training.data.training_data import open_training_data
from fakelens.training.recipe.recipe import DataArguments, load_recipe
from tests.tiny_data import image

DARKER = Autoencoder("darker", 8, lambda images: images * 0.8)
FAKES = ("Midjourney 7", "flux.1-dev", "sd-3.5")


def write(path, numbers, models=(None, *FAKES), **columns):
    """Write a shard of images with these numbers, made in turn by these models."""
    rows = []
    for number in numbers:
        model = models[number % len(models)]
        cell = image(number, "checker" if model else None)
        rows.append({"image": cell, "label": "fake" if model else "real", "model": model} | columns)
    features = datasets.Features(dict.fromkeys(rows[0], datasets.Value("string")) | {"image": datasets.Image()})
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(rows, features=features).to_parquet(path)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Forty training images and sixteen for validation: real, and of three generators of which one is OpenFake's."""
    root = tmp_path_factory.mktemp("pool")
    write(root / "train-00000-of-00001.parquet", range(40))
    write(root / "validation-00000-of-00001.parquet", range(100, 116))
    return str(root)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another data set, of one generator that `pool` has and one that it has not."""
    root = tmp_path_factory.mktemp("other")
    write(root / "train-00000-of-00001.parquet", range(200, 224), (None, "flux.1-dev", "imagen-4"))
    write(root / "validation-00000-of-00001.parquet", range(300, 312), (None, "flux.1-dev", "imagen-4"))
    return str(root)


def opened(data, unseen=None, **keys):
    return open_training_data(DataArguments(data=data, **keys), 42, unseen)


def contents(source):
    return {content_id(row["image"]) for row in source.stream}


def made_by(source):
    return set(Counter(row["generator"] for row in source.stream))


def test_held_out_generators_are_in_no_split_and_the_record_names_them(pool):
    data = opened(pool, protocol="openfake", exclude_generators=["SD 3.5"])
    assert made_by(data.train) == made_by(data.validation) == {"real", "flux.1-dev"}
    facts = json.loads(json.dumps(data.facts()))
    assert facts["protocol"] == "openfake" and len(facts["held_out"]) == 21
    assert protocols.among("midjourney-7", facts["held_out"]) and "SD 3.5" in facts["held_out"]
    assert opened(pool).facts()["held_out"] == [] and made_by(opened(pool).train) == {"real", *FAKES}
    classes = opened(pool, protocol="openfake", classes="generator").classes.labels
    assert classes == ["real", "flux.1-dev", "sd-3.5"]


def test_sources_are_left_out_of_both_classes_by_name_pattern_and_part(tmp_path):
    for number, source in enumerate(("camera-a", "camera-b", "camera-c", "web")):
        start = 100 * number
        write(tmp_path / f"train-{number:05d}-of-00004.parquet", range(start, start + 8), source=source)
        write(tmp_path / f"validation-{number:05d}-of-00004.parquet", range(start + 50, start + 58), source=source)

    def sources(**keys):
        data = opened(str(tmp_path), **keys)
        found = [Counter(row["source"] for row in part.stream) for part in (data.train, data.validation)]
        assert set(found[0]) == set(found[1]) and set(found[0].values()) == {8}
        return set(found[0])

    assert sources() == {"camera-a", "camera-b", "camera-c", "web"}
    assert sources(exclude_sources=["Camera-A", "web"]) == {"camera-b", "camera-c"}
    assert sources(exclude_sources=["camera-*"]) == {"web"}
    parts = [sources(exclude_sources=[f"camera-*#{part}/2"]) for part in (1, 2)]
    assert parts[0] & parts[1] == {"web"} and parts[0] | parts[1] == sources()
    (tmp_path / "r.yaml").write_text("exclude_sources: 'camera-*#3/2'\n")
    with pytest.raises(UserError, match="parts are counted from 1 to 2"):
        load_recipe(tmp_path / "r.yaml")


def test_generators_are_left_out_by_pattern_too(pool):
    data = opened(pool, exclude_generators=["f?ux*", "SD 3.5"])
    assert made_by(data.train) == made_by(data.validation) == {"real", "Midjourney 7"}
    assert sorted(data.facts()["held_out"]) == ["SD 3.5", "f?ux*"]
    halves = [made_by(opened(pool, exclude_generators=[f"*#{part}/2"]).train) for part in (1, 2)]
    assert halves[0] & halves[1] == {"real"} and halves[0] | halves[1] == {"real", *FAKES}


def test_a_protocol_names_data_and_splits_unless_the_recipe_does(tmp_path):
    (tmp_path / "r.yaml").write_text("protocol: openfake\nvalidation_split: val\nexclude_generators: aurora\n")
    data = load_recipe(tmp_path / "r.yaml").data
    assert (data.data, data.train_split, data.validation_split) == ("ComplexDataLab/OpenFake:core", "train", "val")
    assert load_recipe(tmp_path / "r.yaml", ["--data", "mine"]).data.data == "mine"
    assert data.exclude_generators == ["aurora"] and len(data.excluded) == 21


def test_what_is_held_out_is_told_by_content_alone(tmp_path):
    """As class folders, under other names, and as one shard or three in another order with ids of their own."""
    for number in range(40):
        kind = "fake" if number % 2 else "real"
        for name, file in (("folder", f"{number}.png"), ("renamed", f"{97 * number % 89:03d}-x.png")):
            path = tmp_path / name / "train" / kind / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image(number, "checker" if number % 2 else None)["bytes"])
    models = (None, "flux.1-dev")
    write(tmp_path / "one" / "train-00000-of-00001.parquet", range(40), models)
    for shard in range(3):
        numbers = range(39 - shard, -1, -3)
        write(tmp_path / "three" / f"train-0000{shard}-of-00003.parquet", numbers, models, id=f"mine-{shard}")
    splits = []
    for name in ("folder", "renamed", "one", "three"):
        data = opened(str(tmp_path / name), holdout=0.3)
        train, validation = contents(data.train), contents(data.validation)
        assert not train & validation and len(train | validation) == 40 and data.rows == 28
        splits.append(validation)
    assert splits[0] == splits[1] == splits[2] == splits[3] and 6 <= len(splits[0]) <= 18
    assert (
        contents(open_training_data(DataArguments(data=str(tmp_path / "one"), holdout=0.3), 1).validation) != splits[0]
    )


def test_a_pair_goes_where_the_image_goes_that_it_was_made_from(pool, tmp_path):
    folder = tmp_path / "photographs"  # whose ids are paths
    for number in range(0, 40, 4):
        path = folder / "train" / "real" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image(number, None)["bytes"])
    pairs = str(tmp_path / "pairs")
    write_pairs(open_source(str(folder), "train"), DARKER, tmp_path / "pairs", Reconstruction(scales=(1.0, 0.9)))
    shutil.copytree(pool, tmp_path / "copies")  # the very images again, as extra data
    data = opened(pool, holdout=0.4, extra_data=[pairs, str(tmp_path / "copies")], extra_fraction=0.5)
    held_out = contents(data.validation)
    originals = {original_of(row["id"]) for row in data.train.stream} - {None}
    assert originals and not originals & held_out and not contents(data.train) & held_out
    of_pairs = {original_of(row["id"]) for row in open_source(pairs, "train").stream}
    assert len(of_pairs) == 10 and of_pairs - held_out == originals and of_pairs & held_out
    assert "darker" in made_by(data.train)
    assert "darker" not in made_by(opened(pool, extra_data=[pairs], exclude_generators=["Darker"]).train)


def test_one_generator_comes_with_as_many_real_images(tmp_path):
    models = (None, None, None, None, None, None, "flux.1-dev", "sd-3.5")
    write(tmp_path / "train-00000-of-00001.parquet", range(80), models)
    write(tmp_path / "validation-00000-of-00001.parquet", range(100, 116), models)
    data = opened(str(tmp_path), only_generators=["FLUX.1 dev"])
    count = Counter(row["generator"] for row in data.train.stream)  # of 60 real images and 10 such fakes
    assert count.keys() == {"real", "flux.1-dev"} and count["real"] == pytest.approx(count["flux.1-dev"], rel=0.4)
    assert made_by(data.validation) == {"real", "flux.1-dev"} and data.rows is None


def test_rehearsal_brings_old_rows_at_its_share_and_none_that_the_detector_never_saw(pool, other):
    keys = {"rehearsal": [pool], "rehearsal_fraction": 0.5, "only_generators": ["imagen-4"]}
    data = opened(other, ["SD-3.5", "imagen-4", "veo-3"], **keys)
    assert made_by(data.train) == {"real", "imagen-4", "Midjourney 7", "flux.1-dev"}
    old = contents(open_source(pool, "train"))
    fraction = [content_id(row["image"]) in old for row in data.train.stream]
    assert sum(fraction) / len(fraction) == pytest.approx(0.5, abs=0.1)
    assert made_by(data.apart["new"]) == {"real", "imagen-4"}
    assert made_by(data.apart["old"]) == {"real", "Midjourney 7", "flux.1-dev"}
    assert contents(data.validation) == contents(data.apart["new"]) | contents(data.apart["old"])
    assert data.held_out == ["SD-3.5", "veo-3"]  # and imagen-4 no more
    # What the new data may show without being asked, nobody can vouch for; what was trained on before, nobody unsees.
    assert opened(other, ["veo-3"], rehearsal=[pool]).held_out == []
    assert opened(other, ["veo-3"], rehearsal=[pool], protocol="openfake").held_out == ["veo-3"]
    assert made_by(opened(other, [], **keys | {"rehearsal_fraction": 0.0}).train) == {"real", "imagen-4"}
    assert opened(other, [], rehearsal=[pool], rehearsal_fraction=0.25).rows == 32  # an epoch is one of the new data


def test_all_keys_together_leave_no_surprise(pool, other, tmp_path):
    write_pairs(open_source(pool, "train"), DARKER, tmp_path / "pairs")
    data = opened(
        other,
        ["veo-3"],
        protocol="openfake",
        exclude_generators=["imagen-4"],
        holdout=0.3,
        extra_data=[str(tmp_path / "pairs")],
        extra_fraction=0.2,
        rehearsal=[pool],
        rehearsal_fraction=0.4,
    )
    assert made_by(data.train) == {"real", "flux.1-dev", "sd-3.5", "darker"}
    assert made_by(data.validation) == {"real", "flux.1-dev", "sd-3.5"}
    train, validation = contents(data.train), contents(data.validation)
    assert not train & validation and validation == contents(data.apart["old"]) | contents(data.apart["new"])
    assert not {original_of(row["id"]) for row in data.train.stream} & validation
    everything = contents(open_source(pool, "train")) | contents(open_source(other, "train"))
    left_out = (row for s in (pool, other) for row in open_source(s, "train").stream)
    left_out = {content_id(r["image"]) for r in left_out if r["generator"] in ("Midjourney 7", "imagen-4")}
    assert {c for c in train if c in everything} | validation == everything - left_out


def test_a_image_that_is_there_twice_is_validated_on_once(pool):
    data = opened(pool, [], rehearsal=[pool])
    prepare = Prepare(DetectorImageProcessor(size={"height": 8, "width": 8}), data.classes, SkipLog())
    assert len(data.validation_set(prepare)) == 16 == len(opened(pool).validation_set(prepare))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"exclude_generators": list(FAKES)}, "only real images to train on; both classes are needed"),
        ({"only_generators": ["imagen-4"]}, "no rows to train on, once those left out by .*only_generators"),
        ({"protocol": "openfak"}, "Did you mean openfake"),
    ],
)
def test_a_class_that_is_missing_is_said_before_training(pool, keys, message):
    with pytest.raises(UserError, match=message) as caught:
        opened(pool, **keys)
    assert "\n" not in str(caught.value)


def test_extra_data_may_bring_the_class_that_is_missing(tmp_path, pool):
    for number in range(4):
        path = tmp_path / "real_only" / "train" / "real" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.open(io.BytesIO(image(number, None)["bytes"])).save(path)
    real_scores = str(tmp_path / "real_only")
    with pytest.raises(UserError, match=f"{real_scores} has only real images to train on"):
        opened(real_scores, validation_split="train")
    assert made_by(opened(real_scores, validation_split="train", extra_data=[pool]).train) == {"real", *FAKES}
