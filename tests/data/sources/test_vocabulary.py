"""The vocabulary against what published detectors and data sets call their classes, as their Hub pages state it."""

import pytest

from fakelens.data.sources.label_rules import SKIP, LabelRules, split_maps
from fakelens.data.sources.labels import FAKE, REAL
from fakelens.data.sources.vocabulary import find_label
from fakelens.errors import UserError

DETECTORS = {  # id2label of their config.json, or the classes of their model card
    "umm-maybe/AI-image-detector": {"artificial": FAKE, "human": REAL},
    "Organika/sdxl-detector": {"artificial": FAKE, "human": REAL},
    "Smogy/SMOGY-Ai-images-detector": {"artificial": FAKE, "human": REAL},
    "Ateeqq/ai-vs-human-image-detector": {"ai": FAKE, "hum": REAL},
    "Dafilab/ai-image-detector": {"ai": FAKE, "human": REAL},
    "Nahrawy/AIorNot": {"real": REAL, "ai": FAKE},
    "t1msan/swinv2-tiny-patch4-window8-256-Kontur-competition-1.3K": {"ai": FAKE, "real": REAL},
    "dima806/ai_vs_real_image_detection": {"REAL": REAL, "FAKE": FAKE},
    "dima806/deepfake_vs_real_image_detection": {"Real": REAL, "Fake": FAKE},
    "dima806/ai_vs_human_generated_image_detection": {"human": REAL, "AI-generated": FAKE},
    "jacoballessio/ai-image-detect": {"fake": FAKE, "real": REAL},
    "ideepankarsharma2003/Midjourney_v6_ImageClassifier": {"ai_gen": FAKE, "human": REAL},
    "prithivMLmods/Deep-Fake-Detector-v2-Model": {"Realism": REAL, "Deepfake": FAKE},
    "prithivMLmods/Deepfake-Detection-Exp-02-21": {"Deepfake": FAKE, "Real": REAL},
    "prithivMLmods/Deepfake-Detect-Siglip2": {"Fake": FAKE, "Real": REAL},
    "prithivMLmods/AI-vs-Deepfake-vs-Real-Siglip2": {"AI": FAKE, "Deepfake": FAKE, "Real": REAL},
    "prithivMLmods/AI-vs-Deepfake-vs-Real-9999": {"Artificial": FAKE, "Deepfake": FAKE, "Real": REAL},
    "HrutikAdsare/deepfake-detector-faceforensics": {"Real": REAL, "Deepfake": FAKE},
    "DeepFakeDetector/vit-base-final": {"real": REAL, "fake": FAKE},
    "Aloukik21/ai-detection-weights": {"real": REAL, "ai-generated": FAKE},
    "franibm/autotrain-Chiara2": {"manipulated-Images": FAKE, "non-manipulated-Images": REAL},
    "king1oo1/deepfake-model": {"Real": REAL, "Fake": FAKE},
}
DATA_SETS = {  # names of their ClassLabel, their strings or their class folders
    "ComplexDataLab/OpenFake": {"real": REAL, "fake": FAKE},
    "GenImage": {"ai": FAKE, "nature": REAL},
    "CIFAKE": {"FAKE": FAKE, "REAL": REAL},
    "OpenForensics faces": {"Fake": FAKE, "Real": REAL},
    "ForenSynths": {"0_real": REAL, "1_fake": FAKE},
    "TheKernel01/Tiny-GenImage": {"real": REAL, "fake": FAKE},
    "TheKernel01/AIGIBench": {"real": REAL, "fake": FAKE},
    "TheKernel01/AIGC-Detection-Benchmark": {"real": REAL, "fake": FAKE},
    "dpaul93/CIFARFakeAugmented": {"FAKE": FAKE, "REAL": REAL},
    "sooks/id1": {"AI": FAKE, "Human": REAL},
    "ideepankarsharma2003/AIGeneratedImages_Midjourney": {"ai_gen": FAKE, "human": REAL},
    "tkbarb10/ADS504-Image-Arrays": {"ai_generated": FAKE, "human_created": REAL},
    "competitions/aiornot": {"NOT_AI": REAL, "AI": FAKE},
    "saberzl/So-Fake-Set": {"real": REAL, "full_synthetic": FAKE, "tampered": FAKE},
    "prithivMLmods/Deepfake-vs-Real": {"Deepfake": FAKE, "Real": REAL},
    "prithivMLmods/AI-vs-Deepfake-vs-Real": {"Artificial": FAKE, "Deepfake": FAKE, "Real": REAL},
    "ohjoonhee/custom3": {"Real": REAL, "Fake": FAKE},
    "Thien0103/DeepFake_Extracted_Face_Images": {"fake": FAKE, "real": REAL},
    "date3k2/raw_real_fake_images": {"Fake": FAKE, "Real": REAL},
    "CaptainNemo18/Dataset_RealvsFake": {"Fake": FAKE, "Real": REAL},
    "julienlucas/midjourney-dalle-sd-nanobananapro-dataset": {"fake": FAKE, "real": REAL},
    "DFBench/Image-Deepfake-Detection-25": {"real": REAL, "fake": FAKE},
}


@pytest.mark.parametrize("classes", DETECTORS.values(), ids=DETECTORS)
def test_published_detectors_classes_are_understood(classes):
    assert LabelRules().labels_of(list(classes), "m") == list(classes.values())


@pytest.mark.parametrize("classes", DATA_SETS.values(), ids=DATA_SETS)
def test_published_data_sets_classes_are_understood(classes):
    assert LabelRules().labels_of(list(classes), "d") == list(classes.values())
    assert [LabelRules().label_of(name, "d") for name in classes] == list(classes.values())


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Real Photo", REAL),
        ("AI Generated", FAKE),
        ("AIGenerated", FAKE),
        ("AI photo", FAKE),  # what it shows does not say who made it
        ("fake human", FAKE),
        ("human-generated", REAL),
        ("not real", FAKE),
        ("Photograph", REAL),
        ("real ai", None),  # says both
        ("not a photo", None),
        ("cat", None),
        ("surreal", None),  # no part of a word counts
        ("maid", None),
        ("unknown", None),
        ("LABEL_1", None),
        ("", None),
        (1, None),
        (True, None),
        (None, None),
    ],
)
def test_names_are_matched_on_whole_words(name, label):
    assert find_label(name) == label


def test_one_real_class_makes_generators_of_the_others():
    assert LabelRules().labels_of(["real", "sd-3.5", "flux.1"], "m") == [REAL, FAKE, FAKE]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["LABEL_0", "LABEL_1"], "LABEL_0, LABEL_1, and none .* --label-map real=LABEL_0,fake=LABEL_1 or"),
        (
            ["photo", "real"],
            "photo, real all sound real.*'real=photo.real'.*real=photo,fake=real or real=photo,skip=real",
        ),
        (["ai", "deepfake"], "ai, deepfake, which all sound fake"),
        (["echt", "gefälscht"], "echt, gefälscht, and none .*--label-map real=echt,fake=gefälscht"),
        (["真实", "生成"], "--label-map real=真实,fake=生成"),
        (["real", "fake", "unknown"], "'unknown' is neither real nor fake.*skip="),
        (["real", "fake", "LABEL_2"], "'LABEL_2' is neither"),
        ([], "none"),
    ],
)
def test_classes_that_are_not_understood_are_asked_for(names, message):
    with pytest.raises(UserError, match=message) as caught:
        LabelRules().labels_of(names, "The model m")
    assert str(caught.value).startswith("The model m has the classes") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rules", "names", "labels"),
    [
        ({"label_map": "real=LABEL_1,fake=LABEL_0"}, ["LABEL_0", "LABEL_1"], [FAKE, REAL]),
        ({"label_map": "real=1,fake=0"}, [0, 1], [FAKE, REAL]),
        ({"label_map": {"real": 1, "fake": [0, 3], "skip": 2}}, [0, 1, 2, 3], [FAKE, REAL, SKIP, FAKE]),
        ({"label_map": "skip=unknown"}, ["real", "fake", "unknown"], [REAL, FAKE, SKIP]),
        ({"label_map": "real=photo|original"}, ["photo", "original", "ai"], [REAL, REAL, FAKE]),
        ({"label_map": "fake=ai|deepfake"}, ["ai", "deepfake"], [FAKE, FAKE]),  # one class, and the user said so
        ({"label_map": "real = Echt , fake=Gefälscht"}, ["echt", "gefälscht"], [REAL, FAKE]),
        ({"real_label": "echt"}, ["echt", "gefälscht", "gemalt"], [REAL, FAKE, FAKE]),
        ({"real_label": 1}, [0, 1], [FAKE, REAL]),
        ({"real_label": "photo", "label_map": "skip=real"}, ["photo", "real", "ai"], [REAL, SKIP, FAKE]),
    ],
)
def test_users_say_what_classes_mean(rules, names, labels):
    said = LabelRules.parse(**rules)
    assert said.labels_of(names, "m") == labels
    assert [said.label_of(name, "d") for name in names] == labels


@pytest.mark.parametrize(("value", "label"), [(True, FAKE), (False, REAL), (1, FAKE), (1.0, FAKE), ("0", REAL)])
def test_bools_and_numbers_are_one_class(value, label):
    assert LabelRules.parse("real=0,fake=1").label_of(value, "d") == label
    assert LabelRules.parse("real=false,fake=true").label_of(value, "d") == label


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"label_map": "human=real"}, "says human=real; before the = stands real, fake or skip"),
        ({"label_map": "real"}, "it is written real=NAME"),
        ({"label_map": "real="}, "it is written real=NAME"),
        ({"label_map": ""}, "it is written real=NAME"),
        ({"label_map": "real=a,fake=A"}, "two things of the class 'A'"),
        ({"label_map": "fake=a", "real_label": "a"}, "different things of the class 'a'"),
    ],
)
def test_maps_that_say_nothing_or_two_things_are_refused(rules, message):
    with pytest.raises(UserError, match=message):
        LabelRules.parse(**rules)


@pytest.mark.parametrize("rules", [{"label_map": "real=human,fake=robot"}, {"real_label": "robot"}])
def test_a_map_that_names_a_class_that_is_not_there_is_refused_with_those_that_are(rules):
    with pytest.raises(UserError, match="m has the classes ai, human; the label map names 'robot'"):
        LabelRules.parse(**rules).labels_of(["ai", "human"], "m")


@pytest.mark.parametrize(
    ("value", "message"), [(1, "label 1 and no name.*real=0,fake=1 or"), ("cat", "'cat', which is neither.*skip=cat")]
)
def test_a_label_that_says_nothing_is_asked_for(value, message):
    with pytest.raises(UserError, match=message):
        LabelRules().label_of(value, "The column label of d")


def test_what_was_said_is_recorded():
    rules = LabelRules.parse("real=0,fake=1|3,skip=2")
    assert rules.record() == {"label_map": {"real": ["0"], "fake": ["1", "3"], "skip": ["2"]}}
    assert LabelRules.parse(rules.record()["label_map"]) == rules
    assert LabelRules.parse(real_label="human").record() == {"real_label": "human"} and LabelRules().record() == {}


def test_what_a_saved_model_remembers_counts_where_the_user_says_nothing():
    rules = LabelRules.parse("fake=a").or_else({"real": "a", "fake": ["b"], "skip": ["c"]})
    assert dict(rules.named) == {"a": FAKE, "b": FAKE, "c": SKIP}
    assert rules.or_else(None) == rules


def test_a_map_with_a_model_before_it_is_of_that_model_alone():
    models = ["patch_lens", "user/b", "runs/b=1"]
    assert split_maps([], models) == (None, {})
    said = ["real=0,fake=1", "user/b=real=LABEL_1,fake=LABEL_0", "skip=2", "runs/b=1=real=x,fake=y"]
    shared, own = split_maps(said, models)
    assert shared == "real=0,fake=1,skip=2"
    assert own == {"user/b": "real=LABEL_1,fake=LABEL_0", "runs/b=1": "real=x,fake=y"}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (["user/c=real=0,fake=1"], "begins with no model that is named here: user/a, user/b.*MODEL=real=NAME"),
        (["user/a=real=0", "user/a=fake=1"], "two maps of the model user/a"),
    ],
)
def test_a_map_of_no_model_and_two_maps_of_one_are_refused(said, message):
    with pytest.raises(UserError, match=message):
        split_maps(said, ["user/a", "user/b"])
