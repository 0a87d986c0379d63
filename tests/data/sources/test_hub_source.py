"""A data set on the Hub, streamed over HTTP from a local Hub, by name, config and revision."""

import json
import re
import subprocess
import sys

import datasets
import numpy as np
import pytest

from tests.hub_fixture import hub
from tests.tiny_data import write_tiny_data

PUSH = """
import sys
from huggingface_hub import HfApi
api = HfApi()
api.create_repo(sys.argv[2], repo_type="dataset")
api.upload_folder(repo_id=sys.argv[2], repo_type="dataset", folder_path=sys.argv[1])
api.create_tag(sys.argv[2], repo_type="dataset", tag="v1.0")
"""
READ = """
import json, sys
from fakelens.data.sources.skips import SkipLog
from fakelens.data.sources.opening import ReadOptions, examples, open_source
from fakelens.errors import UserError
try:
    source = open_source(sys.argv[1], sys.argv[2], ReadOptions.parse(*sys.argv[3:]))
    rows = [(e.label, e.generator, e.image.image.size) for e in examples(source, SkipLog())]
    print(json.dumps({"rows": rows, "stated": source.rows, "shards": source.stream.num_shards}))
except UserError as error:
    print(json.dumps({"error": str(error)}))
"""
CARD = """---
configs:
- config_name: core
  data_files:
  - {split: train, path: "core/train-*.parquet"}
  - {split: test, path: "core/test-*.parquet"}
- config_name: reddit
  data_files:
  - {split: test, path: "reddit/test-*.parquet"}
---
# mini
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mini")
    write_tiny_data(folder / "core", {"train": 16, "test": 6})
    write_tiny_data(folder / "reddit", {"test": 4}, shards=1)
    (folder / "README.md").write_text(CARD)
    with hub() as running:
        run(running, PUSH, folder, "user/mini")
        yield running


def run(server, code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=server.env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None


@pytest.mark.parametrize(
    ("spec", "split", "count", "shards"),
    [("user/mini:core", "train", 16, 2), ("user/mini:reddit", "test", 4, 1), ("user/mini:core@v1.0", "test", 6, 2)],
)
def test_configs_splits_and_revisions_are_streamed_by_name(server, spec, split, count, shards):
    got = run(server, READ, spec, split)
    assert [row[0] for row in got["rows"]].count(1) == count // 2 and len(got["rows"]) == count
    assert got["shards"] == shards
    assert all((row[1] == "real") == (row[0] == 0) for row in got["rows"])


@pytest.mark.parametrize(
    ("spec", "split"), [("user/mini:core", "wild"), ("user/mini:nowhere", "train"), ("user/absent", "train")]
)
def test_what_is_not_there_is_one_message(server, spec, split):
    error = run(server, READ, spec, split)["error"]
    assert spec in error and "Check its name" in error and "\n" not in error


def test_a_label_map_of_classes_that_are_not_there_is_refused_before_an_image_is_read(server):
    before = len(server.requests)
    error = run(server, READ, "user/mini:core", "test", "real=real,fake=robot")["error"]
    assert "has the classes real, fake; the label map names 'robot'" in error and "\n" not in error
    fetched = sum(len(r.headers.get("range", "")) > 0 for r in server.requests[before:])
    assert fetched <= 3 * 4  # ends of files and one column of each
    assert len(run(server, READ, "user/mini:core", "test", "real=real,fake=fake")["rows"]) == 6


def test_of_wide_rows_only_the_columns_in_use_are_fetched(server, tmp_path):
    write_tiny_data(tmp_path, {"train": 16}, shards=1)
    path = next(tmp_path.glob("*.parquet"))
    rows = datasets.Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "cache")).to_list()
    for number, row in enumerate(rows):
        row["prompt"] = np.random.default_rng(number).bytes(2**20).hex()
    (tmp_path / "wide").mkdir()
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "wide" / path.name)
    run(server, PUSH, tmp_path / "wide", "user/wide")
    before = len(server.requests)
    assert len(run(server, READ, "user/wide", "train")["rows"]) == 16
    ranges = [re.fullmatch(r"bytes=(\d+)-(\d+)", r.headers.get("range", "")) for r in server.requests[before:]]
    fetched = sum(int(r[2]) - int(r[1]) + 1 for r in ranges if r)
    size = (tmp_path / "wide" / path.name).stat().st_size
    assert 0 < fetched < size / 2


def test_a_shard_that_ends_half_way_is_named(server, tmp_path):
    write_tiny_data(tmp_path, {"train": 16}, shards=2)
    first, second = sorted(tmp_path.iterdir())
    second.write_bytes(second.read_bytes()[:-2000])
    run(server, PUSH, tmp_path, "user/torn")
    met = run(server, READ, "user/torn", "train")["error"]
    assert met.startswith("Reading the split 'train' of user/torn: hf://datasets/user/torn@")
    assert f"/{second.name} is damaged" in met and "\n" not in met
    first.write_bytes(first.read_bytes()[:-2000])
    run(server, PUSH, tmp_path, "user/torn-at-once")
    met = run(server, READ, "user/torn-at-once", "train")["error"]
    assert f"/{first.name} is not a complete parquet file" in met and "\n" not in met
