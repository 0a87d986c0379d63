"""Unlabelled images become rows in parquet shards: each of them once, whatever stops the run or shares it."""

import shutil
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import datasets
import pyarrow.parquet as pq
import pytest

from fakelens.data.sources.opening import ReadOptions, open_source
from fakelens.errors import UserError
from fakelens.evaluation.scoring.ranks import Ranks
from fakelens.evaluation.scoring.score import score_source
from fakelens.evaluation.scoring.score_shards import SCHEMA, ShardWriter
from fakelens.inference.detector import Detector, load_detector
from tests.abuse import make_image
from tests.tiny_data import write_tiny_data

COUNT = 22


@pytest.fixture(scope="module")
def detector(tiny_model):
    return load_detector(tiny_model, device="cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 21 images and a text that calls itself one."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(COUNT - 1):
        path = folder / f"{number % 3}" / f"{number:02d}.png"
        path.parent.mkdir(exist_ok=True)
        make_image(seed=number).save(path)
    (folder / "1" / "broken.jpg").write_text("no image")
    return folder


def opened(spec, split="train"):
    return open_source(str(spec), split, ReadOptions(is_labelled=False))


def rows_of(folder):
    return sorted(pq.read_table(folder).to_pylist(), key=lambda row: row["row"])


def stop_after(monkeypatch, calls, error=KeyboardInterrupt):
    """Let the detector answer so many times, then raise an error in place of answers."""
    left = iter(range(calls))

    def verdicts(self, *rest, verdicts=Detector.verdicts):
        if next(left, None) is None:
            raise error
        return verdicts(self, *rest)

    monkeypatch.setattr(Detector, "verdicts", verdicts)


def test_every_image_is_a_row(detector, photos, tmp_path):
    found = score_source(detector, opened(photos), tmp_path / "scores", rows_a_shard=8)
    table = pq.read_table(tmp_path / "scores")
    assert table.schema.equals(SCHEMA) and found.record()["rows"] == COUNT == found.rows
    rows = rows_of(tmp_path / "scores")
    names = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.*"))
    assert [row["id"] for row in rows] == [row["path"] for row in rows] == names
    assert [row["row"] for row in rows] == list(range(COUNT))
    for row, verdict in zip(rows, detector([photos / name for name in names]), strict=True):
        assert (row["verdict"], row["error"]) == (verdict.verdict, verdict.error)
        assert tuple(row["warnings"]) == verdict.warnings and row["model_revision"].startswith("sha256:")
        assert row["score"] == pytest.approx(verdict.score, abs=1e-6) if verdict.score else row["score"] is None
    assert found.errors == {"not an image": 1} and sum(found.verdicts.values()) == COUNT - 1
    assert len(list((tmp_path / "scores").glob("*.parquet"))) == 3
    assert len(datasets.load_dataset(str(tmp_path / "scores"), split="train", cache_dir=tmp_path / "cache")) == COUNT


def test_what_was_scored_before_a_stop_is_kept_and_not_scored_again(detector, photos, tmp_path, monkeypatch):
    output = tmp_path / "scores"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after(patch, 3)  # four images each
        score_source(detector, opened(photos), output, rows_a_shard=8)
    kept = {path: path.read_bytes() for path in output.glob("*.parquet")}
    before = len(rows_of(output))
    assert before == 12 and len(kept) == 2  # a full shard, and what Ctrl-C found half full
    found = score_source(detector, opened(photos), output, rows_a_shard=8)
    assert found.rows == COUNT - before and [row["row"] for row in rows_of(output)] == list(range(COUNT))
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert score_source(detector, opened(photos), output).rows == 0


def test_a_torn_shard_never_counts(detector, photos, tmp_path):
    output = tmp_path / "scores"
    score_source(detector, opened(photos), output, rows_a_shard=8)
    expected = rows_of(output)
    first, second, _ = sorted(output.glob("*.parquet"))
    first.write_bytes(first.read_bytes()[:-20])  # as a copy that broke off leaves it
    second.rename(output / f".{second.name}.part")  # as a kill leaves it
    assert score_source(detector, opened(photos), output, rows_a_shard=8).rows == 16
    assert rows_of(output) == expected and not list(output.glob("*.part"))


def test_a_disk_that_is_full_is_one_line_and_loses_no_shard(detector, photos, tmp_path, monkeypatch):
    output = tmp_path / "scores"
    write = pq.write_table

    def full(table, path):
        if list(output.glob("*.parquet")):
            raise OSError(28, "No space left on device")
        write(table, path)

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(UserError, match="No space left on device. The shards that are there are whole"):
        score_source(detector, opened(photos), output, rows_a_shard=8)
    monkeypatch.setattr(pq, "write_table", write)
    assert score_source(detector, opened(photos), output).rows == COUNT - 8
    assert [row["row"] for row in rows_of(output)] == list(range(COUNT))


def test_the_folder_of_another_run_is_refused(detector, photos, tmp_path, tiny_model):
    output = tmp_path / "scores"
    score_source(detector, opened(photos), output, limit=4)
    other = tmp_path / "other"
    shutil.copytree(photos / "0", other)
    with pytest.raises(UserError, match=f"another run.*its source is {photos}, this one's is {other}.*--output"):
        score_source(detector, opened(other), output)
    more = load_detector(tiny_model, device="cpu")
    more.model.classifier.bias.data += 1
    with pytest.raises(UserError, match="its SHA-256 of the model's weights is"):
        score_source(more, opened(photos), output)
    scored = replace(opened(photos), rows=COUNT + 1)  # somebody added an image: all rows after it moved
    with pytest.raises(UserError, match=f"its number of rows is {COUNT}, this one's is {COUNT + 1}"):
        score_source(detector, scored, output)
    assert len(rows_of(output)) == 4
    assert score_source(detector, opened(photos), output).rows == COUNT - 4  # all, where a few were tried
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.md").write_text("")
    with pytest.raises(UserError, match="no folder of scores; it holds thesis.md"):
        score_source(detector, opened(photos), tmp_path / "mine")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="could not be written"):
        score_source(detector, opened(photos), tmp_path / "file")


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"limit": 0}, {"rows_a_shard": 0}])
def test_numbers_out_of_range_are_refused(detector, photos, tmp_path, wrong):
    with pytest.raises(UserError, match="at least 1"):
        score_source(detector, opened(photos), tmp_path / "scores", **wrong)


@pytest.mark.parametrize("kind", ["dealt", "by_files"])
def test_processes_share_the_rows_and_others_go_on_with_them(detector, photos, tmp_path, kind, monkeypatch):
    source = opened(photos)
    if kind == "by_files":  # as from the Hub
        data = write_tiny_data(tmp_path / "data", {"train": COUNT}, shards=3)
        source = replace(opened(data), revision="pinned")
    output = tmp_path / "scores"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after(patch, 1)
        score_source(detector, source, output, rows_a_shard=4, ranks=Ranks(0, 2))
    for rank in (1, 0):
        score_source(detector, source, output, rows_a_shard=4, ranks=Ranks(rank, 2))
    ids = [row["id"] for row in pq.read_table(output).to_pylist()]
    assert sorted(ids) == sorted(row["id"] for row in source.stream)
    if kind == "dealt":
        for path in sorted(output.glob("*.parquet"))[1::2]:
            path.unlink()
        assert score_source(detector, source, output, ranks=Ranks(0, 1)).rows > 0
        assert [row["row"] for row in rows_of(output)] == list(range(COUNT))
    else:
        with pytest.raises(UserError, match="number of processes with files of their own is 2, this one's is 1"):
            score_source(detector, source, output)


def test_dead_links_are_rows(detector, photos, tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(photos)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        root = f"http://127.0.0.1:{server.server_port}"
        links = [f"{root}/0/00.png", f"{root}/gone.png", "http://127.0.0.1:9/dead.png", "http://", "gone.png"]
        (tmp_path / "list.txt").write_text("\n".join([*links, str(photos / "0" / "03.png")]))
        score_source(detector, opened(tmp_path / "list.txt"), tmp_path / "scores")
    finally:
        server.shutdown()
        server.server_close()
    rows = rows_of(tmp_path / "scores")
    assert [row["path"] for row in rows[:5]] == links
    assert [row["verdict"] is None for row in rows] == [False, True, True, True, True, False]
    assert rows[1]["error"] == "download failed: the server answered 404" and "gone.png" in rows[4]["error"]


def test_no_more_images_are_read_ahead_than_are_about_to_be_scored(detector, photos, tmp_path, monkeypatch):
    names = "\n".join(str(photos / "0" / "00.png") for _ in range(600))
    (tmp_path / "list.txt").write_text(names)
    source, read = opened(tmp_path / "list.txt"), []

    def counted():
        for row in source.stream:
            read.append(1)
            yield row

    seen = []

    def add(self, rows, add=ShardWriter.add):
        seen.append(len(read))
        add(self, rows)

    monkeypatch.setattr(ShardWriter, "add", add)
    score_source(detector, replace(source, stream=counted()), tmp_path / "scores")
    assert len(read) == 600 and seen[0] < 100 and all(at - 4 * i < 100 for i, at in enumerate(seen))
