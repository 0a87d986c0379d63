"""Who is dealt which rows: every one once a pass, whatever the shards, the processes and their loader workers."""

import dataclasses
import json
import zlib
from collections import Counter
from itertools import islice

import datasets
import pytest
import torch
from torch.utils.data import DataLoader

from fakelens.data.decode import decode_image
from fakelens.data.sources.opening import open_source, row_bytes
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError
from fakelens.models import DetectorImageProcessor
from fakelens.training.data import examples as examples_module
from fakelens.training.data import progress as progress_module
from fakelens.training.data import stream as stream_module
from fakelens.training.data.examples import Classes, Prepare
from fakelens.training.data.progress import Progress
from fakelens.training.data.stream import TrainingStream
from tests.tiny_data import write_tiny_data

PROCESSOR = DetectorImageProcessor(size={"height": 8, "width": 8})


def name_of(pixels):
    return zlib.crc32(pixels.numpy().tobytes())


def write_shards(folder, sizes):
    """Write a train split whose shards have these sizes."""
    full = write_tiny_data(folder / "whole", {"train": sum(sizes)}, shards=1)
    rows = datasets.Dataset.from_parquet(str(next(full.glob("*.parquet"))), cache_dir=str(folder / "cache"))
    (folder / "data").mkdir()
    for number, size in enumerate(sizes):
        start = sum(sizes[:number])
        part = rows.select(range(start, start + size))
        part.to_parquet(folder / "data" / f"train-{number:05d}-of-{len(sizes):05d}.parquet")
    return open_source(str(folder / "data"), "train")


def names_in(source):
    images = [decode_image(row_bytes(row["image"])).image for row in source.stream]
    return [name_of(PROCESSOR(images=image, return_tensors="pt")["pixel_values"][0]) for image in images]


def stream_of(source, batch_size=4, rank=0, ranks=1, buffer=5, **options):
    prepare = Prepare(PROCESSOR, Classes(), SkipLog())
    return TrainingStream(source, prepare, 3, buffer, batch_size=batch_size, rank=rank, ranks=ranks, **options)


def steps_of(source, steps, batch_size, ranks=1, workers=0, **options):
    """Return the names of the images in each step's batches, rank after rank."""
    batches = []
    for rank in range(ranks):
        stream = stream_of(source, batch_size, rank, ranks, **options)
        loader = DataLoader(stream, batch_size, num_workers=workers)
        batches.append([[name_of(p) for p in batch["pixel_values"]] for batch in islice(loader, steps)])
    return [sum(step, []) for step in zip(*batches, strict=True)]


@pytest.mark.parametrize(
    ("sizes", "ranks", "workers", "batch_size"),
    [
        ([8, 8, 8, 8], 2, 2, 4),
        ([17], 2, 0, 2),  # one shard for two processes; a pass that does not divide
        ([10, 4, 1], 2, 2, 4),
        ([3, 20], 3, 0, 2),
        ([9], 1, 2, 2),
    ],
)
def test_each_row_comes_once_a_pass_in_the_order_of_one_process(tmp_path, sizes, ranks, workers, batch_size):
    source = write_shards(tmp_path, sizes)
    rows, together = sum(sizes), batch_size * ranks
    names = names_in(source)
    assert len(set(names)) == rows
    steps = -(-3 * rows // together)
    dealt = steps_of(source, steps, batch_size, ranks, workers)
    assert dealt == steps_of(source, steps, together)
    order = sum(dealt, [])
    passes = [order[start : start + rows] for start in (0, rows, 2 * rows)]
    assert all(sorted(one) == sorted(names) for one in passes)
    assert passes[0] != passes[1] != passes[2]


class Names:
    """Stands in for `Prepare`, and hands on rows' ids."""

    def __call__(self, batch, positions):
        return {"labels": batch["label"], "id": batch["id"]}


def first_pass(source, ranks, workers, batch_size=4):
    """Return how often each id comes in the first pass of every worker of every rank."""
    counts = Counter()
    for rank in range(ranks):
        stream = TrainingStream(source, Names(), 3, 50, batch_size, rank, ranks)
        loader = enumerate(DataLoader(stream, batch_size, num_workers=workers))
        ended = set()  # workers that have begun their second pass
        while len(ended) < workers:
            number, batch = next(loader)
            passes = batch["mark"][:, 0].tolist()
            counts.update(i for i, p in zip(batch["id"], passes, strict=True) if p == 0)
            if passes[-1] > 0:
                ended.add(number % workers)
    return counts


@pytest.mark.parametrize("revision", ["", "0123abc"], ids=["local", "on the Hub"])
def test_every_id_of_the_sample_comes_once_an_epoch_to_2_ranks_of_2_workers(sample, tmp_path, revision):
    full = datasets.Dataset.from_parquet([str(p) for p in sorted(sample.glob("train-*"))], cache_dir=str(tmp_path))
    sizes = [0.1, 0.35, 0.4, 0.75, 1]  # five shards, none like another
    ends = [0, *(round(end * len(full)) for end in sizes)]
    for number, (start, end) in enumerate(zip(ends, ends[1:], strict=False)):
        full.select(range(start, end)).to_parquet(tmp_path / f"train-{number:05d}-of-00005.parquet")
    source = dataclasses.replace(open_source(str(tmp_path), "train"), revision=revision)
    assert source.stream.num_shards == 5
    assert first_pass(source, ranks=2, workers=2) == Counter(full["id"])


def test_of_a_hub_data_set_each_worker_reads_shards_of_its_own(tmp_path):
    source = dataclasses.replace(write_shards(tmp_path, [4, 4, 4, 4]), revision="0123abc")
    names = names_in(source)
    shards = [set(names[start : start + 4]) for start in (0, 4, 8, 12)]
    order = sum(steps_of(source, 2, 4, ranks=2, workers=2), [])
    batches = [set(order[start : start + 4]) for start in (0, 4, 8, 12)]
    assert sorted(map(sorted, batches)) == sorted(map(sorted, shards))
    two = steps_of(source, 4, 4, ranks=2)  # two passes of eight rows for each
    assert sorted(sum(two[:2], [])) == sorted(sum(two[2:], [])) == sorted(names)


def test_a_hub_data_set_of_too_few_shards_is_shared_row_by_row_and_says_what_that_costs(tmp_path):
    source = dataclasses.replace(write_shards(tmp_path, [8]), revision="0123abc")
    assert sorted(steps_of(source, 1, 2, ranks=4)[0]) == sorted(names_in(source))
    cost = stream_of(source, ranks=4).cost(workers=2)
    assert "has 1 shard in its split 'train' for 4 processes x 2 loader workers" in cost
    assert "each of the 8 reads all 8 rows and decodes its own, so every byte is read 8 times" in cost
    assert not stream_of(source).cost(workers=1)


def test_no_row_to_train_on_is_said_and_not_waited_for(tmp_path, monkeypatch):
    source = write_shards(tmp_path, [4])
    with pytest.raises(UserError, match="no rows to train on"):
        next(iter(stream_of(dataclasses.replace(source, stream=source.stream.filter(lambda row: False)))))
    with pytest.raises(UserError, match="has only real images to train on"):
        real_scores = source.stream.filter(lambda row: row["label"] == 0)
        list(islice(stream_of(dataclasses.replace(source, stream=real_scores)), 8))
    damaged = source.stream.map(lambda row: row | {"image": {"bytes": b"no image", "path": None}})
    monkeypatch.setattr(stream_module, "GIVE_UP", 20)
    with pytest.raises(UserError, match="could not be used"):
        next(iter(stream_of(dataclasses.replace(source, stream=damaged))))


def test_the_progress_of_an_older_checkpoint_is_read(tmp_path):
    progress = Progress.at_start(1, 2)
    progress.save(tmp_path, 0)
    path = tmp_path / "progress-0.json"
    facts = json.loads(path.read_text())
    facts["places"] = facts.pop("positions")  # its name in checkpoints of before
    path.write_text(json.dumps(facts))
    assert progress_module.load_progress(tmp_path, 0) == progress


@pytest.mark.parametrize(
    ("revision", "workers", "taken"), [("", 1, 7), ("", 2, 15), ("0123abc", 2, 9)], ids=["one", "two", "own shards"]
)
def test_what_was_taken_before_is_not_decoded_again(tmp_path, monkeypatch, revision, workers, taken):
    """Some rows are damaged, so that batches and rows are out of step."""
    source = write_shards(tmp_path, [9, 9, 5])
    torn = {zlib.crc32(row_bytes(row["image"])) for row in islice(source.stream, 0, None, 5)}
    source = dataclasses.replace(source, stream=source.stream.map(Tear(torn)), revision=revision)
    full = Progress.at_start(1, workers)
    rest = []
    for number, batch in enumerate(islice(DataLoader(stream_of(source), 4, num_workers=workers), taken + 6)):
        if number < taken:
            full.take(batch)
        else:
            rest.append(batch["pixel_values"])

    full.save(tmp_path, 0)
    stream = stream_of(source)
    stream.done = progress_module.load_progress(tmp_path, 0)
    assert stream.done == full
    loader = iter(DataLoader(stream, 4, num_workers=workers))
    assert all(set(batch) == {"labels"} for batch in islice(loader, taken))
    assert all(torch.equal(a["pixel_values"], b) for a, b in zip(islice(loader, 6), rest, strict=True))

    decoded = []
    monkeypatch.setattr(examples_module, "decode_image", lambda data: decoded.append(data) or decode_image(data))
    stream.done = dataclasses.replace(full, workers=1, positions=full.positions[:1], batches=full.batches_of(0))
    list(islice(stream, full.batches_of(0) * 4))
    assert not decoded
    next(iter(stream_of(source)))
    assert decoded


class Tear:
    """Damages some images; picklable, for it goes to workers."""

    def __init__(self, names):
        self.names = names

    def __call__(self, row):
        data = row_bytes(row["image"])
        return row | {"image": {"bytes": data[:60] if zlib.crc32(data) in self.names else data, "path": None}}
