"""Data mixed into training: at its fraction, for training alone, and the same again for a run that resumes."""

from itertools import islice

import pytest
from torch.utils.data import DataLoader

from fakelens.data.sources.opening import open_source
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError
from fakelens.models import DetectorImageProcessor
from fakelens.training.data.examples import Classes, Prepare
from fakelens.training.data.stream import TrainingStream
from fakelens.training.data.training_data import open_training_data
from fakelens.training.recipe.recipe import DataArguments, load_recipe
from tests.tiny_data import write_tiny_data


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two data sets that share no image: of 60 training rows and of 10."""
    root = tmp_path_factory.mktemp("mixed")
    main = write_tiny_data(root / "main", {"train": 60, "validation": 12})
    # Numbered by the length of the split's name: `test` makes other images than `train`.
    extra = write_tiny_data(root / "extra", {"test": 10}, shards=1)
    (extra / "test-00000-of-00001.parquet").rename(extra / "train-00000-of-00001.parquet")
    return str(main), str(extra)


def opened(folders, **options):
    return open_training_data(DataArguments(data=folders[0], extra_data=[folders[1]], **options), seed=7)


def ids(stream):
    return [row["id"] for row in stream]


def batches(folders, steps, rank=0, ranks=1, batch_size=6):
    data = opened(folders, extra_fraction=0.4)
    prepare = Prepare(DetectorImageProcessor(size={"height": 8, "width": 8}), Classes(), SkipLog())
    stream = TrainingStream(data.train, prepare, 3, 8, batch_size=batch_size, rank=rank, ranks=ranks)
    return [batch["pixel_values"] for batch in islice(DataLoader(stream, batch_size), steps)]


@pytest.mark.parametrize("fraction", [0.2, 0.5])
def test_the_fraction_holds_and_no_row_of_either_is_left_out(folders, fraction):
    data = opened(folders, extra_fraction=fraction)
    main, extra = (set(ids(open_source(folder, "train").stream)) for folder in folders)
    seen = ids(data.train.stream)
    assert set(seen) == main | extra and not main & extra
    assert sum(row in extra for row in seen) / len(seen) == pytest.approx(fraction, abs=0.1)
    assert data.rows == pytest.approx(len(seen), rel=0.35) and data.rows == round(60 / (1 - fraction))


def test_validation_is_not_mixed(folders):
    extra = set(ids(open_source(folders[1], "train").stream))
    assert not extra & set(ids(opened(folders).validation.stream))
    assert not extra & set(ids(opened(folders, holdout=0.3).validation.stream))


def test_the_same_rows_come_again_in_the_same_order_whoever_they_are_dealt_to(folders):
    full = batches(folders, 40)  # several passes
    again = batches(folders, 40)
    assert all(one.equal(other) for one, other in zip(full, again, strict=True))
    first, second = (batches(folders, 20, rank, 2) for rank in range(2))
    dealt = [batch for pair in zip(first, second, strict=True) for batch in pair]
    assert all(one.equal(other) for one, other in zip(full, dealt, strict=True))


def test_a_fraction_out_of_range(tmp_path):
    (tmp_path / "recipe.yaml").write_text("architecture: custom_cnn\nextra_data: [sample]\nextra_fraction: 1.5\n")
    with pytest.raises(UserError, match="extra_fraction is 1.5"):
        load_recipe(tmp_path / "recipe.yaml")


def test_extra_data_that_is_not_there(folders):
    with pytest.raises(UserError, match="no/where/at/all"):
        opened((folders[0], "no/where/at/all"))
