"""Strangers' detectors from a Hub, over HTTP: safetensors by the vocabulary or a label map, and ONNX alone."""

import json
import subprocess
import sys

import pytest

from tests.hub_fixture import hub
from tests.inference.test_foreign_detectors import saved, swin, vit

RUN = """
import json, sys
from huggingface_hub import HfApi
from fakelens import load_detector
from fakelens.errors import UserError
from tests.abuse import make_image
api = HfApi()
for name in ("swin", "js"):
    api.create_repo(f"user/{name}")
    api.upload_folder(repo_id=f"user/{name}", folder_path=f"{sys.argv[1]}/{name}")
said = {}
for name, options in (
    ("user/swin", {}),
    ("user/js", {"label_map": "real=LABEL_1,fake=LABEL_0"}),
    ("user/js/onnx/model.onnx", {"real_label": "LABEL_1"}),
):
    said[name] = load_detector(name, "cpu", **options).scores([make_image(seed=1)])[0]
try:
    load_detector("user/js", "cpu")
except UserError as error:
    said["asked"] = str(error)
print(json.dumps(said))
"""


def test_detectors_of_a_hub_are_loaded_by_name(tmp_path):
    pytest.importorskip("onnxruntime")
    from fakelens import load_detector
    from fakelens.inference.onnx.export import write_graph
    from tests.abuse import make_image

    saved(swin(["artificial", "human"]), tmp_path / "swin")
    home = saved(vit(["LABEL_0", "LABEL_1"]), tmp_path / "js")
    local = load_detector(home, "cpu", real_label="LABEL_1")
    (home / "onnx").mkdir()
    write_graph(local.model, local.process([make_image()]), home / "onnx" / "model.onnx")
    (home / "model.safetensors").unlink()
    with hub() as server:
        command = [sys.executable, "-c", RUN, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, env=server.env | {"PYTHONPATH": "."})
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    here = load_detector(tmp_path / "swin", "cpu").scores([make_image(seed=1)])[0]
    assert said["user/swin"] == pytest.approx(here, abs=1e-6)
    score = local.scores([make_image(seed=1)])[0]
    assert said["user/js"] == pytest.approx(score, abs=1e-5)
    assert said["user/js/onnx/model.onnx"] == pytest.approx(score, abs=1e-5)
    assert "--label-map real=LABEL_0,fake=LABEL_1" in said["asked"]
