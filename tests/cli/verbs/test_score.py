"""`fakelens score` as a person starts, stops, kills and starts it again; and from the Hub to the Hub."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from fakelens.cli.app import app
from tests.abuse import make_image
from tests.conftest import SCRIPTS
from tests.hub_fixture import hub
from tests.tiny_data import write_tiny_data

FAKELENS = [sys.executable, "-m", "fakelens"]
COUNT = 400
HUB_DATA = """
import sys
from huggingface_hub import HfApi
api = HfApi()
for folder, repo in zip(sys.argv[1::2], sys.argv[2::2]):
    api.create_repo(repo, repo_type="dataset")
    api.upload_folder(repo_id=repo, repo_type="dataset", folder_path=folder)
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number in range(COUNT):
        make_image(seed=number % 20).save(folder / f"{number:03d}.png")
    (folder / "007.png").write_text("no image")
    return folder


def run(*words):
    return CliRunner().invoke(app, ["score", *map(str, words)])


def rows_of(folder):
    return sorted(row["row"] for row in pq.read_table(folder, columns=["row"]).to_pylist())


def test_it_ends_with_a_summary_and_names_what_could_not_be_scored(photos, tiny_model, tmp_path):
    output = tmp_path / "scores"
    words = (photos, "--output", output, "--model", tiny_model, "--limit", 12, "--batch-size", 2)
    done = run(*words)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rows"] == found["rows_of_this_run"] == 12 and found["errors_by_reason"] == {"not an image": 1}
    assert found["real"] + found["fake"] + found["uncertain"] == 11 and found["images_per_second"] > 0
    assert done.stderr.splitlines()[-1].endswith("1 rows hold an error instead of a score: 1 not an image")
    assert json.loads(run(*words).stdout)["rows_of_this_run"] == 0


def test_what_a_user_can_put_right_is_one_line(photos, tiny_model, tmp_path):
    for words, said in [
        ((photos, "--output", photos / "scores"), "lies in the data"),
        ((photos, "--output", "hf://datasets/a/b", "--push_to_hub", "a/c"), "two data sets, a/b and a/c"),
        ((photos, "--output", tmp_path / "s", "--push_to_hub", "nothing"), "is no full repo name"),
        ((tmp_path / "nowhere", "--output", tmp_path / "s"), "No data at"),
        ((photos, "--output", tmp_path / "s", "--model", tiny_model, "--max_fpr", "0.01"), "was not calibrated"),
    ]:
        done = run(*words)
        assert done.exit_code == 2 and said in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not (tmp_path / "s").exists()
    assert run("--output", tmp_path / "s").exit_code == 2  # no SOURCE


@pytest.fixture
def begun(photos, tiny_model, tmp_path):
    """A run in a process of its own that has written its first shards, and its words."""
    output = tmp_path / "scores"
    words = (photos, "--output", output, "--model", tiny_model, "--shard_rows", 20)
    running = subprocess.Popen(
        [*FAKELENS, "score", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what runs in the background with interrupts ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        while not list(output.glob("*.parquet")):
            assert running.poll() is None, running.communicate()
            time.sleep(0.01)
        yield running, output, words
    finally:
        running.kill()
        running.communicate()


def goes_on(output, words):
    """See that the same command completes a folder, and leaves what is there as it is."""
    kept = {path: path.read_bytes() for path in output.glob("*.parquet")}
    before = rows_of(output)
    assert 0 < len(before) < COUNT and len(set(before)) == len(before)
    done = run(*words)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["rows_of_this_run"] == COUNT - len(before)
    assert rows_of(output) == list(range(COUNT)) and not list(output.glob(".*.part"))
    assert all(path.read_bytes() == content for path, content in kept.items())


def test_after_a_kill_no_row_is_lost_or_repeated(begun):
    running, output, words = begun
    running.kill()
    running.communicate()
    goes_on(output, words)


def test_ctrl_c_keeps_what_was_scored(begun):
    running, output, words = begun
    running.send_signal(signal.SIGINT)
    _, said = running.communicate()
    assert running.returncode == 130 and said.strip().splitlines()[-1] == "score: stopped"
    goes_on(output, words)


@pytest.mark.slow
def test_two_processes_write_the_rows_of_one(photos, tiny_model, tmp_path):
    torchrun = [Path(sys.executable).parent / "torchrun", "--standalone", "--nproc_per_node", "2"]
    words = (SCRIPTS / "score.py", photos, "--output", tmp_path / "two", "--model", tiny_model, "--limit", 40)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*map(str, (*torchrun, *words))], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["processes"] == 2 and found["rows"] == found["rows_of_this_run"] == 40
    assert run(photos, "--output", tmp_path / "one", "--model", tiny_model, "--limit", 40).exit_code == 0
    one, two = (
        sorted(pq.read_table(tmp_path / name).to_pylist(), key=lambda row: row["row"]) for name in ("one", "two")
    )
    assert one == two
    assert {path.name[:11] for path in (tmp_path / "two").glob("*.parquet")} == {"train-00000", "train-00001"}


def score_at(server, folder, *words):
    command = [*FAKELENS, "score", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | server.env, cwd=folder)


def test_from_the_hub_to_the_hub(tiny_model, tmp_path):
    write_tiny_data(tmp_path / "mini", {"train": 6, "test": 4})
    (tmp_path / "files").mkdir()
    for number in range(3):
        make_image(seed=number).save(tmp_path / "files" / f"{number}.png")
    with hub() as server:
        data = [tmp_path / "mini", "user/mini", tmp_path / "files", "user/files"]
        command = [sys.executable, "-c", HUB_DATA, *map(str, data)]
        subprocess.run(command, check=True, env=os.environ | server.env, capture_output=True)
        words = ("user/mini", "--split", "test", "--output", "hf://datasets/user/scores", "--model", tiny_model)
        done = score_at(server, tmp_path, *words)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["rows"] == 4 == len(rows_of(tmp_path / "scores"))
        files = server.repo("user/scores", "dataset").files()
        assert {name.partition("-")[0] for name in files} == {".gitattributes", "README.md", "test"}
        card = files["README.md"].decode()
        assert "Scores of user/mini" in card and "fakelens-scores" in card and str(tmp_path) not in card
        # Image files rather than rows; and the data set of somebody's images is no place for scores.
        done = score_at(
            server, tmp_path, "user/files", "--output", "b", "--model", tiny_model, "--push_to_hub", "user/mini"
        )
        assert done.returncode == 2 and "user/mini holds something else" in done.stderr
        assert [row["error"] for row in pq.read_table(tmp_path / "b").to_pylist()] == [None] * 3
        assert datasets.load_dataset(str(tmp_path / "b"), split="train", cache_dir=tmp_path / "cache").num_rows == 3
