import numpy as np
import pytest

from fakelens.data.sample import DESCRIPTION, make_sample, photographs
from fakelens.data.sources.opening import examples, open_source
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError


def rows(split):
    return list(examples(open_source("sample", split), SkipLog()))


@pytest.mark.slow
def test_same_bytes_each_time(sample, tmp_path):
    again = make_sample(tmp_path / "again")
    names = sorted(p.name for p in sample.iterdir())
    assert names == sorted(p.name for p in again.iterdir())
    assert all((sample / n).read_bytes() == (again / n).read_bytes() for n in names)


def test_a_few_hundred_balanced_images_in_shards(sample):
    counts = {split: [row.label for row in rows(split)] for split in ("train", "validation", "test")}
    assert 300 <= sum(map(len, counts.values())) <= 900
    assert all(sum(labels) * 2 == len(labels) for labels in counts.values())
    assert open_source("sample", "train").stream.num_shards == 4


def test_fakes_are_reconstructions_of_their_own_real_images(sample):
    images = {row.id: np.asarray(row.image.image).astype(float) for row in rows("test")}
    for name in [n for n in images if n.endswith("-real")][:10]:
        real, fake = images[name], images[name.replace("-real", "-fake")]
        assert 2 < np.abs(real - fake).mean() < 25  # intensity levels: the same image, not the same pixels


def test_splits_share_no_photograph_and_say_what_they_are(sample):
    seen = [set(named) for named in photographs().values()]
    assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]
    assert "demonstration sample" in DESCRIPTION
    assert open_source("sample", "test").description == DESCRIPTION
    assert {row.generator for row in rows("test")} == {"real", "sample-autoencoder"}


def test_a_home_that_cannot_be_written_or_is_not_there_is_named_with_the_way_out(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FAKELENS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="cannot be written to .*file/cache.*FAKELENS_CACHE"):
        make_sample()
    monkeypatch.setenv("FAKELENS_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(UserError, match="no home folder.*FAKELENS_CACHE"):
        make_sample()
