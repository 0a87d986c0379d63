"""Who is dealt which rows: every one once a pass, whatever the shards, the processes and their loader workers."""

import dataclasses
import zlib
from itertools import islice

import datasets
import pytest
from torch.utils.data import DataLoader

from fakelens.data.decode import decode_image
from fakelens.data.skips import SkipLog
from fakelens.data.sources import open_source, row_bytes
from fakelens.errors import UserError
from fakelens.models import DetectorImageProcessor
from fakelens.training import stream as stream_module
from fakelens.training.examples import Classes, Prepare
from fakelens.training.stream import TrainingStream
from tests.tiny_data import write_tiny_data

PROCESSOR = DetectorImageProcessor(size={"height": 8, "width": 8})


def name_of(pixels):
    return zlib.crc32(pixels.numpy().tobytes())


def write_shards(folder, sizes):
    """Write a train split whose shards have these sizes."""
    whole = write_tiny_data(folder / "whole", {"train": sum(sizes)}, shards=1)
    rows = datasets.Dataset.from_parquet(str(next(whole.glob("*.parquet"))), cache_dir=str(folder / "cache"))
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


def test_of_a_hub_data_set_each_worker_reads_shards_of_its_own(tmp_path):
    source = dataclasses.replace(write_shards(tmp_path, [4, 4, 4, 4]), revision="0123abc")
    names = names_in(source)
    shards = [set(names[start : start + 4]) for start in (0, 4, 8, 12)]
    order = sum(steps_of(source, 2, 4, ranks=2, workers=2), [])
    batches = [set(order[start : start + 4]) for start in (0, 4, 8, 12)]
    assert sorted(map(sorted, batches)) == sorted(map(sorted, shards))
    two = steps_of(source, 4, 4, ranks=2)  # two passes of eight rows for each
    assert sorted(sum(two[:2], [])) == sorted(sum(two[2:], [])) == sorted(names)


def test_a_hub_data_set_of_too_few_shards_is_shared_row_by_row(tmp_path):
    source = dataclasses.replace(write_shards(tmp_path, [8]), revision="0123abc")
    assert sorted(steps_of(source, 1, 4, ranks=2)[0]) == sorted(names_in(source))


def test_no_row_to_train_on_is_said_and_not_waited_for(tmp_path, monkeypatch):
    source = write_shards(tmp_path, [4])
    with pytest.raises(UserError, match="no rows to train on"):
        next(iter(stream_of(source, keep=lambda row_id, generator: False)))
    damaged = source.stream.map(lambda row: row | {"image": {"bytes": b"no picture", "path": None}})
    monkeypatch.setattr(stream_module, "GIVE_UP", 20)
    with pytest.raises(UserError, match="could not be used"):
        next(iter(stream_of(dataclasses.replace(source, stream=damaged))))
