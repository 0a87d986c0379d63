"""Export to ONNX: the same verdicts through the same commands, and nothing kept that is not the same model."""

import json
import os
import shutil
import sys

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from fakelens.cli.app import app
from fakelens.cli.verbs.publishing import export as export_verb
from fakelens.errors import UserError
from fakelens.evaluation.attacks.adversarial import Attack
from fakelens.evaluation.run import Options, evaluate_models
from fakelens.explain.maps.heatmap import heat_map
from fakelens.inference.detector import load_detector
from fakelens.inference.identity import identity
from fakelens.inference.loading import load_network
from fakelens.inference.onnx import check, export
from fakelens.inference.onnx_model import OnnxModel
from fakelens.zoo.ensembles import build_ensemble
from fakelens.zoo.registry import build_detector, build_processor, names
from tests.abuse import make_image
from tests.awake import awake
from tests.conftest import SCRIPTS
from tests.tiny_data import write_tiny_data

SMALL_CNN = {"hidden_sizes": [4, 8], "classifier_size": 8}
SMALL_RESNET = {"stem_size": 4, "hidden_sizes": [8], "blocks_per_stage": 1, "classifier_size": 8, "reduction": 4}
# What makes an architecture small; one that is not named here is exported whole, for images of 32 pixels.
TINY = {
    "custom_cnn": SMALL_CNN,
    "resnet_se": SMALL_RESNET,
    "mobilenet_v2": {"depth_multiplier": 0.25, "finegrained_output": False},
    "efficientnet_b2": {"backbone": "test_efficientnet"},
    "efficientnet_b0_mlp": {"backbone": "test_efficientnet"},
}
CROPS = {"do_resize": False, "do_native_crop": True, "crops_per_side": 2}


def save(folder, model, processor, **settings):
    torch.manual_seed(0)
    awake(model).save_pretrained(folder)
    processor.save_pretrained(folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return str(folder)


@pytest.fixture(scope="module")
def script():
    return export_verb


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return str(write_tiny_data(tmp_path_factory.mktemp("data") / "images", {"test": 24}))


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """A network of crops with a temperature, a band and a record."""
    folder = tmp_path_factory.mktemp("crops") / "model"
    model = build_detector("custom_cnn", **SMALL_CNN, logit_temperature=0.3)
    save(folder, model, build_processor("custom_cnn", 16, **CROPS))
    scores = load_detector(folder, "cpu").scores([make_image(30 + n, 60 - n, seed=n) for n in range(10)])
    low, middle, high = (float(np.quantile(scores, q)) for q in (0.25, 0.5, 0.75))
    path = folder / "config.json"
    settings = {"decision_threshold": middle, "uncertain_band": [low, high], "fpr_thresholds": {"0.1": high}}
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    (folder / "run.json").write_text(json.dumps({"data": {"held_out": ["stripes"]}}))
    return str(folder)


@pytest.fixture(scope="module")
def exported(script, crops, data, tmp_path_factory):
    """What the script wrote of it, int8 and all, checked on labelled data."""
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "CALIBRATION", 8)
        script.main(script.ExportArguments(crops, str(folder), data, images=16, int8=True))
    return folder


def same(model, exported, images=None):
    """See that both say the same of images, in batches of any size, and return the scores."""
    one, other = load_detector(model, "cpu"), load_detector(exported, "cpu")
    images = images or [make_image(25 + 9 * n, 60 - n, seed=n) for n in range(9)]
    expected = one.probabilities(images)
    for step in (1, 2, 9):
        assert other.predict(other.process(images), step) == pytest.approx(expected, abs=1e-5)
    assert other.classes == one.classes and other.uncertain_band == one.uncertain_band
    return expected[:, 1]


def test_an_export_is_the_same_model_with_its_settings_and_record(crops, exported):
    scores = same(crops, exported)
    assert np.ptp(scores) > 0.05  # the network says something
    assert {"model.onnx", "model_int8.onnx", "config.json", "preprocessor_config.json"} <= set(os.listdir(exported))
    for name in ("model.onnx", "model_int8.onnx"):
        assert str(SCRIPTS.parent).encode() not in (exported / name).read_bytes()  # no path of this machine
    record = json.loads((exported / "export.json").read_text())
    assert record["source"]["weights_sha256"] == identity(load_detector(crops, "cpu"))["weights"]
    assert record["inputs"] == {"pixel_values": ["batch", 4, 3, 16, 16]}
    assert record["opset"]["ai.onnx"] >= 18 and record["versions"]["torch"] in torch.__version__
    assert record["images"] == {"count": 16, "data": record["images"]["data"], "split": "test"}
    assert record["check"]["batch_sizes"].keys() == {"1", "7"}
    for one in record["check"]["batch_sizes"].values():
        assert one["max_difference"] <= 1e-4 and one["verdicts_changed"] == 0

    cost, metrics = record["int8"], record["metrics"]
    assert cost["calibration_images"] == 8 and 1e-4 < cost["max_difference"] < 0.3
    assert metrics["torch"] == metrics["onnx"] and {"auroc", "accuracy"} == metrics["int8"].keys()
    assert record["bytes"].keys() == record["images_per_second"].keys() == {"torch", "onnx", "int8"}


def test_the_command_line_and_evaluation_take_it_as_any_other(crops, exported, data, tmp_path):
    for n in range(10):
        make_image(30 + n, 60 - n, seed=n).save(tmp_path / f"{n}.png")
    (tmp_path / "broken.png").write_text("no image")

    def rows(model):
        result = CliRunner().invoke(app, [str(tmp_path), "--model", str(model), "--json", "--max-fpr", "0.1"])
        assert result.exit_code == 1
        return [json.loads(line) for line in result.stdout.splitlines()]

    by_torch, by_onnx, by_int8 = rows(crops), rows(exported), rows(exported / "model_int8.onnx")
    assert [row["verdict"] for row in by_onnx] == [row["verdict"] for row in by_torch]
    assert {row["verdict"] for row in by_onnx} == {"real", "fake", "uncertain", None}
    for one, other, rough in zip(by_torch[:-1], by_onnx, by_int8, strict=False):
        assert other["score"] == pytest.approx(one["score"], abs=1e-5)
        assert 0 < abs(rough["score"] - one["score"]) < 0.3

    options = Options(views=("raw",), device="cpu", audit=False, gallery=1)
    report = evaluate_models([crops, str(exported)], data, tmp_path / "report", options=options)
    one, other = report["models"]
    assert other["architecture"] == "OnnxModel" and other["weights_sha256"] != one["weights_sha256"]
    assert other["unseen_generators"] == one["unseen_generators"] == ["stripes"]
    # Of a batch norm's weight and bias one is left, folded into the convolution before it.
    assert other["parameters"] == one["parameters"] - (4 + 8)
    rough = load_network(str(exported / "model_int8.onnx"))[0]
    assert sum(p.numel() for p in rough.parameters()) == other["parameters"]
    first, second = (model["results"]["test"]["raw"]["overall"] for model in (one, other))
    assert first["auroc"] == second["auroc"] and first["count"] == 24


def test_what_needs_gradients_or_changes_the_model_says_so(crops, exported, tmp_path):
    detector = load_detector(exported, "cpu")
    pixels = detector.process([make_image()])["pixel_values"]
    for ask in (
        detector.require_pytorch,
        lambda: heat_map(detector, make_image()),
        lambda: Attack(detector, "fgsm")(pixels, torch.tensor([1]), eps=0.1),
        lambda: detector.model.save_pretrained(tmp_path),
    ):
        with pytest.raises(UserError, match=r"model\.onnx is an ONNX model, which has no gradients .*PyTorch model"):
            ask()
    load_detector(crops, "cpu").require_pytorch()


def test_an_ensemble_that_tells_generators_apart(tmp_path):
    labels = ["real", "gan", "diffusion"]
    members = [
        (build_detector("resnet_se", labels=labels, **SMALL_RESNET), build_processor("resnet_se", 24)),
        (build_detector("custom_cnn", labels=labels, **SMALL_CNN), build_processor("custom_cnn", 16, **CROPS)),
    ]
    model = save(tmp_path / "model", *build_ensemble(members, [2, 1]), logit_temperature=0.5)
    record = export.export_model(model, tmp_path / "onnx")
    assert record["inputs"] == {"pixel_values_0": ["batch", 3, 24, 24], "pixel_values_1": ["batch", 4, 3, 16, 16]}
    assert record["images"] == {"count": 50, "data": None, "split": None}
    assert np.ptp(same(model, tmp_path / "onnx")) > 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_every_architecture(name, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "CALIBRATION", 8)
    model = save(tmp_path / "model", build_detector(name, **TINY.get(name, {})), build_processor(name, 32))
    record = export.export_model(model, tmp_path / "onnx", export.Settings(images=14, int8=True))
    assert np.ptp(same(model, tmp_path / "onnx")) > 0.005
    assert record["int8"]["max_difference"] <= 1


def test_an_export_that_differs_is_refused_and_the_one_before_is_kept(crops, exported, tmp_path, monkeypatch):
    def write_changed(model, inputs, path):
        graph = onnx.load(exported / "model.onnx")
        tensor = next(t for t in graph.graph.initializer if "classifier" in t.name and len(t.dims) == 2)
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * -3, tensor.name))
        onnx.save(graph, path)

    monkeypatch.setattr(export, "write_graph", write_changed)
    kept = tmp_path / "kept"
    shutil.copytree(exported, kept)
    settings = export.Settings(images=8)
    for output in (tmp_path / "new", kept):
        with pytest.raises(UserError, match=r"not the same as .*on 8 images, 1 at a time.*Nothing was kept"):
            export.export_model(crops, output, settings)
    # A difference that may be is refused too where it changes a verdict.
    monkeypatch.setattr(check, "TOLERANCE", 1.0)
    with pytest.raises(UserError, match=r"[1-8] verdicts change"):
        export.export_model(crops, tmp_path / "new", settings)
    assert {path.name for path in tmp_path.iterdir()} == {"kept"}
    assert (kept / "export.json").read_bytes() == (exported / "export.json").read_bytes()
    monkeypatch.setattr(export, "write_graph", lambda model, inputs, path: shutil.copy(exported / "model.onnx", path))
    export.export_model(crops, kept, settings)
    assert not (kept / "model_int8.onnx").exists()
    same(crops, kept)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "no/where/at/all"}, "no model at no/where"),
        ({"model": "{exported}"}, "in ONNX already"),
        ({"output": "{crops}"}, "something else than an export"),
        ({"output": "{crops}/config.json"}, "is a file"),
        ({"images": 1}, "at least 2 images"),
        ({"data": "no/where/at/all"}, "No data at"),
        ({"data": "{data}"}, "12 real images and 12 fakes.* 50 are wanted"),
        ({"data": "{data}", "images": 20, "int8": True}, "84 are wanted"),
        ({"data": "{data}", "split": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_exported_writes_nothing(
    script, crops, exported, data, tmp_path, monkeypatch, options, message
):
    monkeypatch.chdir(tmp_path)
    arguments = {"model": crops, "output": "out"} | options
    known = {"crops": crops, "exported": exported, "data": data}
    arguments = {key: v.format(**known) if isinstance(v, str) else v for key, v in arguments.items()}
    with pytest.raises(UserError, match=message):
        script.main(script.ExportArguments(**arguments))
    assert not list(tmp_path.iterdir())


def test_a_network_that_torch_cannot_export_is_named(tiny_model, tmp_path, monkeypatch):
    detector = load_detector(tiny_model, "cpu")
    monkeypatch.setattr(type(detector.model), "score", lambda self, pixels: pixels.flatten(1)[:, : int(pixels.sum())])
    with pytest.raises(UserError, match="torch cannot export CustomCNNForImageClassification to ONNX: "):
        export.write_graph(detector.model, detector.process([make_image()] * 2), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_what_is_loaded(tiny_model, exported, tmp_path, monkeypatch):
    both = tmp_path / "both"
    shutil.copytree(exported, both)
    shutil.copytree(tiny_model, both, dirs_exist_ok=True)
    assert not isinstance(load_network(str(both))[0], OnnxModel)  # safetensors first
    assert isinstance(load_network(str(both / "model.onnx"))[0], OnnxModel)

    other = tmp_path / "other"
    shutil.copytree(exported, other)
    processor = other / "preprocessor_config.json"
    processor.write_text(processor.read_text().replace("16", "20"))
    with pytest.raises(UserError, match=r"model\.onnx does not take what its image processor makes"):
        load_detector(other, "cpu").scores([make_image()])
    with pytest.raises(UserError, match="onnxruntime as installed here cannot run on 'mps'"):
        load_detector(other, "mps")
    (other / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"model\.onnx is no ONNX model"):
        load_detector(other)
    (other / "model.onnx").unlink()
    (other / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UserError, match="a pickle"):
        load_detector(other)

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"onnxruntime is not installed.*pip install 'fakelens\[onnx\]'"):
        load_detector(exported)
    assert load_detector(tiny_model)([make_image()])[0].verdict


def test_without_the_exporter_it_is_said_what_to_install(script, crops, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UserError, match=r"onnxscript is not installed.*pip install 'fakelens\[onnx\]'"):
        script.main(script.ExportArguments(crops, str(tmp_path / "out")))


def test_images_made_on_the_spot_differ_in_size_and_kind():
    made = [next(images) for images in [check._images()] for _ in range(8)]
    assert len({image.size for image in made}) == 8 and all(isinstance(image, Image.Image) for image in made)
    deviations = [np.asarray(image).std() for image in made]
    assert max(deviations) > 60 > min(deviations)
