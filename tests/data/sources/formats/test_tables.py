"""Tables with columns and labels of every kind: what is found by itself, what is asked for, what is left out."""

import io
import json
import tarfile

import datasets
import numpy as np
import pytest

from fakelens.data.sources.opening import ReadOptions, examples, open_source
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError
from tests.tiny_data import image


def table(folder, features, rows, name="train-00000-of-00001.parquet"):
    folder.mkdir(parents=True, exist_ok=True)
    kinds = datasets.Features({key: datasets.Value(kind) if isinstance(kind, str) else kind for key, kind in features})
    datasets.Dataset.from_list(rows, features=kinds).to_parquet(folder / name)
    return str(folder)


def labelled(folder, kind, values, column="label", image_column="image"):
    rows = [{image_column: image(number, None), column: value} for number, value in enumerate(values)]
    return table(folder, [(image_column, datasets.Image()), (column, kind)], rows)


def read(spec, split="train", **said):
    skips = SkipLog()
    rows = list(examples(open_source(spec, split, ReadOptions.parse(**said)), skips))
    return [row.label for row in rows], [row.generator for row in rows], skips.counts


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("string", ["real", "fake"], {}),
        ("string", ["Real Photo", "AI Generated"], {}),
        ("string", ["Real", "FAKE"], {}),
        ("string", ["echt", "falsch"], {"label_map": "real=echt,fake=falsch"}),
        ("string", ["echt", "falsch"], {"real_label": "echt"}),
        ("bool", [False, True], {"label_map": "real=0,fake=1"}),
        ("bool", [False, True], {"label_map": "real=false,fake=true"}),
        ("bool", [False, True], {"real_label": "false"}),
        ("int64", [0, 1], {"label_map": "real=0,fake=1"}),
        ("int8", [1, 0], {"label_map": {"real": 1, "fake": 0}}),
        ("float64", [0.0, 1.0], {"label_map": "real=0,fake=1"}),
        (datasets.ClassLabel(names=["fake", "real"]), [1, 0], {}),
        (datasets.ClassLabel(names=["human", "robot"]), [0, 1], {"label_map": "fake=robot"}),
        (datasets.ClassLabel(names=["0", "1"]), [1, 0], {"label_map": "real=1,fake=0"}),
    ],
)
def test_labels_of_any_type(tmp_path, kind, values, said):
    assert read(labelled(tmp_path, kind, values), **said)[0] == [0, 1]


@pytest.mark.parametrize(
    ("column", "kind", "values"),
    [
        ("is_fake", "bool", [False, True]),
        ("is_ai", "int64", [0, 1]),
        ("is_real", "bool", [True, False]),
        ("labels", "string", ["real", "fake"]),
        ("Label", "string", ["real", "fake"]),
        ("binary_label", datasets.ClassLabel(names=["AI", "Human"]), [1, 0]),
        ("veracity", datasets.ClassLabel(names=["AI", "Human"]), [1, 0]),  # the only one with known names
    ],
)
@pytest.mark.parametrize("image_column", ["image", "img", "anything"])
def test_columns_are_found_where_only_one_can_be_meant(tmp_path, column, kind, values, image_column):
    assert read(labelled(tmp_path, kind, values, column, image_column))[0] == [0, 1]


def test_the_three_columns_are_named(tmp_path):
    rows = [
        {"a": image(0, None), "b": image(1, None), "c": "real", "d": "fake", "e": "canon"},
        {"a": image(0, None), "b": image(1, None), "c": "fake", "d": "fake", "e": "sdxl"},
    ]
    kinds = [("a", datasets.Image()), ("b", datasets.Image()), ("c", "string"), ("d", "string"), ("e", "string")]
    found = read(table(tmp_path, kinds, rows), image_column="a", label_column="c", generator_column="e")
    assert found[:2] == ([0, 1], ["real", "sdxl"])


@pytest.mark.parametrize("column", ["model", "generator", "source_model", "model_name"])
@pytest.mark.parametrize("kind", ["string", datasets.ClassLabel(names=["Real", "sdxl"])])
def test_generators_are_found_by_the_usual_columns(tmp_path, column, kind):
    rows = [{"image": image(n, None), "label": ("real", "fake")[n], column: n} for n in range(2)]
    if kind == "string":
        rows = [row | {column: ("Real", "sdxl")[row[column]]} for row in rows]
    spec = table(tmp_path, [("image", datasets.Image()), ("label", "string"), (column, kind)], rows)
    assert read(spec)[1] == ["real", "sdxl"]


def test_a_class_that_is_a_generators_name_is_kept_as_such(tmp_path):
    labels, generators, _ = read(labelled(tmp_path, "string", ["nature", "sdxl", "flux"]), real_label="nature")
    assert labels == [0, 1, 1] and generators == ["real", "sdxl", "flux"]


@pytest.mark.parametrize(
    ("kind", "values", "skipped"),
    [
        ("string", ["real", "fake", "unknown", "unknown"], "unknown"),
        (datasets.ClassLabel(names=["real", "fake", "unknown"]), [0, 1, 2, 2], "unknown"),
        ("int64", [0, 1, 2, 2], "2"),
    ],
)
def test_further_classes_are_skipped_and_counted_when_the_map_says_so(tmp_path, kind, values, skipped):
    said = "real=0,fake=1,skip=2" if kind == "int64" else "skip=unknown"
    labels, _, counts = read(labelled(tmp_path, kind, values), label_map=said)
    assert labels == [0, 1] and counts == {f"of the class {skipped}": 2}


def test_one_class_in_several_spellings_is_one(tmp_path):
    assert read(labelled(tmp_path, "string", ["real", "REAL", " Real", "fake"]))[0] == [0, 0, 0, 1]


def test_a_map_may_name_a_class_that_another_split_has(tmp_path):
    rows = [{"image": image(n, None), "label": name} for n, name in enumerate(("real", "fake", "unknown"))]
    kinds = [("image", datasets.Image()), ("label", "string")]
    spec = table(tmp_path, kinds, rows)
    table(tmp_path, kinds, rows[:2], "test-00000-of-00001.parquet")
    assert read(spec, "test", label_map="skip=unknown")[0] == [0, 1]
    with pytest.raises(UserError, match="names 'robot'"):
        read(spec, "test", label_map="fake=robot")


def test_rows_without_a_label_are_skipped_and_counted_and_kept_where_none_is_needed(tmp_path):
    spec = labelled(tmp_path, "string", ["real", None, "fake", ""])
    assert read(spec)[::2] == ([0, 1], {"no label": 2})
    source = open_source(spec, "train", ReadOptions(is_labelled=False))
    assert [row["label"] for row in source.stream] == [None] * 4
    # Classes of something else are no obstacle: nobody asks what they mean.
    animals = labelled(tmp_path / "animals", datasets.ClassLabel(names=["cat", "dog"]), [0, 1])
    source = open_source(animals, "train", ReadOptions(is_labelled=False))
    assert [(row["label"], row["generator"]) for row in source.stream] == [(None, "unstated")] * 2
    bare = table(tmp_path / "bare", [("image", datasets.Image())], [{"image": image(0, None)}])
    source = open_source(bare, "train", ReadOptions(is_labelled=False))
    assert [(row["label"], row["generator"]) for row in source.stream] == [(None, "unstated")]


@pytest.mark.parametrize(
    ("kind", "values", "said", "message"),
    [
        ("bool", [False, True], {}, "label False and no name for it.*--label-map real=0,fake=1 or"),
        ("int64", [0, 1], {}, "label 0 and no name for it.*--label-map real=0,fake=1 or"),
        ("string", ["real", "cat"], {}, "the label 'cat', which is neither.*skip=cat"),
        (datasets.ClassLabel(names=["ai", "deepfake"]), [0, 1], {}, "ai, deepfake, which all sound fake"),
        ("string", ["ai", "deepfake"], {}, "ai, deepfake, which all sound fake.*--label-map real=ai,fake=deepfake or"),
        ("string", ["nature", "real", "ai"], {}, "nature, real all sound real"),
        ("string", ["echt", "falsch"], {}, "echt, falsch, and none is known.*real=echt,fake=falsch"),
        ("string", [f"a{chr(97 + n)}" for n in range(20)], {}, r"aa, ab, .*al, ... \(20 in all\), and none is known"),
        (datasets.ClassLabel(names=["photo", "real"]), [0, 1], {}, "photo, real all sound real"),
        (datasets.ClassLabel(names=["a", "b"]), [0, 1], {}, "a, b, and none is known.*real=a,fake=b"),
        (
            datasets.ClassLabel(names=["real", "fake"]),
            [0, 1],
            {"label_map": "skip=unknown"},
            "has the classes real, fake; the label map names 'unknown'",
        ),
        ("string", ["real", "fake"], {"label_map": "skip=unknown"}, "has the classes real, fake; .* names 'unknown'"),
        ("int64", [0, 1], {"label_map": "real=0,fake=2"}, "has the classes 0, 1; the label map names '2'"),
        ("string", ["real"], {"label_column": "nope"}, "no column 'nope'; it has: image, label.*--label-column"),
        ("string", ["real"], {"image_column": "nope"}, "no column 'nope'.*--image-column"),
        ("string", ["real"], {"generator_column": "nope"}, "no column 'nope'.*--generator-column"),
    ],
)
def test_what_is_not_understood_is_one_line_with_the_option_that_helps(tmp_path, kind, values, said, message):
    spec = labelled(tmp_path, kind, values)
    with pytest.raises(UserError, match=message) as caught:
        read(spec, **said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["img", "photo", "label"], "has the columns img, photo: say which is the image with --image-column NAME"),
        (["image", "labels", "target"], "has the columns labels, target: say which is the label with --label-column"),
        (["image", "label", "generator", "source_model"], "generator, source_model: say which is the generator"),
        (["image", "caption"], "no column 'label'; it has: image, caption.*--label-column NAME"),
    ],
)
def test_columns_that_may_be_several_are_asked_for(tmp_path, columns, message):
    images = {"image", "img", "photo"}
    kinds = [(name, datasets.Image() if name in images else "string") for name in columns]
    spec = table(tmp_path, kinds, [{name: image(0, None) if name in images else "real" for name in columns}])
    with pytest.raises(UserError, match=message):
        open_source(spec, "train")


def test_images_as_bytes_and_as_paths(tmp_path):
    cells = [image(number, None)["bytes"] for number in range(2)]
    rows = [{"image_data": cell, "label": name} for cell, name in zip(cells, ("real", "fake"), strict=True)]
    spec = table(tmp_path / "bytes", [("image_data", "binary"), ("label", "string")], rows)
    assert read(spec)[0] == [0, 1]
    (tmp_path / "paths").mkdir()
    (tmp_path / "paths" / "a.png").write_bytes(cells[0])
    rows = [{"path": "a.png", "label": "real"}, {"path": "gone.png", "label": "fake"}]
    spec = table(tmp_path / "paths", [("path", "string"), ("label", "string")], rows)
    assert read(spec)[::2] == ([0], {"no such file": 1})


def write_tar(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for key, files in samples.items():
            for end, content in files.items():
                entry = tarfile.TarInfo(f"{key}.{end}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize("kind", ["cls", "json", "txt"])
def test_webdataset_shards(tmp_path, kind):
    content = {
        "cls": [b"0", b"1"],
        "txt": [b"real", b"fake"],
        "json": [json.dumps({"label": name, "model": name}).encode() for name in ("real", "sdxl fake")],
    }[kind]
    samples = {f"{n:03d}": {"png": image(n, None)["bytes"], kind: content[n]} for n in range(2)}
    write_tar(tmp_path / "train-0000.tar", samples)
    said = {"cls": {"label_map": "real=0,fake=1"}, "txt": {"label_column": "txt"}, "json": {}}[kind]
    labels, generators, _ = read(str(tmp_path), **said)
    assert labels == [0, 1] and generators == ["real", "sdxl fake" if kind == "json" else "unstated"]
    with pytest.raises(UserError, match="no tar file for split 'test'.*train-0000.tar"):
        open_source(str(tmp_path), "test")


def test_folders_of_save_to_disk(tmp_path):
    rows = [{"photo": image(n, None), "label": n} for n in range(4)]
    features = datasets.Features({"photo": datasets.Image(), "label": datasets.Value("int64")})
    data = datasets.Dataset.from_list([row | {"label": row["label"] % 2} for row in rows], features=features)
    datasets.DatasetDict({"train": data, "val": data.select([1])}).save_to_disk(tmp_path / "dict")
    data.save_to_disk(tmp_path / "one")
    said = {"label_map": "real=0,fake=1"}
    assert read(str(tmp_path / "dict"), **said)[0] == [0, 1, 0, 1]
    assert read(str(tmp_path / "dict"), "validation", **said)[0] == [1]
    assert read(str(tmp_path / "one"), "test", **said)[0] == [0, 1, 0, 1]
    with pytest.raises(UserError, match="has no split 'test'. It has: train, val"):
        open_source(str(tmp_path / "dict"), "test")
    with pytest.raises(UserError, match="has no splits.*holdout"):
        open_source(str(tmp_path / "one"), "validation", ReadOptions.parse(**said))
    (tmp_path / "one" / "state.json").write_text("{}")
    with pytest.raises(UserError, match="no complete folder of save_to_disk"):
        open_source(str(tmp_path / "one"), "test")


def test_what_was_said_stands_in_the_source(tmp_path):
    spec = labelled(tmp_path, "int64", [0, 1], "y", "x")
    said = {"label_map": "real=0,fake=1", "label_column": "y", "image_column": "x"}
    source = open_source(spec, "train", ReadOptions.parse(**said))
    assert source.said == {"label_map": {"real": ["0"], "fake": ["1"]}, "image_column": "x", "label_column": "y"}
    assert np.shape(list(source.stream)) == (2,)
