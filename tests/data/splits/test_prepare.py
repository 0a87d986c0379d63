"""Splits that share no image: an unsplit folder cut, splits cleaned, the data otherwise as it was."""

import io
import json
import shutil
import subprocess
import sys

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fakelens.data.sources.opening import examples, open_source
from fakelens.data.sources.skips import SkipLog
from fakelens.data.splits.prepare import Preparation, prepare
from fakelens.errors import UserError
from tests.abuse import make_image
from tests.conftest import SCRIPTS


def png(seed, quality=None):
    """A random image as bytes: a PNG, or a JPEG of a quality, near to it."""
    file = io.BytesIO()
    make_image(64, 64, seed).save(file, **({"format": "JPEG", "quality": quality} if quality else {"format": "PNG"}))
    return file.getvalue()


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def run(*arguments):
    command = [sys.executable, SCRIPTS / "prepare.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def unsplit(tmp_path):
    """40 real and 40 fake images; 4 near copies of one, a damaged file."""
    raw = tmp_path / "data" / "raw"
    for number in range(36):
        put(raw / "real" / f"{number}.png", png(number))
    for number in range(40):
        put(raw / "fake" / "deep" / f"{number}.png", png(1000 + number))
    for number in range(3):
        put(raw / "real" / f"copy-{number}.jpg", png(0, 60 + 10 * number))
    put(raw / "real" / "more" / "5.png", png(99))
    put(raw / "fake" / "damaged.png", png(0)[:100])
    return raw


def test_an_unsplit_folder_is_cut_at_the_fractions_with_whole_groups(unsplit):
    output = unsplit.parent / "processed"
    done = run("--data", unsplit, "--output", output)
    assert done.returncode == 0, done.stderr
    numbers = {line.split()[1]: [int(n) for n in line.split() if n.isdigit()] for line in done.stdout.splitlines()[3:]
               if line.startswith("│")}  # fmt: skip
    assert numbers["train"] == [28, 28, 56] and numbers["all"] == [40, 40, 80]
    assert sum(np.array([numbers["val"], numbers["test"]])).tolist() == [12, 12, 24]
    assert "1 images that cannot be decoded, left out (1 damaged image)" in done.stdout
    report = json.loads((output / "prepare.json").read_text())
    assert report["skipped_rows"] == [{"id": "fake/damaged.png", "split": "train", "reason": "damaged image"}]
    (group,) = report["duplicates"]
    assert {member["id"] for member in group["members"]} == {"real/0.png", *(f"real/copy-{n}.jpg" for n in range(3))}
    assert len({member["split"] for member in group["members"]}) == 1 and not group["crosses"]
    written = files(output)
    del written["prepare.json"]
    assert sorted(written.values()) == sorted(data for name, data in files(unsplit).items() if "damaged" not in name)
    assert all(name.split("/")[2] == "deep" for name in written if "/fake/" in name)
    for split in ("train", "validation", "test"):
        read = list(examples(open_source(str(output), split), SkipLog()))
        assert [one.label for one in read].count(0) == numbers[{"validation": "val"}.get(split, split)][0]


def test_folders_that_a_map_merges_may_hold_one_name_twice(tmp_path):
    for number in range(10):
        for at, folder in enumerate(("real", "authentic", "fake/a", "fake/b")):
            put(tmp_path / "raw" / folder / f"{number}.png", png(100 * at + number))
    arguments = ("--data", tmp_path / "raw", "--output", tmp_path / "processed")
    assert "sound real" in run(*arguments).stderr
    done = run(*arguments, "--label_map", "real=real|authentic")
    assert done.returncode == 0, done.stderr
    written = files(tmp_path / "processed")
    del written["prepare.json"]
    assert sorted(written.values()) == sorted(files(tmp_path / "raw").values())
    assert sum(name.endswith(("real/5.png", "real/5-2.png")) for name in written) == 2


def test_a_cut_is_by_content_and_an_added_file_moves_few(unsplit, tmp_path):
    def assigned(data, seed=42):
        prepare(str(data), [], tmp_path / "out", Preparation(seed=seed))
        found = {data: name.split("/")[0] for name, data in files(tmp_path / "out").items() if "json" not in name}
        shutil.rmtree(tmp_path / "out")
        return found

    first = assigned(unsplit)
    renamed = tmp_path / "renamed"
    for number, (name, data) in enumerate(files(unsplit).items()):
        put(renamed / name.split("/")[0] / f"{number}-{name.rsplit('/', 1)[-1]}", data)
    assert assigned(renamed) == first
    put(unsplit / "real" / "new.png", png(555))
    more = assigned(unsplit)
    assert sum(more[data] != part for data, part in first.items()) <= 2
    assert assigned(unsplit, seed=1) != more


def test_a_group_of_a_third_of_the_images_goes_to_train_with_a_warning(tmp_path):
    for label, level in (("real", 0), ("fake", 255)):
        for number in range(20):
            put(tmp_path / "raw" / label / f"{number}.png", png(number + level))
        for number in range(10):
            path = tmp_path / "raw" / label / f"blank-{number}.png"
            Image.new("RGB", (40 + number, 40), (level,) * 3).save(path)
    report = prepare(str(tmp_path / "raw"), [], None, Preparation())
    blank = report["duplicates"][0]
    assert len(blank["members"]) == 20 and blank["contradicts"]
    assert {member["split"] for member in blank["members"]} == {"train"}
    assert any("20 of 60 images" in line for line in report["warnings"])
    assert min(min(counts.values()) for counts in report["result"].values()) == 3


@pytest.fixture
def shards(tmp_path):
    """Three splits in OpenFake's columns. Content by seed, with a quality for a near copy."""
    features = {name: datasets.Value("string") for name in ("prompt", "label", "model", "type", "release_date")}
    rows = {
        "train-00000-of-00002": [(1, None, "real"), (2, None, "fake"), (3, 70, "real"), (1, 90, "real")],
        "train-00001-of-00002": [(4, None, "fake"), (5, 80, "fake"), (6, 60, "fake"), (None, None, "fake")],
        "data/validation/0000": [(10, None, "real"), (5, 70, "fake"), (11, None, "fake")],
        "test-00000-of-00001": [(3, None, "real"), (20, None, "fake"), (5, None, "fake"), (6, None, "real")],
    }
    for name, cells in rows.items():
        path = tmp_path / "shards" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        listed = [
            {
                "image": {"bytes": b"junk" if seed is None else png(seed, quality), "path": None},
                "label": label,
                "prompt": f"{name} {seed} {quality}",
                "model": label,
                "type": "",
                "release_date": None,
            }
            for seed, quality, label in cells
        ]
        data = datasets.Dataset.from_list(listed, features=datasets.Features({"image": datasets.Image(), **features}))
        data.to_parquet(path, batch_size=2)
    return tmp_path / "shards"


def prompts(folder):
    return {row["prompt"] for path in folder.rglob("*.parquet") for row in pq.read_table(path).to_pylist()}


def test_splits_are_cleaned_of_what_crosses_them_and_nothing_else(shards, tmp_path):
    output = tmp_path / "clean"
    done = run("--data", shards, "--split", "train", "validation", "test", "--output", output, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads((output / "prepare.json").read_text())
    gone = {"train-00000-of-00002 3 70", "train-00001-of-00002 5 80", "train-00001-of-00002 6 60",
            "data/validation/0000 5 70", "train-00001-of-00002 None None"}  # fmt: skip
    assert prompts(shards) - prompts(output) == gone and prompts(output) < prompts(shards)
    assert report["removed"] == 4 and report["skipped"] == {"not an image": 1}
    assert report["groups_crossing"] == {"test + train": 2, "test + train + validation": 1}
    assert (report["groups"], report["groups_within_a_split"], report["groups_of_both_classes"]) == (4, 1, 1)
    assert report["result"]["train"] == {"real": 2, "fake": 2}
    for path in shards.rglob("*.parquet"):
        copy = output / path.relative_to(shards)
        assert pq.read_schema(copy).equals(pq.read_schema(path), check_metadata=True)
    assert len(list(examples(open_source(str(output), "validation"), SkipLog()))) == 2
    again = prepare(str(output), ["train", "validation", "test"], None, Preparation())
    assert again["removed"] == 0 and not again["groups_crossing"]


def test_the_order_of_keeping(shards):
    def result(splits, **settings):
        return prepare(str(shards), splits, None, Preparation(**settings))["result"]

    assert result(["train", "test"])["test"] == {"real": 2, "fake": 2}
    kept = result(["train", "test"], keep=("train", "test"))
    assert kept == {"train": {"real": 3, "fake": 4}, "test": {"real": 0, "fake": 1}}
    (shards / "test-00000-of-00001.parquet").rename(shards / "wild-0.parquet")
    assert result(["train", "wild"])["wild"] == {"real": 2, "fake": 2}  # no one's default, so a benchmark
    with pytest.raises(UserError, match="--keep names reddit"):
        result(["train", "wild"], keep=("reddit", "train"))


def test_one_split_of_shards_is_cut_with_its_columns(shards, tmp_path):
    prepare(str(shards), ["train"], tmp_path / "cut", Preparation(fractions=(0.5, 0.5, 0)))
    assert {path.name.split("-")[0] for path in (tmp_path / "cut").glob("*.parquet")} == {"train", "val"}
    assert prompts(tmp_path / "cut") == {p for p in prompts(shards) if p.startswith("train") and "None None" not in p}
    rows = [row for split in ("train", "validation") for row in open_source(str(tmp_path / "cut"), split).stream]
    assert len(rows) == 7 and {row["generator"] for row in rows} == {"real", "fake"}


def test_split_folders_keep_their_paths(tmp_path):
    for name, seed in (("Train/Real/a", 1), ("Train/Fake/b", 2), ("Test/Real/a", 3), ("Test/Fake/c", 2)):
        put(tmp_path / "faces" / f"{name}.png", png(seed))
    (tmp_path / "clean").mkdir()  # empty, so it may be used
    report = prepare(str(tmp_path / "faces"), ["train", "test"], tmp_path / "clean", Preparation())
    assert report["removed"] == 1 and report["groups_crossing"] == {"test + train": 1}
    assert report["warnings"] == ["train has no fake images"]
    assert set(files(tmp_path / "clean")) == {"Train/Real/a.png", "Test/Real/a.png", "Test/Fake/c.png", "prepare.json"}


def test_report_only_changes_nothing(shards, tmp_path):
    before = files(shards)
    done = run("--data", shards, "--split", "train", "test", "--report_only", "true", "--output", tmp_path / "report")
    assert done.returncode == 0 and "3 images removed" in done.stdout
    assert files(shards) == before and set(files(tmp_path / "report")) == {"duplicates.json"}
    report = json.loads((tmp_path / "report" / "duplicates.json").read_text())
    contradiction = next(group for group in report["duplicates"] if group["contradicts"])
    assert [(m["split"], m["label"], "removed" in m) for m in contradiction["members"]] == [
        ("test", "real", False),
        ("train", "fake", True),
    ]


def test_a_copy_that_is_cut_short_leaves_nothing(unsplit, tmp_path, monkeypatch):
    copied = []

    def breaks(source, target):
        copied.append(target)
        if len(copied) > 5:
            raise OSError(28, "No space left on device")
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr("shutil.copyfile", breaks)
    with pytest.raises(UserError, match="No space left on device.*--output"):
        prepare(str(unsplit), [], tmp_path / "new" / "out", Preparation())
    assert len(copied) > 5 and not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize(
    "wrong", [{"distance": 11}, {"distance": -1}, {"fractions": (0.7, 0.2, 0.2)}, {"fractions": (1,)}]
)
def test_settings_out_of_range(wrong):
    with pytest.raises(UserError, match="--distance|--fractions"):
        Preparation(**wrong)


def test_data_that_is_refused(unsplit, shards, tmp_path, monkeypatch):
    put(tmp_path / "one" / "real" / "a.png", png(1))
    put(tmp_path / "junk" / "real" / "a.png", b"junk")
    put(tmp_path / "full" / "file", b"")
    put(tmp_path / "split" / "train" / "real" / "a.png", png(1))
    for data, splits, output, words in (
        (tmp_path / "nowhere", [], "out", "No data at .*nowhere"),
        (tmp_path / "one", [], "out", "no fake images"),
        (tmp_path / "junk", [], "out", "no image that can be decoded .not an image"),
        (unsplit, ["train", "test"], "out", "Leave out --split"),
        (shards, [], "out", "Name one --split"),
        (tmp_path / "split", [], "out", "has splits already. Name one --split"),
        (shards, ["train", "train"], "out", "twice"),
        (shards, ["train", "wild"], "out", "no parquet file for split 'wild'"),
        (unsplit, [], "full", "full exists and is not empty"),
        (unsplit, [], "data/raw/out", "lies inside the data"),
    ):
        before = files(tmp_path)
        with pytest.raises(UserError, match=words):
            prepare(str(data), splits, tmp_path / output, Preparation())
        assert files(tmp_path) == before
    monkeypatch.setattr(
        "fakelens.data.splits.prepare.open_source", lambda spec, split, options: open_source(str(shards), split)
    )
    with pytest.raises(UserError, match="user/data is no folder of this machine.*--report_only"):
        prepare("user/data", ["train", "test"], tmp_path / "out", Preparation())
    assert prepare("user/data", ["train", "test"], None, Preparation())["removed"] == 3
