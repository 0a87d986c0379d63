"""Near hashes: every pair within the distance is found, none beyond it, and blank images cost nothing."""

import io

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fakelens.data.splits import duplicates
from fakelens.data.splits.duplicates import DISTANCE, group_near, near_pairs, perceptual_hash
from tests.abuse import make_image


def planted(count=300, seed=0):
    """Distinct hashes, crowded in a few buckets, with neighbours at 1 to 12 bits spread over all bands or in one."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, count, dtype=np.uint64) & np.uint64(0xFF00_FFFF_F0F0_00FF)
    near = []
    for number, value in enumerate(hashes.tolist()):
        within = 16 if number % 2 else 64
        for bit in rng.choice(within, 1 + number % 12, replace=False).tolist():
            value ^= 1 << bit
        near.append(value)
    return rng.permutation(np.unique(np.concatenate([hashes, np.array(near, np.uint64)])))


def brute_force(hashes, distance):
    left, right = np.nonzero(np.triu(np.bitwise_count(hashes[:, None] ^ hashes[None]) <= distance, 1))
    return set(zip(left.tolist(), right.tolist(), strict=True))


@pytest.mark.parametrize("distance", range(11))
def test_the_search_finds_what_comparing_all_pairs_finds(distance, monkeypatch):
    monkeypatch.setattr(duplicates, "CHUNK", 97)  # so that one hash's candidates come in several batches
    hashes = planted()
    found = set()
    for left, right in near_pairs(hashes, distance):
        found |= set(zip(left.tolist(), right.tolist(), strict=True))
    expected = brute_force(hashes, distance)
    assert found == expected and (distance == 0) == (not expected)
    groups = group_near(hashes, distance)
    edges = np.array(sorted(expected), int).reshape(-1, 2).T
    graph = coo_array((np.ones(edges.shape[1]), (edges[0], edges[1])), shape=(len(hashes),) * 2)
    number, components = connected_components(graph, directed=False)
    assert len(set(groups)) == number == len(set(zip(groups, components, strict=True)))


def test_many_equal_hashes_are_one_before_the_search():
    """Compared with each other, a million blank images would be five hundred milliard pairs."""
    hashes = np.full(1_000_000, 2**63, np.uint64)
    hashes[::250_000] = np.array([0b111, 0b1111, 0b0, 0xFFFF_FFFF], np.uint64)
    groups = group_near(hashes, 1)
    assert len(set(groups[::250_000].tolist())) == 3 and groups[0] == groups[250_000]
    assert groups[500_000] == groups[1]  # no bit beside one bit
    assert np.bincount(groups).max() == 1_000_000 - 3


def test_the_hash_is_imagehash_s_and_outlives_saving_and_scaling():
    photograph = make_image(300, 200, seed=1)
    ours = perceptual_hash(photograph)
    assert ours == int(str(imagehash.phash(photograph)), 16)
    file = io.BytesIO()
    photograph.save(file, format="JPEG", quality=50)
    for same in (Image.open(file), photograph.resize((150, 100)), ImageEnhance.Brightness(photograph).enhance(0.8)):
        assert (ours ^ perceptual_hash(same)).bit_count() <= DISTANCE
    others = [perceptual_hash(make_image(300, 200, seed=seed)) for seed in range(2, 40)]
    assert min((ours ^ other).bit_count() for other in others) > duplicates.MAX_DISTANCE
