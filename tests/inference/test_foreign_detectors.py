"""Image classifiers that nobody made for this package, one tiny random one of each family, load and score."""

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import (
    BeitConfig,
    BeitForImageClassification,
    BeitImageProcessor,
    CLIPConfig,
    CLIPForImageClassification,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTokenizer,
    ConvNextConfig,
    ConvNextForImageClassification,
    ConvNextImageProcessor,
    SiglipConfig,
    SiglipForImageClassification,
    SiglipImageProcessor,
    SwinConfig,
    SwinForImageClassification,
    TimmWrapperConfig,
    TimmWrapperForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

from fakelens import load_detector
from fakelens.errors import UserError
from fakelens.zoo.registry import build_detector, build_processor
from tests.abuse import make_image

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
SIDE = {"height": 32, "width": 32}


def vit(names, **settings):
    config = ViTConfig(image_size=32, patch_size=8, **SMALL, **labels(names), **settings)
    return ViTForImageClassification(config), ViTImageProcessor(size=SIDE)


def swin(names):
    config = SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4)
    config.update(labels(names))
    return SwinForImageClassification(config), ViTImageProcessor(size=SIDE)


def siglip(names):
    vision = {"image_size": 32, "patch_size": 8, **SMALL}
    config = SiglipConfig(vision_config=vision, text_config={"vocab_size": 64, **SMALL}, **labels(names))
    return SiglipForImageClassification(config), SiglipImageProcessor(size=SIDE)


def convnext(names):
    config = ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, **labels(names))
    return ConvNextForImageClassification(config), ConvNextImageProcessor(size={"shortest_edge": 32})


def beit(names):
    config = BeitConfig(image_size=32, patch_size=8, **SMALL, **labels(names))
    return BeitForImageClassification(config), BeitImageProcessor(size=SIDE, crop_size=SIDE)


def timm(names):
    config = TimmWrapperConfig(architecture="resnet10t", **labels(names))
    return TimmWrapperForImageClassification(config), ViTImageProcessor(size=SIDE)


def clip_head(names):
    vision = {"image_size": 32, "patch_size": 8, **SMALL}
    text = {"vocab_size": 64, "max_position_embeddings": 8, "eos_token_id": 1, "bos_token_id": 0, **SMALL}
    config = CLIPConfig(vision_config=vision, text_config=text, projection_dim=8, **labels(names))
    return CLIPForImageClassification(config), CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SIDE)


def labels(names):
    return {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}


FAMILIES = [vit, swin, siglip, convnext, beit, timm, clip_head]


def saved(made, folder):
    torch.manual_seed(0)
    model, processor = made
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def raw_probabilities(detector, image):
    with torch.inference_mode():
        logits = detector.model(**detector.process([image])).logits.double()
    return logits.softmax(-1)[0].numpy()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_every_family_scores_by_the_names_of_its_classes(tmp_path, family):
    detector = load_detector(saved(family(["artificial", "human"]), tmp_path / "m"), "cpu")
    assert detector.classes == ("real", "artificial")
    image = make_image(seed=1)
    assert detector.process([image])["pixel_values"].shape[-2:] == (32, 32)  # by its own processor
    expected = raw_probabilities(detector, image)
    assert detector.probabilities([image])[0] == pytest.approx(expected[[1, 0]], abs=1e-6)
    verdict = detector([image])[0]
    assert verdict.error is None and verdict.score == pytest.approx(expected[0], abs=1e-6)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_every_family_may_have_one_logit_or_many_kinds_of_fake(tmp_path, family):
    image = make_image(seed=1)
    one = load_detector(saved(family(["LABEL_0"]), tmp_path / "one"), "cpu", label_map="fake=LABEL_0")
    with torch.inference_mode():
        logit = one.model(**one.process([image])).logits.item()
    assert one.scores([image])[0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    many = load_detector(saved(family(["sdxl", "real", "flux"]), tmp_path / "many"), "cpu")
    assert many.classes == ("real", "sdxl", "flux")
    assert many.scores([image])[0] == pytest.approx(1 - raw_probabilities(many, image)[1], abs=1e-6)


@pytest.mark.parametrize(
    ("names", "fake"),
    [
        (["artificial", "human"], 0),
        (["ai", "hum"], 0),
        (["Deepfake", "Realism"], 0),
        (["AI-generated", "Photograph"], 0),
        (["AI Generated", "Real Photo"], 0),
        (["real_images", "ai_images"], 1),
    ],
)
def test_published_names_of_classes_load_as_they_are(tmp_path, names, fake):
    detector = load_detector(saved(vit(names), tmp_path / "m"), "cpu")
    assert detector.readout.fake == (fake,) and detector.readout.real == (1 - fake,)


def test_many_kinds_of_fake_add_up_and_skipped_classes_do_not_count(tmp_path):
    names = ["AI", "Deepfake", "Real", "unknown"]
    home = saved(vit(names), tmp_path / "m")
    detector = load_detector(home, "cpu", label_map="skip=unknown")
    assert detector.classes == ("real", "AI", "Deepfake")
    image = make_image(seed=1)
    raw = raw_probabilities(detector, image)
    assert detector.scores([image])[0] == pytest.approx((raw[0] + raw[1]) / raw[:3].sum(), abs=1e-6)
    assert detector.readout.labels == {"AI": "fake", "Deepfake": "fake", "Real": "real", "unknown": "skip"}


@pytest.mark.parametrize("name", ["custom_cnn", "timm/test_efficientnet"])
def test_a_generator_of_our_own_networks_may_have_any_name(tmp_path, name):
    names = ["real", "other", "unknown", "LABEL_3", "photo-real-v2"]
    home = saved((build_detector(name, labels=names), build_processor(name, 32)), tmp_path / "m")
    detector = load_detector(home, "cpu")
    assert detector.classes == tuple(names) and detector.readout.fake == (1, 2, 3, 4)
    with pytest.raises(UserError, match="names 'robot'"):
        load_detector(home, "cpu", label_map="fake=robot")


def test_several_real_classes_count_as_one(tmp_path):
    home = saved(vit(["photo", "painting", "ai"]), tmp_path / "m")
    detector = load_detector(home, "cpu", label_map="real=photo|painting,fake=ai")
    image = make_image(seed=1)
    assert detector.scores([image])[0] == pytest.approx(raw_probabilities(detector, image)[2], abs=1e-6)


@pytest.mark.parametrize(("name", "sign"), [("fake", 1), ("Real", -1)])
def test_one_logit_is_the_log_odds_of_its_class(tmp_path, name, sign):
    detector = load_detector(saved(vit([name]), tmp_path / "m"), "cpu")
    with torch.inference_mode():
        logit = detector.model(**detector.process([make_image()])).logits.item()
    assert detector.scores([make_image()])[0] == pytest.approx(1 / (1 + np.exp(-sign * logit)), abs=1e-6)


@pytest.mark.parametrize(
    ("names", "settings", "message"),
    [
        (["LABEL_0", "LABEL_1"], {}, "LABEL_0, LABEL_1, and none .*--label-map real=LABEL_0,fake=LABEL_1 or"),
        (["echt", "falsch"], {}, "echt, falsch, and none .*--label-map real=echt,fake=falsch"),
        (["photo", "real"], {}, "photo, real all sound real"),
        (["ai", "deepfake"], {}, "which all sound fake"),
        (["real", "fake", "unknown"], {}, "'unknown' is neither.*skip=unknown"),
        (["LABEL_0"], {}, "one class, LABEL_0.*--label-map fake=LABEL_0"),
        (["fake"], {"problem_type": "regression"}, "a regression head.*--label-map fake=fake"),
    ],
)
def test_classes_that_say_nothing_are_asked_for(tmp_path, names, settings, message):
    home = saved(vit(names, **settings), tmp_path / "m")
    with pytest.raises(UserError, match=message) as caught:
        load_detector(home, "cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "said", "real"),
    [
        (["LABEL_0", "LABEL_1"], {"label_map": "real=LABEL_1,fake=LABEL_0"}, 1),
        (["LABEL_0", "LABEL_1"], {"real_label": "LABEL_1"}, 1),
        (["echt", "falsch"], {"label_map": {"real": "echt", "fake": ["falsch"]}}, 0),
        (["LABEL_0"], {"label_map": "fake=LABEL_0"}, None),
    ],
)
def test_the_user_says_what_classes_mean(tmp_path, names, said, real):
    detector = load_detector(saved(vit(names), tmp_path / "m"), "cpu", **said)
    assert detector.readout.real == (() if real is None else (real,))
    assert set(detector.readout.labels.values()) <= {"real", "fake"}


def test_a_map_that_names_a_class_that_is_not_there_is_refused(tmp_path):
    home = saved(vit(["ai", "human"]), tmp_path / "m")
    with pytest.raises(UserError, match="has the classes ai, human; the label map names 'robot'"):
        load_detector(home, "cpu", label_map="fake=robot")


def test_a_backbone_without_a_trained_head_is_no_detector(tmp_path):
    model, processor = vit(["real", "fake"])
    saved((model.vit, processor), tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    (tmp_path / "m" / "config.json").write_text(json.dumps(config | labels(["real", "fake"])))
    with pytest.raises(UserError, match="no trained weights for classifier.*backbone and no detector"):
        load_detector(tmp_path / "m", "cpu")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A CLIP without classes, with a tokenizer of single letters."""
    home = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    words = ["<|startoftext|>", "<|endoftext|>", *(chr(c) for c in range(97, 123))]
    words += [f"{word}</w>" for word in words[2:]]
    (home / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (home / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer.from_pretrained(home).save_pretrained(home)
    text = {"vocab_size": len(words), "max_position_embeddings": 77, "eos_token_id": 1, "bos_token_id": 0, **SMALL}
    vision = {"image_size": 32, "patch_size": 8, **SMALL}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(home)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SIDE).save_pretrained(home)
    return home


def test_a_clip_takes_texts_for_classes(clip):
    texts = "real=a photo from a camera,fake=made by ai"
    detector = load_detector(clip, "cpu", label_map=texts)
    swapped = load_detector(clip, "cpu", label_map="real=made by ai,fake=a photo from a camera")
    images = [make_image(seed=1), make_image(seed=2)]
    assert detector.classes == ("real", "made by ai")
    assert detector.scores(images) == pytest.approx(1 - swapped.scores(images), abs=1e-6)
    assert detector.scores(images)[0] != pytest.approx(0.5, abs=1e-9)


def test_a_clip_without_texts_asks_for_them(clip):
    with pytest.raises(UserError, match="compares images with texts.*--label-map 'real=a photograph"):
        load_detector(clip, "cpu")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A ViT as transformers.js lays it out: ONNX files in `onnx/`, settings above, no safetensors."""
    pytest.importorskip("onnxruntime")
    from fakelens.inference.onnx.export import write_graph

    home = tmp_path_factory.mktemp("js")
    saved(vit(["artificial", "human"]), home)
    detector = load_detector(home, "cpu")
    (home / "onnx").mkdir()
    write_graph(detector.model, detector.process([make_image()]), home / "onnx" / "model.onnx")
    scores = detector.scores([make_image(seed=1)])
    (home / "model.safetensors").unlink()
    return home, scores


def test_an_onnx_repo_of_transformers_js_scores_as_its_pytorch_model(exported):
    home, scores = exported
    assert load_detector(home, "cpu").scores([make_image(seed=1)]) == pytest.approx(scores, abs=1e-5)


def test_its_quantised_copy_runs_too_alone_or_by_its_name(exported, tmp_path):
    """As transformers.js makes it: weights alone in 8 bits, activations as they come."""
    onnx = pytest.importorskip("onnx")
    from onnxruntime.quantization import QuantType, quantize_dynamic

    home, scores = exported
    copy = tmp_path / "quantised"
    shutil.copytree(home, copy)
    quantised = copy / "onnx" / "model_quantized.onnx"
    quantize_dynamic(copy / "onnx" / "model.onnx", quantised, weight_type=QuantType.QUInt8)
    by_name = load_detector(quantised, "cpu")
    (copy / "onnx" / "model.onnx").unlink()
    alone = load_detector(copy, "cpu")
    kinds = {tensor.data_type for tensor in onnx.load(quantised).graph.initializer}
    assert onnx.TensorProto.UINT8 in kinds
    found = alone.scores([make_image(seed=1)])
    assert found == pytest.approx(by_name.scores([make_image(seed=1)]), abs=1e-9)
    assert found == pytest.approx(scores, abs=0.05) and found != pytest.approx(scores, abs=1e-9)
    whole = sum(p.numel() for p in load_detector(home, "cpu").model.parameters())
    assert sum(p.numel() for p in alone.model.parameters()) == pytest.approx(whole, rel=0.2)
