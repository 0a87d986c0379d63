"""Every architecture by name: its size, its class, its pixels, and what is said of a name that is not one."""

import pytest
import timm
import torch
from PIL import Image
from transformers import AutoImageProcessor, MobileNetV2ForImageClassification, TimmWrapperForImageClassification

from fakelens.errors import UserError
from fakelens.zoo.registry import architecture, build_detector, build_processor, names

# Parameters with two labels.
SIZES = {
    "custom_cnn": 421_921,
    "resnet_se": 11_240_626,
    "efficientnetv2_s": 20_180_050,
    "efficientnet_b0": 4_010_110,
    "resnet50": 23_512_130,
    "convnext_tiny": 27_821_666,
    "mobilenet_v2": 2_226_434,
    "efficientnet_b2": 7_702_403,
    "efficientnet_b0_mlp": 4_335_741,
    "patch_lens": 700_881,
}
NATIVE = {"efficientnetv2_s", "efficientnet_b0", "resnet50", "convnext_tiny", "mobilenet_v2"}


def test_names():
    assert names() == list(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_size_and_labels(name):
    with torch.device("meta"):
        model = build_detector(name)
    assert model.num_parameters() == SIZES[name]
    assert model.config.id2label == {0: "real", 1: "fake"}
    assert model.config.label2id == {"real": 0, "fake": 1}
    assert not model.training


@pytest.mark.parametrize("name", SIZES)
def test_native_architectures_are_transformers_own(name):
    row = architecture(name)
    assert row.native == (name in NATIVE)
    assert row.model_class.__module__.startswith("transformers." if row.native else "fakelens.")
    # A processor of ours would ask for remote code where the model needs none.
    assert type(build_processor(name)).__module__.startswith("transformers." if row.native else "fakelens.")
    assert (row.pretrained is None) == (name in {"custom_cnn", "resnet_se"})


@pytest.mark.parametrize(
    ("name", "mean", "side"),
    [
        ("custom_cnn", 0.485, 224),
        ("resnet_se", 0.485, 32),
        ("efficientnetv2_s", 0.5, 300),
        ("efficientnet_b0", 0.485, 224),
        ("mobilenet_v2", 0.5, 224),
        ("efficientnet_b2", 0.485, 256),
        ("timm/tf_efficientnet_lite0", 0.5, 224),
        ("timm/resnet18.a1_in1k", 0.485, 224),
    ],
)
def test_processor_has_the_pixels_of_the_pretrained_weights(name, mean, side):
    processor = build_processor(name)
    assert processor.image_mean[0] == mean
    assert (processor.size.height, processor.size.width) == (side, side)


@pytest.mark.parametrize("name", ["custom_cnn", "efficientnet_b0", "mobilenet_v2"])
def test_processor_takes_another_size_and_comes_back_with_it(name, tmp_path):
    processor = build_processor(name, image_size=32, image_std=[0.1, 0.2, 0.3])
    build_detector("custom_cnn" if name == "custom_cnn" else "timm/test_efficientnet").save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoImageProcessor.from_pretrained(tmp_path)
    assert type(again) is type(processor)
    image = Image.effect_noise((50, 40), 80).convert("RGBA")
    pixels = again(images=image, return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 3, 32, 32)  # the whole image: no crop
    assert torch.equal(pixels, processor(images=image, return_tensors="pt")["pixel_values"])
    assert tuple(again.image_std) == (0.1, 0.2, 0.3)


def test_native_crops_take_the_size_too():
    processor = build_processor("custom_cnn", image_size=48, do_resize=False, do_native_crop=True)
    assert processor(images=Image.new("RGB", (90, 60)), return_tensors="pt")["pixel_values"].shape == (1, 3, 48, 48)


@pytest.mark.parametrize("name", ["custom_cnn", "resnet_se", "mobilenet_v2", "timm/test_efficientnet"])
def test_labels_may_name_generators(name):
    model = build_detector(name, labels=["real", "gan", "diffusion", "other"])
    assert model.config.id2label == {0: "real", 1: "gan", 2: "diffusion", 3: "other"}
    with torch.no_grad():
        assert model(pixel_values=torch.zeros(1, 3, 64, 64)).logits.shape == (1, 4)


@pytest.mark.parametrize("labels", [["fake", "real"], ["real"], ["real", "fake", "fake"]])
def test_labels_that_mean_nothing_are_refused(labels):
    with pytest.raises(UserError, match="real first"):
        build_detector("custom_cnn", labels=labels)


def test_any_timm_model():
    torch.manual_seed(0)
    model = build_detector("timm/test_resnet", drop_rate=0.3)
    assert type(model) is TimmWrapperForImageClassification
    assert model.config.model_args == {"drop_rate": 0.3}
    assert model.timm_model.drop_rate == 0.3
    assert architecture("timm/test_resnet").pretrained == "timm/test_resnet.r160_in1k"


def test_timm_networks_start_as_timm_starts_them():
    model = build_detector("timm/test_resnet")
    reference = timm.create_model("test_resnet", num_classes=2)
    for name, parameter in reference.named_parameters():
        if parameter.ndim == 4:
            # transformers would have drawn every convolution with a deviation of 0.02.
            drawn = model.timm_model.get_parameter(name)
            assert drawn.std().item() == pytest.approx(parameter.std().item(), rel=0.2), name


def test_options_reach_the_configuration():
    model = build_detector("mobilenet_v2", depth_multiplier=0.1, finegrained_output=False)
    assert type(model) is MobileNetV2ForImageClassification
    assert model.num_parameters() < 200_000
    assert build_detector("efficientnet_b0_mlp", backbone="test_efficientnet").head[0].out_features == 256


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("efficientnt_b0", "Did you mean efficientnet_b0"),
        ("resnet18", "timm has it: timm/resnet18"),
        ("timm/tf_efficientnet_lite00", "Did you mean timm/tf_efficientnet_lite0"),
        ("timm/efficientnet_b0.no_such_tag", "timm .* has no model 'efficientnet_b0.no_such_tag'. Did you mean"),
        ("ensemble", "build_ensemble"),
    ],
)
def test_unknown_names_suggest_the_nearest(name, message):
    with pytest.raises(UserError, match=message):
        build_detector(name)
    with pytest.raises(UserError, match=message):
        build_processor(name)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("custom_cnn", {"droput": 0.1}, "no option droput. Did you mean dropout"),
        ("custom_cnn", {"dropout": 2}, r"custom_cnn: dropout must lie in \[0, 1\)"),
        ("mobilenet_v2", {"depth_multiplier": "wide"}, "mobilenet_v2: .*depth_multiplier"),
        ("mobilenet_v2", {"logit_temperature": 2.0}, "no option logit_temperature"),
        ("timm/test_resnet", {"width": 2}, "timm does not take these options .*'width'"),
    ],
)
def test_unusable_options_are_refused(name, options, message):
    with pytest.raises(UserError, match=message):
        build_detector(name, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "at least 1 pixel"),
        ({"image_men": [0.5] * 3}, "no option image_men. Did you mean image_mean"),
        ({"do_native_crop": True}, "exactly one"),
    ],
)
def test_unusable_processor_options_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        build_processor("custom_cnn", **options)


@pytest.mark.parametrize("name", ["timm/test_efficientnet", "efficientnet_b0"])
def test_a_new_classifier_starts_undecided(name):
    torch.manual_seed(0)
    model = build_detector(name)
    with torch.no_grad():
        loss = model(pixel_values=torch.randn(8, 3, 64, 64), labels=torch.arange(8) % 2).loss
    assert 0.6 < loss < 0.8
