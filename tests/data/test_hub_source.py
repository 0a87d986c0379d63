"""A data set on the Hub, streamed over HTTP from a local Hub, by name, config and revision."""

import json
import subprocess
import sys

import pytest

from tests.hub_fixture import hub
from tests.tiny_data import write_tiny_data

PUSH = """
import sys
from huggingface_hub import HfApi
api = HfApi()
api.create_repo("user/mini", repo_type="dataset")
api.upload_folder(repo_id="user/mini", repo_type="dataset", folder_path=sys.argv[1])
api.create_tag("user/mini", repo_type="dataset", tag="v1.0")
"""
READ = """
import json, sys
from fakelens.data.skips import SkipLog
from fakelens.data.sources import examples, open_source
from fakelens.errors import UserError
try:
    source = open_source(sys.argv[1], sys.argv[2])
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
        run(running, PUSH, folder)
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
