"""The model inside the package: what it is, that it loads by name without a network, and who takes the name."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from PIL import Image

import fakelens
from fakelens import load_detector, model_folder
from fakelens.errors import UserError
from fakelens.hub.facts.checkpoint import read_checkpoint
from fakelens.hub.facts.local_models import find_models, trained
from fakelens.hub.preflight import check_files
from fakelens.hub.shipped import with_code
from fakelens.zoo.shipped import DEFAULT_MODEL, SHIPPED, SHIPPED_FOLDER
from tests.abuse import make_image
from tests.conftest import SCRIPTS

FILES = {"README.md", "config.json", "installed.py", "model.safetensors", "preprocessor_config.json", "run.json"}
PACKAGE = Path(fakelens.__file__).parent
MOST_BYTES = 8_000_000


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working folder with one image, where no model is named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FAKELENS_MODEL", raising=False)
    make_image(512, 384, seed=5).save("photo.jpg")
    return tmp_path


def test_it_is_small_whole_and_says_what_it_is():
    assert {path.name for path in SHIPPED_FOLDER.iterdir()} == FILES
    everything = [path for path in (PACKAGE / "shipped").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in everything) <= MOST_BYTES
    check_files({path.name: path for path in everything if path.name != "run.json"})  # no secret, no machine's path
    check_files({"run.json": SHIPPED_FOLDER / "run.json"}, {r"run\.json": 1_000_000})
    checkpoint = read_checkpoint(SHIPPED_FOLDER)
    assert checkpoint.architecture == "PatchLensForImageClassification" and checkpoint.labels == ["real", "fake"]
    assert checkpoint.code == ("installed.py",)  # which names the installed classes: their code is there once
    config = checkpoint.config
    low, high = config["uncertain_band"]
    assert 0 <= low <= high <= 1 and 0 < config["decision_threshold"] < 1 and config["logit_temperature"] > 0
    assert "0.05" in config["fpr_thresholds"] and checkpoint.run["calibration"]
    assert checkpoint.run["parameters"] == 700_881


def test_its_card_states_licence_and_calibrated_rates():
    card = ModelCard.load(SHIPPED_FOLDER / "README.md")
    assert "-nc-" in card.data.license
    said = re.findall(r"predict fake for at most ([\d.]+) % of real images: from P\(fake\) = ([\d.e-]+) on", card.text)
    thresholds = read_checkpoint(SHIPPED_FOLDER).config["fpr_thresholds"]
    assert {f"{float(rate):g}": value for rate, value in said} == {
        f"{100 * float(rate):g}": f"{value:.4g}" for rate, value in thresholds.items()
    }


def test_of_what_shows_nothing_it_is_uncertain():
    """Lens caps, blown-out frames, clear skies: no detail, no evidence."""
    sky = np.broadcast_to(np.linspace((90, 140, 210), (150, 190, 235), 256)[:, None], (256, 256, 3)).astype(np.uint8)
    plain = [np.full((256, 256, 3), level, np.uint8) for level in (0, 128, 255)]
    verdicts = load_detector()([Image.fromarray(pixels) for pixels in (sky, *plain)])
    assert [verdict.verdict for verdict in verdicts] == ["uncertain"] * 4
    assert all(verdict.score == pytest.approx(0.5, abs=0.05) for verdict in verdicts)


def test_it_is_the_default_and_the_command_scores_with_it_without_a_network(elsewhere):
    """A process of its own in which every socket is refused, and the Hub's client is not told that it is offline."""
    assert DEFAULT_MODEL == SHIPPED and load_detector().name == SHIPPED
    (elsewhere / "refuse" / "x").parent.mkdir()
    (elsewhere / "refuse" / "sitecustomize.py").write_text(
        "import socket\n"
        "def refuse(*_, **__):\n    raise SystemExit('the network was asked for')\n"
        "socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE", "FAKELENS_MODEL")}
    environment |= {"PYTHONPATH": str(elsewhere / "refuse"), "HF_HOME": str(elsewhere / "home")}
    command = [Path(sys.executable).with_name("fakelens"), "photo.jpg", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert row["model"] == SHIPPED and row["verdict"] in ("real", "fake", "uncertain") and row["error"] is None
    # The refusal is in force.
    code = "import urllib.request as u; u.urlopen('http://127.0.0.1:9')"
    tried = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "the network was asked for" in tried.stderr


def test_a_folder_of_its_name_is_reached_by_its_path(elsewhere, tiny_model):
    shutil.copytree(tiny_model, elsewhere / SHIPPED)
    kinds = {name: type(load_detector(name).model).__name__ for name in (SHIPPED, f"./{SHIPPED}", Path(SHIPPED))}
    assert kinds.pop(SHIPPED) == "PatchLensForImageClassification"
    assert set(kinds.values()) == {"CustomCNNForImageClassification"}
    assert load_detector(Path(SHIPPED)).name == f"./{SHIPPED}"


IN_A_PIPELINE = """
import sys
{first}
from transformers import pipeline
{then}
found = pipeline("image-classification", model=sys.argv[1]{options})(sys.argv[2])
print({{row["label"]: row["score"] for row in found}}["fake"])
"""


@pytest.mark.parametrize(
    "how",
    [
        {"first": "import fakelens"},
        {"then": "import transformers.models.auto.modeling_auto, fakelens"},
        {"options": ", trust_remote_code=True"},
    ],
    ids=["imported before transformers", "imported after it", "remote code"],
)
def test_transformers_own_pipeline_loads_its_folder(elsewhere, how):
    code = IN_A_PIPELINE.format(**{"first": "", "then": "", "options": ""} | how)
    command = [sys.executable, "-c", code, str(model_folder(SHIPPED)), "photo.jpg"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    score = load_detector()("photo.jpg").score
    # Nor does it ask whether code may be run: nothing but the score is printed.
    assert float(done.stdout) == pytest.approx(score, abs=1e-5)


def test_a_copy_without_weights_says_so(elsewhere, monkeypatch):
    monkeypatch.setattr("fakelens.zoo.shipped.SHIPPED_FOLDER", elsewhere / "gone")
    with pytest.raises(UserError, match="lacks its own model, patch_lens.*--model FOLDER"):
        load_detector()


def test_the_models_listed_begin_with_it_and_its_cards_scores(elsewhere, monkeypatch):
    first = find_models()[0]
    assert first == SHIPPED_FOLDER and trained(first).path == SHIPPED and not trained(first).native
    stated = ModelCard.load(SHIPPED_FOLDER / "README.md").data.eval_results or []
    aurocs = {result.metric_value for result in stated if result.metric_type == "roc_auc"}
    assert {value for score in trained(first).scores for value in score.auroc.values()} == aurocs


def test_it_is_published_with_the_code_that_the_package_has(elsewhere):
    folder = with_code(elsewhere)
    checkpoint = read_checkpoint(folder)
    assert folder.name == SHIPPED and checkpoint.run == read_checkpoint(SHIPPED_FOLDER).run
    assert "modeling_patch_lens.py" in checkpoint.code and "image_processing_detector.py" in checkpoint.code
    for name in checkpoint.code:
        assert (folder / name).read_bytes() == (PACKAGE / "models" / name).read_bytes()
    pixels = [make_image(300, 200, seed=1)]
    assert load_detector(folder).scores(pixels) == load_detector().scores(pixels)


def test_a_built_wheel_holds_it(tmp_path):
    """Built from a copy, so that no build folder is left in the checkout, and without the network."""
    root = SCRIPTS.parent
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(root / name, tmp_path / name)
    leave = shutil.ignore_patterns("__pycache__", "*.egg-info")
    copy = shutil.copytree(root / "modeling", tmp_path / "modeling", ignore=leave, copy_function=shutil.copyfile)
    copy.chmod(0o755)  # the checkout may be read-only; the build writes into this folder
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", tmp_path / "wheel"]
    command = [sys.executable, "-m", "pip", "wheel", tmp_path, *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "wheel").iterdir()
    with zipfile.ZipFile(wheel) as opened:
        inside = {name for name in opened.namelist() if name.startswith("fakelens/shipped/")}
        assert inside == {f"fakelens/shipped/{SHIPPED}/{name}" for name in FILES}
        weights = opened.read(f"fakelens/shipped/{SHIPPED}/model.safetensors")
    assert weights == (SHIPPED_FOLDER / "model.safetensors").read_bytes()
