import datasets
import pyarrow.parquet as pq
import pytest

from fakelens.data.sources.opening import examples, open_source
from fakelens.data.sources.reading import StreamError
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError
from tests.abuse import make_image


def write_class_folders(root, names, count=3):
    for split, name in names:
        folder = root / split / name
        folder.mkdir(parents=True)
        for number in range(count):
            make_image(seed=number).save(folder / f"{number}.png")
    return root


def write_parquet(path, rows, features=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(rows, features=features).to_parquet(path)


def png(seed=0):
    import io

    file = io.BytesIO()
    make_image(seed=seed).save(file, format="PNG")
    return {"bytes": file.getvalue(), "path": None}


def read(spec, split):
    skips = SkipLog()
    return list(examples(open_source(str(spec), split), skips)), skips


@pytest.mark.parametrize(
    ("names", "split"),
    [
        ([("train", "REAL"), ("train", "FAKE"), ("test", "REAL")], "train"),  # CIFAKE
        ([("Validation", "Real"), ("Validation", "Fake"), ("Train", "Real")], "validation"),  # OpenForensics faces
        ([("val", "real"), ("val", "fake")], "validation"),
        ([("Dataset/Validation", "Real"), ("Dataset/Validation", "Fake"), ("Dataset/Train", "Real")], "validation"),
        ([("", "authentic"), ("", "ai_generated")], "train"),  # S4, and S3's raw/
        ([("raw", "real"), ("raw", "fake")], "train"),
        ([("processed/val", "real"), ("processed/val", "fake"), ("processed/test", "fake")], "validation"),  # S3
        ([("wild", "real"), ("wild", "fake")], "wild"),
    ],
)
def test_class_folders_are_labelled_by_name_whatever_lies_between(tmp_path, names, split):
    write_class_folders(tmp_path, names)
    for folder in (tmp_path, *(p for p in tmp_path.rglob("*") if p.is_dir())):
        for junk in ("README.txt", ".DS_Store", "Thumbs.db"):
            (folder / junk).write_text("no image")
    (next(tmp_path.rglob("0.png")).parent / "text.jpg").write_text("no image either")
    rows, skips = read(tmp_path, split)
    assert len(rows) == 6 and skips.counts in ({}, {"not an image": 1})
    for row in rows:
        folder = row.id.lower().split("/")[-2]
        assert row.label == int(folder in ("fake", "ai_generated"))


def test_text_under_an_images_name_is_skipped_and_counted(tmp_path):
    write_class_folders(tmp_path, [("", "real")])
    (tmp_path / "real" / "text.jpg").write_text("no image")
    (tmp_path / "real" / "text.txt").write_text("no image")
    rows, skips = read(tmp_path, "test")
    assert {row.label for row in rows} == {0} and len(rows) == 3  # one class alone can be evaluated
    assert skips.counts == {"not an image": 1}


@pytest.mark.parametrize(
    ("names", "split", "message"),
    [
        ([("raw", "real"), ("processed/train", "fake")], "train", "Name one of them: .*/processed or .*/raw"),
        (
            [("train", "real"), ("test", "real")],
            "validation",
            "no folder for split.*test, train.*holdout",
        ),
        ([("", "real"), ("", "fake")], "validation", "no splits.*training images once more.*holdout"),
        ([("a/b/c/d/e/train", "real")], "train", "`real/` and `fake/`.*such as `train/`"),
    ],
)
def test_folders_that_do_not_fit_say_what_to_name(tmp_path, names, split, message):
    with pytest.raises(UserError, match=message):
        open_source(str(write_class_folders(tmp_path, names)), split)


def test_columns_that_are_not_used_are_not_read(tmp_path):
    """The prompts are made unreadable: who reads them fails."""
    path = tmp_path / "train.parquet"
    rows = [{"image": png(n), "prompt": f"{n} " * 5000, "label": "real", "model": "x"} for n in range(6)]
    datasets.Dataset.from_list(rows).to_parquet(path)
    group = pq.ParquetFile(path).metadata.row_group(0)
    prompt = next(c for c in map(group.column, range(group.num_columns)) if c.path_in_schema == "prompt")
    data = bytearray(path.read_bytes())
    start = prompt.dictionary_page_offset or prompt.data_page_offset
    data[start : start + prompt.total_compressed_size] = b"\xff" * prompt.total_compressed_size
    path.write_bytes(data)
    with pytest.raises((OSError, ValueError)):
        pq.read_table(path)
    assert len(read(tmp_path, "train")[0]) == 6


def test_a_shard_that_is_damaged_inside_ends_in_one_line(tmp_path):
    path = tmp_path / "train.parquet"
    write_parquet(path, [{"image": png(n), "label": "real"} for n in range(6)])
    data = bytearray(path.read_bytes())
    data[4:4000] = b"\xff" * 3996
    path.write_bytes(data)
    with pytest.raises(StreamError, match="^Reading the split 'train' of .*") as caught:
        read(tmp_path, "train")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "spec"), [("openfake", "OpenFake:core"), ("openfake:reddit", "OpenFake:reddit"), ("openfake:v1", "@v1.0")]
)
def test_short_names_stand_for_hub_data_sets(name, spec):
    with pytest.raises(UserError, match=f"Hub data set 'ComplexDataLab/.*{spec}'.* could not be opened"):
        open_source(name, "test")


def test_class_index_of_the_data_set_is_not_trusted(tmp_path):
    """`imagefolder` sorts its class names, so that fake is 0."""
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["fake", "real"])})
    rows = [{"image": png(0), "label": 0}, {"image": png(1), "label": 1}]
    write_parquet(tmp_path / "train-00000-of-00001.parquet", rows, features)
    got, _ = read(tmp_path, "train")
    assert [row.label for row in got] == [1, 0]


def test_parquet_splits_are_found_by_file_and_by_folder(tmp_path):
    for name in ("train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "data/val/0000.parquet"):
        write_parquet(tmp_path / name, [{"image": png(), "label": "real"}])
    assert open_source(str(tmp_path), "train").rows == 2
    assert open_source(str(tmp_path), "validation").rows == 1
    with pytest.raises(UserError, match="no parquet file for split 'test'.*train-00000"):
        open_source(str(tmp_path), "test")


def test_undecodable_rows_are_skipped_and_counted(tmp_path):
    rows = [
        {"image": png(), "label": "real"},
        {"image": {"bytes": b"junk", "path": None}, "label": "fake"},
        {"image": {"bytes": b"", "path": None}, "label": "fake"},
        {"image": None, "label": "fake"},
        {"image": png(1), "label": "Fake"},
    ]
    write_parquet(tmp_path / "train.parquet", rows)
    got, skips = read(tmp_path, "train")
    assert [row.label for row in got] == [0, 1]
    assert skips.counts == {"not an image": 1, "empty file": 1}  # two empty cells are the same content, and one row
    assert skips.summary().startswith("2 rows skipped")


@pytest.mark.parametrize("missing", ["image", "label"])
def test_missing_column_is_named_with_those_there_are(tmp_path, missing):
    row = {"image": png(), "label": "real", "prompt": "x"}
    del row[missing]
    write_parquet(tmp_path / "train.parquet", [row])
    with pytest.raises(UserError, match=f"no column '{missing}'.*prompt"):
        open_source(str(tmp_path), "train")


def test_a_shard_that_ends_half_way_is_named(tmp_path):
    path = tmp_path / "train.parquet"
    write_parquet(path, [{"image": png(), "label": "real"}])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match="train.parquet is not a complete parquet file"):
        open_source(str(tmp_path), "train")


def test_labels_that_are_neither_stop_with_the_word(tmp_path):
    write_parquet(tmp_path / "train.parquet", [{"image": png(), "label": "cat"}])
    with pytest.raises(UserError, match="the label 'cat', which is neither real nor fake.*skip=cat"):
        read(tmp_path, "train")


@pytest.mark.parametrize("spec", ["no/such/folder", "nothing", "/nowhere"])
def test_no_data_names_the_ways_out(spec):
    with pytest.raises(UserError, match="No data at|could not be opened"):
        open_source(spec, "train")


def test_folder_without_class_folders_gets_a_hint(tmp_path):
    make_image().save(tmp_path / "loose.png")
    with pytest.raises(UserError, match="`real/` and `fake/`"):
        open_source(str(tmp_path), "train")


def test_generator_and_source_columns_are_kept(tmp_path):
    rows = [
        {"image": png(0), "label": "real", "model": "Canon", "source": "archive"},
        {"image": png(1), "label": "fake", "model": "sd-3.5", "source": "hub"},
        {"image": png(2), "label": "fake", "model": None, "source": None},
    ]
    write_parquet(tmp_path / "train.parquet", rows)
    got, _ = read(tmp_path, "train")
    assert [(r.generator, r.source) for r in got] == [("real", "archive"), ("sd-3.5", "hub"), ("unstated", "")]


def test_skip_log_is_shared_through_its_file(tmp_path):
    for _ in range(2):  # as two workers, or a run and its resumption
        log = SkipLog(tmp_path / "skipped.jsonl")
        log.add("a", "empty file")
        log.add("a", "empty file")
    log.add("b", "not an image")
    assert SkipLog(tmp_path / "skipped.jsonl").counts == {"empty file": 1, "not an image": 1}
