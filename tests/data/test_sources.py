import datasets
import pytest

from fakelens.data.skips import SkipLog
from fakelens.data.sources import examples, open_source
from fakelens.errors import UserError
from tests.abuse import picture


def write_class_folders(root, names, count=3):
    for split, name in names:
        folder = root / split / name
        folder.mkdir(parents=True)
        for number in range(count):
            picture(seed=number).save(folder / f"{number}.png")
    return root


def write_parquet(path, rows, features=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(rows, features=features).to_parquet(path)


def png(seed=0):
    import io

    file = io.BytesIO()
    picture(seed=seed).save(file, format="PNG")
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
        ([("", "authentic"), ("", "ai_generated")], "train"),
    ],
)
def test_class_folders_are_labelled_by_name(tmp_path, names, split):
    rows, _ = read(write_class_folders(tmp_path, names), split)
    assert len(rows) == 6
    for row in rows:
        folder = row.id.lower().split("/")[-2]
        assert row.label == int(folder in ("fake", "ai_generated"))


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
    with pytest.raises(UserError, match="'cat' is neither real nor fake"):
        read(tmp_path, "train")


@pytest.mark.parametrize("spec", ["no/such/folder", "nothing", "/nowhere"])
def test_no_data_names_the_ways_out(spec):
    with pytest.raises(UserError, match="No data at|could not be opened"):
        open_source(spec, "train")


def test_folder_without_class_folders_gets_a_hint(tmp_path):
    picture().save(tmp_path / "loose.png")
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
