"""Class folders as published data sets nest and name them."""

import pytest

from fakelens.data.sources.opening import ReadOptions, examples, open_source
from fakelens.data.sources.skips import SkipLog
from fakelens.errors import UserError
from tests.abuse import make_image


def folders(root, *names):
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        make_image(seed=number).save(root / name / "0.png")
    return str(root)


def read(spec, split="train", **said):
    skips = SkipLog()
    rows = list(examples(open_source(spec, split, ReadOptions.parse(**said)), skips))
    return {row.id: (row.label, row.generator, row.source) for row in rows}, skips.counts


def test_sets_of_one_layout_are_read_together_each_a_collection(tmp_path):
    spec = folders(
        tmp_path, *(f"{g}/{s}/{c}" for g in ("ADM", "VQDM") for s in ("train", "val") for c in ("ai", "nature"))
    )
    found, _ = read(spec)
    assert found == {
        "ADM/train/ai/0.png": (1, "unstated", "ADM"),
        "ADM/train/nature/0.png": (0, "real", "ADM"),
        "VQDM/train/ai/0.png": (1, "unstated", "VQDM"),
        "VQDM/train/nature/0.png": (0, "real", "VQDM"),
    }
    generators = {generator for _, generator, _ in read(spec, generator_column="folder")[0].values()}
    assert generators == {"ADM", "VQDM", "real"}


def test_a_folder_that_holds_both_classes_is_no_class_whatever_its_name(tmp_path):
    found, _ = read(folders(tmp_path, "ai_photos/train/real", "ai_photos/train/fake"))
    assert {row: label for row, (label, *_) in found.items()} == {
        "ai_photos/train/real/0.png": 0,
        "ai_photos/train/fake/0.png": 1,
    }


def test_the_user_says_what_folders_mean(tmp_path):
    spec = folders(tmp_path, "echt", "falsch", "unklar")
    with pytest.raises(UserError, match="holds no images in class folders.*--label-map real=NAME"):
        open_source(spec, "train")
    found, skipped = read(spec, label_map="real=echt,fake=falsch,skip=unklar")
    assert {row: label for row, (label, *_) in found.items()} == {"echt/0.png": 0, "falsch/0.png": 1}
    assert skipped == {"of the class unklar": 1}


def test_two_folders_that_sound_real_are_one_class_if_the_user_says_so(tmp_path):
    spec = folders(tmp_path, "nature", "real", "ai")
    with pytest.raises(UserError, match="nature, real all sound real.*--label-map 'real=nature|real'"):
        open_source(spec, "train")
    found, _ = read(spec, label_map="real=nature|real")
    assert {row: label for row, (label, *_) in found.items()} == {"ai/0.png": 1, "nature/0.png": 0, "real/0.png": 0}
    found, skipped = read(spec, label_map="real=real,skip=nature")
    assert {label for label, *_ in found.values()} == {0, 1} and skipped == {"of the class nature": 1}


def test_a_map_may_name_a_class_that_another_split_has(tmp_path):
    spec = folders(tmp_path, "train/real", "train/fake", "train/unknown", "test/real", "test/fake")
    assert len(read(spec, "test", label_map="skip=unknown")[0]) == 2
    assert read(spec, label_map="skip=unknown")[1] == {"of the class unknown": 1}


@pytest.mark.parametrize(
    ("names", "said", "message"),
    [
        (["real", "fake", "unknown"], {}, "and unknown, which is neither real nor fake by its name.*skip=unknown"),
        (["ai", "deepfake"], {}, "ai, deepfake, which all sound fake"),
        (["real", "fake"], {"label_map": "fake=robot"}, "has the classes fake, real; the label map names 'robot'"),
        (["real", "fake"], {"label_column": "x"}, "is a folder of class folders and has no columns"),
    ],
)
def test_folders_that_are_not_understood_are_one_line(tmp_path, names, said, message):
    with pytest.raises(UserError, match=message) as caught:
        read(folders(tmp_path, *names), **said)
    assert "\n" not in str(caught.value)
