"""Pretrained weights: from a file, from the Hub's cache, dropped classifiers, and files that are no use."""

import logging

import pytest
import timm
import torch
from safetensors.torch import save_file

from fakelens.errors import UserError
from fakelens.zoo.pretrained import head_names
from fakelens.zoo.registry import build_detector

NETWORK = "test_efficientnet"


@pytest.fixture(scope="module")
def imagenet():
    """State dict of a timm network with its thousand classes."""
    torch.manual_seed(0)
    return timm.create_model(NETWORK).state_dict()


@pytest.fixture
def file(imagenet, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(imagenet, path)
    return path


def assert_holds(network, state, left_out=("classifier",)):
    for name, tensor in state.items():
        if not name.startswith(left_out):
            assert torch.equal(network.state_dict()[name], tensor), name


def test_timm_weights_lose_only_their_classifier_and_it_is_said(imagenet, file, caplog):
    with caplog.at_level(logging.WARNING):
        model = build_detector(f"timm/{NETWORK}", weights=file)
    assert_holds(model.timm_model, imagenet)
    assert "timm_model.classifier.bias, timm_model.classifier.weight start untrained" in caplog.text
    assert model.timm_model.classifier.out_features == 2


def test_timm_weights_fit_under_our_head(imagenet, file, caplog):
    with caplog.at_level(logging.WARNING):
        model = build_detector("efficientnet_b0_mlp", weights=file, backbone=NETWORK, hidden_sizes=[8])
    assert_holds(model.backbone, imagenet)
    assert "head.0.weight" in caplog.text


def test_a_whole_detector_fits_and_nothing_needs_saying(file, tmp_path, caplog):
    first = build_detector(f"timm/{NETWORK}", weights=file)
    first.save_pretrained(tmp_path / "saved")
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="fakelens"):
        again = build_detector(f"timm/{NETWORK}", weights=tmp_path / "saved" / "model.safetensors")
    assert_holds(again, first.state_dict(), left_out=())
    assert not caplog.records


@pytest.mark.parametrize("prefix", ["timm_model.", "module."])
def test_prefixes_of_wrappers_are_understood(imagenet, tmp_path, prefix):
    path = tmp_path / "weights.safetensors"
    save_file({prefix + name: tensor for name, tensor in imagenet.items()}, path)
    assert_holds(build_detector(f"timm/{NETWORK}", weights=path).timm_model, imagenet)
    assert_holds(build_detector("efficientnet_b2", weights=path, backbone=NETWORK).backbone, imagenet)


def test_mobilenet_takes_the_published_thousand_and_one_classes(tmp_path):
    options = {"depth_multiplier": 0.1, "finegrained_output": False}
    labels = ["real", *(f"class {index}" for index in range(1000))]
    published = build_detector("mobilenet_v2", labels=labels, **options)
    published.save_pretrained(tmp_path)
    model = build_detector("mobilenet_v2", weights=tmp_path / "model.safetensors", **options)
    assert_holds(model, published.state_dict())


def test_other_labels_keep_the_hidden_layer(tmp_path):
    first = build_detector("custom_cnn", hidden_sizes=[4], classifier_size=8)
    first.save_pretrained(tmp_path)
    labels = ["real", "gan", "diffusion"]
    weights = tmp_path / "model.safetensors"
    model = build_detector("custom_cnn", hidden_sizes=[4], classifier_size=8, labels=labels, weights=weights)
    assert_holds(model, first.state_dict())
    assert model.classifier.out_features == 3


def test_pretrained_weights_come_from_the_hubs_cache(imagenet, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repo = tmp_path / f"models--timm--{NETWORK}.r160_in1k"
    (repo / "snapshots" / "0123").mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("0123")
    save_file(imagenet, repo / "snapshots" / "0123" / "model.safetensors")
    assert_holds(build_detector(f"timm/{NETWORK}", pretrained=True).timm_model, imagenet)


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenet_v2", "efficientnet_b2", f"timm/{NETWORK}"])
def test_without_network_there_is_no_silent_random_start(name, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"could not be fetched.*resolve/main/model.safetensors.*weights=FILE"):
        build_detector(name, pretrained=True)


def test_what_has_no_published_weights_says_so():
    with pytest.raises(UserError, match="custom_cnn has no pretrained weights"):
        build_detector("custom_cnn", pretrained=True)


@pytest.mark.parametrize("name", ["custom_cnn", "timm/test_resnet", "efficientnet_b0_mlp"])
def test_another_architectures_file_is_refused(file, name):
    with pytest.raises(UserError, match=r"does not fit .*tensors match.*such as .*\. Take the file"):
        build_detector(name, weights=file)


def test_a_deeper_networks_file_is_refused(imagenet, tmp_path):
    path = tmp_path / "deeper.safetensors"
    save_file({**imagenet, "blocks.9.0.conv_pw.weight": torch.zeros(4)}, path)
    with pytest.raises(UserError, match=r"blocks\.9\.0\.conv_pw\.weight"):
        build_detector(f"timm/{NETWORK}", weights=path)


def test_a_truncated_file_is_refused(imagenet, tmp_path):
    path = tmp_path / "part.safetensors"
    save_file({name: tensor for name, tensor in imagenet.items() if "running_var" not in name}, path)
    with pytest.raises(UserError, match="running_var"):
        build_detector(f"timm/{NETWORK}", weights=path)


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".pth", ".ckpt"])
def test_pickles_are_refused_unread(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(b"never looked at")
    with pytest.raises(UserError, match="run code when read and are refused"):
        build_detector("custom_cnn", weights=path)


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(UserError, match="no weights file"):
        build_detector("custom_cnn", weights=tmp_path / "absent.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"\x00" * 40)
    with pytest.raises(UserError, match="damaged"):
        build_detector("custom_cnn", weights=damaged)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("convnext_tiny", ("timm_model.head.fc",)),
        ("resnet50", ("timm_model.fc",)),
        ("mobilenet_v2", ("classifier",)),
        ("custom_cnn", ("hidden", "classifier")),
        ("efficientnet_b2", ("head", "classifier", "backbone.classifier")),
    ],
)
def test_head_names(name, head):
    with torch.device("meta"):
        assert head_names(build_detector(name)) == head
