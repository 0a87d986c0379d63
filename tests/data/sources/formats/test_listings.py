"""Lists of images by path or address, and metadata files of imagefolders."""

import json
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fakelens.data.sources.opening import ReadOptions, examples, open_source
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError
from tests.abuse import make_image

ROWS = [{"path": "a.png", "label": "real"}, {"path": "sub/b.png", "label": "fake"}]


def images(folder, *names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        make_image(seed=number).save(folder / name)
    return folder


def write(path, rows):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    else:
        between = "\t" if path.suffix == ".tsv" else ","
        lines = [between.join(rows[0]), *(between.join("" if v is None else str(v) for v in r.values()) for r in rows)]
        path.write_text("\n".join(lines) + "\n")
    return str(path)


def read(spec, split="test", **said):
    skips = SkipLog()
    rows = list(examples(open_source(spec, split, ReadOptions.parse(**said)), skips))
    return {row.id: row.label for row in rows}, skips.counts


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_one_file_of_paths(tmp_path, kind):
    images(tmp_path, "a.png", "sub/b.png")
    assert read(write(tmp_path / f"list.{kind}", ROWS))[0] == {"a.png": 0, "sub/b.png": 1}


def test_one_file_of_addresses(tmp_path):
    handler = partial(SimpleHTTPRequestHandler, directory=str(images(tmp_path, "a.png", "sub/b.png")))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        root = f"http://127.0.0.1:{server.server_port}"
        rows = [{"url": f"{root}/{row['path']}", "label": row["label"]} for row in ROWS]
        rows.append({"url": f"{root}/gone.png", "label": "fake"})
        found, skipped = read(write(tmp_path / "list.csv", rows))
    finally:
        server.shutdown()
        server.server_close()
    assert found == {f"{root}/a.png": 0, f"{root}/sub/b.png": 1} and skipped == {"download failed": 1}


def test_a_text_file_is_a_list_for_those_who_ask_for_no_labels(tmp_path):
    images(tmp_path, "train/a.png", "test/b c.png")
    (tmp_path / "list.txt").write_text("\ufefftest/b c.png\n\n  train/a.png\nhttp://x/y.png\n", encoding="utf-8")
    source = open_source(str(tmp_path / "list.txt"), "train", ReadOptions(is_labelled=False))
    assert [row["id"] for row in source.stream] == ["test/b c.png", "train/a.png", "http://x/y.png"]
    assert source.rows == 3 and Path(next(iter(source.stream))["image"]["path"]).is_file()
    with pytest.raises(UserError, match="no column 'label'"):
        open_source(str(tmp_path / "list.txt"), "train")


def test_a_folder_of_images_is_read_in_order_whatever_its_folders_are_called(tmp_path):
    images(tmp_path, "cats/b.png", "real/a.png", "a.png", ".hidden/c.png")
    (tmp_path / "notes.txt").write_text("no image")
    source = open_source(str(tmp_path), "train", ReadOptions(is_labelled=False))
    assert [row["id"] for row in source.stream] == ["a.png", "cats/b.png", "real/a.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no images. Name a folder of images"):
        open_source(str(tmp_path / "empty"), "train", ReadOptions(is_labelled=False))


def test_a_column_of_splits_divides_a_list(tmp_path):
    images(tmp_path, "a.png", "sub/b.png")
    rows = [row | {"split": split} for row, split in zip(ROWS, ("train", "val"), strict=True)]
    spec = write(tmp_path / "list.csv", rows)
    assert read(spec, "train")[0] == {"a.png": 0} and read(spec, "validation")[0] == {"sub/b.png": 1}
    with pytest.raises(UserError, match="no row of split 'test'. It has: train, val"):
        open_source(spec, "test")


def test_a_list_without_splits_is_no_validation_split(tmp_path):
    images(tmp_path, "a.png", "sub/b.png")
    with pytest.raises(UserError, match="has no splits: as 'validation'.*holdout"):
        open_source(write(tmp_path / "list.csv", ROWS), "validation")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_imagefolder_with_metadata(tmp_path, kind):
    images(tmp_path, "a.png", "sub/b.png")
    write(tmp_path / f"metadata.{kind}", [{"file_name": row["path"], "label": row["label"]} for row in ROWS])
    assert read(str(tmp_path))[0] == {"a.png": 0, "sub/b.png": 1}


def test_metadata_of_each_split_and_paths_that_begin_with_it(tmp_path):
    one = images(tmp_path / "one", "train/a.png", "test/a.png", "test/b.png")
    write(one / "train" / "metadata.csv", [{"file_name": "a.png", "label": "real"}])
    write(one / "test" / "metadata.csv", [{"file_name": f"{n}.png", "label": "fake"} for n in "ab"])
    assert read(str(one), "train")[0] == {"train/a.png": 0} and read(str(one))[0] == {"test/a.png": 1, "test/b.png": 1}
    with pytest.raises(UserError, match="no metadata file for split 'validation'. It holds: test/metadata.csv"):
        open_source(str(one), "validation")
    two = images(tmp_path / "two", "train/a.png", "test/b.png")
    write(
        two / "metadata.csv",
        [{"file_name": "train/a.png", "label": "real"}, {"file_name": "test/b.png", "label": "fake"}],
    )
    assert read(str(two), "train")[0] == {"train/a.png": 0} and read(str(two))[0] == {"test/b.png": 1}


def test_metadata_without_labels_leave_them_to_the_folders(tmp_path):
    images(tmp_path, "real/a.png", "fake/b.png")
    write(
        tmp_path / "metadata.csv",
        [{"file_name": "real/a.png", "prompt": "x"}, {"file_name": "fake/b.png", "prompt": "y"}],
    )
    assert read(str(tmp_path))[0] == {"real/a.png": 0, "fake/b.png": 1}


def test_files_that_are_missing_are_skipped_and_counted_unless_all_are(tmp_path):
    images(tmp_path, "a.png")
    spec = write(tmp_path / "metadata.csv", [{"file_name": row["path"], "label": row["label"]} for row in ROWS])
    assert read(str(tmp_path)) == ({"a.png": 0}, {"no such file": 1})
    (tmp_path / "a.png").unlink()
    for name in (spec, str(tmp_path)):
        with pytest.raises(UserError, match="names files that are not there, such as 'a.png'.*--image-column NAME"):
            open_source(name, "test")


@pytest.mark.parametrize(
    ("rows", "said", "message"),
    [
        ([{"path": "a.png", "label": "real"}, {"path": "a.png", "label": 1}], {}, "a column of mixed types"),
        ([{"path": "a.png", "label": n} for n in ("ai", "deepfake")], {}, "ai, deepfake, which all sound fake"),
        ([{"path": "a.png", "label": n} for n in ("photo", "real")], {}, "photo, real all sound real"),
        ([{"path": "a.png", "label": n} for n in ("echt", "falsch")], {}, "echt, falsch, and none.*real=echt,fake"),
        (ROWS, {"label_map": "fake=robot"}, "has the classes real, fake; the label map names 'robot'"),
        ([{"path": "a.png", "caption": "x"}], {}, "no column 'label'; it has: path, caption.*--label-column"),
        ([{"where": "a.png", "label": "real"}], {}, "no column 'image'; it has: where, label.*--image-column"),
    ],
)
def test_lists_that_are_not_understood_are_one_line(tmp_path, rows, said, message):
    images(tmp_path, "a.png")
    spec = write(tmp_path / "list.jsonl", rows)
    with pytest.raises(UserError, match=message) as caught:
        read(spec, **said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "text"), [("list.json", "{"), ("list.jsonl", "[1, 2]"), ("list.parquet", "x")])
def test_what_is_no_list_is_one_line(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=f"{name} .*(list of images|damaged)"):
        open_source(str(tmp_path / name), "test")


def test_another_kind_of_file_names_those_that_are_read(tmp_path):
    (tmp_path / "a.pdf").write_text("x")
    with pytest.raises(UserError, match="is a file. Name a list of images .*jsonl"):
        open_source(str(tmp_path / "a.pdf"), "test")
